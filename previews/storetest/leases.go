package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// One at a time has a lease; it can be had again when it was given back, which is no
// taking over. The context of whoever has it ends with it.
func testLeases(t *testing.T, open Open) {
	s := open(t, store.Options{})
	e := Add(t, s, Preview(1, 1, NewClock().Now()))
	change := func(ctx context.Context) error {
		_, err := s.Update(ctx, e.RowID, func(e *previews.Environment) error { e.ImageAttempts++; return nil })
		return err
	}
	var first store.Lease
	var after context.Context
	held, err := s.Hold(t.Context(), "reap", func(ctx context.Context, lease store.Lease) error {
		first, after = lease, ctx
		if again, err := s.Hold(t.Context(), "reap", nil); again || err != nil {
			t.Errorf("held twice: %v, %v", again, err)
		}
		if other, err := s.Hold(t.Context(), "sweep", func(context.Context, store.Lease) error { return nil }); !other || err != nil {
			t.Errorf("another lease: %v, %v", other, err)
		}
		return change(ctx)
	})
	if !held || err != nil || first.TakenOver || after.Err() == nil {
		t.Fatalf("held %v, %v: %+v, then %v", held, err, first, after.Err())
	}
	failure := errors.New("no")
	held, err = s.Hold(t.Context(), "reap", func(_ context.Context, lease store.Lease) error {
		if lease.TakenOver || lease.Token <= first.Token {
			t.Errorf("after %+v: %+v", first, lease)
		}
		// What still works by the first has come too late.
		if err := change(context.WithoutCancel(after)); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("by a lease of before: %v", err)
		}
		return failure
	})
	if !held || !errors.Is(err, failure) {
		t.Errorf("held %v, %v", held, err)
	}
	if e := update(t, s, e.RowID, func(*previews.Environment) {}); e.ImageAttempts != 1 {
		t.Errorf("%d changes, want that of the first alone", e.ImageAttempts)
	}
}
