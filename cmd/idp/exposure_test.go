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
)

// startServing starts idp serve with nothing that it works with in reach, and returns where
// webhooks and metrics are served.
func startServing(t *testing.T) (public, metrics string) {
	t.Helper()
	env := complete(t, map[string]string{
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0", "IDP_DATABASE_URL": "sqlite://" + filepath.Join(t.TempDir(), "idp.db"),
		"IDP_GITHUB_API_URL": "http://127.0.0.1:1/", "IDP_GITOPS_URL": "http://127.0.0.1:1/acme/gitops.git",
	})
	var pairs []string
	for key, value := range env {
		pairs = append(pairs, key+"="+value)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log := newWatchedLog()
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"serve"}, strings.NewReader(""), io.Discard, log, pairs) }()
	t.Cleanup(func() {
		cancel()
		if status := <-ended; status != exitOK {
			t.Errorf("ended with %d:\n%s", status, log.text.String())
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
		"/api", "/api/v1/environments", "/audit", "/deliveries", "/webhooks", "/webhooks/", "/webhooks/github", "/webhooks/github/", "/.git/config", "/idp.db", "/idp.yaml",
		"/healthz/../metrics", "//metrics", "/%2e%2e/metrics", "/favicon.ico", "/robots.txt", "/swagger.json", "/openapi.json",
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	asked := 0
	for base, open := range map[string][]string{public: {"/healthz", "/readyz"}, metrics: {"/metrics"}} {
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
	figure.Tell(t, "%d unauthenticated requests to 2 listeners: 200 for /healthz, /readyz and, inside, /metrics alone", asked)
}

// stalled is a body without an end: so much at once, and then nothing until it is
// stopped.
type stalled struct {
	left int
	stop <-chan struct{}
	sent *atomic.Int64
}

func (s *stalled) Read(p []byte) (int, error) {
	if s.left <= 0 {
		<-s.stop
		return 0, io.EOF
	}
	n := min(len(p), s.left)
	s.left -= n
	s.sent.Add(int64(n))
	return n, nil
}

// TestManyEndlessBodies has 200 connections send 4 MiB each of bodies without an end,
// unsigned, and hold them, while others ask whether idp is alive: memory stays bounded, and they are answered.
func TestManyEndlessBodies(t *testing.T) {
	// Not beside others: it tells what the whole process takes.
	const connections, each, asks, most = 200, 4 << 20, 50, 256 << 20
	public, _ := startServing(t)
	runtime.GC()
	before := resident(t)
	stop := make(chan struct{})
	var sent atomic.Int64
	var attacking sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range connections {
		attacking.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, public+"/webhooks/github", &stalled{each, stop, &sent})
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("X-GitHub-Event", "pull_request")
			r.Header.Set("X-GitHub-Delivery", "0")
			r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
			if resp, err := client.Do(r); err == nil {
				resp.Body.Close()
				if resp.StatusCode < 400 {
					t.Errorf("an unsigned body was answered %d", resp.StatusCode)
				}
			}
		})
	}
	peak := uint64(0)
	waits := make([]time.Duration, 0, asks)
	for range asks {
		from := time.Now()
		if status, _ := get(t, public+"/healthz"); status != http.StatusOK {
			t.Errorf("healthz: %d", status)
		}
		waits = append(waits, time.Since(from))
		peak = max(peak, resident(t))
	}
	close(stop)
	attacking.Wait()
	grown := int64(peak) - int64(before)
	if grown > most {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
	slices.Sort(waits)
	figure.Tell(t, "%d connections sent %d MiB: memory grew by %d MiB (both ends of it), /healthz p99 %s", connections, sent.Load()>>20, max(grown, 0)>>20, waits[len(waits)*99/100].Round(time.Millisecond))
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
