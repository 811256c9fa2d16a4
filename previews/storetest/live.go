package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// settled stores a preview that was asked for at a time and is in Git.
func settled(t testing.TB, s *store.Store, repositoryID int64, pr int, now time.Time, changes ...func(*previews.Environment)) previews.Environment {
	t.Helper()
	e := Preview(repositoryID, pr, now)
	for _, change := range changes {
		change(&e)
	}
	e = Add(t, s, e)
	commit(t, s, e.RowID, now)
	e, err := s.Environment(t.Context(), repositoryID, e.Ref.Key())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func of(author, team string) func(*previews.Environment) {
	return func(e *previews.Environment) { e.Author, e.Team = author, team }
}

// lives counts beside pull request 1 of repository 7, which is ada's and of team payments.
func lives(t testing.TB, s *store.Store) store.Lives {
	t.Helper()
	out, err := s.LivePreviews(t.Context(), beside(1))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func beside(pr int) store.LiveOf {
	return store.LiveOf{RepositoryID: 7, ID: fmt.Sprint("pr-", pr), Team: "payments", Author: "ada"}
}

// named is a row in a test's words, "" for none.
func named(e *previews.Environment) string {
	if e == nil {
		return ""
	}
	return fmt.Sprintf("%d/%s", e.Ref.RepositoryID, e.Ref.ID)
}

// Previews are counted by what they have in common; what is not wanted, is declared or is
// the one that is asked for is none of them, and what is pinned is never named.
func testLive(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	settled(t, s, 7, 1, clock.Now(), of("ada", "payments"))
	pinned := settled(t, s, 7, 2, clock.Now(), of("bob", "payments"))
	update(t, s, pinned.RowID, func(e *previews.Environment) { e.Pin(clock.Now()) })
	clock.Advance(time.Minute)
	settled(t, s, 7, 3, clock.Now(), of("ada", "web"))
	clock.Advance(time.Minute)
	settled(t, s, 8, 4, clock.Now(), of("ada", "payments"))
	gone := settled(t, s, 7, 5, clock.Now(), of("ada", "payments"))
	update(t, s, gone.RowID, func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedClosed}, clock.Now())
	})
	declared := Preview(7, 6, clock.Now())
	declared.Ref.ID, declared.Deployed = "staging", &previews.Deployed{}
	of("ada", "payments")(&declared)
	Add(t, s, declared)
	got := lives(t, s)
	for scope, want := range map[store.Scope]struct {
		count  int
		oldest string
	}{
		store.OfRepository: {2, "7/pr-3"}, store.OfTeam: {2, "8/pr-4"}, store.OfAuthor: {2, "7/pr-3"},
	} {
		if live := got[scope]; live.Count != want.count || named(live.Oldest) != want.oldest {
			t.Errorf("of %s: %d, the oldest %q; want %+v", scope, live.Count, named(live.Oldest), want)
		}
	}
	// More time for the one makes the other the longest idle; a private one of another
	// repository is named to nobody here.
	clock.Advance(time.Minute)
	third, err := s.Environment(t.Context(), 7, "pr-3")
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, third.RowID, func(e *previews.Environment) { e.AskedAt = clock.Now() })
	if oldest := lives(t, s)[store.OfAuthor].Oldest; named(oldest) != "8/pr-4" {
		t.Errorf("once somebody asked for time, %q is the longest idle", named(oldest))
	}
	fourth, err := s.Environment(t.Context(), 8, "pr-4")
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, fourth.RowID, func(e *previews.Environment) { e.Private = true })
	if oldest := lives(t, s)[store.OfAuthor].Oldest; named(oldest) != "7/pr-3" {
		t.Errorf("beside a private one of another repository, %q is named", named(oldest))
	}
	nobodys, err := s.LivePreviews(t.Context(), store.LiveOf{RepositoryID: 9, ID: "pr-1"})
	if err != nil || len(nobodys) != 1 || nobodys[store.OfRepository] != (store.Live{}) {
		t.Errorf("of an empty repository, without a team or an author: %+v, %v", nobodys, err)
	}
}

// The one that may be taken is the longest idle whose last deployment came to its end, that
// is not pinned and of which nobody is asked to approve anything.
func testLiveIdle(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	start := clock.Now()
	if idle := lives(t, s)[store.OfRepository].Idle; idle != nil {
		t.Errorf("nothing is there, and %s may be taken", named(idle))
	}
	var rows []previews.Environment
	for pr := 2; pr <= 7; pr++ {
		rows = append(rows, settled(t, s, 7, pr, start.Add(time.Duration(pr)*time.Minute)))
	}
	clock.Advance(previews.MinIdle + 2*time.Minute - time.Second)
	if idle := lives(t, s)[store.OfRepository].Idle; idle != nil {
		t.Errorf("it is not idle for long enough, and %s may be taken", named(idle))
	}
	clock.Advance(time.Hour)
	for i, change := range []func(e *previews.Environment){
		func(e *previews.Environment) { e.Pin(clock.Now()) },
		func(e *previews.Environment) {
			e.SeeHead("fork", "topic", start)
			e.Refuse(previews.Problem{Kind: previews.ProblemFork, SHA: "fork"}, clock.Now())
		},
		func(e *previews.Environment) {
			e.Want(previews.Revision{SHA: "new", TTL: time.Hour}, e.WantedAt)
		},
		func(e *previews.Environment) { e.AskedAt = clock.Now() },
		func(e *previews.Environment) {
			e.Remove(previews.Removal{Reason: previews.RemovedClosed}, clock.Now())
		},
	} {
		if got, want := named(lives(t, s)[store.OfRepository].Idle), named(&rows[i]); got != want {
			t.Errorf("%q may be taken, want %q", got, want)
		}
		update(t, s, rows[i].RowID, change)
	}
	live := lives(t, s)[store.OfRepository]
	if named(live.Idle) != "7/pr-7" || live.Idle.RowID == 0 || live.Idle.Version == 0 || live.Count != 5 {
		t.Errorf("%d are there and %q may be taken, want pr-7 as it was read: %+v", live.Count, named(live.Idle), live.Idle)
	}
}

// taking is the outcome of a preview that comes in the place of the longest idle one.
func taking(t testing.TB, s *store.Store, pr int, now time.Time) (o store.Outcome, ok bool) {
	t.Helper()
	counted, err := s.LivePreviews(t.Context(), beside(pr))
	if err != nil {
		t.Fatal(err)
	}
	live := counted[store.OfRepository]
	if live.Idle == nil || !live.Idle.Take(previews.Removal{For: "acme/repo-7#1"}, now) {
		return o, false
	}
	next := Preview(7, pr, now)
	return store.Outcome{
		Delivery: fmt.Sprint("take-", pr), Environment: &next, Beside: beside(pr),
		Taken: []store.Taken{{Environment: live.Idle, Full: map[store.Scope]int{store.OfRepository: live.Count}}},
		Audit: []previews.Audit{{Actor: "ada", Action: "take", Environment: live.Idle.Ref.String(), Allowed: true}},
	}, true
}

// A preview is taken together with what comes in its place, or neither happens: once the
// previews are not as they were counted, it is decided again.
func testTaken(t *testing.T, open Open) {
	for name, moved := range map[string]func(t *testing.T, s *store.Store, old, young previews.Environment, now time.Time){
		"as it was": func(*testing.T, *store.Store, previews.Environment, previews.Environment, time.Time) {},
		"it was asked for": func(t *testing.T, s *store.Store, old, _ previews.Environment, now time.Time) {
			update(t, s, old.RowID, func(e *previews.Environment) { e.Extend(time.Hour, 1000*time.Hour, now) })
		},
		"it was pinned": func(t *testing.T, s *store.Store, old, _ previews.Environment, now time.Time) {
			update(t, s, old.RowID, func(e *previews.Environment) { e.Pin(now) })
		},
		"there is room": func(t *testing.T, s *store.Store, _, young previews.Environment, now time.Time) {
			update(t, s, young.RowID, func(e *previews.Environment) {
				e.Remove(previews.Removal{Reason: previews.RemovedClosed}, now)
			})
		},
		"there is less room": func(t *testing.T, s *store.Store, _, _ previews.Environment, now time.Time) {
			settled(t, s, 7, 9, now)
		},
		"another is longer idle": func(t *testing.T, s *store.Store, old, young previews.Environment, _ time.Time) {
			update(t, s, young.RowID, func(e *previews.Environment) {
				e.WantedAt, e.PushedAt = old.WantedAt.Add(-time.Hour), old.PushedAt.Add(-time.Hour)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			s := open(t, store.Options{Now: clock.Now})
			old := settled(t, s, 7, 2, clock.Now())
			young := settled(t, s, 7, 3, clock.Advance(time.Minute))
			now := clock.Advance(time.Hour)
			o, ok := taking(t, s, 1, now)
			if !ok {
				t.Fatal("there is nothing to take")
			}
			Deliver(t, s, store.Delivery{GUID: o.Delivery, RepositoryID: 7, PR: 1})
			moved(t, s, old, young, now)
			err := s.Apply(t.Context(), o)
			after, _ := s.Environment(t.Context(), 7, "pr-2")
			_, none := s.Environment(t.Context(), 7, "pr-1")
			audit, _ := s.AuditLog(t.Context(), store.AuditFilter{})
			if name == "as it was" {
				if err != nil || none != nil || after.Wanted != previews.Absent || after.Removal.Reason != previews.RemovedEvicted || after.Removal.For != "acme/repo-7#1" || len(audit) != 1 {
					t.Errorf("taken: %v, %v, %+v, audit %v", err, none, after.Removal, audit)
				}
				return
			}
			delivery, _ := s.Delivery(t.Context(), o.Delivery)
			taken := false
			for _, entry := range audit {
				taken = taken || entry.Action == "take"
			}
			if !errors.Is(err, previews.ErrStale) || !errors.Is(none, previews.ErrNotFound) || after.Wanted != previews.Present || taken || delivery.State != store.DeliveryPending {
				t.Errorf("%v; the new one: %v; the old one is wanted %s; audit %v; the delivery is %s", err, none, after.Wanted, audit, delivery.State)
			}
		})
	}
}

// Where what comes cannot be written, what would go for it stays.
func testTakenOrNeither(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	settled(t, s, 7, 2, clock.Now())
	now := clock.Advance(time.Hour)
	o, ok := taking(t, s, 1, now)
	if !ok {
		t.Fatal("there is nothing to take")
	}
	Deliver(t, s, store.Delivery{GUID: o.Delivery, RepositoryID: 7, PR: 1})
	Add(t, s, Preview(7, 1, now)) // another delivery made the row meanwhile
	err := s.Apply(t.Context(), o)
	after, _ := s.Environment(t.Context(), 7, "pr-2")
	audit, _ := s.AuditLog(t.Context(), store.AuditFilter{})
	if !errors.Is(err, previews.ErrStale) || after.Wanted != previews.Present || len(audit) != 0 {
		t.Errorf("%v; it is wanted %s; audit %v", err, after.Wanted, audit)
	}
	// Decided again, it goes, and once: what is applied is not applied again.
	for range 2 {
		row, _ := s.Environment(t.Context(), 7, "pr-1")
		again, _ := taking(t, s, 1, now)
		if o.Environment = &row; len(again.Taken) > 0 {
			o.Taken = again.Taken
		}
		if err := s.Apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	after, _ = s.Environment(t.Context(), 7, "pr-2")
	if audit, _ = s.AuditLog(t.Context(), store.AuditFilter{}); after.Removal.Reason != previews.RemovedEvicted || len(audit) != 1 {
		t.Errorf("it went by %+v; audit %v", after.Removal, audit)
	}
}

// Of many that come at once each takes another's place, and each place once.
func testTakenAtOnce(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	const places, comers = 4, 7
	for pr := range places {
		settled(t, s, 7, 100+pr, clock.Advance(time.Second))
	}
	now := clock.Advance(time.Hour)
	var group errgroup.Group
	for i := range comers {
		pr := i + 1
		Deliver(t, s, store.Delivery{GUID: fmt.Sprint("take-", pr), RepositoryID: 7, PR: pr})
		group.Go(func() error {
			for {
				o, ok := taking(t, s, pr, now)
				if !ok {
					return nil
				}
				if err := s.Apply(t.Context(), o); !errors.Is(err, previews.ErrStale) {
					return err
				}
			}
		})
	}
	rows := rowsAfter(t, s, &group, 7)
	came, went := 0, 0
	for _, row := range rows {
		switch {
		case row.PR < 100 && row.Wanted == previews.Present:
			came++
		case row.PR >= 100 && row.Wanted == previews.Absent:
			went++
		}
	}
	figure.Tell(t, "%d at once for %d places: %d came, %d went", comers, places, came, went)
	if came != places || went != places {
		t.Errorf("%d came and %d went, of %d places", came, went, places)
	}
}

// rowsAfter waits for a group, and returns the rows that a repository then has.
func rowsAfter(t *testing.T, s *store.Store, group *errgroup.Group, repositoryID int64) []previews.Environment {
	t.Helper()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Environments(t.Context(), store.Filter{RepositoryID: repositoryID})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
