package github

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

const tokenRoute = "/app/installations/{installation_id}/access_tokens"

// Client is what bot asks for.
var _ interface {
	bot.Handling
	bot.Publisher
	bot.Lister
	bot.Replier
} = (*Client)(nil)

func TestPing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if err := w.app.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	// A JWT that was made by the wrong clock is not believed.
	key, _ := testKey()
	late := w.newApp(t, Options{APIURL: w.server.URL(), AppID: w.app.ID(), PrivateKey: key.pem, Now: func() time.Time { return w.clock.Now().Add(time.Hour) }})
	if err := late.Ping(t.Context()); err == nil {
		t.Error("a JWT from the future was accepted")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string]Options{
		"no url":           {AppID: 1, PrivateKey: key.pem},
		"relative":         {APIURL: "api/v3", AppID: 1, PrivateKey: key.pem},
		"credentials":      {APIURL: "https://a:b@github.example.com/", AppID: 1, PrivateKey: key.pem},
		"no app":           {APIURL: "https://api.github.com", PrivateKey: key.pem},
		"no key":           {APIURL: "https://api.github.com", AppID: 1},
		"not a key in PEM": {APIURL: "https://api.github.com", AppID: 1, PrivateKey: []byte("-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n")},
	} {
		_, err := New(opts)
		if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token is made once an hour for each repository and use, by the App's clock.
func TestTokensAreKeptUntilTheirEnd(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	read := func() {
		t.Helper()
		if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
			t.Fatal(err)
		}
	}
	read()
	read()
	w.clock.advance(54 * time.Minute)
	read()
	if n := w.count("POST", tokenRoute); n != 1 {
		t.Errorf("%d tokens within 54 minutes", n)
	}
	w.clock.advance(2 * time.Minute)
	read()
	if n := w.count("POST", tokenRoute); n != 2 {
		t.Errorf("%d tokens after 56 minutes", n)
	}
	if _, err := w.client.CreateComment(t.Context(), w.ref(), 1, "hello"); err != nil {
		t.Fatal(err)
	}
	if n := w.count("POST", tokenRoute); n != 3 {
		t.Errorf("%d tokens: to write takes one of its own", n)
	}
	if got := pr.Comments(); len(got) != 1 || got[0].App != "idp" {
		t.Errorf("comments %+v", got)
	}
}

// A token that GitHub forgot before its time is made again, once.
func TestForgottenToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open(t, "a")
	for range 2 {
		w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: 401, Times: 1})
		if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
			t.Fatal(err)
		}
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/**", Status: 401})
	if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err == nil {
		t.Error("read with a token that GitHub refuses")
	}
}

func TestTokensReachOnlyWhatTheyAreFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open(t, "a")
	other := w.server.AddRepository("acme/other", githubtest.RepositoryOptions{Private: true, Files: map[string]string{"x": "y"}})

	read := scope{installation: w.install.ID(), repository: w.web.ID(), use: useRead}
	report := scope{installation: w.install.ID(), repository: w.web.ID(), use: useReport}
	propose := scope{installation: w.install.ID(), repository: w.web.ID(), use: usePropose}
	for _, test := range []struct {
		name              string
		scope             scope
		permission, level string
		onWeb, onOther    bool
	}{
		{"read", read, "contents", "read", true, false},
		{"read", read, "contents", "write", false, false},
		{"read", read, "pull_requests", "write", false, false},
		{"report", report, "checks", "write", true, false},
		{"report", report, "pull_requests", "write", true, false},
		{"report", report, "contents", "read", false, false},
		{"propose", propose, "pull_requests", "write", true, false},
		{"propose", propose, "contents", "write", false, false},
		{"propose", propose, "checks", "write", false, false},
	} {
		value, err := w.app.tokens.get(t.Context(), test.scope)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.server.TokenAllows(value.Reveal(), "acme/web", test.permission, test.level); got != test.onWeb {
			t.Errorf("%s token, %s:%s on acme/web: %v", test.name, test.permission, test.level, got)
		}
		if got := w.server.TokenAllows(value.Reveal(), "acme/other", test.permission, test.level); got != test.onOther {
			t.Errorf("%s token, %s:%s on acme/other: %v", test.name, test.permission, test.level, got)
		}
	}
	// A name that leads to another repository than the id is not read.
	if _, err := w.client.File(t.Context(), bot.RepositoryRef{ID: w.web.ID(), Owner: "acme", Name: "other"}, "x", other.Branch("main")); err == nil {
		t.Error("read acme/other with acme/web's token")
	}
}

// That there is no token is never taken for what was asked for being absent.
func TestNoAccessIsNotAbsence(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(*world){
		"suspended":   func(w *world) { w.install.Suspend() },
		"uninstalled": func(w *world) { w.install.Uninstall() },
		"unselected":  func(w *world) { w.install.Select(w.web, false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			sha := w.web.Branch("main")
			take(w)
			_, err := w.client.File(t.Context(), w.ref(), ".idp/deploy.yaml", sha)
			if !errors.Is(err, ErrNoAccess) || errors.Is(err, bot.ErrNotFound) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// One slow token request serves all who wait, and each gives up by its own
// context.
func TestTokenRequestIsShared(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open(t, "a")
	until := make(chan struct{})
	w.server.Inject(githubtest.Fault{Path: "/app/**", Until: until, Times: 1})
	impatient, cancel := context.WithCancel(t.Context())
	done := make(chan error, 2)
	go func() {
		_, err := w.client.PullRequest(impatient, w.ref(), 1)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("gave up with %v", err)
	}
	go func() {
		_, err := w.client.PullRequest(t.Context(), w.ref(), 1)
		done <- err
	}()
	close(until)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestGitToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddApp(githubtest.AppOptions{Slug: "other"})
	writer := w.server.AddRepository("ops/gitops", githubtest.RepositoryOptions{Private: true, Files: map[string]string{"x": "y"}})
	w.server.AddRepository("ops/secret", githubtest.RepositoryOptions{Private: true, Files: map[string]string{"x": "y"}})
	gitURL := w.server.HTMLURL() + "/ops/gitops.git"
	if _, err := w.app.GitToken(t.Context(), gitURL); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("not installed: %v", err)
	}
	key, _ := testKey()
	wide := w.server.AddApp(githubtest.AppOptions{Slug: "writer", Key: &key.private.PublicKey, Permissions: map[string]string{"metadata": "read", "contents": "write", "checks": "write"}})
	wide.Install("ops", githubtest.InstallOptions{})
	app := w.newApp(t, Options{APIURL: w.server.URL(), AppID: wide.ID(), PrivateKey: key.pem, Now: w.clock.Now})
	for range 2 {
		value, err := app.GitToken(t.Context(), gitURL)
		if err != nil {
			t.Fatal(err)
		}
		for permission, want := range map[string]bool{"contents": true, "checks": false} {
			if got := w.server.TokenAllows(value.Reveal(), writer.FullName(), permission, "write"); got != want {
				t.Errorf("%s: %v", permission, got)
			}
		}
		if w.server.TokenAllows(value.Reveal(), "ops/secret", "contents", "read") {
			t.Error("the token reaches another repository")
		}
	}
	for _, elsewhere := range []string{"https://evil.example.com/ops/gitops.git", "file:///srv/gitops.git", "http://127.0.0.1/", "not a url", w.server.HTMLURL() + "/gitops"} {
		if _, err := app.GitToken(t.Context(), elsewhere); err == nil {
			t.Errorf("a token for %s", elsewhere)
		}
	}
}

func TestTrusts(t *testing.T) {
	t.Parallel()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		api, git string
		want     bool
	}{
		{"https://api.github.com/", "https://github.com/acme/gitops.git", true},
		{"https://api.github.com", "https://github.com:443/acme/gitops", true},
		{"https://api.github.com/", "http://github.com/acme/gitops.git", false},
		{"https://api.github.com/", "https://github.com.evil.example/acme/gitops.git", false},
		{"https://api.github.com/", "https://gitlab.com/acme/gitops.git", false},
		{"https://api.acme.ghe.com/", "https://acme.ghe.com/acme/gitops.git", true},
		{"https://ghe.example.com/api/v3/", "https://GHE.example.com/acme/gitops.git", true},
		{"https://ghe.example.com/api/v3/", "https://github.com/acme/gitops.git", false},
	} {
		app, err := New(Options{APIURL: test.api, AppID: 1, PrivateKey: key.pem})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = OwnRepository(app.base, test.git)
		if (err == nil) != test.want {
			t.Errorf("%s with %s: %v", test.api, test.git, err)
		}
	}
}

// Nothing that goes wrong shows a token, a JWT or a query.
func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	w := setup(t, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(secrettest.Writer(t, "the log", &log), &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	w.open(t, "a")
	if _, err := w.client.PullRequest(t.Context(), w.ref(), 1); err != nil {
		t.Fatal(err)
	}
	value, err := w.app.tokens.get(t.Context(), scope{installation: w.install.ID(), repository: w.web.ID(), use: useRead})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []githubtest.Fault{
		{Status: 500}, {Status: 403}, {Status: 404}, {Status: 422}, {HTML: true}, {Drop: true}, {Truncate: true}, {Body: "{", Status: 200},
		{Status: 403, RetryAfter: time.Minute, Secondary: true, Times: 1},
	} {
		remove := w.server.Inject(fault)
		_, err := w.client.Comments(t.Context(), w.ref(), 1)
		remove()
		if err == nil {
			t.Errorf("%+v: no error", fault)
			continue
		}
		for _, text := range []string{err.Error(), log.String()} {
			if strings.Contains(text, value.Reveal()) || strings.Contains(text, "eyJ") || strings.Contains(text, "per_page") {
				t.Errorf("%+v: shows too much: %s", fault, text)
			}
		}
		if !strings.Contains(err.Error(), "list comments of acme/web#1") {
			t.Errorf("%+v: does not say what: %v", fault, err)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	key, _ := testKey()
	app := w.newApp(t, Options{APIURL: "http://127.0.0.1:1/", AppID: 1, PrivateKey: key.pem, Now: w.clock.Now})
	err := app.Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ask GitHub for the App") {
		t.Errorf("got %v", err)
	}
	_, err = app.Installation(1).PullRequest(t.Context(), w.ref(), 1)
	if err == nil || errors.Is(err, bot.ErrNotFound) || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("got %v", err)
	}
}
