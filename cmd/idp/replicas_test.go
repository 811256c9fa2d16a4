package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// replicaWorld is a world whose bot has its database on PostgreSQL, with one repository.
func replicaWorld(t *testing.T, now func() time.Time) (*world, *githubtest.Repository) {
	t.Helper()
	w, err := newWorld(t.Context(), worldOptions{
		dir: worldDir(t), key: sharedKey, now: now, log: secrettest.Logger(t),
		env: map[string]string{
			"IDP_DATABASE_URL": postgrestest.URL(t), "IDP_IMAGE_CHECK": "off",
			"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0",
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
	repo := w.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": exampleSpec}})
	repo.Grant("alice", "write")
	return w, repo
}

// replica starts another "idp serve" beside the world's.
func replica(t *testing.T, w *world) *Main {
	t.Helper()
	cfg := *w.cfg
	cfg.StateDir = filepath.Join(secrettest.Dir(t), "state")
	m := NewMain(&cfg, w.options.log, w.options.now)
	if err := m.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- m.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-stopped, m.Close()); err != nil {
			t.Error(err)
		}
	})
	return m
}

// reported waits until a number of previews are in Git and told of on GitHub.
func reported(t *testing.T, s *store.Store, n int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		rows, err := s.Environments(t.Context(), store.Filter{Live: true})
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, row := range rows {
			if report, err := s.Report(t.Context(), row.RowID); err == nil && report.CommentID != 0 && report.ReportedVersion == row.Version {
				told++
			}
		}
		if told == n {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d of %d previews are in Git and told of", told, n)
		}
	}
}

func openPull(t *testing.T, repo *githubtest.Repository, branch string) *githubtest.PullRequest {
	t.Helper()
	repo.Commit(branch, map[string]string{branch: branch})
	pull, err := repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: branch, Head: branch})
	if err != nil {
		t.Fatal(err)
	}
	return pull
}

// leasesOf are the leases that a replica says it has.
func leasesOf(t *testing.T, m *Main) []string {
	t.Helper()
	metrics, err := fetch("http://" + m.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var held []string
	for line := range strings.Lines(metrics) {
		if name, ok := strings.CutPrefix(line, `idp_lease_held{lease="`); ok && strings.HasSuffix(strings.TrimSpace(line), " 1") {
			held = append(held, name[:strings.Index(name, `"`)])
		}
	}
	return held
}

// TestReplicas: two replicas take webhooks, one of them writes; it goes, and the other
// goes on where it stood. People see one of everything.
func TestReplicas(t *testing.T) {
	t.Parallel()
	w, repo := replicaWorld(t, nil)
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := replica(t, w)
	hooks := []string{w.main.Addr(), second.Addr()}
	var pulls []*githubtest.PullRequest
	for i := range 4 {
		w.app.SetWebhook("http://"+hooks[i%2]+"/webhooks/github", w.cfg.GitHubWebhookSecret[0].Reveal())
		pulls = append(pulls, openPull(t, repo, fmt.Sprint("topic-", i)))
		reported(t, second.store, i+1)
	}
	first, other := leasesOf(t, w.main), leasesOf(t, second)
	for _, lease := range []string{"gitops", "observations", "reports", "replies"} {
		if slices.Contains(first, lease) == slices.Contains(other, lease) {
			t.Errorf("%s: not held by one of the replicas: %q, %q", lease, first, other)
		}
	}
	for _, address := range hooks {
		if resp, err := http.Get("http://" + address + "/readyz"); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("a replica is not ready: %v", err)
		} else {
			resp.Body.Close()
		}
	}
	if err := w.stopBot(); err != nil {
		t.Fatal(err)
	}
	pulls = append(pulls, openPull(t, repo, "topic-4")) // to the second, as the last webhook was
	reported(t, second.store, 5)
	if held := leasesOf(t, second); !slices.Contains(held, "gitops") || !slices.Contains(held, "reports") {
		t.Errorf("the replica that is left holds %q", held)
	}
	for n, pull := range pulls {
		if comments := pull.Comments(); len(comments) != 1 {
			t.Errorf("pull request %d has %d comments", n, len(comments))
		}
	}
	if messages := history(t, w); strings.Contains(messages, "Take over writing") {
		t.Errorf("a lease that was given back needs no commit:\n%s", messages)
	}
}

// TestReplicaTakesOver: a writer that does not come back for its lease is told off by
// an empty commit before anything else is pushed, and writes no row when it wakes.
func TestReplicaTakesOver(t *testing.T) {
	t.Parallel()
	later := func() time.Time { return time.Now().Add(time.Hour) }
	w, repo := replicaWorld(t, later)
	held, err := store.Open(t.Context(), store.Options{URL: w.cfg.DatabaseURL.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_, err = held.Hold(t.Context(), "gitops", func(ctx context.Context, _ store.Lease) error {
		// An hour later, by the other's clock, nobody has renewed the lease.
		if err := w.start(t.Context()); err != nil {
			return err
		}
		openPull(t, repo, "topic")
		reported(t, w.main.store, 1)
		rows, err := held.Environments(t.Context(), store.Filter{})
		if err != nil {
			return err
		}
		err = held.UpdateAll(context.WithoutCancel(ctx), []int64{rows[0].RowID}, func(*previews.Environment) error { return nil })
		if !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("the one that woke wrote a row: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if messages := history(t, w); strings.Count(messages, "Take over writing") != 1 || !strings.Contains(messages, "lease-2") {
		t.Errorf("the branch was not taken over once:\n%s", messages)
	}
}

// history is the messages of the GitOps repository's branch, in one.
func history(t *testing.T, w *world) string {
	t.Helper()
	tip, err := w.gitops.Tip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	messages, err := w.gitops.Messages(t.Context(), tip)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(messages, "\n---\n")
}
