package githubtest_test

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v4"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// testKey is one key for all tests: making one takes a while.
var testKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	key, _, err := githubtest.GenerateKey()
	return key, err
})

// world is a server with one App installed on acme, which owns acme/web.
type world struct {
	t         testing.TB
	server    *githubtest.Server
	validator *openapi.Validator
	clock     *clock
	key       *rsa.PrivateKey
	app       *githubtest.App
	install   *githubtest.Installation
	repo      *githubtest.Repository
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// setup starts the world. Every answer of the test is held to GitHub's
// description at its end.
func setup(t testing.TB, change ...func(*githubtest.Options)) *world {
	t.Helper()
	key, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, key: key, validator: schema.NewValidator(), clock: &clock{now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}}
	opts := githubtest.Options{Now: w.clock.Now, Middleware: w.validator.Middleware}
	for _, f := range change {
		f(&opts)
	}
	w.server = githubtest.New(opts)
	if err := w.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.server.Close(); err != nil {
			t.Error(err)
		}
		for _, violation := range w.validator.ResponseViolations() {
			t.Error(violation)
		}
	})
	w.app = w.server.AddApp(githubtest.AppOptions{Key: &key.PublicKey})
	w.repo = w.server.AddRepository("acme/web", githubtest.RepositoryOptions{
		Private: true, Files: map[string]string{"README.md": "# web\n", ".idp/deploy.yaml": "service:\n  name: web\n", "src/a.go": "package a\n"},
	})
	w.install = w.app.Install("acme", githubtest.InstallOptions{})
	w.repo.Grant("alice", "write")
	return w
}

// jwt signs claims; nil ones are the App's own, valid for nine minutes.
func (w *world) jwt(claims jwt.MapClaims) string {
	w.t.Helper()
	if claims == nil {
		now := w.clock.Now()
		claims = jwt.MapClaims{"iss": w.app.ID(), "iat": now.Add(-30 * time.Second).Unix(), "exp": now.Add(9 * time.Minute).Unix()}
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return "Bearer " + text
}

// token asks for an installation token with that request body.
func (w *world) token(body string) string {
	w.t.Helper()
	var out struct{ Token string }
	w.do("POST", "/app/installations/"+itoa(w.install.ID())+"/access_tokens", w.jwt(nil), body, 201).decode(&out)
	return "token " + out.Token
}

// answer is a response read whole.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
}

// noRedirects shows redirects instead of following them.
var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// do sends a request and holds the answer to a status; 0 accepts any.
func (w *world) do(method, path, auth, body string, want int, headers ...string) answer {
	w.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = strings.TrimSuffix(w.server.URL(), "/") + path
	}
	request, err := http.NewRequest(method, path, bytes.NewReader([]byte(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	if auth != "" {
		request.Header.Set("Authorization", auth)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := noRedirects.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if want != 0 && response.StatusCode != want {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, response.StatusCode, want, got)
	}
	return answer{t: w.t, status: response.StatusCode, header: response.Header, body: got}
}

func itoa(n int64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

// open opens a pull request from a fresh branch.
func (w *world) open(branch string) *githubtest.PullRequest {
	w.t.Helper()
	w.repo.Commit(branch, map[string]string{"src/" + branch + ".go": "package " + branch + "\n"})
	pr, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Add " + branch, Head: branch})
	if err != nil {
		w.t.Fatal(err)
	}
	return pr
}

// received is one webhook as its receiver got it.
type received struct {
	header http.Header
	body   []byte
}

var secret = secrettest.New("webhook")

// receive points the App's webhook at a receiver that answers with status().
func (w *world) receive(status func() int) func() []received {
	w.t.Helper()
	var mu sync.Mutex
	var got []received
	sink := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
		}
		mu.Lock()
		got = append(got, received{r.Header.Clone(), body})
		mu.Unlock()
		rw.WriteHeader(status())
	}))
	w.t.Cleanup(sink.Close)
	w.app.SetWebhook(sink.URL, secret)
	return func() []received {
		w.t.Helper()
		if err := w.server.WaitDeliveries(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return append([]received(nil), got...)
	}
}
