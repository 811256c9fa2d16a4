package github

import (
	"context"
	"crypto/rsa"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

type keyPair struct {
	private *rsa.PrivateKey
	pem     []byte
}

// testKey is one key for all tests: making one takes a while.
var testKey = sync.OnceValues(func() (keyPair, error) {
	private, pem, err := githubtest.GenerateKey()
	return keyPair{private, pem}, err
})

// heldClock is a time that only tests and waits move.
type heldClock struct {
	mu     sync.Mutex
	now    time.Time
	waited []time.Duration
}

func (c *heldClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *heldClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// wait passes the time at once.
func (c *heldClock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waited = append(c.waited, d)
	return ctx.Err()
}

// world is a GitHub with acme/web, on which the App is installed.
type world struct {
	server  *githubtest.Server
	clock   *heldClock
	app     *App
	install *githubtest.Installation
	web     *githubtest.Repository
	client  *Client
}

// setup starts a GitHub that holds every request and every answer to its own
// description; nothing may violate it.
func setup(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	validator := schema.NewValidator()
	w := &world{clock: &heldClock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}}
	searched := func(next http.Handler) http.Handler { return secrettest.Requests(t, validator.Middleware(next)) }
	w.server = githubtest.New(githubtest.Options{Now: w.clock.Now, Middleware: searched})
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
		for _, violation := range validator.Violations() {
			t.Error(violation)
		}
	})
	registered := w.server.AddApp(githubtest.AppOptions{Key: &key.private.PublicKey})
	w.web = w.server.AddRepository("acme/web", githubtest.RepositoryOptions{
		Private: true, Files: map[string]string{"README.md": "# web\n", ".idp/deploy.yaml": "service:\n  name: web\n"},
	})
	w.install = registered.Install("acme", githubtest.InstallOptions{})
	opts := Options{APIURL: w.server.URL(), AppID: registered.ID(), PrivateKey: key.pem, Now: w.clock.Now}
	for _, f := range change {
		f(&opts)
	}
	w.app = w.newApp(t, opts)
	w.client = w.app.Installation(w.install.ID())
	return w
}

func (w *world) newApp(t *testing.T, opts Options) *App {
	t.Helper()
	if opts.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		t.Cleanup(transport.CloseIdleConnections)
		opts.Transport = transport
	}
	app, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	app.clock.wait = w.clock.wait
	return app
}

// ref names acme/web as the bot would have it from an event.
func (w *world) ref() bot.RepositoryRef {
	return bot.RepositoryRef{ID: w.web.ID(), Owner: "acme", Name: "web", Private: true}
}

// without returns the client of an App like ours that was not given a permission.
func (w *world) without(t *testing.T, permission string) *Client {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	permissions := githubtest.DefaultPermissions()
	delete(permissions, permission)
	narrow := w.server.AddApp(githubtest.AppOptions{Slug: "narrow", Key: &key.private.PublicKey, Permissions: permissions})
	app, err := New(Options{APIURL: w.server.URL(), AppID: narrow.ID(), PrivateKey: key.pem, Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return app.Installation(narrow.Install("acme", githubtest.InstallOptions{}).ID())
}

// open opens a pull request from a branch of its own.
func (w *world) open(t *testing.T, branch string) *githubtest.PullRequest {
	t.Helper()
	w.web.Commit(branch, map[string]string{branch + ".txt": branch})
	pr, err := w.web.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Add " + branch, Head: branch})
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

// count says how many requests matched; an empty method or route matches all.
func (w *world) count(method, route string) int {
	n := 0
	for _, r := range w.server.Requests() {
		if (method == "" || r.Method == method) && (route == "" || r.Route == route) {
			n++
		}
	}
	return n
}
