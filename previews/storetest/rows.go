package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

func testApply(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	e := Preview(7, 42, clock.Now())
	e.Diff = "+everything"
	e.Problem = &previews.Problem{Kind: previews.ProblemSpec, SHA: e.SHA, Message: "no", Errors: []spec.Error{{Line: 3, Column: 9, Message: "no"}}, At: clock.Now()}
	e.Images = []previews.Image{{Service: "web", Reference: "example.com/web:1", Digest: "sha256:1"}}
	e.Fork = &previews.Fork{Base: "b", Taken: []string{"replicas"}, Left: []spec.Untaken{{Key: "image"}, {Key: "env.A", Why: "it refers"}}}
	e.Clear(previews.Approval{SHA: e.SHA, Into: "main", By: "ada", ByID: 3, At: clock.Now()})
	Deliver(t, s, store.Delivery{GUID: "one", RepositoryID: 7, PR: 42})
	outcome := store.Outcome{
		Delivery: "one", Environment: &e, Result: "decided",
		Effects: []store.Effect{{Kind: "reaction", CommentID: 9, Content: "eyes"}},
		Audit:   []previews.Audit{{ActorID: 3, Actor: "ada", Action: "extend 24h", Environment: "acme/repo-7/pr-42", Allowed: true, Reason: "write"}},
	}
	changed, cancel := s.Subscribe()
	defer cancel()
	if err := s.Apply(t.Context(), outcome); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was told of the change")
	}
	if e.RowID == 0 || e.Version != 1 {
		t.Errorf("row id %d, version %d", e.RowID, e.Version)
	}
	got, err := s.Environment(t.Context(), 7, "pr-42")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	// Again: the delivery is done, so nothing happens, whatever the outcome says.
	if err := s.Apply(t.Context(), outcome); err != nil {
		t.Errorf("repeated: %v", err)
	}
	effects, _ := s.PendingEffects(t.Context(), clock.Now(), 10)
	audit, _ := s.AuditLog(t.Context(), store.AuditFilter{Environment: "acme/repo-7/pr-42"})
	if len(effects) != 1 || len(audit) != 1 || audit[0].Delivery != "one" || !audit[0].At.Equal(clock.Now()) {
		t.Errorf("after repeating: effects %v, audit %v", effects, audit)
	}
	if d, _ := s.Delivery(t.Context(), "one"); d.State != store.DeliveryDone || d.Result != "decided" {
		t.Errorf("delivery: %+v", d)
	}
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "none"}); !errors.Is(err, previews.ErrNotFound) {
		t.Errorf("unknown delivery: %v", err)
	}
}

// A decision from an old row writes nothing: not the row, not an effect, and its
// delivery stays pending.
func testApplyStale(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	old := Add(t, s, Preview(7, 42, clock.Now()))
	fresh := update(t, s, old.RowID, func(e *previews.Environment) { e.Pin(clock.Now()) })
	Deliver(t, s, store.Delivery{GUID: "late", RepositoryID: 7, PR: 42})
	stale := old
	stale.Remove(previews.Removal{Reason: previews.RemovedClosed}, clock.Now())
	second := Preview(7, 42, clock.Now())
	for name, e := range map[string]*previews.Environment{"old version": &stale, "created twice": &second} {
		before := *e
		err := s.Apply(t.Context(), store.Outcome{Delivery: "late", Environment: e, Effects: []store.Effect{{Kind: "reply"}}})
		if !errors.Is(err, previews.ErrStale) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(before, *e); diff != "" {
			t.Errorf("%s: the caller's row was touched:\n%s", name, diff)
		}
	}
	got, _ := s.Environment(t.Context(), 7, "pr-42")
	if diff := cmp.Diff(fresh, got); diff != "" {
		t.Errorf("row (-want +got):\n%s", diff)
	}
	effects, _ := s.PendingEffects(t.Context(), clock.Now(), 10)
	d, _ := s.Delivery(t.Context(), "late")
	if len(effects) != 0 || d.State != store.DeliveryPending {
		t.Errorf("effects %v, delivery %s", effects, d.State)
	}
}

// Of many decisions from one version of a row exactly one is applied.
func testApplyAtOnce(t *testing.T, open Open) {
	s := open(t, store.Options{})
	row := Add(t, s, Preview(7, 42, time.Now()))
	const deciders = 20
	results := make([]error, deciders)
	var group errgroup.Group
	for i := range deciders {
		Deliver(t, s, store.Delivery{GUID: fmt.Sprint("d", i)})
		group.Go(func() error {
			mine := row
			mine.HeadRef = fmt.Sprint("branch-", i)
			results[i] = s.Apply(t.Context(), store.Outcome{Delivery: fmt.Sprint("d", i), Environment: &mine})
			return nil
		})
	}
	_ = group.Wait()
	applied := -1
	for i, err := range results {
		switch {
		case err == nil && applied >= 0:
			t.Errorf("both %d and %d were applied", applied, i)
		case err == nil:
			applied = i
		case !errors.Is(err, previews.ErrStale):
			t.Errorf("decider %d: %v", i, err)
		}
	}
	got, _ := s.Environment(t.Context(), 7, "pr-42")
	if got.HeadRef != fmt.Sprint("branch-", applied) || got.Version != 2 {
		t.Errorf("row has %s at version %d, %d was applied", got.HeadRef, got.Version, applied)
	}
}

func testEffects(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	for _, guid := range []string{"a", "b"} {
		Deliver(t, s, store.Delivery{GUID: guid})
		err := s.Apply(t.Context(), store.Outcome{Delivery: guid, Effects: []store.Effect{{Content: guid + "0"}, {Content: guid + "1"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	pending := func(want ...string) []store.Effect {
		t.Helper()
		effects, err := s.PendingEffects(t.Context(), clock.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, e := range effects {
			got = append(got, e.Content)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pending (-want +got):\n%s", diff)
		}
		return effects
	}
	first := pending("a0", "b0")
	if err := s.FinishEffect(t.Context(), first[0].ID); err != nil {
		t.Fatal(err)
	}
	at := clock.Now().Add(time.Minute)
	if err := s.RetryEffect(t.Context(), first[1].ID, at, "502"); err != nil {
		t.Fatal(err)
	}
	// b1 waits for b0, which waits for its time; a goes on.
	rest := pending("a1")
	if err := s.FinishEffect(t.Context(), rest[0].ID); err != nil {
		t.Fatal(err)
	}
	if next, ok, err := s.NextEffect(t.Context()); err != nil || !ok || next.After(at) {
		t.Errorf("next effect: %v, %v, %v", next, ok, err)
	}
	clock.Advance(time.Minute)
	if again := pending("b0"); again[0].Attempts != 1 || again[0].Error != "502" {
		t.Errorf("retried: %+v", again[0])
	}
	if err := s.FinishEffect(t.Context(), 12345); !errors.Is(err, previews.ErrNotFound) {
		t.Errorf("unknown effect: %v", err)
	}
}

func testUpdate(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	row := Add(t, s, Preview(7, 42, clock.Now()))
	broken := errors.New("broken")
	for name, fn := range map[string]func(*previews.Environment) error{
		"unchanged": func(e *previews.Environment) error { e.HeadRef = "lost"; return previews.ErrUnchanged },
		"error":     func(e *previews.Environment) error { e.HeadRef = "lost"; return broken },
	} {
		_, err := s.Update(t.Context(), row.RowID, fn)
		if name == "error" && !errors.Is(err, broken) || name == "unchanged" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := s.Environment(t.Context(), 7, "pr-42"); got.Version != row.Version || got.HeadRef != "topic" {
			t.Errorf("%s changed the row: %+v", name, got)
		}
	}
	if _, err := s.Update(t.Context(), 999, func(*previews.Environment) error { return nil }); !errors.Is(err, previews.ErrNotFound) {
		t.Errorf("unknown row: %v", err)
	}
	// Concurrent updates are one after the other: none is lost.
	var group errgroup.Group
	for range 20 {
		group.Go(func() error {
			_, err := s.Update(t.Context(), row.RowID, func(e *previews.Environment) error { e.ImageAttempts++; return nil })
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	got, _ := s.Environment(t.Context(), 7, "pr-42")
	if got.ImageAttempts != 20 || got.Version != row.Version+20 {
		t.Errorf("after 20 updates: %d counted, version %d", got.ImageAttempts, got.Version)
	}
}

func testUpdateAllOrNone(t *testing.T, open Open) {
	clock := NewClock()
	s := open(t, store.Options{Now: clock.Now})
	var ids []int64
	for pr := range 3 {
		ids = append(ids, Add(t, s, Preview(7, pr+1, clock.Now())).RowID)
	}
	broken := errors.New("broken")
	err := s.UpdateAll(t.Context(), ids, func(e *previews.Environment) error {
		if e.PR == 3 {
			return broken
		}
		e.HeadRef = "half"
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("error: %v", err)
	}
	err = s.UpdateAll(t.Context(), ids, func(e *previews.Environment) error {
		if e.HeadRef == "half" {
			t.Errorf("%s kept half a batch", e.Ref)
		}
		if e.PR == 2 {
			return previews.ErrUnchanged
		}
		e.HeadRef = "all"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.Environments(t.Context(), store.Filter{RepositoryID: 7})
	if err != nil || len(rows) != 3 {
		t.Fatalf("rows: %v, %v", rows, err)
	}
	for _, e := range rows {
		if want := map[int]string{1: "all", 2: "topic", 3: "all"}[e.PR]; e.HeadRef != want {
			t.Errorf("%s has %s, want %s", e.Ref, e.HeadRef, want)
		}
	}
}
