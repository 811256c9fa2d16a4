package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// startServing starts idp serve with nothing that it works with in reach, and returns where
// webhooks and metrics are served.
func startServing(t *testing.T) (public, metrics string) {
	t.Helper()
	secret := filepath.Join(secrettest.Dir(t), "client-secret")
	if err := os.WriteFile(secret, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := complete(t, map[string]string{
		"IDP_GITHUB_CLIENT_ID": "Iv1.0123456789abcdef", "IDP_GITHUB_CLIENT_SECRET_FILE": secret,
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0", "IDP_DATABASE_URL": "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db"),
		"IDP_GITHUB_API_URL": "http://127.0.0.1:1/", "IDP_GITOPS_URL": "http://127.0.0.1:1/acme/gitops.git",
	})
	var pairs []string
	for key, value := range env {
		pairs = append(pairs, key+"="+value)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log := newWatchedLog(t)
	ended := make(chan int, 1)
	go func() { ended <- searchedRun(ctx, t, []string{"serve"}, strings.NewReader(""), io.Discard, log, pairs) }()
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != exitOK {
			t.Errorf("ended with %d:\n%s", status, log.String())
		}
	})
	at := log.await(t, servingAt)
	return "http://" + at[1], "http://" + at[2]
}

// TestPublicRoutes asks, without any credential, for what servers use to give away.
func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	public, metrics := startServing(t)
	paths := []string{
		"/", "/metrics", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1", "/debug/vars", "/debug/requests", "/config", "/env", "/status", "/healthz", "/readyz",
		"/api", "/api/v1", "/api/v1/", "/api/v1/environments", "/api/v1/commands", "/api/v1/commands/4d9dc5a0-0000-11ee-be56-0242ac120002", "/api/v1/repos/acme/web/pulls/1/commands", "/audit", "/deliveries", "/webhooks", "/webhooks/", "/webhooks/github", "/webhooks/github/", "/.git/config", "/idp.db", "/idp.yaml",
		"/healthz/../metrics", "//metrics", "/%2e%2e/metrics", "/favicon.ico", "/robots.txt", "/swagger.json", "/openapi.json",
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	asked := 0
	for base, open := range map[string][]string{public: {"/healthz", "/readyz", "/api/v1"}, metrics: {"/metrics"}} {
		for _, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace} {
				r, err := http.NewRequestWithContext(t.Context(), method, base+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				asked++
				served := slices.Contains(open, path) && (method == http.MethodGet || method == http.MethodHead)
				if (resp.StatusCode == http.StatusOK) != served {
					t.Errorf("%s %s of the listener that serves %v: %d", method, path, open, resp.StatusCode)
				}
				if path != "/metrics" && bytes.Contains(body, []byte("go_goroutines")) || bytes.Contains(body, []byte("SQLite")) {
					t.Errorf("%s %s gives away %.200q", method, path, body)
				}
			}
		}
	}
	figure.Tell(t, "%d unauthenticated requests to 2 listeners: 200 for /healthz, /readyz, how to sign in to the API and, inside, /metrics alone", asked)
}

// siege is many connections with bodies that have no end. Each sends so much at once, and
// then a piece at a time, whenever the test asks for one.
type siege struct {
	url   string
	stop  chan struct{}
	piece chan struct{}
	// enough is closed once all of them together have sent floor bytes.
	floor  int64
	enough chan struct{}
	sent   atomic.Int64
	busy   atomic.Int64
}

// Of what each sends at once, and of a piece, in bytes.
const siegeFirst, siegePiece = 192 << 10, 64 << 10

// await waits until a piece is asked for, or the siege is over.
func (s *siege) await() (going bool) {
	select {
	case <-s.stop:
		return false
	case <-s.piece:
		return true
	}
}

// ask has so many pieces sent, by whoever of them comes first.
func (s *siege) ask(t *testing.T, pieces int) {
	t.Helper()
	for range pieces {
		select {
		case s.piece <- struct{}{}:
		case <-time.After(time.Minute):
			t.Fatal("nobody sends any more")
		}
	}
}

// endless is the body of one of them.
type endless struct {
	*siege
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		if !e.await() {
			return 0, io.EOF
		}
		e.left = siegePiece
	}
	n := min(len(p), e.left)
	e.left -= n
	if now := e.sent.Add(int64(n)); now >= e.floor && now-int64(n) < e.floor {
		close(e.enough)
	}
	return n, nil
}

// lay sends one body after the other, and comes again when it is sent away.
func (s *siege) lay(t *testing.T, client *http.Client) {
	for going := true; going; going = s.await() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, &endless{s, siegeFirst})
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-GitHub-Event", "pull_request")
		r.Header.Set("X-GitHub-Delivery", "0")
		r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
		resp, err := client.Do(r)
		if err != nil {
			continue // cut off
		}
		resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusServiceUnavailable:
			s.busy.Add(1)
		case resp.StatusCode < 400:
			t.Errorf("an unsigned body was answered %d", resp.StatusCode)
		}
	}
}

// TestManyEndlessBodies has 200 connections send unsigned bodies without an end, more
// than idp has memory for, while others ask whether it is alive: memory stays bounded,
// and every one of them is answered.
func TestManyEndlessBodies(t *testing.T) {
	// Not beside others: it tells what the whole process takes.
	const connections, asks, pieces, most, patience = 200, 200, 10, raceMemory * 256 << 20, 20 * time.Second
	public, _ := startServing(t)
	runtime.GC()
	before := resident(t)
	s := &siege{url: public + "/webhooks/github", stop: make(chan struct{}), piece: make(chan struct{}), floor: connections * siegeFirst, enough: make(chan struct{})}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var attacking sync.WaitGroup
	for range connections {
		attacking.Go(func() { s.lay(t, client) })
	}
	defer attacking.Wait()
	defer close(s.stop)
	select {
	case <-s.enough:
	case <-time.After(time.Minute):
		t.Fatalf("sent only %d KiB", s.sent.Load()>>10)
	}
	begun, peak := s.sent.Load(), uint64(0)
	waits := make([]time.Duration, 0, asks)
	for range asks {
		s.ask(t, pieces)
		waits = append(waits, healthy(t, public, patience))
		peak = max(peak, resident(t))
	}
	trickled, busy, grown := s.sent.Load()-begun, s.busy.Load(), int64(peak)-int64(before)
	if trickled < asks*pieces*siegePiece/2 {
		t.Errorf("while others asked, %d KiB were sent", trickled>>10)
	}
	if busy == 0 {
		t.Error("nobody was sent away: the bodies did not take the memory that there is for them")
	}
	if grown > most {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	slices.Sort(waits)
	figure.Tell(t, "%d connections with endless bodies sent %d MiB, %d MiB of it while %d asked for /healthz: %d were sent away as too much, memory grew by %d MiB (both ends of it), every one was answered",
		connections, s.sent.Load()>>20, trickled>>20, asks, busy, max(grown, 0)>>20)
	figure.Bound(t, "p99 of /healthz meanwhile", waits[len(waits)*99/100], 100*time.Millisecond)
}

// healthy asks whether idp is alive, and returns how long the answer took.
func healthy(t *testing.T, public string, patience time.Duration) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, public+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Errorf("healthz: %v", err)
		return patience
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %d", resp.StatusCode)
	}
	return time.Since(from)
}

// resident is the memory that the process has of the machine, in bytes.
func resident(t *testing.T) uint64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.Sys
	}
	pages, err := strconv.ParseUint(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * uint64(os.Getpagesize())
}
