package images

import (
	"context"
	"sync"
)

// gates lets a number of callers at a time through to each registry. A registry
// is forgotten with its last caller: names come from outside, and must not
// accumulate.
type gates struct {
	width int
	mu    sync.Mutex
	open  map[string]*gate
}

type gate struct {
	slots chan struct{}
	users int // in it or waiting; guarded by gates.mu
}

func newGates(width int) *gates { return &gates{width: width, open: map[string]*gate{}} }

// enter waits for a place; leave gives it back.
func (g *gates) enter(ctx context.Context, registry string) (leave func(), err error) {
	g.mu.Lock()
	at := g.open[registry]
	if at == nil {
		at = &gate{slots: make(chan struct{}, g.width)}
		g.open[registry] = at
	}
	at.users++
	g.mu.Unlock()

	select {
	case at.slots <- struct{}{}:
		return func() { <-at.slots; g.forget(registry, at) }, nil
	case <-ctx.Done():
		g.forget(registry, at)
		return nil, ctx.Err()
	}
}

func (g *gates) forget(registry string, at *gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(g.open, registry)
	}
}
