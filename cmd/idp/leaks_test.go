package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

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
		if !strings.HasPrefix(r.URL.Path, "/api/v3/applications/") { // which is asked whose the token in its body is
			fmt.Fprintf(&o.b, "%s %s\n%s\n", r.Method, r.URL, body)
		}
		o.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

func (o *outgoing) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// marks are the world's secrets: each as it is, and as it would stand in a header or in
// its file. A token of an installation begins with ghs_, a person's with ghu_, and what
// it is renewed with with ghr_; a JWT with eyJ.
func (w *world) marks() []string {
	marks := []string{"ghs_", "ghu_", "ghr_", "Bearer eyJ", "PRIVATE KEY"}
	for _, secret := range append(w.cfg.GitHubWebhookSecret, w.cfg.ArgoCDToken) {
		if !secret.IsZero() {
			marks = append(marks, secret.Reveal())
		}
	}
	if client := w.app.ClientSecret(); client != "" {
		marks = append(marks, client, base64.StdEncoding.EncodeToString([]byte(w.app.ClientID()+":"+client)))
	}
	if made, err := os.ReadFile(w.cfg.GitHubPrivateKeyFile); err == nil {
		if block, _ := pem.Decode(made); block != nil {
			marks = append(marks, base64.StdEncoding.EncodeToString(block.Bytes)[200:240])
		}
	}
	return marks
}

// leaks looks for the marks of secrets in all that the bot wrote: what it sent to GitHub,
// its log, its metrics, every object of the GitOps repositories and of its clones, its
// database and what else it left on disk, but for the files that operators put there.
// It returns where they are.
func (w *world) leaks(ctx context.Context, marks []string, log string, sent *outgoing, operators ...string) (found []string, err error) {
	look := func(where, text string) {
		for _, mark := range marks {
			if at := strings.Index(text, mark); at >= 0 {
				found = append(found, fmt.Sprintf("%s tells a secret: …%.200q", where, text[max(at-100, 0):]))
			}
		}
	}
	look("the log", log)
	look("a request to GitHub", sent.String())
	if w.main != nil {
		metrics, err := fetch("http://" + w.main.MetricsAddr() + "/metrics")
		if err != nil {
			return nil, err
		}
		look("a metric", metrics)
	}
	if url := w.cfg.DatabaseURL.Reveal(); isPostgres(url) {
		held, err := postgrestest.Dump(ctx, url)
		if err != nil {
			return nil, err
		}
		look("the database", held)
		for _, mark := range marks {
			if strings.Contains(held, hex.EncodeToString([]byte(mark))) {
				found = append(found, "the database tells a secret in its bytes")
			}
		}
	}
	theirs := map[string]bool{w.cfg.GitHubPrivateKeyFile: true, w.cfg.GitHubClientSecretFile: true}
	for _, path := range operators {
		theirs[path] = true
	}
	err = filepath.WalkDir(w.options.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || theirs[path] {
			return err
		}
		if d.IsDir() {
			if d.Name() == "objects" {
				objects, err := exec.CommandContext(ctx, "git", "--git-dir", filepath.Dir(path), "cat-file", "--batch-all-objects", "--batch").Output()
				if err != nil {
					return fmt.Errorf("read the objects of %s: %w", path, err)
				}
				look("an object of "+path, string(objects))
			}
			return nil
		}
		content, err := os.ReadFile(path)
		look(path, string(content))
		return err
	})
	return found, err
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
