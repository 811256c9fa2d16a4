package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// due lists whom Unreported returns.
func due(t *testing.T, s *store.Store, now time.Time, limit int) []string {
	t.Helper()
	list, err := s.Unreported(t.Context(), now, limit)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]previews.Environment, len(list))
	for i, one := range list {
		out[i] = one.Environment
	}
	return names(out)
}

// Of one rank the longest waiting is reported first: an environment that changes
// all the time gets in nobody's way, whatever its row's number.
func testReportsLongestFirst(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	busy := Add(t, s, Preview(1, 1, clock.Now()))
	clock.Advance(time.Second)
	Add(t, s, Preview(2, 1, clock.Now()))
	for range 3 {
		// It changes while it is being reported, and again before the next one.
		clock.Advance(time.Second)
		update(t, s, busy.RowID, func(e *previews.Environment) { e.Warn(clock.Now()) })
		if err := s.SaveReport(t.Context(), busy.RowID, store.Report{ReportedVersion: busy.Version}); err != nil {
			t.Fatal(err)
		}
		busy = update(t, s, busy.RowID, func(e *previews.Environment) { e.Warn(clock.Now()) })
		if got := due(t, s, clock.Now(), 1); !slices.Equal(got, []string{"2/pr-1"}) {
			t.Fatalf("the busy one starves the other: %v", got)
		}
	}
}

// A parked report is not due at any time, whatever becomes of its row, until the
// repository's are resumed.
func testReportsParked(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	said := Add(t, s, Preview(1, 1, clock.Now()))
	told := Add(t, s, Preview(1, 2, clock.Now()))
	Add(t, s, Preview(2, 1, clock.Now()))
	if err := s.SaveReport(t.Context(), said.RowID, store.Report{Parked: true, LastError: "no access"}); err != nil {
		t.Fatal(err)
	}
	if err := s.ParkReports(t.Context(), []int64{told.RowID}); err != nil {
		t.Fatal(err)
	}
	update(t, s, said.RowID, func(e *previews.Environment) { e.Warn(clock.Now()) })
	year := 365 * 24 * time.Hour
	if got := due(t, s, clock.Now().Add(year), 9); !slices.Equal(got, []string{"2/pr-1"}) {
		t.Fatalf("due are %v", got)
	}
	for _, want := range []int{2, 0} {
		if n, err := s.ResumeReports(t.Context(), 1); err != nil || n != want {
			t.Fatalf("resumed %d, want %d, %v", n, want, err)
		}
	}
	if got := due(t, s, clock.Now(), 9); len(got) != 3 {
		t.Fatalf("due are %v", got)
	}
	// One that was given up waits for something new to say.
	if err := s.SaveReport(t.Context(), told.RowID, store.Report{GivenUp: true}); err != nil {
		t.Fatal(err)
	}
	if got := due(t, s, clock.Now().Add(year), 9); len(got) != 2 {
		t.Fatalf("due are %v", got)
	}
	update(t, s, told.RowID, func(e *previews.Environment) { e.Warn(clock.Now()) })
	if got := due(t, s, clock.Now(), 9); len(got) != 3 {
		t.Fatalf("due are %v", got)
	}
	// With nothing but parked ones there is no next report.
	for _, row := range []int64{1, 2, 3} {
		if err := s.SaveReport(t.Context(), row, store.Report{Parked: true}); err != nil {
			t.Fatal(err)
		}
	}
	if next, ok, err := s.NextReport(t.Context()); err != nil || ok {
		t.Errorf("next report at %v, %v", next, err)
	}
}

// A pace holds back what else there is to say of a rollout under way, and neither a
// verdict nor a newer commit, whichever comes first.
func testReportsPaced(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	until := clock.Now().Add(10 * time.Second)
	// moving is an environment whose rollout is under way.
	moving := func(pr int) previews.Environment {
		e := Preview(1, pr, clock.Now())
		e.Resolve(nil, clock.Now())
		e.Commit(previews.Applied{Generation: 1, SHA: e.SHA, Commit: "c", Tree: "t", Watched: true, At: clock.Now()})
		return Add(t, s, e)
	}
	see := func(row previews.Environment, health, message string) previews.Environment {
		return update(t, s, row.RowID, func(e *previews.Environment) {
			e.Observed = &previews.Observation{Generation: e.AppliedGeneration, Sync: "Synced", Health: health, Message: message}
		})
	}
	pace := func(row previews.Environment) {
		r := store.Report{ReportedVersion: row.Version, CheckSHA: row.HeadSHA, NotBefore: until, Paced: true}
		if err := s.SaveReport(t.Context(), row.RowID, r); err != nil {
			t.Fatal(err)
		}
	}
	progress, verdict, pushed, raced := moving(1), moving(2), moving(3), moving(4)
	for _, row := range []previews.Environment{progress, verdict, pushed} {
		pace(row)
		see(row, "Progressing", "1 of 2")
	}
	// This one's verdict comes while it is being reported that it moves.
	see(raced, "Healthy", "")
	pace(raced)
	if got := due(t, s, clock.Now(), 9); !slices.Equal(got, []string{"1/pr-4"}) {
		t.Fatalf("due are %v", got)
	}
	if next, ok, err := s.NextReport(t.Context()); err != nil || !ok || next.After(clock.Now()) {
		t.Errorf("next report at %v, %v, %v", next, ok, err)
	}
	see(verdict, "Degraded", "crash loop")
	update(t, s, pushed.RowID, func(e *previews.Environment) { e.SeeHead("another", "branch", clock.Now()) })
	if got := due(t, s, clock.Now(), 9); len(got) != 3 || slices.Contains(got, "1/pr-1") {
		t.Fatalf("due are %v", got)
	}
	clock.Advance(10 * time.Second)
	if got := due(t, s, clock.Now(), 9); len(got) != 4 {
		t.Fatalf("due are %v", got)
	}
}
