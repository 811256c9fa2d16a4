package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/previews"
)

// rooted keeps a server whose database was lost from writing lists: each would leave out the
// previews that the database does not know, and Argo CD take them down. It looks once, before
// the first commit of a database that knows of nothing in Git.
type rooted struct {
	mu sync.Mutex
	// sure says that there is nothing to be afraid of; since is when there was, first.
	sure  bool
	since time.Time
}

// mayCommit says whether anything may be committed: not while idp is paused, nor by a
// database that does not know what is in Git.
func (m *Main) mayCommit(ctx context.Context) (previews.Pause, error) {
	paused, err := m.paused(ctx)
	if err != nil || paused.Paused {
		return paused, err
	}
	r := &m.rooted
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sure {
		return previews.Pause{}, nil
	}
	if waits, err := m.awaitsCommit(ctx); !waits || err != nil {
		return previews.Pause{}, err
	}
	stranger, err := m.stranger(ctx)
	if err != nil {
		return previews.Pause{}, err
	}
	if stranger == "" {
		r.sure = true
		return previews.Pause{}, nil
	}
	if r.since.IsZero() {
		r.since = m.now()
		m.log.Error("the GitOps repository lists previews that the database does not know: nothing is committed until it is rebuilt, with idp rebuild --merge", "such_as", stranger)
	}
	return previews.Pause{
		Paused: true, By: "idp", At: r.since,
		Reason: "the GitOps repository lists previews that idp's database does not know; it has to be rebuilt: idp rebuild --merge",
	}, nil
}

// awaitsCommit says whether anything is to be committed at all.
func (m *Main) awaitsCommit(ctx context.Context) (bool, error) {
	lanes, err := m.store.Lanes(ctx)
	if err != nil {
		return false, err
	}
	for _, lane := range append(lanes, gitops.Lane{}) {
		if rows, err := m.store.Uncommitted(ctx, lane, 1); err != nil || len(rows) > 0 {
			return true, err
		}
	}
	return false, nil
}

// stranger returns the name of a preview that Git lists and the database does not know to
// be there, where it knows of nothing that is; "" where there is none. What it was about to
// write when it ended is known.
func (m *Main) stranger(ctx context.Context) (string, error) {
	knows, err := m.store.AnyCommitted(ctx)
	if err != nil || knows {
		return "", err
	}
	tip, err := m.gitops.Tip(ctx)
	if err != nil || tip == "" {
		return "", err
	}
	lists, err := m.gitops.Files(ctx, tip, gitops.ApplicationSetsDir)
	if err != nil {
		return "", fmt.Errorf("read the lists of previews: %w", err)
	}
	for _, list := range lists {
		if !strings.HasSuffix(list.Path, "-previews.yaml") {
			continue // what is not listed of declared environments stays
		}
		names, err := argocd.Elements(list)
		if err != nil {
			continue // it is nothing of idp's
		}
		for _, name := range names {
			row, err := m.store.Named(ctx, name)
			if errors.Is(err, previews.ErrNotFound) || err == nil && len(row.Intents) == 0 {
				return name, nil
			}
			if err != nil {
				return "", err
			}
		}
	}
	return "", nil
}
