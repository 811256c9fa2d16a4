package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// leaseRetry is how long a replica waits before it asks again for what another does.
const leaseRetry = 2 * time.Second

// Every replica takes webhooks, decides deliveries and answers /readyz. What acts on
// rows is done by one of them at a time, each by a lease of its own: the writers of the
// branches, the reaper, the sweep, the watcher, and who reports and replies.

// byLease runs work while this replica has the lease of a name, again and again until
// ctx ends.
func (m *Main) byLease(ctx context.Context, name string, work func(context.Context, store.Lease)) {
	for ctx.Err() == nil {
		_, err := m.store.Hold(ctx, name, func(ctx context.Context, lease store.Lease) error {
			work(ctx, lease)
			return nil
		})
		if err != nil && ctx.Err() == nil {
			m.log.Warn("will try again", "lease", name, "in", leaseRetry, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(leaseRetry):
		}
	}
}

// loopByLease runs a loop by a lease of its own.
func (m *Main) loopByLease(ctx context.Context, loop previews.Loop) {
	m.byLease(ctx, loop.Name, func(ctx context.Context, _ store.Lease) { loop.Run(ctx) })
}

// onlyOne is scheduled work that is left out while another replica is at it.
func (m *Main) onlyOne(name string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := m.store.Hold(ctx, name, func(ctx context.Context, _ store.Lease) error { return run(ctx) })
		return err
	}
}

// writing runs the loops that write one branch, by its lease. Where the one who wrote
// before may be held up with a push half done, an empty commit with the lease's token
// goes first: that push is then refused. None is needed where it gave the lease back,
// since nothing of it was under way. A replica that comes back to a branch after
// another says so as well, for its clone holds itself superseded.
func (m *Main) writing(ctx context.Context, name string, to *repo.Repo, loops ...previews.Loop) {
	back := false
	m.byLease(ctx, name, func(ctx context.Context, lease store.Lease) {
		if (lease.TakenOver || back) && !m.takeOver(ctx, to, lease) {
			return
		}
		back = true
		var running sync.WaitGroup
		for _, loop := range loops {
			running.Go(func() { loop.Run(ctx) })
		}
		running.Wait()
	})
}

// takeOver pushes the empty commit, and says whether it did.
func (m *Main) takeOver(ctx context.Context, to *repo.Repo, lease store.Lease) bool {
	err := to.Takeover(ctx, fmt.Sprint("lease-", lease.Token))
	if err != nil && ctx.Err() == nil {
		m.log.Warn("the branch could not be taken over; it will be tried again", "lease", lease.Name, "error", err)
	}
	return err == nil
}
