package main

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

// BenchmarkWebhookToCommit measures, in the demo's setting, the time from the
// arrival of a pull request's webhook until its preview's commit has been pushed
// and recorded. Images exist already, pacing is off. It reports the median and
// the 99th percentile in milliseconds; 200 pull requests:
//
//	go test ./cmd/idp -run '^$' -bench WebhookToCommit -benchtime 200x
func BenchmarkWebhookToCommit(b *testing.B) {
	for _, mode := range []struct {
		name   string
		atOnce bool
	}{{"one by one", false}, {"all at once", true}} {
		b.Run(mode.name, func(b *testing.B) {
			w := benchWorld(b)
			numbers := make([]string, 0, b.N)
			for i := range b.N {
				branch := fmt.Sprintf("branch-%d", i)
				sha := w.repo.PushAs("alice", branch, "Change", map[string]string{branch: "x"})
				if err := w.pushImage(b.Context(), w.repo.FullName(), sha); err != nil {
					b.Fatal(err)
				}
				numbers = append(numbers, branch)
			}
			b.ResetTimer()
			for i, branch := range numbers {
				if _, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: branch, Head: branch}); err != nil {
					b.Fatal(err)
				}
				if !mode.atOnce {
					w.committed(b, i+1)
				}
			}
			times := w.committed(b, b.N)
			b.StopTimer()
			slices.Sort(times)
			b.ReportMetric(ms(times[len(times)/2]), "p50-ms")
			b.ReportMetric(ms(times[min(len(times)*99/100, len(times)-1)]), "p99-ms")
		})
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// benchmarked is a world with one repository.
type benchmarked struct {
	*world
	repo *githubtest.Repository
}

func benchWorld(b *testing.B) *benchmarked {
	b.Helper()
	w, err := newWorld(context.Background(), worldOptions{
		dir: worldDir(b), log: secrettest.Logger(b),
		env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.close(); err != nil {
			b.Error(err)
		}
	})
	if err := w.start(context.Background()); err != nil {
		b.Fatal(err)
	}
	limits := gitops.File{Path: policy.SettingsPath, Content: []byte("max_previews: {repository: 0, team: 0, author: 0}\n")}
	if _, err := w.gitops.Commit(b.Context(), "main", gittest.Edit{Message: "Have as many previews as one likes", Put: []gitops.File{limits}}); err != nil {
		b.Fatal(err)
	}
	w.github.AddUser("alice")
	repo := w.github.AddRepository("acme/payments-api", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": exampleSpec}})
	repo.Grant("alice", "write")
	return &benchmarked{w, repo}
}

// committed waits until n previews are in Git and returns how long each took.
func (w *benchmarked) committed(b *testing.B, n int) []time.Duration {
	b.Helper()
	deadline := time.After(2 * time.Minute)
	changed, cancel := w.main.store.Subscribe()
	defer cancel()
	for {
		rows, err := w.main.store.Environments(b.Context(), store.Filter{Live: true})
		if err != nil {
			b.Fatal(err)
		}
		if len(rows) >= n {
			times := make([]time.Duration, 0, len(rows))
			for _, row := range rows {
				times = append(times, row.AppliedAt.Sub(row.AskedAt))
			}
			return times
		}
		select {
		case <-changed:
		case <-deadline:
			b.Fatalf("%d of %d previews are committed", len(rows), n)
		}
	}
}
