package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// interfering changes rows between the reading and the applying of a decision.
type interfering struct {
	*store.Store
	before func()
}

func (s interfering) Apply(ctx context.Context, o store.Outcome) error {
	s.before()
	return s.Store.Apply(ctx, o)
}

func TestHandleDecidesAgain(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int{"once": 1, "often": 4, "always": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.handle(w.event("opened"))
			left := times
			w.handler.Store = interfering{w.store, func() {
				if left--; left >= 0 {
					w.update(func(e *previews.Environment) { e.Extend(time.Hour, 7*24*time.Hour, w.clock.Now()) })
				}
			}}
			err := w.handler.Handle(t.Context(), w.said("pin", "/idp pin"))
			row := w.row()
			if name == "always" {
				if !errors.Is(err, previews.ErrStale) || row.Pinned {
					t.Errorf("pinned %v, error %v", row.Pinned, err)
				}
				w.equal("the delivery is still to be done", w.result("pin"), "")
				return
			}
			if err != nil || !row.Pinned || row.Generation != int64(times)+2 {
				t.Errorf("pinned %v in generation %d, error %v", row.Pinned, row.Generation, err)
			}
		})
	}
}

// An event handled twice, as after a crash, is decided once.
func TestHandleTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	extend := w.said("extend", "/idp extend 24h")
	w.handle(extend)
	want := w.row()
	w.handle(extend)
	if got := w.row(); !got.ExpiresAt.Equal(want.ExpiresAt) || got.Version != want.Version {
		t.Errorf("expires %s, then %s", want.ExpiresAt, got.ExpiresAt)
	}
	if !want.AskedAt.Equal(w.clock.Now()) {
		t.Errorf("asked at %s", want.AskedAt)
	}
}

// TestHandleManyTimes handles one command a thousand times, as the same delivery and
// as others that repeat it.
func TestHandleManyTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	extend := w.said("extend", "/idp extend 24h")
	w.handle(extend)
	want := w.row()
	const again = 1000
	for i := range again {
		repeated := extend
		if i%2 == 1 {
			repeated = w.event(fmt.Sprintf("extend-%d", i), func(e *bot.Event) {
				e.Kind, e.Name, e.Action, e.Comment = extend.Kind, extend.Name, extend.Action, extend.Comment
			})
		}
		w.handle(repeated)
	}
	if got := w.row(); !got.ExpiresAt.Equal(want.ExpiresAt) || got.Version != want.Version {
		t.Errorf("expires %s, then %s", want.ExpiresAt, got.ExpiresAt)
	}
	w.speak()
	w.equal("reactions", w.reactions(extend.Comment.ID), "eyes rocket")
	figure.Tell(t, "1 command delivered %d times more: 1 effect", again)
}

func TestHandleIgnores(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.comment("alice", "Nice")
	for guid, test := range map[string]struct {
		change func(*bot.Event)
		want   string
	}{
		"no such pull request": {func(e *bot.Event) { e.PR = 99 }, "there is no such pull request"},
		"no command":           {func(e *bot.Event) { e.Kind, e.Comment = bot.EventComment, &bot.Comment{ID: id, Body: "Nice"} }, "without a command"},
		"a bot's comment": {func(e *bot.Event) {
			e.Kind, e.Comment, e.Actor.Bot = bot.EventComment, &bot.Comment{ID: id, Body: "/idp destroy"}, true
		}, "comment of a bot"},
		"an App's comment": {func(e *bot.Event) {
			e.Kind, e.Comment = bot.EventComment, &bot.Comment{ID: id, Body: "/idp destroy", ViaApp: 5}
		}, "comment of a bot"},
		"nothing for idp":   {func(e *bot.Event) { e.Kind = bot.EventIgnored }, "not an event for idp"},
		"no check of ours":  {func(e *bot.Event) { e.Kind, e.PR, e.HeadSHA = bot.EventRerequest, 0, "feed" }, "no environment at this commit"},
		"an unknown commit": {func(e *bot.Event) { e.Kind, e.PR, e.HeadSHA = bot.EventBuild, 0, "feed" }, "images are looked up again"},
	} {
		w.handle(w.event(guid, test.change))
		if got := w.result(guid); !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", guid, got)
		}
	}
	if all, err := w.store.Environments(t.Context(), store.Filter{}); err != nil || len(all) > 0 {
		t.Errorf("environments %v (%v)", all, err)
	}
	w.equal("reactions", w.reactions(id), "")
}

// Where idp has no access an event waits a minute, should GitHub not know of a new
// installation everywhere, and ends there; where GitHub is ill it goes on waiting.
func TestHandleWithoutAccess(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault *githubtest.Fault
		event func(*bot.Event)
		ends  bool
	}{
		"no such installation": {nil, func(e *bot.Event) { e.InstallationID = 99 }, true},
		"no such repository":   {nil, func(e *bot.Event) { e.Repository.ID = 99 }, true},
		"GitHub is ill":        {&githubtest.Fault{Path: "/app/installations/**", Status: 502}, func(*bot.Event) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.fault != nil {
				w.github.Inject(*test.fault)
			}
			event := w.event("opened", test.event)
			err := w.handler.Handle(t.Context(), event)
			var waits interface{ RetryAfter() time.Duration }
			if err == nil || errors.As(err, &waits) != test.ends {
				t.Errorf("at first: %v", err)
			}
			w.clock.Advance(2 * time.Minute)
			if err := w.handler.Handle(t.Context(), event); (err == nil) != test.ends {
				t.Errorf("after two minutes: %v", err)
			}
			if got := w.result("opened"); strings.Contains(got, "no access") != test.ends {
				t.Errorf("result %q", got)
			}
		})
	}
}

// Whoever cannot be shown to have permission has none; where GitHub only asks to
// wait, the command waits.
func TestHandlePermission(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault githubtest.Fault
		waits bool
	}{
		"nobody knows": {githubtest.Fault{Path: "/repos/*/*/collaborators/**", Status: 500}, false},
		"rate limited": {githubtest.Fault{Path: "/repos/*/*/collaborators/**", Status: 403, Secondary: true, RetryAfter: time.Hour}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.handle(w.event("opened"))
			event := w.said("destroy", "/idp destroy")
			restore := w.github.Inject(test.fault)
			err := w.handler.Handle(t.Context(), event)
			restore()
			if w.row().Wanted != previews.Present || (err != nil) != test.waits {
				t.Fatalf("wanted %s, error %v", w.row().Wanted, err)
			}
			w.clock.Advance(2 * time.Hour)
			if test.waits {
				w.handle(event)
				w.equal("later", string(w.row().Wanted), string(previews.Absent))
				return
			}
			w.speak()
			w.equal("reactions", w.reactions(event.Comment.ID), "confused eyes")
		})
	}
}

// GitHub being ill decides nothing: the event stays to be done.
func TestHandleGitHubIll(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/repos/*/*/pulls/*", "/repos/*/*/contents/**"} {
		w := newWorld(t)
		w.handle(w.event("opened"))
		restore := w.github.Inject(githubtest.Fault{Path: path, Status: 500})
		event := w.event("pushed")
		if err := w.handler.Handle(t.Context(), event); err == nil {
			t.Errorf("%s: it went on", path)
		}
		restore()
		w.equal("result", w.result("pushed"), "")
		w.equal("wanted", string(w.row().Wanted), string(previews.Present))
		w.handle(event)
		w.equal("then", w.result("pushed"), "decided")
	}
}

// A latched breaker holds an inferred removal back, and forgets nothing for it.
func TestHandleBreaker(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.committed()
	w.pr.Close("alice")
	if err := w.store.LatchBreaker(t.Context(), "tested"); err != nil {
		t.Fatal(err)
	}
	swept := func(guid string) bot.Event { return w.event(guid, func(e *bot.Event) { e.Swept = true }) }
	w.handle(swept("one"))
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
	w.equal("result", w.result("one"), "ignored: "+previews.ErrBreaker.Error())
	w.handle(swept("again"))
	held, err := w.store.AuditLog(t.Context(), store.AuditFilter{Refused: true})
	if err != nil || len(held) != 1 || held[0].Delivery != "one" || held[0].Environment != w.row().Ref.String() || held[0].SHA != w.pr.HeadSHA() || held[0].Reason != previews.ErrBreaker.Error() {
		t.Errorf("audited: %+v (%v)", held, err)
	}
	if err := w.store.ConfirmBreaker(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	w.handle(swept("two"))
	w.equal("confirmed", string(w.row().Wanted), string(previews.Absent))
}

// "Re-run" on the check tries again what was given up.
func TestHandleRerequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.update(func(e *previews.Environment) { e.Fail(previews.Problem{Kind: previews.ProblemImage}, w.clock.Now()) })
	w.handle(w.event("rerun", func(e *bot.Event) { e.Kind, e.PR, e.HeadSHA = bot.EventRerequest, 0, w.pr.HeadSHA() }))
	if e := w.row(); e.State() != previews.StateWaiting || e.RecheckAt.IsZero() {
		t.Errorf("%s, asked again at %s", e.State(), e.RecheckAt)
	}
}

// A build that ends makes idp look for the image at once.
func TestHandleBuild(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.update(func(e *previews.Environment) { e.Missing(nil, w.clock.Now().Add(time.Hour)) })
	told := w.told
	w.handle(w.event("built", func(e *bot.Event) { e.Kind, e.PR, e.HeadSHA = bot.EventBuild, 0, w.pr.HeadSHA() }))
	if e := w.row(); !e.NextImageCheck.Equal(w.clock.Now()) || w.told == told {
		t.Errorf("next at %s", e.NextImageCheck)
	}
	w.committed()
	before := w.row()
	w.handle(w.event("built again", func(e *bot.Event) { e.Kind, e.PR, e.HeadSHA = bot.EventBuild, 0, w.pr.HeadSHA() }))
	if w.row().Version != before.Version {
		t.Error("a row that waits for nothing was written")
	}
}

// A repository's new name is used from then on; paths and names stay.
func TestHandleRename(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	before := w.row()
	other := storetest.Add(t, w.store, storetest.Preview(w.repo.ID()+1, 1, w.clock.Now()))
	if err := w.repo.Rename("alice", "site"); err != nil {
		t.Fatal(err)
	}
	w.handle(w.event("renamed", func(e *bot.Event) { e.Kind, e.PR, e.Repository.Name = bot.EventRepository, 0, "site" }))
	row := w.row()
	if row.Repo != "site" || row.Ref != before.Ref || row.Generation != before.Generation {
		t.Errorf("%s/%s in %s", row.Owner, row.Repo, row.Ref)
	}
	if again, err := w.store.Environment(t.Context(), other.Ref.RepositoryID, "pr-1"); err != nil || again.Version != other.Version {
		t.Errorf("another repository's row was written (%v)", err)
	}
	w.report()
	w.equal("checks", w.checks(), w.head()+" in_progress")
}

// Fault: the body of a webhook, signed for good, ran its commands again when it was
// sent again under another GUID.
func TestHandleReplayedComment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	first := w.said("first", "/idp extend 24h")
	w.handle(first)
	extended := w.row()
	w.clock.Advance(40 * 24 * time.Hour)
	replayed := w.event("replayed", func(e *bot.Event) {
		e.Kind, e.Name, e.Action, e.Comment = first.Kind, first.Name, first.Action, first.Comment
	})
	w.handle(replayed)
	if again := w.row(); again.Version != extended.Version {
		t.Errorf("expires %s, and before %s", again.ExpiresAt, extended.ExpiresAt)
	}
	w.equal("result", w.result("replayed"), "ignored: it was acted on for another delivery")
	w.speak()
	w.equal("reactions", w.reactions(first.Comment.ID), "eyes rocket")
	// The same words in another comment are another command.
	w.handle(w.said("second", "/idp extend 24h"))
	if again := w.row(); again.Version == extended.Version {
		t.Error("another comment was taken for the first")
	}
}

// taken is a store in which another environment has every name.
type taken struct{ *store.Store }

func (s taken) Apply(ctx context.Context, o store.Outcome) error {
	if o.Environment != nil {
		return fmt.Errorf("apply: %w", store.ErrNameTaken)
	}
	return s.Store.Apply(ctx, o)
}

// Whoever waits for a preview whose name is taken is told, and once.
func TestHandleNameTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler.Store = taken{w.store}
	w.handle(w.event("opened", func(e *bot.Event) { e.Action = "opened" }))
	w.handle(w.event("pushed"))
	w.speak()
	if said := w.mine("another one has the name"); len(said) != 1 {
		t.Errorf("told %d times", len(said))
	}
	w.equal("result", w.result("pushed"), "ignored: "+store.ErrNameTaken.Error())
	for _, guid := range []string{"opened", "pushed"} {
		log, err := w.store.AuditLog(t.Context(), store.AuditFilter{Delivery: guid})
		if err != nil || len(log) != 1 || log[0].Allowed || log[0].Environment != "acme/web/pr-1" || log[0].SHA != w.pr.HeadSHA() || !strings.Contains(log[0].Reason, store.ErrNameTaken.Error()) {
			t.Errorf("audited of %s: %+v (%v)", guid, log, err)
		}
	}
}
