package campaign

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
)

// kills kills idp again and again: when it reaches a moment of its own that was drawn, or
// after a time that was. A life may end before it has begun in earnest.
func kills(ctx context.Context, r *round, random *rand.Rand) error {
	for range r.plan.kills {
		victim := r.replicas[random.IntN(len(r.replicas))]
		moment := []string{"", "", "ack", "read", "write", "push", "pushed"}[random.IntN(7)]
		nth, longest := 1+random.IntN(4), time.Duration(100+random.IntN(1900))*time.Millisecond
		if err := r.awaitMoment(ctx, moment, nth, longest, victim.Strike); err != nil {
			return nil // the round is over
		}
		down := time.Duration(random.IntN(400)) * time.Millisecond
		err := r.alone(func() error {
			if victim.Kill() {
				r.figures.add("kills", 1)
			}
			if err := stage.Pause(ctx, down); err != nil {
				return nil
			}
			return r.revive(ctx, victim)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// awaitMoment calls do when a moment comes for the nth time, or at the latest after a
// time; the moment "" never comes. It returns once that was done.
func (r *round) awaitMoment(ctx context.Context, moment string, nth int, longest time.Duration, do func()) error {
	came := make(chan struct{})
	var mu sync.Mutex
	remove := r.listen(func(now string) {
		mu.Lock()
		defer mu.Unlock()
		if now != moment || nth == 0 {
			return
		}
		if nth--; nth == 0 {
			// Whoever waits for this moment has not been told yet how it went.
			do()
			close(came)
		}
	})
	defer remove()
	timer := time.NewTimer(longest)
	defer timer.Stop()
	select {
	case <-came:
		r.figures.add("kills or stops at a moment", 1)
	case <-timer.C:
		do()
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

const (
	// longStops and shortStops are how often the writer is stopped in a round: until its
	// lease has run out and somebody else has it, and for less than that.
	longStops, shortStops = 2, 4
	// takeover is longer than a lease is good for.
	takeover = 75 * time.Second
)

// stops stops the replica that writes the GitOps repository, now and then with a push
// under way that lands, or tries to, when another has long taken over.
func stops(ctx context.Context, r *round, random *rand.Rand) error {
	for n := range longStops + shortStops {
		writer := r.awaitWriter(ctx)
		if writer < 0 {
			return nil // the round is over
		}
		var err error
		if n%3 == 0 {
			err = r.stopLong(ctx, writer, random.IntN(2) == 0)
		} else {
			err = r.stopShort(ctx, writer, random)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *round) stopShort(ctx context.Context, writer int, random *rand.Rand) error {
	stopped := r.replicas[writer]
	err := r.awaitMoment(ctx, "push", 1, time.Duration(500+random.IntN(1500))*time.Millisecond, stopped.Pause)
	defer stopped.Resume()
	if err != nil {
		return nil // the round is over
	}
	r.figures.add("stops", 1)
	_ = stage.Pause(ctx, time.Duration(200+random.IntN(3000))*time.Millisecond) // an end resumes it
	return nil
}

// stopLong stops the writer until another has taken the branch over, with a push of its
// own held on the way where that is asked for; then both go on.
func (r *round) stopLong(ctx context.Context, writer int, midPush bool) error {
	stopped, door := r.replicas[writer], r.doors[writer]
	defer stopped.Resume()
	if midPush {
		held := make(chan struct{})
		door.hold(func() {
			stopped.Pause()
			close(held)
		})
		defer door.release()
		select {
		case <-held:
			r.figures.add("pushes held by a stop", 1)
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Second):
			door.release()
			stopped.Pause()
		}
	} else {
		stopped.Pause()
	}
	r.figures.add("stops", 1)
	r.figures.add("stops for a takeover", 1)
	before, err := r.epochs(ctx)
	if err != nil {
		return nil // the round is over
	}
	ctx, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	err = stage.Until(ctx, 500*time.Millisecond, func() (bool, error) {
		now, err := r.epochs(ctx)
		return now > before, err
	})
	if err == nil {
		r.figures.add("takeovers", 1)
	}
	return nil
}

// epochs counts the commits by which somebody took the branch over.
func (r *round) epochs(ctx context.Context) (int, error) {
	out, err := r.git(ctx, "log", "--format=%B", "--grep=^Idp-Epoch: ", "refs/heads/"+branch)
	return strings.Count(string(out), "Idp-Epoch: "), err
}

// awaitWriter returns the replica that has the lease of the GitOps repository, -1 when the
// round ends. One that was stopped takes some time to notice that it has lost it: only
// where one alone says so it is true.
func (r *round) awaitWriter(ctx context.Context) int {
	found := -1
	// That the round ends is no error.
	_ = stage.Until(ctx, 300*time.Millisecond, func() (bool, error) {
		found = -1
		for i, each := range r.replicas {
			if !r.holds(ctx, each) {
				continue
			}
			if found >= 0 {
				return false, nil
			}
			found = i
		}
		return found >= 0, nil
	})
	return found
}
