package previews_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

func openStore(t testing.TB, clock *storetest.Clock) *store.Store {
	t.Helper()
	s, closeStore := openAt(t, filepath.Join(secrettest.Dir(t), "idp.db"), clock)
	t.Cleanup(closeStore)
	return s
}

func openAt(t testing.TB, path string, clock *storetest.Clock) (s *store.Store, closeStore func()) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite://" + path, Now: clock.Now, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return s, func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// emptyStores returns a function that opens an empty store each time it is
// called: a copy of one file, because migrating takes most of the time.
func emptyStores(t testing.TB) func(*storetest.Clock) (s *store.Store, closeStore func()) {
	t.Helper()
	first := filepath.Join(secrettest.Dir(t), "idp.db")
	_, closeFirst := openAt(t, first, storetest.NewClock())
	closeFirst()
	empty, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	return func(clock *storetest.Clock) (*store.Store, func()) {
		path := filepath.Join(secrettest.Dir(t), "idp.db")
		if err := os.WriteFile(path, empty, 0o600); err != nil {
			t.Fatal(err)
		}
		return openAt(t, path, clock)
	}
}

func newReaper(t testing.TB, s previews.ReapStore, clock *storetest.Clock) *previews.Reaper {
	return previews.NewReaper(previews.ReaperOptions{
		Store: s, Batch: 10, Class: platform.Class{WarnBefore: time.Hour}, Now: clock.Now, Log: secrettest.Logger(t),
	})
}

// stored is every environment of a store by its pull request's number.
func stored(t interface{ Fatal(...any) }, ctx context.Context, s *store.Store) map[int]previews.Environment {
	rows, err := s.Environments(ctx, store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]previews.Environment{}
	for _, e := range rows {
		out[e.PR] = e
	}
	return out
}

func TestReaperWarnsThenRemoves(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, clock)
	reaper := newReaper(t, s, clock)
	long := storetest.Preview(1, 1, clock.Now())
	short := storetest.Preview(1, 2, clock.Now())
	short.Want(previews.Revision{SHA: short.SHA, TTL: time.Hour}, clock.Now()) // announced 15 minutes ahead
	pinned := storetest.Preview(1, 3, clock.Now())
	pinned.Pin(clock.Now())
	for _, e := range []previews.Environment{long, short, pinned} {
		storetest.Add(t, s, e)
	}
	for _, step := range []struct {
		after time.Duration
		want  previews.Reaped
	}{
		{44 * time.Minute, previews.Reaped{}},
		{time.Minute, previews.Reaped{Warned: 1}}, // 0:45, the short one
		{14 * time.Minute, previews.Reaped{}},
		{time.Minute, previews.Reaped{Removed: 1}}, // 1:00
		{70*time.Hour - time.Minute, previews.Reaped{}},
		{time.Minute, previews.Reaped{Warned: 1}}, // 71:00, the long one
		{59 * time.Minute, previews.Reaped{}},
		{time.Minute, previews.Reaped{Removed: 1}}, // 72:00
		{1000 * time.Hour, previews.Reaped{}},
	} {
		clock.Advance(step.after)
		if got, err := reaper.Sweep(t.Context()); err != nil || got != step.want {
			t.Fatalf("at %s: %+v, want %+v (error %v)", clock.Now(), got, step.want, err)
		}
	}
	rows := stored(t, t.Context(), s)
	for pr, want := range map[int]previews.Presence{1: previews.Absent, 2: previews.Absent, 3: previews.Present} {
		if rows[pr].Wanted != want {
			t.Errorf("pull request %d is wanted %s", pr, rows[pr].Wanted)
		}
	}
	if got := rows[1].Removal.Reason; got != previews.RemovedExpired {
		t.Errorf("removed because %s", got)
	}
}

// What expired while the bot was down is announced first and then gets its time,
// and the GitOps repository is told of the new expiry.
func TestReaperAfterDowntime(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, clock)
	reaper := newReaper(t, s, clock)
	before := storetest.Add(t, s, storetest.Preview(1, 1, clock.Now()))
	now := clock.Advance(100 * time.Hour)

	dry, err := reaper.DryRun(t.Context())
	if err != nil || len(dry) != 1 || dry[0].Action != previews.ReapPostpone || dry[0].Reason != "expired 28h ago unannounced: it gets 1h more" {
		t.Errorf("dry run: %+v, %v", dry, err)
	}
	if diff := cmp.Diff(before, stored(t, t.Context(), s)[1]); diff != "" {
		t.Errorf("the dry run changed something:\n%s", diff)
	}
	if got, err := reaper.Sweep(t.Context()); err != nil || got != (previews.Reaped{Postponed: 1}) {
		t.Fatalf("%+v, %v", got, err)
	}
	row := stored(t, t.Context(), s)[1]
	if !row.WarnedAt.Equal(now) || !row.ExpiresAt.Equal(now.Add(time.Hour)) || row.Generation != before.Generation+1 {
		t.Errorf("warned %s, expires %s, generation %d", row.WarnedAt, row.ExpiresAt, row.Generation)
	}
	clock.Advance(time.Hour)
	if got, err := reaper.Sweep(t.Context()); err != nil || got != (previews.Reaped{Removed: 1}) {
		t.Fatalf("%+v, %v", got, err)
	}
}

// A clock that jumps makes all previews expire at once: each is announced and gets
// the time that was promised, whatever was left to it; a pinned one stays.
func TestReaperAfterClockJump(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, clock)
	reaper := newReaper(t, s, clock)
	for pr := 1; pr <= 3; pr++ {
		storetest.Add(t, s, storetest.Preview(1, pr, clock.Advance(20*time.Hour)))
	}
	if _, err := s.Update(t.Context(), stored(t, t.Context(), s)[3].RowID, func(e *previews.Environment) error { e.Pin(clock.Now()); return nil }); err != nil {
		t.Fatal(err)
	}
	clock.Advance(365 * 24 * time.Hour)
	for _, want := range []struct {
		after time.Duration
		did   previews.Reaped
	}{{0, previews.Reaped{Postponed: 2}}, {59 * time.Minute, previews.Reaped{}}, {time.Minute, previews.Reaped{Removed: 2}}} {
		clock.Advance(want.after)
		if got, err := reaper.Sweep(t.Context()); err != nil || got != want.did {
			t.Errorf("%+v, want %+v, %v", got, want.did, err)
		}
	}
}

// interfering changes a row after the sweep listed it and before it acts.
type interfering struct {
	*store.Store
	between func()
}

func (s interfering) UpdateAll(ctx context.Context, ids []int64, fn func(*previews.Environment) error) error {
	s.between()
	return s.Store.UpdateAll(ctx, ids, fn)
}

// An extension, a pin or a push that comes in while the sweep runs always wins.
func TestReaperYields(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*previews.Environment, time.Time){
		"extended": func(e *previews.Environment, now time.Time) { e.Extend(24*time.Hour, 100*time.Hour, now) },
		"pinned":   func(e *previews.Environment, now time.Time) { e.Pin(now) },
		"pushed": func(e *previews.Environment, now time.Time) {
			e.Want(previews.Revision{SHA: "new", TTL: 72 * time.Hour}, now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := storetest.NewClock()
			s := openStore(t, clock)
			row := storetest.Add(t, s, storetest.Preview(1, 1, clock.Now()))
			clock.Advance(71 * time.Hour)
			if _, err := newReaper(t, s, clock).Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			clock.Advance(2 * time.Hour)
			reaper := newReaper(t, interfering{s, func() {
				_, err := s.Update(t.Context(), row.RowID, func(e *previews.Environment) error {
					change(e, clock.Now())
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}}, clock)
			if got, err := reaper.Sweep(t.Context()); err != nil || got != (previews.Reaped{}) {
				t.Errorf("%+v, %v", got, err)
			}
			if got := stored(t, t.Context(), s)[1]; got.Wanted != previews.Present {
				t.Errorf("removed: %+v", got.Removal)
			}
		})
	}
}

func TestReaperBatches(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, clock)
	const many = 43
	for pr := range many {
		storetest.Add(t, s, storetest.Preview(int64(pr%7+1), pr+1, clock.Now()))
	}
	reaper := newReaper(t, s, clock)
	clock.Advance(71 * time.Hour)
	if got, err := reaper.Sweep(t.Context()); err != nil || got.Warned != many {
		t.Errorf("warned %d (%v)", got.Warned, err)
	}
	clock.Advance(time.Hour)
	if got, err := reaper.Sweep(t.Context()); err != nil || got.Removed != many {
		t.Errorf("removed %d (%v)", got.Removed, err)
	}
}

// Whatever happens in whatever order: the reaper takes only what is expired and
// unpinned at that moment and was announced at least its lead before.
func TestReaperProperty(t *testing.T) {
	t.Parallel()
	open := emptyStores(t)
	rapid.Check(t, func(rt *rapid.T) {
		clock := storetest.NewClock()
		s, closeStore := open(clock)
		defer closeStore()
		reaper := newReaper(t, s, clock)
		update := func(fn func(*previews.Environment)) {
			row := stored(rt, t.Context(), s)[rapid.IntRange(1, 3).Draw(rt, "pr")]
			_, err := s.Update(t.Context(), row.RowID, func(e *previews.Environment) error { fn(e); return nil })
			if err != nil {
				rt.Fatal(err)
			}
		}
		ttl := rapid.SampledFrom([]time.Duration{10 * time.Minute, 2 * time.Hour, 72 * time.Hour})
		for pr := 1; pr <= 3; pr++ {
			e := storetest.Preview(1, pr, clock.Now())
			e.Want(previews.Revision{SHA: e.SHA, TTL: ttl.Draw(rt, "ttl")}, clock.Now())
			storetest.Add(t, s, e)
		}
		revision := 0
		rt.Repeat(map[string]func(*rapid.T){
			"wait": func(rt *rapid.T) {
				clock.Advance(time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes")) * time.Minute)
			},
			"extend": func(*rapid.T) {
				update(func(e *previews.Environment) { e.Extend(24*time.Hour, 168*time.Hour, clock.Now()) })
			},
			"pin":   func(*rapid.T) { update(func(e *previews.Environment) { e.Pin(clock.Now()) }) },
			"unpin": func(*rapid.T) { update(func(e *previews.Environment) { e.Unpin(clock.Now()) }) },
			"push": func(rt *rapid.T) {
				revision++
				ttl := ttl.Draw(rt, "ttl")
				update(func(e *previews.Environment) {
					e.Want(previews.Revision{SHA: fmt.Sprint(revision), TTL: ttl}, clock.Now())
				})
			},
			"sweep": func(rt *rapid.T) {
				before := stored(rt, t.Context(), s)
				if _, err := reaper.Sweep(t.Context()); err != nil {
					rt.Fatal(err)
				}
				for pr, after := range stored(rt, t.Context(), s) {
					if before[pr].Wanted == previews.Present && after.Wanted == previews.Absent {
						mustBeDue(rt, before[pr], clock.Now())
					}
				}
			},
		})
	})
}

func mustBeDue(rt *rapid.T, e previews.Environment, now time.Time) {
	lead := min(time.Hour, e.TTL/4)
	switch {
	case e.Pinned:
		rt.Fatalf("%s was removed though it is pinned", e.Ref)
	case e.ExpiresAt.IsZero() || e.ExpiresAt.After(now):
		rt.Fatalf("%s was removed at %s though it expires at %s", e.Ref, now, e.ExpiresAt)
	case e.WarnedAt.IsZero() || e.WarnedAt.Add(lead).After(now):
		rt.Fatalf("%s was removed at %s though it was announced at %s", e.Ref, now, e.WarnedAt)
	}
}
