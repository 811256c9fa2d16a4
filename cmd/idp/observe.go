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
// the watch has heard or, while it hears nothing, what Argo CD answers.
func (m *Main) see(ctx context.Context, application string) (previews.Seen, error) {
	a, live, err := m.watch.Application(application)
	if !live {
		a, err = m.argocd.Application(ctx, application)
	}
	if errors.Is(err, argocd.ErrNotFound) {
		return previews.Seen{}, previews.ErrNotFound
	}
	seen := previews.Seen{Revision: a.SyncedRevision, Sync: a.Sync, Health: a.Health, Message: a.Message, Error: a.Error, Deleting: a.Deleting}
	if a.SyncFailed() {
		seen.Failed = a.OperationRevision
	}
	return seen, err
}

// blockers says what keeps an Application that is being deleted, "" where nothing
// shows.
func (m *Main) blockers(ctx context.Context, application string) (string, error) {
	found, err := m.argocd.Blockers(ctx, application)
	if errors.Is(err, argocd.ErrNotFound) || len(found) == 0 {
		return "", nil // it has gone meanwhile, or is about to
	}
	if err != nil {
		return "", err
	}
	text := "waiting for " + found[0].String() + " since " + found[0].Since.Format("15:04 UTC")
	if more := len(found) - 1; more > 0 {
		text += ", and " + plural(more, "more object")
	}
	return text, nil
}
