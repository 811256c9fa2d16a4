package storetest

import (
	"testing"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// What is rendered anew on somebody's word is due to be committed, and in the log with who
// that was; nothing is, of a generation that is not the newest, or of what is held.
func testRerender(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	row := Preview(7, 42, clock.Now())
	row.Resolve(nil, clock.Now())
	row.Commit(previews.Applied{Generation: row.Generation, SHA: row.SHA, Commit: "c", Tree: "t", At: clock.Now()})
	row = Add(t, s, row)
	before := len(entries(t, s))
	if asked, err := s.Rerender(t.Context(), row.RowID, row.Generation-1, "ops"); asked || err != nil {
		t.Errorf("an older generation: %v, %v", asked, err)
	}
	if asked, err := s.Rerender(t.Context(), row.RowID, row.Generation, "ops"); !asked || err != nil {
		t.Fatalf("%v, %v", asked, err)
	}
	got, err := s.Environment(t.Context(), 7, "pr-42")
	if err != nil || !got.NeedsCommit() || got.SHA != row.SHA || got.Generation != row.Generation+1 || !got.ExpiresAt.Equal(row.ExpiresAt) {
		t.Errorf("it is %+v, %v", got, err)
	}
	if asked, err := s.Rerender(t.Context(), row.RowID, got.Generation, "ops"); asked || err != nil {
		t.Errorf("what is not committed yet: %v, %v", asked, err)
	}
	log := entries(t, s)[before:]
	if len(log) != 1 || log[0].Actor != "ops" || log[0].Action != "render anew" || log[0].Environment != row.Ref.String() || log[0].SHA != row.SHA || !log[0].Allowed {
		t.Errorf("the log has %+v", log)
	}
}
