package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/previews"
)

const (
	// refreshTimeout bounds one refresh, in Argo CD the marking of an Application.
	refreshTimeout  = 10 * time.Second
	refreshParallel = 8
	// refreshIdle is also how soon a refresh that failed is asked for again.
	refreshIdle = 5 * time.Second
	// refreshTries is how often: for as long as Argo CD takes to find out by itself.
	refreshTries = 60
	// overdueAfter is how long Argo CD may take to sync a commit that it was told of before
	// it is told again, and how often it is: it may have been busy with an older commit,
	// or without the part that reads repositories.
	overdueAfter = 15 * time.Second
)

// refresher asks Argo CD to look again at what commits changed, beside the work
// that they came of. What waits is a set: commits that come faster than Argo CD
// answers are asked for once. A refresh that fails is told, counted, and asked for
// again for some minutes: by then Argo CD has found out by itself.
type refresher struct {
	// rootOf is the Application that lists an environment's.
	rootOf  func(previews.Environment) string
	refresh func(ctx context.Context, application string) error
	// failed counts.
	failed func()
	log    *slog.Logger
	wake   previews.Signal

	mu sync.Mutex
	// waiting has how often each was asked for, in vain.
	waiting map[string]int
	// roots are the Applications that list others, which have to be there.
	roots map[string]bool
	// told says that the log has a failure since the last success.
	told bool
	// asking is held through a step.
	asking sync.Mutex
}

func newRefresher(rootOf func(previews.Environment) string, refresh func(context.Context, string) error, failed func(), log *slog.Logger) *refresher {
	return &refresher{rootOf: rootOf, refresh: refresh, failed: failed, log: log, wake: previews.NewSignal(), waiting: map[string]int{}, roots: map[string]bool{}}
}

func (r *refresher) loop() previews.Loop {
	return previews.Loop{Name: "refreshes", Step: r.step, Wake: r.wake, Idle: refreshIdle, Log: r.log}
}

// changed has what a commit concerns refreshed: the root, where a preview comes or
// goes, and the Applications of those that stay.
func (r *refresher) changed(rows []previews.Environment) {
	r.mu.Lock()
	for _, row := range rows {
		switch {
		case row.Update != nil && (row.Wanted == previews.Absent || row.Application() == ""):
			// Nothing that Argo CD reads has changed.
		case row.Update != nil, row.Wanted == previews.Present && row.Live():
			r.waiting[row.Application()] = 0
		default:
			root := r.rootOf(row)
			r.waiting[root], r.roots[root] = 0, true
		}
	}
	r.mu.Unlock()
	r.wake.Wake()
}

func (r *refresher) take() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.waiting
	r.waiting = map[string]int{}
	return taken
}

// overdue has refreshed again what Argo CD was told of a while ago and has not synced.
func (r *refresher) overdue(rows []previews.Environment, now time.Time) {
	r.changed(slices.DeleteFunc(slices.Clone(rows), func(row previews.Environment) bool {
		o := row.Observed
		synced := o != nil && o.Generation == row.AppliedGeneration && (o.Sync == "Synced" || row.Leaving() && o.Message != "")
		return synced || now.Sub(row.AppliedAt) < overdueAfter || row.State() != previews.StateSyncing && !row.Leaving()
	}))
}

// overdueLoop looks for what is overdue among the environments that are moving in an Argo CD.
func (r *refresher) overdueLoop(in string, moving func(context.Context) ([]previews.Environment, error), now func() time.Time) previews.Loop {
	return previews.Loop{Name: "overdue refreshes", Idle: overdueAfter, Log: r.log, Step: func(ctx context.Context) (bool, error) {
		rows, err := moving(ctx)
		if err == nil {
			r.overdue(slices.DeleteFunc(rows, func(row previews.Environment) bool { return row.ArgoCD != in }), now())
		}
		return false, err
	}}
}

// again has an Application asked for once more, unless it was often enough or has
// been asked for anew.
func (r *refresher) again(application string, tried int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, anew := r.waiting[application]; !anew && tried < refreshTries {
		r.waiting[application] = tried
	}
}

func (r *refresher) isRoot(application string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.roots[application]
}

// step refreshes what waits. Steps wait for each other. Being stopped is no failure.
func (r *refresher) step(ctx context.Context) (more bool, err error) {
	r.asking.Lock()
	defer r.asking.Unlock()
	var group errgroup.Group
	group.SetLimit(refreshParallel)
	var failures atomic.Int64
	waiting := r.take()
	for application, tried := range waiting {
		group.Go(func() error {
			err := r.ask(ctx, application)
			if err != nil {
				failures.Add(1)
				r.failed()
				r.again(application, tried+1)
			}
			return err
		})
	}
	err = group.Wait()
	if err != nil && !r.told {
		r.log.Warn("Argo CD was not told of a commit and is told again", "applications", failures.Load(), "error", err)
	}
	if len(waiting) > 0 {
		r.told = err != nil
	}
	return false, nil
}

// ask refreshes one Application. One that is not there yet reads the newest commit
// when it comes; a root has to be there.
func (r *refresher) ask(ctx context.Context, application string) error {
	asking, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	err := r.refresh(asking, application)
	if ctx.Err() != nil || errors.Is(err, argocd.ErrNotFound) && !r.isRoot(application) {
		return nil
	}
	return err
}
