package previews

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

const (
	observeEvery    = 2 * time.Second
	degradedEvery   = 15 * time.Second
	unwatchedEvery  = time.Minute
	observeParallel = 8
	// blockedAfter is how long a removal may take before what blocks it is looked for.
	blockedAfter = 30 * time.Second
	// tellAway is how long Argo CD may be silent before people are told.
	tellAway = time.Minute
	// DefaultRolloutTimeout is how long Argo CD may take to bring a commit to health.
	DefaultRolloutTimeout = 15 * time.Minute
)

// away is what people read while Argo CD is silent.
const away = "Argo CD does not answer"

// Seen is what Argo CD says of one Application.
type Seen struct {
	// Revision is the newest commit that was synced with success, Failed the one
	// that the last sync failed to apply, "" when it did not.
	Revision, Failed string
	// Sync, Health and Message tell of what runs.
	Sync, Health, Message string
	// Error says why Argo CD cannot bring the cluster to the branch, "" where it can.
	Error string
	// Unread says why an Application of a team's own does not read what was written, "" where
	// it does.
	Unread string
	// Deleting is true while everything of it is being taken down.
	Deleting bool
	// Steps says that it has rollouts by steps, whose progress may be asked for.
	Steps bool
	// Compared is the commit that the cluster was compared with, and Differs the objects
	// that differ from it, in words.
	Compared, Differs string
	// Skipped says that Argo CD does not try to sync Compared, because an older commit
	// failed.
	Skipped bool
	// Healed names the objects that Argo CD put back with its last sync, because somebody
	// had changed them on the cluster, and HealedAt is when; empty of any other sync.
	Healed   string
	HealedAt time.Time
}

// ObserveStore is what the observer needs of the store.
type ObserveStore interface {
	Syncing(ctx context.Context) ([]Environment, error)
	// Named returns the environment with an Application's name, or ErrNotFound.
	Named(ctx context.Context, application string) (Environment, error)
	Update(ctx context.Context, rowID int64, fn func(*Environment) error) (Environment, error)
}

// Observer follows what was committed until Argo CD has brought it to health or
// has failed to. It asks about the environments that are still moving, and about
// those that Moved names: what is ready may yet degrade. The state of an older commit is never taken for that of a newer one:
// what was synced has to contain the environment's own commit, and to be what runs.
type Observer struct {
	Store ObserveStore
	// Of says which environments are in the Argo CD that is asked; all where it is nil.
	Of func(Environment) bool
	// See asks Argo CD about an Application; ErrNotFound when it is not there yet.
	// Where it is nil there is no Argo CD (any more): what was followed until now is
	// let go of, and stands as committed.
	See func(ctx context.Context, application string) (Seen, error)
	// Theirs asks about an environment whose Application is a team's own.
	Theirs func(ctx context.Context, env Environment) (Seen, error)
	// Blockers says in words what keeps an Application that is being deleted.
	Blockers func(ctx context.Context, application string) (string, error)
	// Moved returns the Applications that Argo CD has told something new of since the
	// last call; nil where it is only asked.
	Moved func() []string
	// Contains says whether a commit of the repository that an environment is in is the
	// other, or comes after it.
	Contains func(ctx context.Context, env Environment, descendant, ancestor string) (bool, error)
	// Look is what can be learnt beyond that.
	Look Looking
	// Timeout is how long a commit may take to become ready, beside the pauses of its
	// rollout.
	Timeout time.Duration
	// TimeoutOf, when set, returns that of one environment, 0 for Timeout.
	TimeoutOf func(Environment) time.Duration
	// Took, when set, takes how many seconds each link of the chain took, by its name, and
	// "total", of what became ready.
	Took prometheus.ObserverVec
	// Changed is called when an environment's state moved on.
	Changed func()
	Now     func() time.Time
	Log     *slog.Logger

	// mu is held through a step.
	mu sync.Mutex
	// asked is when the degraded environments were last asked about.
	asked map[int64]time.Time
	// moved are the Applications that Moved named and that were not looked at yet.
	moved map[string]bool
	// answered is when Argo CD last had an answer, or nothing to be asked.
	answered time.Time
	diary    diary
}

// Loop returns the observer's loop, woken by wake.
func (o *Observer) Loop(wake Signal) Loop {
	idle := observeEvery
	if o.See == nil {
		idle = unwatchedEvery
	}
	return Loop{Name: "observations", Step: o.Step, Wake: wake, Idle: idle, Log: o.Log}
}

// Step asks about every environment that is moving. Argo CD being away is no
// verdict: the environments stay as they are until they outrun their time. Steps
// wait for each other.
func (o *Observer) Step(ctx context.Context) (more bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rows, err := o.Store.Syncing(ctx)
	if err != nil {
		return false, fmt.Errorf("list environments that are syncing: %w", err)
	}
	if o.answered.IsZero() {
		o.answered = o.Now()
	}
	o.note()
	act := o.observe
	if o.See == nil {
		act = o.letGo
	}
	rows = slices.DeleteFunc(rows, func(row Environment) bool { return !o.of(row) || !o.due(row) })
	settled, err := o.settled(ctx, rows)
	if err != nil {
		return false, err
	}
	rows = append(rows, settled...)
	// One that cannot be asked about holds no other up.
	var group errgroup.Group
	group.SetLimit(observeParallel)
	failed := make([]error, len(rows))
	for i, row := range rows {
		do := act
		if o.See != nil && row.Wanted == Absent {
			do = o.leave
		}
		group.Go(func() error {
			failed[i] = do(ctx, row)
			return nil
		})
	}
	err = errors.Join(group.Wait(), errors.Join(failed...))
	for i, row := range rows {
		if failed[i] == nil {
			delete(o.moved, row.Application())
		}
	}
	if len(rows) == 0 || slices.Contains(failed, nil) {
		o.answered = o.Now()
	}
	return false, err
}

func (o *Observer) of(row Environment) bool { return o.Of == nil || o.Of(row) }

// note takes down what moved.
func (o *Observer) note() {
	if o.moved == nil {
		o.moved = map[string]bool{}
	}
	if o.Moved == nil {
		return
	}
	for _, name := range o.Moved() {
		o.moved[name] = true
	}
}

// settled returns the environments that moved though a verdict about them was in,
// beside those that are looked at anyway.
func (o *Observer) settled(ctx context.Context, rows []Environment) ([]Environment, error) {
	looked := map[string]bool{}
	for _, row := range rows {
		looked[row.Application()] = true
	}
	var out []Environment
	for name := range o.moved {
		if looked[name] {
			continue
		}
		row, err := o.Store.Named(ctx, name)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return nil, fmt.Errorf("find the environment of Application %s: %w", name, err)
		case err == nil && row.State() == StateReady && o.of(row):
			out = append(out, row)
		default:
			delete(o.moved, name)
		}
	}
	return out, nil
}

// due says that an environment's turn has come: at once while it moves, at
// intervals once it was found degraded or its removal blocked.
func (o *Observer) due(row Environment) bool {
	if row.State() == StateRemoving && !row.Leaving() {
		return false // it has not left Git yet
	}
	blocked := row.State() == StateDegraded || row.Leaving() && row.Observed.Message != ""
	if !blocked || o.moved[row.Application()] {
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
	seen, told, err := o.see(ctx, row)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	now := o.Now()
	if err != nil {
		err = fmt.Errorf("ask Argo CD about %s: %w", row.Ref, err)
		seen = Observation{Generation: row.AppliedGeneration, Message: away}
	}
	if row.Observed != nil {
		seen.Chain, seen.Drift = row.Observed.Chain, row.Observed.Drift
	}
	o.serve(ctx, row, &seen)
	seen.Chain.reach(&seen, o.Look.visits(row), now)
	if err == nil {
		err = o.detail(ctx, row, told, &seen)
	}
	drifted, healed := o.diary.drifted(row.RowID, told), o.diary.healed(row, told, seen)
	switch late := now.Sub(row.AppliedAt); {
	case verdict(seen):
		o.diary.forget(row.RowID)
		if healed && row.State() == StateReady {
			seen.Drift = noted(seen.Drift, told.Healed, now)
		}
	case row.State() == StateReady && healed:
		return errors.Join(err, o.drift(ctx, row, told.Healed))
	case row.State() == StateReady && drifted:
		return errors.Join(err, o.drift(ctx, row, told.Differs))
	case row.State() == StateReady:
		return err
	case row.State() == StateDegraded:
		return err // it stays what it was found to be until there is a new verdict
	case late >= o.timeout(row)+seen.pausing():
		seen.Message, seen.Health, seen.TimedOut = timedOut(seen, late), degraded, true
		if seen.Sync == synced {
			err = errors.Join(err, o.fault(ctx, row, &seen))
		}
	case err != nil && seen.Message == away && now.Sub(o.answered) < tellAway:
		return err
	}
	seen.At = now
	return errors.Join(err, o.record(ctx, row, &seen))
}

// letGo makes an environment that nobody follows any more one that stands as
// committed. A verdict that there was stays.
func (o *Observer) letGo(ctx context.Context, row Environment) error {
	if row.State() != StateSyncing && !row.Leaving() {
		return nil
	}
	return o.record(ctx, row, nil)
}

// leave follows an environment that has left Git until it has left the cluster.
// Gone it is when Argo CD says that it has no such Application: that goes last.
func (o *Observer) leave(ctx context.Context, row Environment) error {
	seen, err := o.See(ctx, row.Application())
	now := o.Now()
	left := Observation{Generation: row.AppliedGeneration, At: now}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, ErrNotFound):
		left.Gone, err = true, nil
	case err != nil:
		err = fmt.Errorf("ask Argo CD about %s: %w", row.Ref, err)
		if now.Sub(o.answered) < tellAway {
			return err
		}
		left.Message = away
	case row.Declared() && !seen.Deleting:
		left.Message = "nothing takes it off the cluster but who deletes its Application in Argo CD"
	case seen.Deleting && now.Sub(row.AppliedAt) >= blockedAfter:
		left.Message, err = o.Blockers(ctx, row.Application())
	case now.Sub(row.AppliedAt) >= o.timeout(row):
		left.Message = strings.TrimSuffix("Argo CD has not begun to take it down: "+seen.Error, ": ")
	}
	return errors.Join(err, o.record(ctx, row, &left))
}

// record writes what was seen of a row's commit, where it is news and the row has
// not moved on meanwhile.
func (o *Observer) record(ctx context.Context, row Environment, seen *Observation) error {
	if same(row.Observed, seen) {
		return nil
	}
	news := false
	written, err := o.Store.Update(ctx, row.RowID, func(e *Environment) error {
		if news = e.AppliedGeneration == row.AppliedGeneration && e.Wanted == row.Wanted && !same(e.Observed, seen); !news {
			return ErrUnchanged
		}
		e.Observe(seen, o.Now())
		return nil
	})
	if err != nil {
		return fmt.Errorf("record what Argo CD says of %s: %w", row.Ref, err)
	}
	if !news {
		return nil
	}
	if written.State() == StateReady && row.Observed != nil && row.Observed.Chain.Ready.IsZero() {
		o.measure(written)
	}
	o.Changed()
	return nil
}

// measure takes down how long it took until an environment was ready for the first time.
func (o *Observer) measure(e Environment) {
	links := e.Links()
	if o.Took == nil || len(links) == 0 {
		return
	}
	var total time.Duration
	for _, link := range links {
		o.Took.WithLabelValues(link.Name).Observe(link.Took.Seconds())
		total += link.Took
	}
	o.Took.WithLabelValues("total").Observe(total.Seconds())
}

// see returns what Argo CD says of the row's own commit, and all that it says. Until
// that commit is what it synced and what runs, the health that it tells is of an older
// one, and says nothing here.
func (o *Observer) see(ctx context.Context, row Environment) (Observation, Seen, error) {
	waiting := Observation{Generation: row.AppliedGeneration, Sync: outOfSync, Health: "Progressing"}
	seen, err := o.ask(ctx, row)
	if errors.Is(err, ErrNotFound) || seen.Deleting {
		// One that is on its way out makes place for another.
		waiting.Message = "waiting for Argo CD to make the Application"
		if row.Update != nil {
			waiting.Message = "Argo CD has no Application " + row.Application() + " that idp may see: it has to be there, and idp's account needs the right to get it"
		}
		return waiting, seen, nil
	}
	if err != nil {
		return Observation{}, seen, err
	}
	if seen.Unread != "" {
		waiting.Health, waiting.Message = degraded, seen.Unread
		return waiting, seen, nil
	}
	applied, err := o.contains(ctx, seen.Revision, row)
	if err != nil {
		return Observation{}, seen, err
	}
	if applied && seen.Sync == synced {
		return Observation{
			Generation: row.AppliedGeneration, Revision: seen.Revision, Sync: seen.Sync, Health: seen.Health, Message: seen.Message,
		}, seen, nil
	}
	refused, err := o.contains(ctx, seen.Failed, row)
	if err != nil {
		return Observation{}, seen, err
	}
	if refused {
		return Observation{
			Generation: row.AppliedGeneration, Revision: seen.Failed, Sync: seen.Sync, Health: degraded, Message: seen.Error,
		}, seen, nil
	}
	waiting.Message = seen.Error
	return waiting, seen, o.again(ctx, row, seen)
}

// ask asks about a row's Application.
func (o *Observer) ask(ctx context.Context, row Environment) (Seen, error) {
	if row.Update != nil {
		return o.Theirs(ctx, row)
	}
	return o.See(ctx, row.Application())
}

// again commits what is wanted once more where Argo CD would never sync it: it was told of
// the commit while it retried an older one, and takes it for tried when that has failed.
func (o *Observer) again(ctx context.Context, row Environment, seen Seen) error {
	if !seen.Skipped || seen.Failed == "" || seen.Sync != outOfSync {
		return nil
	}
	compared, err := o.contains(ctx, seen.Compared, row)
	if err != nil || !compared {
		return err
	}
	anew := false
	_, err = o.Store.Update(ctx, row.RowID, func(e *Environment) error {
		if anew = e.Commits(row.AppliedGeneration, o.Now()); !anew {
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit %s once more: %w", row.Ref, err)
	}
	if anew {
		o.Log.Info("committed once more, since Argo CD skips it", "env", row.Ref.String(), "commit", row.AppliedCommit)
		o.Changed()
	}
	return nil
}

// contains says whether a commit that Argo CD names, "" for none, has the row's own.
func (o *Observer) contains(ctx context.Context, revision string, row Environment) (bool, error) {
	if revision == "" {
		return false, nil
	}
	return o.Contains(ctx, row, revision, row.AppliedCommit)
}

// verdict says that nothing more is to come of an observation.
func verdict(o Observation) bool {
	return o.Health == degraded || o.Health == healthy && o.Sync == synced && o.Unserved == ""
}

func same(old, now *Observation) bool {
	if old == nil || now == nil {
		return old == now
	}
	return old.Generation == now.Generation && old.Sync == now.Sync && old.Health == now.Health && old.Message == now.Message &&
		old.Gone == now.Gone && old.Unserved == now.Unserved &&
		samePointed(old.Progress, now.Progress) && sameFault(old.Fault, now.Fault) && samePointed(old.Drift, now.Drift)
}

func timedOut(o Observation, took time.Duration) string {
	text := fmt.Sprintf("not healthy after %s", took.Round(time.Second))
	switch {
	case o.Unserved != "":
		return fmt.Sprintf("healthy, and does not serve after %s: %s", took.Round(time.Second), o.Unserved)
	case o.Message != "":
		text += ": " + o.Message
	}
	return text
}

func (o *Observer) timeout(row Environment) time.Duration {
	if o.TimeoutOf != nil {
		if own := o.TimeoutOf(row); own > 0 {
			return own
		}
	}
	return o.Timeout
}
