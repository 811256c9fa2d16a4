package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/github/githubtest/openapi"
	"github.com/idp-bot/idp/previews/store"
)

// githubDescription wraps a stand-in GitHub so that the test fails on every request that
// GitHub does not describe and on every answer that it would not give.
func githubDescription(t testing.TB) func(http.Handler) http.Handler {
	t.Helper()
	schema, err := openapi.Shared()
	if err != nil {
		t.Fatal(err)
	}
	validator := schema.NewValidator()
	t.Cleanup(func() {
		for _, violation := range validator.Violations() {
			t.Error(violation)
		}
	})
	return validator.Middleware
}

// TestEveryExample sends every example of @octokit/webhooks-examples, signed,
// through the whole bot: as it is, about repositories that idp has no access to,
// and as if it were about one that it has. None is refused, none is left undone,
// none is an error.
func TestEveryExample(t *testing.T) {
	t.Parallel()
	clock, log := &stoppedClock{at: noon}, newWatchedLog(t)
	w, err := newWorld(t.Context(), worldOptions{
		dir: worldDir(t), now: clock.now, key: sharedKey, github: githubDescription(t),
		log: slog.New(slog.NewTextHandler(log, nil)),
		env: map[string]string{
			"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0", "IDP_IMAGE_CHECK": "off",
			"IDP_REAP_SCHEDULE": "@every 24h", "IDP_SWEEP_SCHEDULE": "@every 24h",
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
	repo := w.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": "service:\n  name: web\n"}})
	repo.Grant("Codertocat", "write")
	for i := range 2 { // the examples' pull requests are #1 and #2, mostly
		branch := fmt.Sprintf("branch-%d", i)
		repo.PushAs("Codertocat", branch, "Change", map[string]string{branch: "x"})
		if _, err := repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "Codertocat", Title: branch, Head: branch}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}

	var sending errgroup.Group
	sending.SetLimit(16)
	guids := map[string]string{}
	for i, one := range octokitExamples(t) {
		for j, payload := range [][]byte{one.payload, asAbout(t, one.payload, repo, w.installation.ID())} {
			guid := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%d/%d", i, j)).String()
			what := fmt.Sprintf("%s of %s", one.event, one.source)
			guids[guid] = what
			sending.Go(func() error {
				status, err := w.deliver(one.event, guid, payload)
				for tries := 1; err == nil && status == http.StatusServiceUnavailable && tries < 5; tries++ {
					status, err = w.deliver(one.event, guid, payload) // a disk that is too busy; GitHub has it redelivered
				}
				if err == nil && status != http.StatusAccepted {
					err = fmt.Errorf("%s was answered %d", what, status)
				}
				return err
			})
		}
	}
	if err := sending.Wait(); err != nil {
		t.Fatal(err)
	}
	clock.advance(2 * time.Minute) // what has waited for access does not wait longer
	results := awaitHandled(t, w, guids, log)
	for line := range strings.Lines(log.String()) {
		// A disk or a machine that is too busy is said, and made good by sending again.
		if strings.Contains(line, "level=ERROR") && !strings.Contains(line, context.DeadlineExceeded.Error()) {
			t.Errorf("an error was logged: %s", line)
		}
	}
	for _, want := range []string{"decided", "ignored: idp has no access to the repository", "ignored: not an event for idp"} {
		if results[want] == 0 {
			t.Errorf("no delivery ended as %q, of %v", want, results)
		}
	}
	t.Logf("%d deliveries: %v", len(guids), results)
}

// awaitHandled waits until every delivery is done and returns how many ended how.
// What was tried again on a machine too slow for it is no failure of the bot's.
func awaitHandled(t *testing.T, w *world, guids map[string]string, log *watchedLog) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	results := map[string]int{}
	for left := maps.Clone(guids); len(left) > 0; {
		for guid, what := range left {
			d, err := w.main.store.Delivery(ctx, guid)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if d.State == store.DeliveryPending {
				break
			}
			if d.State != store.DeliveryDone {
				t.Errorf("%s is %s after %d failures: %s", what, d.State, d.Attempts, d.Error)
			}
			if d.Attempts > 0 {
				awaitedTooLong(t, what, guid, log)
			}
			results[d.Result]++
			delete(left, guid)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d deliveries are not done: %v", len(left), left)
		}
	}
	return results
}

// awaitedTooLong fails a test where an attempt of a delivery failed for another
// reason than time that ran out.
func awaitedTooLong(t *testing.T, what, guid string, log *watchedLog) {
	t.Helper()
	told := false
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "delivery="+guid) || !strings.Contains(line, "will be tried again") {
			continue
		}
		told = true
		if !strings.Contains(line, context.DeadlineExceeded.Error()) && !strings.Contains(line, "database is locked") {
			t.Errorf("%s failed and was tried again: %s", what, line)
		}
	}
	if !told {
		t.Errorf("%s failed, and nothing was logged of it", what)
	}
}

// deliver posts a signed webhook, as GitHub does.
func (w *world) deliver(event, guid string, payload []byte) (status int, err error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+w.main.Addr()+"/webhooks/github", bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	mac := hmac.New(sha256.New, []byte(w.cfg.GitHubWebhookSecret[0].Reveal()))
	mac.Write(payload)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", guid)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// asAbout is an example that names the repository and the installation instead of
// its own.
func asAbout(t *testing.T, payload []byte, repo *githubtest.Repository, installation int64) []byte {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(payload, &document); err != nil {
		t.Fatal(err)
	}
	if about, ok := document["repository"].(map[string]any); ok {
		owner, name, _ := strings.Cut(repo.FullName(), "/")
		about["id"], about["name"], about["full_name"] = repo.ID(), name, repo.FullName()
		if o, ok := about["owner"].(map[string]any); ok {
			o["login"] = owner
		}
	}
	document["installation"] = merged(document["installation"], "id", installation)
	out, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func merged(object any, key string, value any) map[string]any {
	out, ok := object.(map[string]any)
	if !ok {
		out = map[string]any{}
	}
	out[key] = value
	return out
}

// octokitExample is one payload of @octokit/webhooks-examples.
type octokitExample struct {
	source, event string
	payload       []byte
}

func octokitExamples(t *testing.T) []octokitExample {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "payloads", "*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no payloads: %v", err)
	}
	var all []octokitExample
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var groups []struct {
			Event    string            `json:"event"`
			Payloads []json.RawMessage `json:"payloads"`
		}
		if err := json.NewDecoder(unpacked).Decode(&groups); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			for _, payload := range group.Payloads {
				all = append(all, octokitExample{filepath.Base(file), group.Event, payload})
			}
		}
	}
	return all
}
