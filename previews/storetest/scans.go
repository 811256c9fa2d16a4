package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// The k-th environment of every repository comes before the k+1-th of any.
func testRoundRobin(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	for _, at := range []struct {
		repository int64
		pr         int
	}{{1, 1}, {1, 2}, {1, 3}, {2, 4}, {1, 5}, {3, 6}, {3, 7}} {
		e := Preview(at.repository, at.pr, clock.Advance(time.Second))
		e.Resolve(nil, clock.Now())
		Add(t, s, e)
	}
	for limit, want := range map[int][]string{
		100: {"1/pr-1", "2/pr-4", "3/pr-6", "1/pr-2", "3/pr-7", "1/pr-3", "1/pr-5"},
		4:   {"1/pr-1", "2/pr-4", "3/pr-6", "1/pr-2"},
	} {
		got, err := s.Uncommitted(t.Context(), gitops.Lane{}, limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, names(got)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

// Each lane has its own work, and one without any is not listed.
func testLanes(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	elsewhere := gitops.Lane{URL: "https://git.example.com/acme/production.git", Branch: "main"}
	proposed := gitops.Lane{Proposed: true}
	rows := map[gitops.Lane]int64{}
	for i, lane := range []gitops.Lane{{}, elsewhere, proposed} {
		e := Preview(1, i+1, clock.Now())
		e.Lane = lane
		e.Resolve(nil, clock.Now())
		rows[lane] = Add(t, s, e).RowID
	}
	for lane, row := range rows {
		got, err := s.Uncommitted(t.Context(), lane, 10)
		if err != nil || len(got) != 1 || got[0].RowID != row || got[0].Lane != lane {
			t.Errorf("uncommitted in %s: %v, %v", lane, names(got), err)
		}
	}
	lanes := func(want ...gitops.Lane) {
		t.Helper()
		got, err := s.Lanes(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("lanes (-want +got), error %v:\n%s", err, diff)
		}
	}
	lanes(proposed, elsewhere)
	commit(t, s, rows[elsewhere], clock.Now())
	update(t, s, rows[proposed], func(e *previews.Environment) {
		e.Propose(previews.Proposal{Generation: e.Generation, Branch: "idp/x", Tree: "1"})
		e.Offer("idp/x", previews.Proposal{Number: 7})
	})
	lanes(proposed)
	if got, err := s.Uncommitted(t.Context(), proposed, 10); err != nil || len(got) != 0 {
		t.Errorf("what is proposed is still to be: %v, %v", names(got), err)
	}
	if got, err := s.Proposed(t.Context(), proposed); err != nil || len(got) != 1 || got[0].State() != previews.StateProposed {
		t.Errorf("proposed: %v, %v", names(got), err)
	}
	// A class may come to push what it proposed before.
	update(t, s, rows[proposed], func(e *previews.Environment) { e.Lane = gitops.Lane{} })
	lanes(gitops.Lane{})
}

func testScans(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	now := clock.Now()
	waiting := Add(t, s, Preview(1, 1, now))
	later := Preview(1, 2, now)
	later.NextImageCheck = now.Add(time.Minute)
	Add(t, s, later)
	done := Add(t, s, Preview(1, 3, now))
	commit(t, s, done.RowID, now)
	pinned := Add(t, s, Preview(1, 4, now))
	update(t, s, pinned.RowID, func(e *previews.Environment) { e.Pin(now); e.Resolve(nil, now) })
	removed := Add(t, s, Preview(1, 5, now))
	commit(t, s, removed.RowID, now)
	update(t, s, removed.RowID, func(e *previews.Environment) { e.Remove(previews.Removal{Reason: previews.RemovedClosed}, now) })

	check := func(name string, got []previews.Environment, err error, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), names(got)); diff != "" || err != nil {
			t.Errorf("%s (-want +got), error %v:\n%s", name, err, diff)
		}
	}
	rows, err := s.AwaitingImages(t.Context(), now, 10)
	check("images due", rows, err, "1/pr-1")
	rows, err = s.AwaitingImages(t.Context(), now.Add(time.Minute), 10)
	check("images due later", rows, err, "1/pr-1", "1/pr-2")
	rows, err = s.Uncommitted(t.Context(), gitops.Lane{}, 10)
	check("uncommitted", rows, err, "1/pr-4", "1/pr-5")
	rows, err = s.CommittedIn(t.Context(), 1)
	check("committed", rows, err, "1/pr-3", "1/pr-5")
	rows, err = s.Environments(t.Context(), store.Filter{Live: true, HeadSHA: done.HeadSHA})
	check("by head", rows, err, "1/pr-3")
	rows, err = s.Environments(t.Context(), store.Filter{State: previews.StateRemoving})
	check("by state", rows, err, "1/pr-5")
	expiry := waiting.ExpiresAt
	rows, err = s.Expiring(t.Context(), expiry, previews.Environment{}, 2)
	check("expiring", rows, err, "1/pr-1", "1/pr-2")
	rows, err = s.Expiring(t.Context(), expiry, rows[1], 2)
	check("expiring, next page", rows, err, "1/pr-3")
	rows, err = s.Expiring(t.Context(), expiry.Add(-1), previews.Environment{}, 2)
	check("expiring a moment before", rows, err)

	if next, ok, err := s.NextImageCheck(t.Context()); err != nil || !ok || !next.Equal(now) {
		t.Errorf("next image check: %v, %v, %v", next, ok, err)
	}
	// A row from a list has no diff; writing it keeps the one that is stored.
	committed, _ := s.CommittedIn(t.Context(), 1)
	row := committed[0]
	Deliver(t, s, store.Delivery{GUID: "from list"})
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "from list", Environment: &row}); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Environment(t.Context(), 1, "pr-3"); got.Diff != "+web" {
		t.Errorf("diff is %q", got.Diff)
	}
}

func testReports(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	now := clock.Now()
	progress := Add(t, s, Preview(1, 1, now))
	ready := Add(t, s, Preview(1, 2, now))
	commit(t, s, ready.RowID, now)
	failed := Add(t, s, Preview(1, 3, now))
	update(t, s, failed.RowID, func(e *previews.Environment) {
		e.Fail(previews.Problem{Kind: previews.ProblemImage, Message: "never came"}, now)
	})
	unreported := func(want ...string) []store.Reportable {
		t.Helper()
		list, err := s.Unreported(t.Context(), clock.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, r := range list {
			got = append(got, r.Environment.Ref.ID)
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Fatalf("unreported (-want +got):\n%s", diff)
		}
		return list
	}
	list := unreported("pr-3", "pr-2", "pr-1")
	if list[1].Environment.Diff != "+web" {
		t.Errorf("diff is %q", list[1].Environment.Diff)
	}
	for _, r := range list {
		r.Report.CommentID = 100 + r.Environment.RowID
		r.Report.ReportedVersion = r.Environment.Version
		if err := s.SaveReport(t.Context(), r.Environment.RowID, r.Report); err != nil {
			t.Fatal(err)
		}
	}
	unreported()
	// A change makes it due again, with what was said before; not before its time.
	changed := update(t, s, progress.RowID, func(e *previews.Environment) { e.Warn(now) })
	held, err := s.Report(t.Context(), progress.RowID)
	if err != nil || held.CommentID != 100+progress.RowID || changed.Version != held.ReportedVersion+1 {
		t.Errorf("report %+v of version %d, error %v", held, changed.Version, err)
	}
	held.NotBefore, held.Attempts, held.LastError = now.Add(time.Minute), 1, "502"
	if err := s.SaveReport(t.Context(), progress.RowID, held); err != nil {
		t.Fatal(err)
	}
	unreported()
	if next, ok, err := s.NextReport(t.Context()); err != nil || !ok || !next.Equal(held.NotBefore) {
		t.Errorf("next report: %v, %v, %v", next, ok, err)
	}
	clock.Advance(time.Minute)
	if again := unreported("pr-1"); again[0].Report.LastError != "502" || again[0].Report.CommentID != held.CommentID {
		t.Errorf("report: %+v", again[0].Report)
	}
	if err := s.SaveReport(t.Context(), 999, store.Report{}); !errors.Is(err, previews.ErrNotFound) {
		t.Errorf("unknown row: %v", err)
	}
}

// The first five inferred removals pass, the sixth latches the breaker and is
// refused until somebody confirms; removals on evidence never count.
func testBreaker(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	var ids []int64
	for pr := range 12 {
		ids = append(ids, Add(t, s, Preview(1, pr+1, clock.Now())).RowID)
	}
	remove := func(i int, inferred bool) error {
		_, err := s.Update(t.Context(), ids[i], func(e *previews.Environment) error {
			e.Remove(previews.Removal{Reason: previews.RemovedClosed, Inferred: inferred}, clock.Now())
			return nil
		})
		return err
	}
	for i := range 5 {
		if err := remove(i, true); err != nil {
			t.Fatalf("removal %d: %v", i, err)
		}
	}
	if err := remove(5, false); err != nil {
		t.Errorf("a removal on evidence: %v", err)
	}
	if err := remove(6, true); !errors.Is(err, previews.ErrBreaker) {
		t.Fatalf("the sixth: %v", err)
	}
	state, err := s.Breaker(t.Context())
	if err != nil || !state.Latched || state.Reason == "" || !state.At.Equal(clock.Now()) {
		t.Errorf("breaker: %+v, %v", state, err)
	}
	// It stays latched however long nobody looks, and writes nothing of a decision.
	clock.Advance(48 * time.Hour)
	row, _ := s.Environment(t.Context(), 1, "pr-7")
	row.Remove(previews.Removal{Reason: previews.RemovedClosed, Inferred: true}, clock.Now())
	Deliver(t, s, store.Delivery{GUID: "swept"})
	err = s.Apply(t.Context(), store.Outcome{Delivery: "swept", Environment: &row, Effects: []store.Effect{{Kind: "reply"}}})
	effects, _ := s.PendingEffects(t.Context(), clock.Now(), 10)
	if d, _ := s.Delivery(t.Context(), "swept"); !errors.Is(err, previews.ErrBreaker) || d.State != store.DeliveryPending || len(effects) != 0 {
		t.Errorf("apply while latched: %v, delivery %s, effects %v", err, d.State, effects)
	}
	if err := s.ConfirmBreaker(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "swept", Environment: &row}); err != nil {
		t.Errorf("apply after confirming: %v", err)
	}
	if n, err := s.InferredRemovals(t.Context(), clock.Now().Add(-time.Hour)); err != nil || n != 1 {
		t.Errorf("%d removals counted, error %v", n, err)
	}
}

// A pause holds until it is resumed, and says who and why; a second one changes nothing.
func testPause(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	if paused, err := s.Paused(t.Context()); err != nil || paused != (previews.Pause{}) {
		t.Errorf("a new store: %+v, %v", paused, err)
	}
	since := clock.Now()
	for i, by := range []string{"ada", "eve"} {
		after, err := s.Pause(t.Context(), by, "upgrade "+by)
		if want := (previews.Pause{Paused: true, Reason: "upgrade ada", By: "ada", At: since}); err != nil || after != want {
			t.Errorf("pause %d: %+v, %v", i, after, err)
		}
		clock.Advance(time.Hour)
	}
	was, err := s.Resume(t.Context(), "eve")
	if err != nil || !was.Paused || was.By != "ada" {
		t.Errorf("resume: it was %+v, %v", was, err)
	}
	if was, err = s.Resume(t.Context(), "eve"); err != nil || was.Paused {
		t.Errorf("resume again: it was %+v, %v", was, err)
	}
	if paused, err := s.Paused(t.Context()); err != nil || paused.Paused || paused.Reason != "" {
		t.Errorf("resumed: %+v, %v", paused, err)
	}
	var told []string
	entries, err := s.AuditLog(t.Context(), store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range entries {
		told = append(told, a.Actor+" "+a.Action)
	}
	slices.Sort(told)
	if want := []string{"ada pause", "eve resume"}; !slices.Equal(told, want) {
		t.Errorf("the audit log has %v, want %v", told, want)
	}
}

// A database is for a server that acts or for one that only observes, never for both.
func testObserve(t *testing.T, open Open) {
	used := func(s *store.Store) { Deliver(t, s, store.Delivery{GUID: "any"}) }
	for name, test := range map[string]struct {
		first, then bool
		err         error
	}{
		"acts":             {false, false, nil},
		"observes":         {true, true, nil},
		"acts, observes":   {false, true, store.ErrNotObserved},
		"observed, to act": {true, false, store.ErrObserved},
	} {
		s := open(t, store.Options{})
		if err := s.Observe(t.Context(), test.first); err != nil {
			t.Errorf("%s: a new database: %v", name, err)
		}
		used(s)
		if err := s.Observe(t.Context(), test.then); !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", name, err, test.err)
		}
	}
}
