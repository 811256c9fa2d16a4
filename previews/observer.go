package previews

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	observeEvery    = 2 * time.Second
	degradedEvery   = 15 * time.Second
	observeParallel = 4
	// DefaultRolloutTimeout is how long Argo CD may take to bring a commit to health.
	DefaultRolloutTimeout = 15 * time.Minute
)

// Seen is what Argo CD says of one Application.
type Seen struct {
	// Revision is the newest commit that was synced with success.
	Revision              string
	Sync, Health, Message string
}

// ObserveStore is what the observer needs of the store.
type ObserveStore interface {
	Syncing(ctx context.Context) ([]Environment, error)
	Update(ctx context.Context, rowID int64, fn func(*Environment) error) (Environment, error)
}

// Observer follows what was committed until Argo CD has brought it to health or
// has failed to. It asks about the environments that are still moving and about
// no others. The state of an older commit is never taken for that of a newer one:
// what was synced has to contain the environment's own commit.
type Observer struct {
	Store ObserveStore
	// See asks Argo CD about an Application; ErrNotFound when it is not there yet.
	See func(ctx context.Context, application string) (Seen, error)
	// Contains says whether a commit is the other or comes after it.
	Contains func(ctx context.Context, descendant, ancestor string) (bool, error)
	// Timeout is how long a commit may take to become healthy.
	Timeout time.Duration
	// Changed is called when an environment's state moved on.
	Changed func()
	Now     func() time.Time
	Log     *slog.Logger

	// asked is when the degraded environments were last asked about.
	asked map[int64]time.Time
}

// Loop returns the observer's loop, woken by wake.
func (o *Observer) Loop(wake Signal) Loop {
	return Loop{Name: "observations", Step: o.Step, Wake: wake, Idle: observeEvery, Log: o.Log}
}

// Step asks about every environment that is moving. Argo CD being away is no
// verdict: the environments stay as they are until they outrun their time.
func (o *Observer) Step(ctx context.Context) (more bool, err error) {
	rows, err := o.Store.Syncing(ctx)
	if err != nil {
		return false, fmt.Errorf("list environments that are syncing: %w", err)
	}
	rows = slices.DeleteFunc(rows, func(row Environment) bool { return !o.due(row) })
	// One that cannot be asked about holds no other up.
	var group errgroup.Group
	group.SetLimit(observeParallel)
	failed := make([]error, len(rows))
	for i, row := range rows {
		group.Go(func() error {
			failed[i] = o.observe(ctx, row)
			return nil
		})
	}
	return false, errors.Join(group.Wait(), errors.Join(failed...))
}

// due says that an environment's turn has come: at once while it moves, at
// intervals once it was found degraded. Calls must not overlap.
func (o *Observer) due(row Environment) bool {
	if row.State() != StateDegraded {
		delete(o.asked, row.RowID)
		return true
	}
	if o.asked == nil {
		o.asked = map[int64]time.Time{}
	}
	now := o.Now()
	if now.Sub(o.asked[row.RowID]) < degradedEvery {
		return false
	}
	o.asked[row.RowID] = now
	return true
}

func (o *Observer) observe(ctx context.Context, row Environment) error {
	seen, err := o.see(ctx, row)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := o.Now()
	var unreachable error
	if err != nil {
		seen, unreachable = Observation{Generation: row.AppliedGeneration, Health: "Unknown", Message: "Argo CD does not answer"}, err
	}
	if row.State() == StateDegraded && !verdict(seen) {
		return unreachable // it stays what it was found to be until there is a new verdict
	}
	if now.Sub(row.AppliedAt) >= o.Timeout && !verdict(seen) {
		seen.Message, seen.Health = timedOut(seen, now.Sub(row.AppliedAt)), "Degraded"
	} else if unreachable != nil {
		return fmt.Errorf("ask Argo CD about %s: %w", row.Ref, unreachable)
	}
	seen.At = now
	_, err = o.Store.Update(ctx, row.RowID, func(e *Environment) error {
		if e.AppliedGeneration != row.AppliedGeneration || e.Wanted != Present || same(e.Observed, seen) {
			return ErrUnchanged
		}
		e.Observed = &seen
		return nil
	})
	if err != nil && !errors.Is(err, ErrUnchanged) {
		return fmt.Errorf("record what Argo CD says of %s: %w", row.Ref, err)
	}
	o.Changed()
	return nil
}

// see returns what Argo CD says of the row's own commit: nothing yet, while what
// it synced does not contain it.
func (o *Observer) see(ctx context.Context, row Environment) (Observation, error) {
	waiting := Observation{Generation: row.AppliedGeneration, Sync: "OutOfSync", Health: "Progressing"}
	seen, err := o.See(ctx, row.Ref.Name())
	if errors.Is(err, ErrNotFound) {
		waiting.Message = "waiting for Argo CD to make the Application"
		return waiting, nil
	}
	if err != nil {
		return Observation{}, err
	}
	ours := false
	if seen.Revision != "" {
		if ours, err = o.Contains(ctx, seen.Revision, row.AppliedCommit); err != nil {
			return Observation{}, err
		}
	}
	if !ours {
		waiting.Message = seen.Message
		return waiting, nil
	}
	return Observation{
		Generation: row.AppliedGeneration, Revision: seen.Revision, Sync: seen.Sync, Health: seen.Health, Message: seen.Message,
	}, nil
}

// verdict says that nothing more is to come of an observation.
func verdict(o Observation) bool {
	return o.Health == "Degraded" || o.Health == "Healthy" && o.Sync == "Synced"
}

func same(old *Observation, now Observation) bool {
	return old != nil && old.Generation == now.Generation && old.Sync == now.Sync && old.Health == now.Health && old.Message == now.Message
}

func timedOut(o Observation, took time.Duration) string {
	text := fmt.Sprintf("not healthy after %s", took.Round(time.Second))
	if o.Message != "" {
		text += ": " + o.Message
	}
	return text
}
