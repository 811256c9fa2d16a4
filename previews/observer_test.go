package previews_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// cluster is what Argo CD sees, by Application.
type cluster struct {
	mu   sync.Mutex
	apps map[string]previews.Seen
	// away are the Applications, all of them under "", that Argo CD does not answer for.
	away map[string]bool
}

var errAway = errors.New("connection refused")

func (c *cluster) see(_ context.Context, application string) (previews.Seen, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away[""] || c.away[application] {
		return previews.Seen{}, errAway
	}
	seen, ok := c.apps[application]
	if !ok {
		return seen, previews.ErrNotFound
	}
	return seen, nil
}

// contains takes commits for numbers: "c2" comes after "c1".
func contains(_ context.Context, _ previews.Environment, descendant, ancestor string) (bool, error) {
	return descendant >= ancestor, nil
}

type observing struct {
	*testing.T
	clock    *storetest.Clock
	store    *store.Store
	cluster  *cluster
	observer *previews.Observer
	row      previews.Environment
}

// newObserving follows one preview that was committed in c2.
func newObserving(t *testing.T) *observing {
	t.Helper()
	clock := storetest.NewClock()
	w := &observing{T: t, clock: clock, store: openStore(t, clock), cluster: &cluster{apps: map[string]previews.Seen{}, away: map[string]bool{}}}
	w.observer = &previews.Observer{
		Store: w.store, See: w.cluster.see, Contains: contains, Timeout: 15 * time.Minute,
		Changed: func() {}, Now: clock.Now, Log: secrettest.Logger(t),
	}
	w.row = w.add(1)
	return w
}

func (w *observing) add(pr int) previews.Environment {
	w.Helper()
	e := storetest.Preview(1, pr, w.clock.Now())
	e.Resolve(nil, w.clock.Now())
	e.Commit(previews.Applied{Generation: 1, SHA: e.SHA, Commit: "c2", Tree: "t", Watched: true, At: w.clock.Now()})
	return storetest.Add(w, w.store, e)
}

func (w *observing) step() (previews.Environment, error) {
	w.Helper()
	_, stepErr := w.observer.Step(w.Context())
	e, err := w.store.Environment(w.Context(), 1, "pr-1")
	if err != nil {
		w.Fatal(err)
	}
	return e, stepErr
}

func (w *observing) update(f func(*previews.Environment)) {
	w.Helper()
	if _, err := w.store.Update(w.Context(), w.row.RowID, func(e *previews.Environment) error { f(e); return nil }); err != nil {
		w.Fatal(err)
	}
}

func TestObserver(t *testing.T) {
	t.Parallel()
	healthy := previews.Seen{Revision: "c2", Sync: "Synced", Health: "Healthy"}
	for name, test := range map[string]struct {
		seen    *previews.Seen // nil: there is no such Application
		after   time.Duration
		want    previews.State
		message string
	}{
		"no Application yet":              {nil, 0, previews.StateSyncing, "waiting for Argo CD to make the Application"},
		"never an Application":            {nil, 15 * time.Minute, previews.StateDegraded, "not healthy after 15m0s: waiting for"},
		"nothing synced yet":              {&previews.Seen{Sync: "OutOfSync", Health: "Missing"}, 0, previews.StateSyncing, ""},
		"healthy":                         {&healthy, 0, previews.StateReady, ""},
		"healthy late":                    {&healthy, time.Hour, previews.StateReady, ""},
		"healthy in a later commit":       {&previews.Seen{Revision: "c3", Sync: "Synced", Health: "Healthy"}, 0, previews.StateReady, ""},
		"the commit before is healthy":    {&previews.Seen{Revision: "c1", Sync: "Synced", Health: "Healthy"}, 0, previews.StateSyncing, ""},
		"the commit before is degraded":   {&previews.Seen{Revision: "c1", Sync: "Synced", Health: "Degraded"}, 0, previews.StateSyncing, ""},
		"the commit before, for too long": {&previews.Seen{Revision: "c1", Sync: "Synced", Health: "Healthy"}, time.Hour, previews.StateDegraded, "not healthy after 1h0m0s"},
		"rolling out":                     {&previews.Seen{Revision: "c2", Sync: "Synced", Health: "Progressing"}, 0, previews.StateSyncing, ""},
		"rolling out for too long":        {&previews.Seen{Revision: "c2", Sync: "Synced", Health: "Progressing", Message: "0 of 1 ready"}, time.Hour, previews.StateDegraded, "not healthy after 1h0m0s: 0 of 1 ready"},
		"degraded, before the sync":       {&previews.Seen{Revision: "c2", Sync: "OutOfSync", Health: "Degraded", Message: "crash loop"}, 0, previews.StateSyncing, ""},
		"the sync failed":                 {&previews.Seen{Revision: "c1", Failed: "c2", Sync: "OutOfSync", Health: "Healthy", Error: "quota exceeded"}, 0, previews.StateDegraded, "quota exceeded"},
		"the sync before failed":          {&previews.Seen{Failed: "c1", Sync: "OutOfSync", Error: "quota exceeded"}, 0, previews.StateSyncing, "quota exceeded"},
		"cannot be compared":              {&previews.Seen{Revision: "c1", Sync: "Unknown", Health: "Healthy", Error: "path does not exist"}, time.Hour, previews.StateDegraded, "not healthy after 1h0m0s: path does not exist"},
		"degraded":                        {&previews.Seen{Revision: "c2", Sync: "Synced", Health: "Degraded", Message: "crash loop"}, 0, previews.StateDegraded, "crash loop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newObserving(t)
			if test.seen != nil {
				w.cluster.apps[w.row.Ref.Name()] = *test.seen
			}
			w.clock.Advance(test.after)
			e, err := w.step()
			if err != nil || e.State() != test.want || e.Observed.Generation != 1 {
				t.Fatalf("%s (%v): %+v", e.State(), err, e.Observed)
			}
			if got := e.Observed.Message; !strings.HasPrefix(got, test.message) || test.message == "" && got != "" {
				t.Errorf("message %q", got)
			}
			again, err := w.step()
			if err != nil || again.Version != e.Version {
				t.Errorf("seeing the same again wrote the row (%v)", err)
			}
		})
	}
}

// Argo CD being away is no verdict until the time is over, and is told when it lasts.
func TestObserverAway(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.cluster.away[""] = true
	for _, at := range []struct {
		after   time.Duration
		want    previews.State
		message string
	}{
		{0, previews.StateSyncing, ""},
		{59 * time.Second, previews.StateSyncing, ""},
		{time.Second, previews.StateSyncing, "Argo CD does not answer"},
		{14 * time.Minute, previews.StateDegraded, "not healthy after 15m0s: Argo CD does not answer"},
	} {
		w.clock.Advance(at.after)
		if e, err := w.step(); !errors.Is(err, errAway) || e.State() != at.want || e.Observed.Message != at.message {
			t.Errorf("after %s more: %s (%v): %+v", at.after, e.State(), err, e.Observed)
		}
	}
	w.cluster.away[""] = false
	w.cluster.apps[w.row.Ref.Name()] = previews.Seen{Revision: "c2", Sync: "Synced", Health: "Healthy"}
	w.clock.Advance(15 * time.Second)
	if e, err := w.step(); err != nil || e.State() != previews.StateReady {
		t.Errorf("%s (%v): %+v", e.State(), err, e.Observed)
	}
}

// Fault: without Argo CD, what it was following before the restart was in progress
// for ever.
func TestObserverSwitchedOff(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.observer.See = nil
	if e, err := w.step(); err != nil || e.State() != previews.StateCommitted {
		t.Errorf("%s (%v): %+v", e.State(), err, e.Observed)
	}
	w.update(func(e *previews.Environment) {
		e.Observed = &previews.Observation{Generation: 1, Sync: "Synced", Health: "Degraded", Message: "crash loop"}
	})
	if e, err := w.step(); err != nil || e.State() != previews.StateDegraded {
		t.Errorf("a verdict became %s (%v): %+v", e.State(), err, e.Observed)
	}
}

// Fault: looking woke everything, whether there was anything new or not.
func TestObserverWakesForNews(t *testing.T) {
	t.Parallel()
	w, changed := newObserving(t), 0
	w.observer.Changed = func() { changed++ }
	for range 3 {
		if _, err := w.step(); err != nil {
			t.Fatal(err)
		}
	}
	if changed != 1 {
		t.Errorf("woken %d times for one change", changed)
	}
}

// Fault: one Application that Argo CD had no answer for ended the questions about
// all others.
func TestObserverOneAway(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.cluster.away[w.row.Ref.Name()] = true
	const others = 20
	for pr := 2; pr < 2+others; pr++ {
		e := w.add(pr)
		w.cluster.apps[e.Ref.Name()] = previews.Seen{Revision: "c2", Sync: "Synced", Health: "Healthy"}
	}
	if _, err := w.step(); !errors.Is(err, errAway) {
		t.Errorf("error %v", err)
	}
	ready, err := w.store.Environments(t.Context(), store.Filter{State: previews.StateReady})
	if err != nil || len(ready) != others {
		t.Errorf("%d of %d are ready (%v)", len(ready), others, err)
	}
}

// What Argo CD said of a commit is nothing to the one that came meanwhile.
func TestObserverOvertaken(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.cluster.apps[w.row.Ref.Name()] = previews.Seen{Revision: "c2", Sync: "Synced", Health: "Healthy"}
	see := w.observer.See
	w.observer.See = func(ctx context.Context, application string) (previews.Seen, error) {
		w.update(func(e *previews.Environment) {
			e.Want(revisionOf("b"), w.clock.Now())
			e.Resolve(nil, w.clock.Now())
			e.Commit(previews.Applied{Generation: 2, SHA: "b", Commit: "c3", Tree: "t2", Watched: true, At: w.clock.Now()})
		})
		return see(ctx, application)
	}
	if e, err := w.step(); err != nil || e.State() != previews.StateSyncing {
		t.Errorf("%s (%v): %+v", e.State(), err, e.Observed)
	}
	w.observer.See = see
	if e, err := w.step(); err != nil || e.State() != previews.StateSyncing || e.Observed.Generation != 2 {
		t.Errorf("%s (%v): %+v", e.State(), err, e.Observed)
	}
}

// Argo CD that was told of a commit while it retried the one before takes it for tried
// once that has failed, and would not sync it ever: the same is committed once more.
func TestObserverCommitsAgainWhatArgoCDSkips(t *testing.T) {
	t.Parallel()
	skipped := previews.Seen{Sync: "OutOfSync", Health: "Healthy", Failed: "c1", Compared: "c2", Skipped: true, Error: "c1 is refused"}
	for name, c := range map[string]struct {
		change func(*previews.Seen)
		again  bool
	}{
		"skipped":                {func(*previews.Seen) {}, true},
		"still retried":          {func(s *previews.Seen) { s.Failed, s.Skipped = "", false }, false},
		"not compared yet":       {func(s *previews.Seen) { s.Compared = "c1" }, false},
		"about to be synced":     {func(s *previews.Seen) { s.Skipped = false }, false},
		"refused in its own row": {func(s *previews.Seen) { s.Failed = "c2" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newObserving(t)
			seen := skipped
			c.change(&seen)
			w.seen(seen)
			e := w.must(time.Second)
			if again := e.NeedsCommit() && e.Generation == 2; again != c.again {
				t.Fatalf("generation %d, applied %d, %s: want again %t", e.Generation, e.AppliedGeneration, e.State(), c.again)
			}
			if e := w.must(time.Second); c.again && (e.Generation != 2 || e.SHA != w.row.SHA || e.Observed.Health == "Healthy") {
				t.Errorf("it is committed with every look: %+v", e)
			}
		})
	}
}
