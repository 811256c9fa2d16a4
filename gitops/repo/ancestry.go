package repo

import "sync"

// maxAncestry is how many answers are remembered: two hashes and a bit each.
const maxAncestry = 10_000

// ancestry remembers which commits contain which, which never changes. Whoever
// watches what a cluster runs asks the same again with each event.
type ancestry struct {
	mu    sync.Mutex
	known map[[2]string]bool
}

func (a *ancestry) get(descendant, ancestor string) (contains, ok bool) {
	if descendant == ancestor {
		return true, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	contains, ok = a.known[[2]string{descendant, ancestor}]
	return contains, ok
}

func (a *ancestry) put(descendant, ancestor string, contains bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.known == nil || len(a.known) >= maxAncestry {
		a.known = make(map[[2]string]bool)
	}
	a.known[[2]string{descendant, ancestor}] = contains
}
