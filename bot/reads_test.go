package bot_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/previews/store"
)

// reads are the requests that read from GitHub since the last call, by route.
func (w *world) reads() string {
	var routes []string
	for _, r := range w.github.Requests() {
		if r.Method == http.MethodGet && strings.HasPrefix(r.Credential, "installation:") {
			routes = append(routes, r.Route[strings.LastIndex(r.Route, "}/")+2:])
		}
	}
	w.github.ForgetRequests()
	return strings.Join(routes, " ")
}

// Of a pull request that is new, and of each of its commits, GitHub is asked for the pull
// request and for the spec alone; what may have been created before is looked for.
func TestReadsOfACommit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*store.Report)
		back   bool
		looked bool
	}{
		"a commit":        {},
		"one from before": {back: true, looked: true},
		"after too many":  {change: func(r *store.Report) { r.Before = slices.Repeat([]string{"0ther"}, 200) }, looked: true},
		"of an older idp": {change: func(r *store.Report) { r.Whole, r.Before = false, nil }, looked: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.reads()
			w.handle(w.event("opened"))
			w.committed()
			w.report()
			w.equal("the first", w.reads(), "pulls/{pull_number} contents/{path}")
			first := w.pr.HeadSHA()
			next := func(guid string) {
				w.pr.Push("alice", map[string]string{"a.txt": guid})
				if test.back && guid == "fourth" {
					if err := w.repo.Reset("alice", "topic", first); err != nil {
						t.Fatal(err)
					}
				}
				w.handle(w.event(guid))
				w.committed()
				w.report()
			}
			next("second")
			w.equal("the second", w.reads(), "pulls/{pull_number} contents/{path}")
			if test.change != nil {
				w.forget(test.change)
			}
			next("third")
			w.reads()
			next("fourth")
			got := w.reads()
			for _, route := range []string{"check-runs", "deployments"} {
				if strings.Contains(got, route) != test.looked {
					t.Errorf("read %q, %s among it is expected to be %v", got, route, test.looked)
				}
			}
		})
	}
}

// Where anybody has commented, idp's own comment may be among them.
func TestReadsOfAComment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.comment("alice", "hello")
	w.handle(w.event("opened"))
	w.reads()
	w.report()
	w.equal("reads", w.reads(), "comments")
}

// An event from before idp looked at the pull request costs GitHub nothing, and one that may
// say something new is not ignored.
func TestHandleSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	seen := w.row()
	if seen.AsOf.IsZero() || !seen.AsOf.Equal(w.now()) {
		t.Fatalf("the row is as of %s, GitHub's pull request of %s", seen.AsOf, w.now())
	}
	for name, test := range map[string]struct {
		action string
		after  time.Duration
		head   string
		seen   bool
	}{
		"before":                      {"synchronize", -time.Second, "0ther", true},
		"opened before":               {"opened", -time.Second, "", true},
		"edited before":               {"edited", -time.Second, "", true},
		"the same second and head":    {"synchronize", 0, seen.HeadSHA, true},
		"the same second, other head": {"synchronize", 0, "0ther", false},
		"edited in the same second":   {"edited", 0, seen.HeadSHA, false},
		"after":                       {"synchronize", time.Second, seen.HeadSHA, false},
		"closed before":               {"closed", -time.Second, seen.HeadSHA, false},
		"labeled before":              {"labeled", -time.Second, seen.HeadSHA, false},
	} {
		w.reads()
		w.handle(w.event(name, func(e *bot.Event) {
			e.Action, e.AsOf, e.HeadSHA = test.action, seen.AsOf.Add(test.after), test.head
		}))
		if got := w.reads(); (got == "") != test.seen {
			t.Errorf("%s: read %q", name, got)
		}
		if ignored := w.result(name) == "ignored: idp has looked at the pull request since"; ignored != test.seen {
			t.Errorf("%s: %s", name, w.result(name))
		}
	}
	w.reads()
	w.handle(w.event("of an older GitHub", func(e *bot.Event) { e.AsOf = time.Time{} }))
	if w.reads() == "" {
		t.Error("an event without a time was ignored")
	}
}

// now is when GitHub says that the pull request changed last.
func (w *world) now() time.Time {
	w.Helper()
	pr, err := w.client.Installation(w.install.ID()).PullRequest(w.Context(), bot.RepositoryRef{ID: w.repo.ID(), Owner: "acme", Name: "web"}, 1)
	if err != nil {
		w.Fatal(err)
	}
	return pr.UpdatedAt
}

// A command changes the row without a look at the pull request, so that a push which came
// before it still counts.
func TestHandleSeenByCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	before := w.row()
	w.clock.Advance(time.Minute)
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	pushed := w.now()
	w.clock.Advance(time.Minute)
	w.handle(w.said("extended", "/idp extend 24h"))
	if row := w.row(); row.Version == before.Version || row.AsOf.After(before.AsOf) && row.HeadSHA == before.HeadSHA {
		t.Errorf("the row is as of %s, and at %s", row.AsOf, row.HeadSHA)
	}
	w.handle(w.event("pushed", func(e *bot.Event) { e.AsOf, e.HeadSHA = pushed, w.pr.HeadSHA() }))
	if row := w.row(); row.HeadSHA != w.pr.HeadSHA() {
		t.Errorf("%s: the push was lost: %s", w.result("pushed"), row.HeadSHA)
	}
}
