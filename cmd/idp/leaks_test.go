package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// outgoing is all that the bot asked GitHub for and sent it, but for the header that it
// identifies itself with.
type outgoing struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// record notes requests on their way to the stand-in GitHub.
func (o *outgoing) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		o.mu.Lock()
		if !secrettest.AsksForOwner(r) {
			fmt.Fprintf(&o.b, "%s %s\n%s\n", r.Method, r.URL, body)
		}
		o.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (o *outgoing) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.b.Bytes())
}

// secrets are the world's own, beside what every secret begins with.
func (w *world) secrets() (own []string) {
	for _, secret := range append(w.cfg.GitHubWebhookSecret, w.cfg.ArgoCDToken) {
		if !secret.IsZero() {
			own = append(own, secret.Reveal())
		}
	}
	if client := w.app.ClientSecret(); client != "" {
		own = append(own, client)
	}
	if made, err := os.ReadFile(w.cfg.GitHubPrivateKeyFile); err == nil {
		if key := secrettest.Key(made); key != "" {
			own = append(own, key)
		}
	}
	return own
}

// leaks searches all that the bot wrote: what it sent to GitHub, its log, its metrics,
// every object of the GitOps repositories and of its clones, its database and what else it
// left on disk, but for the files that operators put there. It returns where secrets are.
func (w *world) leaks(ctx context.Context, search *secrettest.Search, log string, sent *outgoing, operators ...string) (found []string, err error) {
	found = slices.Concat(search.Text("the log", []byte(log)), search.Text("a request to GitHub", sent.bytes()))
	if w.main != nil {
		metrics, err := fetch("http://" + w.main.MetricsAddr() + "/metrics")
		if err != nil {
			return nil, err
		}
		found = append(found, search.Text("a metric", []byte(metrics))...)
	}
	if url := w.cfg.DatabaseURL.Reveal(); isPostgres(url) {
		held, err := postgrestest.Dump(ctx, url)
		if err != nil {
			return nil, err
		}
		found = append(found, search.Dump("the database", held)...)
	}
	operators = append(operators, w.cfg.GitHubPrivateKeyFile, w.cfg.GitHubClientSecretFile)
	inside, err := search.Folder(ctx, w.options.dir, func(path string) bool { return slices.Contains(operators, path) })
	return append(found, inside...), err
}

// worldDir is a folder for a world, whose operator puts two secrets there.
func worldDir(t testing.TB) string {
	dir := secrettest.Dir(t)
	secrettest.Given(filepath.Join(dir, "app.pem"))
	secrettest.Given(filepath.Join(dir, "client-secret"))
	return dir
}

func fetch(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
