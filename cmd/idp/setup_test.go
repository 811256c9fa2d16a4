package main

import (
	"context"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	secrets "github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// registering is one "idp setup github" that runs, with a browser in front of it.
type registering struct {
	t      *testing.T
	github *githubtest.Server
	dir    string
	page   string
	stdout strings.Builder
	log    *watchedLog
	cancel context.CancelFunc
	ended  chan int
}

func startSetup(t *testing.T, args ...string) *registering {
	t.Helper()
	r := &registering{t: t, dir: secrettest.Dir(t), log: newWatchedLog(t), ended: make(chan int, 1)}
	for _, kept := range []string{"github-app.pem", "client-secret", "webhook-secret", "gitops-writer.pem"} {
		secrettest.Given(filepath.Join(r.dir, kept)) // what setup is for
	}
	r.github = githubtest.New(githubtest.Options{Middleware: githubDescription(t)})
	if err := r.github.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.github.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r.cancel = cancel
	args = append([]string{"setup", "github", "--github-url", r.github.HTMLURL(), "--dir", r.dir}, args...)
	go func() { r.ended <- searchedRun(ctx, t, args, strings.NewReader(""), &r.stdout, r.log, nil) }()
	r.page = r.log.await(t, `(http://127\.0\.0\.1:\d+/[A-Za-z0-9_-]{43})`)[1]
	return r
}

// browser follows no redirect by itself, so that tests see where they lead.
var browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (r *registering) open(at string) (status int, body string, header http.Header) {
	r.t.Helper()
	resp, err := browser.Get(at)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

var form = regexp.MustCompile(`action="([^"]+)"><input type="hidden" name="manifest" value="([^"]+)">`)

// confirm presses the page's button, and returns where GitHub sends the browser.
func (r *registering) confirm() string {
	r.t.Helper()
	_, body, _ := r.open(r.page)
	found := form.FindStringSubmatch(body)
	if found == nil {
		r.t.Fatalf("no form in\n%s", body)
	}
	resp, err := browser.PostForm(html.UnescapeString(found[1]), url.Values{"manifest": {html.UnescapeString(found[2])}})
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	back, err := resp.Location()
	if err != nil {
		r.t.Fatalf("GitHub answered %d: %s", resp.StatusCode, said)
	}
	return back.String()
}

func (r *registering) ends(want int) string {
	r.t.Helper()
	if status := <-r.ended; status != want {
		r.t.Errorf("ended with %d, want %d:\n%s", status, want, r.log.String())
	}
	return r.log.String()
}

// empty fails where anything was written.
func (r *registering) empty() {
	r.t.Helper()
	entries, err := os.ReadDir(r.dir)
	if err != nil || len(entries) > 0 {
		r.t.Errorf("%v was written (%v)", entries, err)
	}
}

// read reads a file that only its owner may.
func (r *registering) read(name string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	info, err := os.Stat(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		r.t.Errorf("%s has mode %o", name, info.Mode().Perm())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(content)
}

func TestSetupGitHub(t *testing.T) {
	t.Parallel()
	r := startSetup(t, "--org", "acme", "--webhook-url", "https://idp.acme.dev")
	status, body, _ := r.open(r.confirm())
	if status != http.StatusOK || !strings.Contains(body, "/apps/idp-acme/installations/new") {
		t.Errorf("%d\n%s", status, body)
	}
	said := r.ends(exitOK)
	app := r.github.App("idp-acme")
	if app == nil || app.Owner() != "acme" {
		t.Fatalf("registered is %v", app)
	}
	permissions, events := app.Asks()
	want := map[string]string{}
	for _, p := range github.Permissions() {
		want[p.Name] = p.Access
	}
	if !maps.Equal(permissions, want) || len(events) != len(github.Subscriptions()) {
		t.Errorf("it asks for %v and %v", permissions, events)
	}
	hook, secret := app.Webhook()
	if hook != "https://idp.acme.dev/webhooks/github" || r.read("webhook-secret") != secret {
		t.Errorf("its webhook is %s", hook)
	}
	key := r.read("github-app.pem")
	client := r.read("client-secret")
	if client != app.ClientSecret() {
		t.Errorf("its client secret is not what is kept")
	}
	for _, text := range []string{said, r.stdout.String(), body} {
		if strings.Contains(text, secret) || strings.Contains(text, client) || strings.Contains(text, key[40:80]) {
			t.Errorf("a secret shows in\n%s", text)
		}
	}
	if !strings.Contains(said, "webhook-secret)\"") || !strings.Contains(said, "/apps/idp-acme/installations/new") || !strings.Contains(said, "preview_access: public") {
		t.Errorf("told is\n%s", said)
	}
	// What it prints is a configuration with which GitHub knows the App.
	cfg, _, err := load(t, forReading, r.stdout.String(), map[string]string{"IDP_GITHUB_WEBHOOK_SECRET": secret})
	if err != nil {
		t.Fatalf("%v\n%s", err, r.stdout.String())
	}
	made, err := githubApp(cfg, github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if who, err := newAPIGitHub(cfg, made, time.Now).Person(t.Context(), secrets.New(app.UserToken("ann"))); err != nil || who.Login != "ann" {
		t.Errorf("people sign in to it as %+v (%v)", who, err)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
}

func TestSetupWriter(t *testing.T) {
	t.Parallel()
	r := startSetup(t, "--writer", "--name", "Acme's writer")
	r.open(r.confirm())
	r.ends(exitOK)
	app := r.github.App("acme-s-writer")
	if app == nil {
		t.Fatal("nothing is registered")
	}
	permissions, events := app.Asks()
	if !maps.Equal(permissions, map[string]string{"metadata": "read", "contents": "write", "pull_requests": "write"}) || len(events) > 0 {
		t.Errorf("it asks for %v and %v", permissions, events)
	}
	if hook, _ := app.Webhook(); hook != "" {
		t.Errorf("its webhook is %s", hook)
	}
	r.read("gitops-writer.pem")
	cfg, _, err := load(t, forReading, r.stdout.String(), map[string]string{"IDP_GITHUB_API_URL": r.github.URL()})
	if err != nil || cfg.GitOpsAppID == 0 || cfg.GitOpsPrivateKeyFile != filepath.Join(r.dir, "gitops-writer.pem") {
		t.Fatalf("printed is\n%s: %v", r.stdout.String(), err)
	}
	apps, err := newWriters(cfg, nil, github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := apps.of("https://github.com/acme/gitops.git").Registration(t.Context()); err != nil || got.Slug != "acme-s-writer" {
		t.Errorf("what was printed is App %q (%v)", got.Slug, err)
	}
}

// What somebody else brings changes nothing, and the answer counts once.
func TestSetupIsNotDeceived(t *testing.T) {
	t.Parallel()
	r := startSetup(t, "--webhook-url", "https://idp.acme.dev/elsewhere")
	address := regexp.MustCompile(`^http://[^/]+`).FindString(r.page)
	back := r.confirm()
	for at, want := range map[string]int{
		address + "/":           http.StatusNotFound,
		address + "/registered": http.StatusBadRequest,
		address + "/registered?code=stolen&state=guessed":                http.StatusBadRequest,
		regexp.MustCompile(`code=[^&]+`).ReplaceAllString(back, "code="): http.StatusBadRequest,
		strings.Replace(r.page, "127.0.0.1", "localhost", 1):             http.StatusMisdirectedRequest,
		strings.Replace(back, "127.0.0.1", "localhost", 1):               http.StatusMisdirectedRequest,
	} {
		if status, body, _ := r.open(at); status != want {
			t.Errorf("%s: %d, want %d\n%s", at, status, want, body)
		}
	}
	r.empty()
	if status, _, _ := r.open(back); status != http.StatusOK {
		t.Errorf("the answer itself: %d", status)
	}
	r.ends(exitOK)
	if hook, _ := r.github.App("idp").Webhook(); hook != "https://idp.acme.dev/elsewhere" {
		t.Errorf("its webhook is %s", hook)
	}
}

// A code that GitHub does not know any more, and a GitHub that is ill.
func TestSetupWithoutAKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  githubtest.Fault
		status int
		said   string
	}{
		"expired": {githubtest.Fault{Status: 404}, exitInvalid, "does not take the code any more (404)"},
		"refused": {githubtest.Fault{Status: 422}, exitInvalid, "does not take the code any more (422)"},
		"ill":     {githubtest.Fault{Status: 502, HTML: true}, exitFailure, "answered 502"},
		"gone":    {githubtest.Fault{Drop: true}, exitFailure, "cannot be reached for the key"},
		"empty":   {githubtest.Fault{Status: 201, Body: "{}"}, exitFailure, "holds no App with a key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startSetup(t, "--webhook-url", "https://idp.acme.dev")
			c.fault.Path = "/app-manifests/**"
			r.github.Inject(c.fault)
			back := r.confirm()
			status, body, _ := r.open(back)
			said := r.ends(c.status)
			code := regexp.MustCompile(`code=([^&]+)`).FindStringSubmatch(back)[1]
			if status != http.StatusBadGateway || !strings.Contains(said, c.said) || !strings.Contains(said, "hint: delete the App under") || strings.Contains(said+body, code) {
				t.Errorf("%d\n%s\n%s", status, body, said)
			}
			r.empty()
		})
	}
}

// A file that came to be meanwhile is not overwritten, and nothing stays beside it.
func TestSetupOverwritesNothing(t *testing.T) {
	t.Parallel()
	r := startSetup(t, "--webhook-url", "https://idp.acme.dev")
	path := filepath.Join(r.dir, "webhook-secret")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.open(r.confirm())
	if said := r.ends(exitFailure); !strings.Contains(said, path+" is there already") || !strings.Contains(said, "generate another key") {
		t.Errorf("told is\n%s", said)
	}
	entries, err := os.ReadDir(r.dir)
	if err != nil || len(entries) != 1 || r.read("webhook-secret") != "mine" {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
}

func TestSetupEndsWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	r := startSetup(t, "--webhook-url", "https://idp.acme.dev")
	r.cancel()
	if said := r.ends(exitFailure); !strings.Contains(said, "error: interrupted") {
		t.Errorf("told is\n%s", said)
	}
	r.empty()
	late := startSetup(t, "--webhook-url", "https://idp.acme.dev", "--timeout", "50ms")
	if said := late.ends(exitTimeout); !strings.Contains(said, "nothing was written") {
		t.Errorf("told is\n%s", said)
	}
	late.empty()
}

func TestSetupRefusals(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	dir := secrettest.Dir(t)
	if err := os.WriteFile(filepath.Join(dir, "github-app.pem"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	hook := []string{"--webhook-url", "https://idp.acme.dev"}
	for name, c := range map[string]struct {
		args   []string
		status int
		said   string
	}{
		"no webhook":       {nil, exitUsage, "--webhook-url is not set"},
		"strange webhook":  {[]string{"--webhook-url", "idp.acme.dev"}, exitUsage, "not an http or https URL"},
		"webhook's secret": {[]string{"--webhook-url", "https://x@idp.acme.dev/?a=b"}, exitUsage, "more than a host and a path"},
		"strange GitHub":   {append(hook, "--github-url", "https://github.com/acme"), exitUsage, "not the root of a GitHub's pages"},
		"long name":        {append(hook, "--name", strings.Repeat("n", 35)), exitUsage, "1 to 34 characters"},
		"writer's webhook": {append(hook, "--writer"), exitUsage, "exclude each other"},
		"open address":     {append(hook, "--listen", "0.0.0.0:0"), exitUsage, "not an address of this machine alone"},
		"port taken":       {append(hook, "--listen", busy.Addr().String()), exitFailure, "address already in use"},
		"file there":       {append(hook, "--dir", dir), exitFailure, "github-app.pem is there already, and is not overwritten"},
		"no folder":        {append(hook, "--dir", filepath.Join(dir, "none")), exitInvalid, "nothing can be written beside"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var out strings.Builder
			args := []string{"setup", "github", "--dir", secrettest.Dir(t)}
			if status := searchedRun(ctx, t, append(args, c.args...), strings.NewReader(""), &out, &out, nil); status != c.status || !strings.Contains(out.String(), c.said) {
				t.Errorf("ended with %d, want %d and %q:\n%s", status, c.status, c.said, out.String())
			}
			if strings.Contains(out.String(), "Open this") {
				t.Errorf("it began:\n%s", out.String())
			}
		})
	}
}
