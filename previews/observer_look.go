package previews

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// lookEvery is how often Argo CD is asked for more than its verdict about an
	// environment that is moving.
	lookEvery = 10 * time.Second
	// faultAfter is how long something may be on its way before what keeps it is looked for.
	faultAfter = 20 * time.Second
	// driftEvery is how often a change by hand is told of one environment.
	driftEvery = time.Hour
)

// The words of Argo CD that a verdict is made of.
const (
	synced    = "Synced"
	outOfSync = "OutOfSync"
	healthy   = "Healthy"
	degraded  = "Degraded"
)

// Looking is what an Observer can learn of an Application beyond Argo CD's verdict. Each
// is nil where it is not to be had.
type Looking struct {
	// Progress returns how far a rollout by steps has come; nil of an Application that has
	// none under way.
	Progress func(ctx context.Context, application string) (*Progress, error)
	// Fault returns what explains best why an Application is not well, with the last lines
	// of its logs where logs says so; nil where nothing shows.
	Fault func(ctx context.Context, application string, logs bool) (*Fault, error)
	// ShowsLogs says that whoever sees an environment's reports may read its logs.
	ShowsLogs func(Environment) bool
	// Serves asks every web service of an environment, at its host, and says in words which
	// one does not answer as it should, "" where all do.
	Serves func(context.Context, Environment) (unserved string)
	// Visits, when set, says whether an environment is one that Serves asks; all are.
	Visits func(Environment) bool
}

// visits says that an environment is ready only when it serves.
func (l Looking) visits(e Environment) bool {
	return l.Serves != nil && (l.Visits == nil || l.Visits(e))
}

// diary is when what was last looked at; it is forgotten with the program, and then
// looked at at once.
type diary struct {
	mu sync.Mutex
	at map[note]time.Time
	// inSync are the commits that environments which are ready were last found synced to.
	inSync map[int64]string
	// puts is, of what is synced, what Argo CD had last put back by then.
	puts map[int64]put
}

// put is the last time that Argo CD put something back, of a commit that was synced.
type put struct {
	commit string
	at     time.Time
}

type note struct {
	row  int64
	what string
}

// due says that something was not looked at for a while, and notes that it is now.
func (d *diary) due(row int64, what string, every time.Duration, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := note{row, what}
	if last, ok := d.at[key]; ok && now.Sub(last) < every {
		return false
	}
	if d.at == nil {
		d.at = map[note]time.Time{}
	}
	d.at[key] = now
	return true
}

// forget drops what was noted of an environment that moves no more. What it was last
// found synced to is kept while it is there.
func (d *diary) forget(row int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for key := range d.at {
		if key.row == row {
			delete(d.at, key)
		}
	}
}

// drifted says that the cluster is no longer as the commit that it was last found synced
// to, though nothing newer was committed: somebody changed it by hand.
func (d *diary) drifted(row int64, seen Seen) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if seen.Sync == synced {
		if d.inSync == nil {
			d.inSync = map[int64]string{}
		}
		d.inSync[row] = seen.Compared
	}
	return seen.Sync == outOfSync && seen.Compared != "" && d.inSync[row] == seen.Compared && seen.Differs != ""
}

// healed says that Argo CD has put something back since an environment's commit was last
// found synced: it may be over before anybody saw that the cluster differed. What was put
// back before idp looked for the first time is nobody's news.
func (d *diary) healed(row Environment, told Seen, seen Observation) bool {
	if seen.Sync != synced {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.puts == nil {
		d.puts = map[int64]put{}
	}
	last, known := d.puts[row.RowID]
	now := put{row.AppliedCommit, told.HealedAt}
	d.puts[row.RowID] = now
	return known && last.commit == now.commit && told.Healed != "" && !last.at.Equal(now.at)
}

// serve finds out whether what is well serves. One that was found ready has served.
func (o *Observer) serve(ctx context.Context, row Environment, seen *Observation) {
	if !o.Look.visits(row) || seen.Sync != synced || seen.Health != healthy || row.State() == StateReady {
		return
	}
	now := o.Now()
	// It is asked often while it has just become well, and seldom when it takes long.
	every := observeEvery
	if since := seen.Chain.Healthy; !since.IsZero() {
		every = min(max(now.Sub(since)/5, observeEvery), lookEvery)
	}
	before := row.Observed.Unserved
	if before != "" && !o.moved[row.Application()] && !o.diary.due(row.RowID, "serves", every, now) {
		seen.Unserved = before
		return
	}
	seen.Unserved = o.Look.Serves(ctx, row)
}

// detail looks at what Argo CD's verdict is made of: the steps of a rollout under way,
// and what is to blame where something is not well. Failing to is no verdict, and
// changes none: what was seen last stands.
func (o *Observer) detail(ctx context.Context, row Environment, told Seen, seen *Observation) error {
	if row.Observed != nil {
		seen.Progress, seen.Fault = row.Observed.Progress, row.Observed.Fault
	}
	switch {
	case verdict(*seen) && seen.Health == healthy:
		seen.Progress, seen.Fault = nil, nil
		return nil
	case verdictOf(row) && !verdict(*seen):
		return nil // it stays what it was found to be
	}
	return firstError(o.progress(ctx, row, told, seen), o.fault(ctx, row, seen))
}

func (o *Observer) progress(ctx context.Context, row Environment, told Seen, seen *Observation) error {
	if o.Look.Progress == nil || !told.Steps || seen.Sync != synced || verdict(*seen) {
		return nil
	}
	if due := o.diary.due(row.RowID, "progress", lookEvery, o.Now()); !due && !o.moved[row.Application()] {
		return nil
	}
	p, err := o.Look.Progress(ctx, row.Application())
	if err != nil {
		return fmt.Errorf("ask how far %s has come: %w", row.Ref, err)
	}
	seen.Progress = p
	return nil
}

func (o *Observer) fault(ctx context.Context, row Environment, seen *Observation) error {
	failing := verdict(*seen)
	before := row.Observed
	switch {
	case o.Look.Fault == nil:
		return nil
	case failing && verdictOf(row) && before.Fault != nil && before.Message == seen.Message:
		return nil // it is told
	case failing:
	case seen.Sync != synced || seen.Health == healthy || seen.Chain.Synced.IsZero() || o.Now().Sub(seen.Chain.Synced) < faultAfter:
		seen.Fault = nil
		return nil
	case !o.diary.due(row.RowID, "fault", lookEvery, o.Now()):
		return nil
	}
	logs := o.Look.ShowsLogs != nil && o.Look.ShowsLogs(row)
	f, err := o.Look.Fault(ctx, row.Application(), logs)
	if err != nil {
		return fmt.Errorf("ask what is wrong with %s: %w", row.Ref, err)
	}
	if !failing && !f.known() {
		f = nil // it takes its time
	}
	if sameFault(f, before.Fault) && !failing {
		return nil
	}
	seen.Fault = f
	return nil
}

// verdictOf says that a verdict about a row's own commit is in.
func verdictOf(row Environment) bool {
	return row.State() == StateDegraded || row.State() == StateReady
}

// drift notes, of what is ready, that somebody changed it on the cluster. Argo CD puts it
// right; it is told once in a while, where people look for details.
func (o *Observer) drift(ctx context.Context, row Environment, objects string) error {
	seen := *row.Observed
	seen.Drift = noted(seen.Drift, objects, o.Now())
	return o.record(ctx, row, &seen)
}

// noted is what there is to tell of changes by hand once another was found.
func noted(last *Drift, objects string, now time.Time) *Drift {
	if last != nil && now.Sub(last.At) < driftEvery {
		return last
	}
	return &Drift{Objects: objects, At: now}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
