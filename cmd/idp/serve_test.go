package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

const servingAt = `msg="idp is serving" webhooks=http://(127\.0\.0\.1:\d+)/webhooks/github metrics=http://(127\.0\.0\.1:\d+)/metrics`

func get(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

// With everything that it works with out of reach, idp starts, says so, and takes
// webhooks in.
func TestServeWithoutPeers(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	env := complete(t, map[string]string{
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0", "IDP_DATABASE_URL": "sqlite://" + filepath.Join(dir, "idp.db"),
		"IDP_GITHUB_API_URL": "http://127.0.0.1:1/", "IDP_GITOPS_URL": "http://127.0.0.1:1/acme/gitops.git",
		"IDP_ARGOCD_URL": "http://127.0.0.1:1/", "IDP_ARGOCD_TOKEN": "token",
	})
	var pairs []string
	for key, value := range env {
		pairs = append(pairs, key+"="+value)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := newWatchedLog(t)
	ended := make(chan int, 1)
	go func() { ended <- searchedRun(ctx, t, []string{"serve"}, strings.NewReader(""), io.Discard, log, pairs) }()
	addr := log.await(t, servingAt)[1]
	for _, peer := range []string{"github", "gitops", "argocd"} {
		log.await(t, `msg="peer is unreachable; its work waits" peer=`+peer)
	}
	status, body := get(t, "http://"+addr+"/readyz")
	var ready readiness
	if err := json.Unmarshal(body, &ready); err != nil || status != http.StatusOK || !ready.Ready {
		t.Errorf("readyz: %d %s (%v)", status, body, err)
	}
	if !slices.Equal(ready.Unreachable, []string{"argocd", "github", "gitops"}) || bytes.Contains(body, []byte("127.0.0.1")) {
		t.Errorf("readyz: %s", body)
	}
	if status, _ := get(t, "http://"+addr+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	if got := halfAWebhook(t, addr, webhookSecret, "4d9dc5a0-0000-11ee-be56-0242ac120002")(); got != http.StatusAccepted {
		t.Errorf("webhook: %d", got)
	}
	cancel()
	if status := <-ended; status != exitOK {
		t.Errorf("ended with %d:\n%s", status, log.String())
	}
	// Fault: being stopped counted as every peer's failure.
	if n := strings.Count(log.String(), "peer is unreachable"); n != 3 {
		t.Errorf("%d peers are told to be unreachable:\n%s", n, log.String())
	}
}

// Everything that is wrong is told at once, before anything starts.
func TestServeRefusesConfiguration(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	var stderr bytes.Buffer
	status := searchedRun(t.Context(), t, []string{"serve"}, strings.NewReader(""), io.Discard, &stderr, []string{
		"IDP_DATABASE_URL=sqlite://" + filepath.Join(dir, "idp.db"), "IDP_LISTEN=nowhere", "IDP_GITHUB_APP_ID=x",
		"IDP_PREVIEW_TTL=1 week", "IDP_GITOPS_PUSHES_PER_MINUTE=-1",
	})
	if status != exitInvalid {
		t.Errorf("status %d", status)
	}
	for _, key := range []string{"listen", "github_app_id", "preview_ttl", "gitops_pushes_per_minute", "gitops_url", "github_private_key_file", "github_webhook_secret"} {
		if !strings.Contains(strings.ToLower(stderr.String()), key) {
			t.Errorf("nothing of %s in\n%s", key, stderr.String())
		}
	}
	if made, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(made) > 0 {
		t.Errorf("it made %v (%v)", made, err)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	down := errors.New("disk I/O error at /secret/path")
	for name, test := range map[string]struct {
		database, github error
		want             int
		body             string
	}{
		"all well":        {nil, nil, 200, `"unreachable":[]`},
		"a peer is away":  {nil, down, 200, `"unreachable":["github"]`},
		"the database is": {down, nil, 503, `"database":"not ready"`},
		"both are":        {down, down, 503, `"unreachable":["github"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &peers{
				now: time.Now, log: secrettest.Logger(t), store: func(context.Context) error { return test.database },
				ping: map[string]func(context.Context) error{"github": func(context.Context) error { return test.github }}, status: map[string]peerStatus{},
			}
			if _, err := p.step(t.Context()); err != nil {
				t.Fatal(err)
			}
			answer := httptest.NewRecorder()
			p.ServeHTTP(answer, httptest.NewRequest("GET", "/readyz", nil))
			if body := answer.Body.String(); answer.Code != test.want || !strings.Contains(body, test.body) || strings.Contains(body, "secret") {
				t.Errorf("%d %s", answer.Code, body)
			}
		})
	}
}

// The log tells when a peer comes and goes, and no more.
func TestPeersComeAndGo(t *testing.T) {
	t.Parallel()
	log := newWatchedLog(t)
	var answer error
	p := &peers{
		now: time.Now, log: slog.New(slog.NewTextHandler(log, nil)), status: map[string]peerStatus{},
		ping: map[string]func(context.Context) error{"github": func(context.Context) error { return answer }},
	}
	for _, answer = range []error{nil, nil, errors.New("refused"), errors.New("timeout"), nil, nil} {
		if _, err := p.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "refused") || !strings.Contains(lines[1], "reachable again") {
		t.Errorf("log:\n%s", log.String())
	}
}

// halfAWebhook sends a webhook's headers and waits until its body is asked for;
// finish sends that and returns the status of the answer.
func halfAWebhook(t *testing.T, addr, secret, guid string) (finish func() int) {
	t.Helper()
	payload := `{"zen":"Design for failure.","hook_id":1}`
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /webhooks/github HTTP/1.1\r\nHost: idp\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n"+
		"X-GitHub-Event: ping\r\nX-GitHub-Delivery: %s\r\nX-Hub-Signature-256: %s\r\n\r\n", len(payload), guid, githubtest.Sign(secret, []byte(payload)))
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("headers answered with %q (%v)", line, err)
	}
	return func() int {
		fmt.Fprint(conn, payload)
		if _, err := answers.ReadString('\n'); err != nil { // the empty line after 100
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
}

// On SIGTERM a webhook that is being sent is still stored, and a delivery that is
// being handled is handled to its end.
func TestServeDrains(t *testing.T) {
	t.Parallel()
	dir := worldDir(t)
	reading, release := make(chan struct{}), make(chan struct{})
	var once, free sync.Once
	t.Cleanup(func() { free.Do(func() { close(release) }) })
	log, validate := newWatchedLog(t), githubDescription(t)
	w, err := newWorld(t.Context(), worldOptions{
		dir: dir, key: sharedKey, log: slog.New(slog.NewTextHandler(log, nil)),
		env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0"},
		github: func(next http.Handler) http.Handler {
			next = validate(next)
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/pulls/1") {
					once.Do(func() { close(reading); <-release })
				}
				next.ServeHTTP(rw, r)
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	repo := w.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": exampleSpec}})
	repo.Grant("alice", "write")
	repo.Commit("topic", map[string]string{"a": "a"})
	if _, err := repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "t", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	<-reading

	const late = "4d9dc5a0-0000-11ee-be56-0242ac120003"
	finish := halfAWebhook(t, w.main.Addr(), w.cfg.GitHubWebhookSecret[0].Reveal(), late)
	stopped := make(chan error, 1)
	go func() { stopped <- w.stopBot() }()
	log.await(t, `msg=draining`)
	if got := finish(); got != http.StatusAccepted {
		t.Errorf("the webhook under way: %d", got)
	}
	free.Do(func() { close(release) })
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	s, err := store.Open(t.Context(), store.Options{URL: w.cfg.DatabaseURL.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rows, err := s.Environments(t.Context(), store.Filter{}); err != nil || len(rows) != 1 {
		t.Errorf("the delivery under way came to %d environments (%v)", len(rows), err)
	}
	if d, err := s.Delivery(t.Context(), late); err != nil {
		t.Errorf("the late webhook: %+v (%v)", d, err)
	}
}
