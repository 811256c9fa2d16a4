package bot_test

import (
	"context"
	"crypto/rsa"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// testKey is one App key for all tests: making one takes a while.
var testKey = sync.OnceValues(func() (struct {
	key *rsa.PrivateKey
	pem []byte
}, error) {
	key, pem, err := githubtest.GenerateKey()
	return struct {
		key *rsa.PrivateKey
		pem []byte
	}{key, pem}, err
})

// world is the bot's parts between a stand-in GitHub and a real store.
type world struct {
	*testing.T
	clock   *storetest.Clock
	github  *githubtest.Server
	app     *githubtest.App
	install *githubtest.Installation
	repo    *githubtest.Repository
	pr      *githubtest.PullRequest
	client  *github.App
	store   *store.Store

	handler  *bot.Handler
	speaker  *bot.Speaker
	reporter *bot.Reporter
	sweeper  *bot.Sweeper
	told     int
}

// newWorld has acme/web with one open pull request of alice's.
func newWorld(t *testing.T) *world {
	t.Helper()
	made, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, clock: storetest.NewClock()}
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	validator := schema.NewValidator()
	searched := func(next http.Handler) http.Handler { return secrettest.Requests(t, validator.Middleware(next)) }
	w.github = githubtest.New(githubtest.Options{Now: w.clock.Now, Middleware: searched})
	t.Cleanup(func() {
		for _, violation := range validator.Violations() {
			t.Error(violation)
		}
	})
	if err := w.github.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.github.Close() })
	w.app = w.github.AddApp(githubtest.AppOptions{Key: &made.key.PublicKey})
	w.repo = w.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": "service:\n  name: web\n"}})
	w.install = w.app.Install("acme", githubtest.InstallOptions{})
	w.repo.Grant("alice", "write")
	w.repo.Commit("topic", map[string]string{"a.txt": "a"})
	if w.pr, err = w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Faster", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	if w.client, err = github.New(github.Options{APIURL: w.github.URL(), AppID: w.app.ID(), PrivateKey: made.pem, Now: w.clock.Now, WritesPerMinute: -1}); err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db"), Now: w.clock.Now, NoSync: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	w.restart()
	return w
}

// restart makes the bot's parts anew, as after a crash.
func (w *world) restart() {
	log := secrettest.Logger(w)
	class := platform.Class{TTL: 72 * time.Hour, MaxTTL: 7 * 24 * time.Hour, Zone: "preview.example.com", HostTemplate: "{service}-{env}-{hash}.{zone}", Comment: platform.CommentSticky}
	w.handler = &bot.Handler{
		Store: w.store, GitHub: func(id int64) bot.Handling { return w.client.Installation(id) },
		Class: class, AppID: w.app.ID(), Decided: func() { w.told++ }, Now: w.clock.Now, Log: log,
	}
	w.speaker = &bot.Speaker{Store: w.store, GitHub: func(id int64) bot.Replier { return w.client.Installation(id) }, Now: w.clock.Now, Log: log}
	w.reporter = &bot.Reporter{Store: w.store, GitHub: func(id int64) bot.Publisher { return w.client.Installation(id) }, Class: class, AppID: w.app.ID(), Now: w.clock.Now, Log: log}
	w.sweeper = &bot.Sweeper{Store: w.store, GitHub: func(id int64) bot.Lister { return w.client.Installation(id) }, App: w.client, Now: w.clock.Now, Log: log}
}

// event is one about the pull request, stored as a delivery.
func (w *world) event(guid string, change ...func(*bot.Event)) bot.Event {
	w.Helper()
	e := bot.Event{
		Kind: bot.EventPullRequest, Delivery: guid, ReceivedAt: w.clock.Now(), Name: "pull_request", Action: "synchronize",
		InstallationID: w.install.ID(), Repository: bot.RepositoryRef{ID: w.repo.ID(), Owner: "acme", Name: "web"},
		PR: 1, Actor: w.person("alice"),
	}
	for _, f := range change {
		f(&e)
	}
	storetest.Deliver(w, w.store, store.Delivery{GUID: guid, Event: e.Name, RepositoryID: e.Repository.ID, PR: e.PR})
	return e
}

// said is the event of a comment of alice's.
func (w *world) said(guid, body string) bot.Event {
	w.Helper()
	id := w.comment("alice", body)
	return w.event(guid, func(e *bot.Event) {
		e.Kind, e.Name, e.Action, e.Comment = bot.EventComment, "issue_comment", "created", &bot.Comment{ID: id, Body: body}
	})
}

func (w *world) comment(by, body string) int64 {
	w.Helper()
	c, err := w.pr.Comment(by, body)
	if err != nil {
		w.Fatal(err)
	}
	return c.ID
}

func (w *world) handle(e bot.Event) {
	w.Helper()
	if err := w.handler.Handle(w.Context(), e); err != nil {
		w.Fatal(err)
	}
}

func (w *world) result(guid string) string {
	w.Helper()
	d, err := w.store.Delivery(w.Context(), guid)
	if err != nil {
		w.Fatal(err)
	}
	return d.Result
}

func (w *world) row() previews.Environment {
	w.Helper()
	e, err := w.store.Environment(w.Context(), w.repo.ID(), "pr-1")
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *world) update(f func(*previews.Environment)) {
	w.Helper()
	if _, err := w.store.Update(context.WithoutCancel(w.Context()), w.row().RowID, func(e *previews.Environment) error { f(e); return nil }); err != nil {
		w.Fatal(err)
	}
}

// committed brings what is wanted to Git.
func (w *world) committed() {
	w.Helper()
	w.update(func(e *previews.Environment) {
		a := previews.Applied{Generation: e.Generation, Commit: "c0ffee", At: w.clock.Now()}
		if e.Wanted == previews.Present {
			e.Resolve(nil, w.clock.Now())
			a.SHA, a.Tree = e.SHA, "7ree"
		}
		e.Commit(a)
	})
}

func (w *world) report() {
	w.Helper()
	if _, err := w.reporter.Step(w.Context()); err != nil {
		w.Fatal(err)
	}
	left, err := w.store.Unreported(w.Context(), w.clock.Now(), 10)
	if err != nil || len(left) > 0 {
		w.Fatalf("%d are not reported (%v)", len(left), err)
	}
}

func (w *world) speak() {
	w.Helper()
	for more := true; more; {
		if _, err := w.speaker.Step(w.Context()); err != nil {
			w.Fatal(err)
		}
		due, err := w.store.PendingEffects(w.Context(), w.clock.Now(), 1)
		if err != nil {
			w.Fatal(err)
		}
		more = len(due) > 0
	}
}

// mine are the comments of the App, those with a marker in them.
func (w *world) mine(marker string) []githubtest.Comment {
	var out []githubtest.Comment
	for _, c := range w.pr.Comments() {
		if c.App != "" && strings.Contains(c.Body, marker) {
			out = append(out, c)
		}
	}
	return out
}

// checks are "conclusion or status" by commit, oldest first.
func (w *world) checks() string {
	var out []string
	for _, c := range w.repo.CheckRuns() {
		state := c.Status
		if c.Conclusion != "" {
			state = c.Conclusion
		}
		out = append(out, fmt.Sprintf("%.7s %s", c.HeadSHA, state))
	}
	return strings.Join(out, ", ")
}

// deployments are the states by commit, oldest first.
func (w *world) deployments() string {
	var out []string
	for _, d := range w.repo.Deployments() {
		out = append(out, fmt.Sprintf("%.7s %s", d.SHA, d.State()))
	}
	return strings.Join(out, ", ")
}

func (w *world) equal(what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// reactions on a comment, sorted.
func (w *world) reactions(id int64) string {
	var out []string
	for _, c := range w.pr.Comments() {
		if c.ID == id {
			for _, r := range c.Reactions {
				out = append(out, r.Content)
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) ref() bot.RepositoryRef {
	return bot.RepositoryRef{ID: w.repo.ID(), Owner: "acme", Name: "web"}
}

// person is a user as GitHub's events name them.
func (w *world) person(login string) bot.Actor {
	return bot.Actor{ID: w.github.UserID(login), Login: login}
}
