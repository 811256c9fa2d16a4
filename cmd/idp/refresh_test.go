package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/previews"
)

// refreshing is a refresher, what it asked for, and how that went.
type refreshing struct {
	*refresher
	log *watchedLog

	mu     sync.Mutex
	asked  []string
	fails  map[string]error
	failed int
	// during is called in each request.
	during func(ctx context.Context)
}

func newRefreshing(t *testing.T) *refreshing {
	t.Helper()
	w := &refreshing{log: newWatchedLog(t), fails: map[string]error{}, during: func(context.Context) {}}
	w.refresher = newRefresher(func(previews.Environment) string { return "root" }, w.ask, func() { w.mu.Lock(); defer w.mu.Unlock(); w.failed++ }, slog.New(slog.NewTextHandler(w.log, nil)))
	return w
}

func (w *refreshing) ask(ctx context.Context, application string) error {
	w.during(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, application)
	if err := ctx.Err(); err != nil {
		return err
	}
	return w.fails[application]
}

func (w *refreshing) run(ctx context.Context, t *testing.T) []string {
	t.Helper()
	if more, err := w.step(ctx); more || err != nil {
		t.Fatalf("%t, %v", more, err)
	}
	asked := w.asked
	w.asked = nil
	slices.Sort(asked)
	return asked
}

// preview is the row of one that is there already, or not yet.
func preview(pr int, live bool) previews.Environment {
	e := previews.Environment{Ref: gitops.EnvironmentRef{RepositoryID: 1, Repo: "web", ID: gitops.PreviewID(pr)}, Wanted: previews.Present}
	if live {
		e.Tree = "t"
	}
	return e
}

func TestRefresher(t *testing.T) {
	t.Parallel()
	w := newRefreshing(t)
	stays, comes, goes := preview(1, true), preview(2, false), preview(3, true)
	goes.Wanted = previews.Absent
	w.changed([]previews.Environment{stays})
	w.changed([]previews.Environment{stays, comes})
	w.changed([]previews.Environment{goes})
	if diff := cmp.Diff([]string{stays.Ref.Name(), "root"}, w.run(t.Context(), t)); diff != "" {
		t.Error(diff)
	}
	if again := w.run(t.Context(), t); len(again) > 0 {
		t.Errorf("asked again for %v", again)
	}
}

// Fault: refreshes ran one after the other within one time, so that those at the
// end of a large commit were never asked for, each with a line in the log.
func TestRefresherManyFail(t *testing.T) {
	t.Parallel()
	w := newRefreshing(t)
	var rows []previews.Environment
	for pr := range 50 {
		rows = append(rows, preview(pr+1, true))
		w.fails[rows[pr].Ref.Name()] = errors.New("connection refused")
	}
	rows = append(rows, preview(99, true))
	arrived, together, once := make(chan struct{}, len(rows)), make(chan struct{}), sync.Once{}
	w.during = func(ctx context.Context) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a refresh without an end")
		}
		if arrived <- struct{}{}; len(arrived) >= refreshParallel {
			once.Do(func() { close(together) })
		}
		<-together
	}
	w.changed(rows)
	if asked := w.run(t.Context(), t); len(asked) != len(rows) {
		t.Errorf("asked for %d of %d", len(asked), len(rows))
	}
	if log := w.log.String(); w.failed != 50 || strings.Count(log, "\n") != 1 || !strings.Contains(log, "applications=50") {
		t.Errorf("%d failures counted; the log: %s", w.failed, log)
	}
}

// Fault: a commit pushed while Argo CD was away was never told to it, and took minutes
// to arrive once it was back.
func TestRefresherAsksAgain(t *testing.T) {
	t.Parallel()
	w := newRefreshing(t)
	row := preview(1, true)
	name := row.Ref.Name()
	w.fails[name] = errors.New("connection refused")
	w.changed([]previews.Environment{row})
	for range 3 {
		if asked := w.run(t.Context(), t); !slices.Equal(asked, []string{name}) {
			t.Fatalf("asked for %v", asked)
		}
	}
	delete(w.fails, name)
	if asked := w.run(t.Context(), t); !slices.Equal(asked, []string{name}) {
		t.Errorf("asked for %v once it is back", asked)
	}
	if asked := w.run(t.Context(), t); len(asked) > 0 {
		t.Errorf("asked again for %v", asked)
	}
	if log := w.log.String(); strings.Count(log, "\n") != 1 {
		t.Errorf("the log: %s", log)
	}
	w.fails[name] = errors.New("forbidden")
	w.changed([]previews.Environment{row})
	for range refreshTries {
		w.run(t.Context(), t)
	}
	if asked := w.run(t.Context(), t); len(asked) > 0 {
		t.Errorf("asked for ever for %v", asked)
	}
}

// Fault: what Argo CD was told of while it was busy with an older commit, or could not
// read, waited for minutes until it looked by itself.
func TestRefresherOverdue(t *testing.T) {
	t.Parallel()
	now := noon
	row := func(pr int, change func(*previews.Environment)) previews.Environment {
		e := preview(pr, true)
		e.SHA, e.AppliedSHA, e.HeadSHA = noSHA, noSHA, noSHA
		e.Generation, e.ResolvedGeneration, e.AppliedGeneration, e.AppliedAt = 1, 1, 1, now.Add(-time.Minute)
		e.Observed = &previews.Observation{Generation: 1, Sync: "OutOfSync", Health: "Progressing"}
		change(&e)
		return e
	}
	late := row(1, func(*previews.Environment) {})
	w := newRefreshing(t)
	w.overdue([]previews.Environment{
		late,
		row(2, func(e *previews.Environment) { e.AppliedAt = now.Add(-time.Second) }),
		row(3, func(e *previews.Environment) { e.Observed.Sync = "Synced" }),
		row(4, func(e *previews.Environment) { e.Observed.Health = "Degraded" }),
	}, now)
	if asked := w.run(t.Context(), t); !slices.Equal(asked, []string{late.Ref.Name()}) {
		t.Errorf("asked for %v", asked)
	}
	leaving := row(5, func(e *previews.Environment) { e.Wanted, e.Observed.Sync, e.Observed.Health = previews.Absent, "", "" })
	w.overdue([]previews.Environment{leaving}, now)
	if asked := w.run(t.Context(), t); !slices.Equal(asked, []string{"root"}) {
		t.Errorf("asked for %v, state %s", asked, leaving.State())
	}
}

// Neither being stopped nor an Application that is not there yet is a failure; a
// root that is not there is one.
func TestRefresherNoFailure(t *testing.T) {
	t.Parallel()
	w := newRefreshing(t)
	row := preview(1, true)
	w.fails[row.Ref.Name()] = fmt.Errorf("refresh: %w", argocd.ErrNotFound)
	w.changed([]previews.Environment{row})
	w.run(t.Context(), t)
	ctx, stop := context.WithCancel(t.Context())
	w.during = func(context.Context) { stop() }
	w.changed([]previews.Environment{preview(2, true)})
	w.run(ctx, t)
	if log := w.log.String(); w.failed != 0 || log != "" {
		t.Errorf("%d failures counted; the log: %s", w.failed, log)
	}
	w.during = func(context.Context) {}
	w.fails["root"] = w.fails[row.Ref.Name()]
	w.changed([]previews.Environment{preview(3, false)})
	w.run(t.Context(), t)
	if log := w.log.String(); w.failed != 1 || !strings.Contains(log, argocd.ErrNotFound.Error()) {
		t.Errorf("%d failures counted; the log: %s", w.failed, log)
	}
}
