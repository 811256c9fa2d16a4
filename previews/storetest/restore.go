package storetest

import (
	"errors"
	"testing"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// testRestore fills an empty database, refuses one that is not, and adds to it what is
// missing where that is asked for, leaving the rest as it is.
func testRestore(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	row := func(pr int) store.Restored {
		return store.Restored{Environment: Preview(1, pr, clock.Now()), Report: store.Report{CheckSHA: "c0ffee", CommentPR: pr}, Reason: "from tree 7ree"}
	}
	added, err := s.Restore(t.Context(), []store.Restored{row(1), row(2)}, "ops", false)
	if err != nil || len(added) != 2 || added[0].RowID == 0 {
		t.Fatalf("added %d rows: %v", len(added), err)
	}
	due, err := s.Unreported(t.Context(), clock.Now(), 10)
	if err != nil || len(due) != 2 || due[0].Report.CheckSHA != "c0ffee" || due[0].Report.CommentPR != 1 {
		t.Errorf("to be reported are %+v: %v", due, err)
	}
	entries, err := s.AuditLog(t.Context(), store.AuditFilter{Limit: 10})
	if err != nil || len(entries) != 2 || entries[0].Actor != "ops" || entries[0].Action != "rebuild" || entries[0].Reason != "from tree 7ree" {
		t.Errorf("the audit log has %+v: %v", entries, err)
	}
	if _, err := s.Restore(t.Context(), []store.Restored{row(3)}, "ops", false); !errors.Is(err, store.ErrNotEmpty) {
		t.Errorf("a database that has environments: %v", err)
	}
	changed := row(1)
	changed.Environment.Author = "somebody else"
	added, err = s.Restore(t.Context(), []store.Restored{changed, row(3)}, "ops", true)
	if err != nil || len(added) != 1 || added[0].PR != 3 {
		t.Errorf("merged: %+v, %v", added, err)
	}
	if one, err := s.Environment(t.Context(), 1, "pr-1"); err != nil || one.Author != "ada" || one.Version != 1 {
		t.Errorf("what was there is now %+v: %v", one, err)
	}
	// One of which nothing was ever written learns what stands in Git, and still wants what
	// it wanted, by a generation that Git has not seen.
	held := row(2)
	held.Environment.Resolve(nil, clock.Now())
	held.Environment.Generation, held.Environment.ResolvedGeneration = 7, 7
	held.Environment.Commit(previews.Applied{Generation: 7, SHA: "01d", Commit: "c0ffee", Tree: "7ree", At: clock.Now()})
	if any, err := s.AnyCommitted(t.Context()); err != nil || any {
		t.Errorf("something is in Git: %t, %v", any, err)
	}
	added, err = s.Restore(t.Context(), []store.Restored{held}, "ops", true)
	if err != nil || len(added) != 1 || added[0].Tree != "7ree" || added[0].Generation != 8 || added[0].AppliedGeneration != 7 || !added[0].NeedsImages() {
		t.Errorf("adopted: %+v, %v", added, err)
	}
	if any, err := s.AnyCommitted(t.Context()); err != nil || !any {
		t.Errorf("something is in Git: %t, %v", any, err)
	}
	if added, err = s.Restore(t.Context(), []store.Restored{held}, "ops", true); err != nil || len(added) != 0 {
		t.Errorf("adopted twice: %+v, %v", added, err)
	}
	// All of them or none.
	twice := row(4)
	twice.Environment.Ref.RepositoryID = 2 // in the folder of another repository
	if _, err := s.Restore(t.Context(), []store.Restored{row(4), twice}, "ops", true); err == nil {
		t.Error("two rows have one folder")
	}
	if all, err := s.Environments(t.Context(), store.Filter{}); err != nil || len(all) != 3 {
		t.Errorf("there are %d rows: %v", len(all), err)
	}
}
