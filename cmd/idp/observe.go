package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/previews"
)

// tidings are the Applications that the watch has told of and that the observer
// has not looked at since.
type tidings struct {
	mu    sync.Mutex
	names map[string]bool
	wake  previews.Signal
}

func (t *tidings) add(application string) {
	t.mu.Lock()
	t.names[application] = true
	t.mu.Unlock()
	t.wake.Wake()
}

func (t *tidings) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := slices.Collect(maps.Keys(t.names))
	clear(t.names)
	return names
}

// see says what Argo CD sees of one Application, in the words of the observer: what
// the watch has heard or, while it hears nothing, what Argo CD answers. One that is
// on its way out is gone: another will take its place.
func (m *Main) see(ctx context.Context, application string) (previews.Seen, error) {
	a, live, err := m.watch.Application(application)
	if !live {
		a, err = m.argocd.Application(ctx, application)
	}
	if errors.Is(err, argocd.ErrNotFound) || err == nil && a.Deleting {
		return previews.Seen{}, previews.ErrNotFound
	}
	seen := previews.Seen{Revision: a.SyncedRevision, Sync: a.Sync, Health: a.Health, Message: a.Message, Error: a.Error}
	if a.SyncFailed() {
		seen.Failed = a.OperationRevision
	}
	return seen, err
}
