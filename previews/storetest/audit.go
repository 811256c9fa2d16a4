package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// entries reads the whole log and fails the test where its chain is broken.
func entries(t *testing.T, s *store.Store) []previews.Audit {
	t.Helper()
	var out []previews.Audit
	var chain previews.AuditChain
	err := s.EachAudit(t.Context(), 0, -1, func(a previews.Audit) error {
		if problem := chain.Check(a); problem != "" {
			t.Errorf("the audit log: %s", problem)
		}
		out = append(out, a)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if head, err := s.AuditHead(t.Context()); err != nil || head != chain {
		t.Errorf("the log ends at %v, its head is %v (%v)", chain, head, err)
	}
	return out
}

// What is written at once by many still makes one chain, and is found by each filter.
func testAudit(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	if head, err := s.AuditHead(t.Context()); err != nil || head != (previews.AuditChain{}) {
		t.Errorf("the head of an empty log is %v (%v)", head, err)
	}
	var writing sync.WaitGroup
	for i := range 20 {
		writing.Go(func() {
			guid := fmt.Sprintf("d%d", i)
			if _, err := s.AddDelivery(t.Context(), store.Delivery{GUID: guid, RepositoryID: 7, PR: i}); err != nil {
				t.Error(err)
			}
			outcome := store.Outcome{Delivery: guid, Audit: []previews.Audit{
				{ActorID: 3, Actor: "Ada", Action: "extend 24h", Environment: fmt.Sprintf("acme/web/pr-%d", i), SHA: "c0ffee", Allowed: true, Reason: "write <&>\u2028"},
				{ActorID: 4, Actor: "ben", Action: "extending", Environment: fmt.Sprintf("acme/web2/pr-%d", i), Reason: "no \xff such command"},
			}}
			if err := s.Apply(t.Context(), outcome); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	if all := entries(t, s); len(all) != 40 {
		t.Fatalf("%d entries", len(all))
	}
	clock.Advance(time.Hour)
	Deliver(t, s, store.Delivery{GUID: "late", RepositoryID: 7, PR: 9})
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "late", Audit: []previews.Audit{{Actor: "ada", Action: "pin", Environment: "acme/web/pr-1"}}}); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		filter store.AuditFilter
		want   int
	}{
		"all": {store.AuditFilter{}, 41}, "limit": {store.AuditFilter{Limit: 5}, 5},
		"repository": {store.AuditFilter{Repository: "Acme/Web"}, 21}, "environment": {store.AuditFilter{Environment: "acme/web/PR-1"}, 2},
		"actor": {store.AuditFilter{Actor: "ADA"}, 21}, "action": {store.AuditFilter{Action: "extend"}, 20}, "refused": {store.AuditFilter{Refused: true}, 21},
		"since": {store.AuditFilter{Since: clock.Now()}, 1}, "until": {store.AuditFilter{Until: clock.Now()}, 40},
		"actor by id": {store.AuditFilter{ActorID: 3}, 20}, "commit": {store.AuditFilter{SHA: "C0FF"}, 20}, "another commit": {store.AuditFilter{SHA: "c0ffee1"}, 0},
		"delivery": {store.AuditFilter{Delivery: "d3"}, 2}, "pull request": {store.AuditFilter{Repository: "acme/web", PR: 1}, 2},
		"pull request by its events": {store.AuditFilter{Repository: "acme/web", PR: 9}, 2},
		"all of it":                  {store.AuditFilter{Repository: "acme/web", Actor: "ada", Since: clock.Now(), Refused: true}, 1},
	} {
		got, err := s.AuditLog(t.Context(), test.filter)
		if err != nil || len(got) != test.want {
			t.Errorf("%s: %d entries, want %d (%v)", name, len(got), test.want, err)
		}
		if !slices.IsSortedFunc(got, func(a, b previews.Audit) int { return int(b.Seq - a.Seq) }) {
			t.Errorf("%s: not the newest first", name)
		}
	}
	for _, seq := range []int64{0, 17, 40} {
		if got, err := s.AuditExported(t.Context(), "-"); err != nil || got != seq {
			t.Errorf("copied up to %d, want %d (%v)", got, seq, err)
		}
		if err := s.SetAuditExported(t.Context(), "-", seq+17+seq/17*6); err != nil {
			t.Fatal(err)
		}
	}
}

// What idp decides without being asked is told in the transaction that does it, and
// how far something has come is not.
func testAuditOfItself(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	row := Add(t, s, Preview(7, 42, clock.Now()))
	commit(t, s, row.RowID, clock.Now())
	if got := entries(t, s); len(got) != 0 {
		t.Errorf("a commit is no decision: %v", got)
	}
	update(t, s, row.RowID, func(e *previews.Environment) { e.Postpone(e.ExpiresAt.Add(time.Hour), clock.Now()) })
	update(t, s, row.RowID, func(e *previews.Environment) {
		e.Fail(previews.Problem{Kind: previews.ProblemPush, SHA: e.SHA, Message: "it refuses"}, clock.Now())
	})
	update(t, s, row.RowID, func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedExpired}, clock.Now())
	})
	deleted := Add(t, s, Preview(7, 43, clock.Now()))
	update(t, s, deleted.RowID, func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedDeleted, By: "ada", ByID: 3}, clock.Now())
	})
	if err := s.ConfirmBreaker(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range entries(t, s) {
		got = append(got, fmt.Sprintf("%s/%d %s %s %t: %s", a.Actor, a.ActorID, a.Action, a.Environment, a.Allowed, a.Reason))
	}
	want := []string{
		"idp/0 postpone acme/repo-7/pr-42 true: nobody had been told that it expires",
		"idp/0 refuse acme/repo-7/pr-42 false: it refuses",
		"idp/0 remove acme/repo-7/pr-42 true: preview removed: it expired",
		"ada/3 remove acme/repo-7/pr-43 true: preview removed: the repository was deleted",
		"root/0 confirm removals  true: by the operator of the server",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("audit log (-want +got):\n%s", diff)
	}
}
