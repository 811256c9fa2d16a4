package bot_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// overtaken is a store in which something happens once the previews were counted.
type overtaken struct {
	*store.Store
	once sync.Once
	then func()
}

// LivePreviews counts, and lets it happen.
func (o *overtaken) LivePreviews(ctx context.Context, of store.LiveOf) (store.Lives, error) {
	lives, err := o.Store.LivePreviews(ctx, of)
	o.once.Do(o.then)
	return lives, err
}

// beside is another pull request's preview, in Git since a minute from now.
func (w *world) beside(pr int) previews.Environment {
	w.Helper()
	e := storetest.Preview(w.repo.ID(), pr, w.clock.Advance(time.Minute))
	e.Resolve(nil, w.clock.Now())
	e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c0ffee", Tree: "7ree", At: w.clock.Now()})
	return storetest.Add(w, w.store, e)
}

// pins pins a preview when it is called.
func (w *world) pins(row previews.Environment) func() {
	return func() {
		if _, err := w.store.Update(w.Context(), row.RowID, func(e *previews.Environment) error { e.Pin(w.clock.Now()); return nil }); err != nil {
			w.Error(err)
		}
	}
}

// Between counting and deciding the preview that would go is pinned, or taken for another
// pull request: it is decided again, and the next one goes, or none is left and none comes.
func TestHandleTakesAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const limit = "max_previews: {repository: 2, take_oldest: true}\n"
	set := policy.Compile(t.Context(), []gitops.File{{Path: policy.SettingsPath, Content: []byte(limit)}})
	var rows []previews.Environment
	for pr := 7; pr <= 8; pr++ {
		rows = append(rows, w.beside(pr))
	}
	w.clock.Advance(2 * time.Hour)
	w.handler.Guard = func(context.Context) bot.Guard { return set }
	w.handler.Store = &overtaken{Store: w.store, then: w.pins(rows[0])}
	w.handle(w.event("first"))
	if e := w.row(); e.Wanted != previews.Present {
		t.Fatalf("the new one is wanted %s: %+v", e.Wanted, e.Problem)
	}
	for i, want := range []previews.Presence{previews.Present, previews.Absent} {
		e, err := w.store.Environment(t.Context(), w.repo.ID(), rows[i].Ref.ID)
		if err != nil || e.Wanted != want {
			t.Errorf("%s is wanted %s (%v)", e.Ref.ID, e.Wanted, err)
		}
		if want == previews.Absent && (e.Removal.For != "acme/web#1" || e.Actor != "alice" || !e.NeedsCommit()) {
			t.Errorf("it goes by %q: %+v", e.Actor, e.Removal)
		}
	}
	audit, err := w.store.AuditLog(t.Context(), store.AuditFilter{Environment: rows[1].Ref.String()})
	if err != nil || len(audit) != 1 || audit[0].Action != "take" || audit[0].Delivery != "first" || audit[0].Actor != "alice" {
		t.Errorf("audited: %+v (%v)", audit, err)
	}
}

// Where the only one that might go is pinned meanwhile, the new one waits.
func TestHandleTakesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := policy.Compile(t.Context(), []gitops.File{{Path: policy.SettingsPath, Content: []byte("max_previews: {repository: 1, take_oldest: true}\n")}})
	only := w.beside(7)
	w.clock.Advance(2 * time.Hour)
	w.handler.Guard = func(context.Context) bot.Guard { return set }
	w.handler.Store = &overtaken{Store: w.store, then: w.pins(only)}
	w.handle(w.event("first"))
	if mine := w.row(); mine.Wanted != previews.Absent || mine.Problem == nil || mine.Problem.Kind != previews.ProblemPolicy {
		t.Errorf("the new one is wanted %s: %+v", mine.Wanted, mine.Problem)
	}
	if e, err := w.store.Environment(t.Context(), w.repo.ID(), "pr-7"); err != nil || e.Wanted != previews.Present || !e.Pinned {
		t.Errorf("the pinned one is wanted %s (%v)", e.Wanted, err)
	}
}

// Two that come at once are both let pass by what was counted, and one of them comes: the
// other is decided again, and refused.
func TestHandleTogether(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy, content string
	}{
		"the starter set":  {policy.SettingsPath, "max_previews: {repository: 2}\n"},
		"a policy of ours": {policy.Dir + "/a.rego", "package main\n\ndeny contains \"enough\" if input.previews.author.count > 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			set := policy.Compile(t.Context(), []gitops.File{{Path: c.policy, Content: []byte(c.content)}})
			w.handler.Guard = func(context.Context) bot.Guard { return set }
			first := w.beside(7)
			event := w.event("first")
			pr, err := w.client.Installation(event.InstallationID).PullRequest(t.Context(), event.Repository, event.PR)
			if err != nil {
				t.Fatal(err)
			}
			w.owns(first, pr.Author.ID)
			w.handler.Store = &overtaken{Store: w.store, then: func() { w.owns(w.beside(8), pr.Author.ID) }}
			w.handle(event)
			if mine := w.row(); mine.Wanted != previews.Absent || mine.Problem == nil || mine.Problem.Kind != previews.ProblemPolicy {
				t.Errorf("the third is wanted %s: %+v", mine.Wanted, mine.Problem)
			}
		})
	}
}

// owns makes a preview somebody's, under another login than theirs.
func (w *world) owns(row previews.Environment, id int64) {
	w.Helper()
	_, err := w.store.Update(w.Context(), row.RowID, func(e *previews.Environment) error { e.Author, e.AuthorID = "as-it-was", id; return nil })
	if err != nil {
		w.Error(err)
	}
}
