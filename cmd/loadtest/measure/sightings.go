package measure

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// longest is how long one thing may take to happen.
const longest = 10 * time.Minute

// sightings are the moments at which things were first seen, by what they are called.
// Whoever waits for one is told at once.
type sightings struct {
	mu      sync.Mutex
	at      map[string]time.Time
	changed chan struct{} // closed and replaced with every sighting
}

func newSightings() *sightings {
	return &sightings{at: map[string]time.Time{}, changed: make(chan struct{})}
}

// see notes that something is so now, unless that is known.
func (s *sightings) see(what string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.at[what]; known {
		return
	}
	s.at[what] = at
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *sightings) find(what string) (at time.Time, ok bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok = s.at[what]
	return at, ok, s.changed
}

// await returns when something was first seen, which may be long ago.
func (s *sightings) await(ctx context.Context, what string) (time.Time, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("not so after %s", longest))
	defer cancel()
	for {
		at, ok, changed := s.find(what)
		if ok {
			return at, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
		}
	}
}

// What is seen, by its name.
func healthy(application string) string { return application + " to be healthy" }

// running is an Application that is healthy with an image.
func running(application, image string) string { return application + " to be healthy with " + image }

// deleted is an Application that is not there any more.
func deleted(application string) string { return application + " to be deleted" }

// left is a namespace that is not there any more.
func left(namespace string) string { return "namespace " + namespace + " to be gone" }

// concluded is a check run that the stand-in GitHub is told the success of.
func concluded(sha, check string) string { return "check " + check + " of " + sha + " to succeed" }
