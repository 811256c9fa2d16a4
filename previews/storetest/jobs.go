package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/idp-bot/idp/previews/store"
)

// patience is how long the suite waits for something that must happen.
const patience = 20 * time.Second

func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("timed out waiting for %s", what)
		panic("unreachable")
	}
}

func start(t *testing.T, s *store.Store, jobs store.Jobs) {
	t.Helper()
	if err := s.StartJobs(t.Context(), jobs); err != nil {
		t.Fatal(err)
	}
}

// Deliveries from before the start and after it are handled once; those that were
// done meanwhile are left alone; one that fails is handled again.
func testJobsHandle(t *testing.T, open Open) {
	s := open(t, store.Options{Retry: []time.Duration{time.Millisecond, time.Millisecond}})
	Deliver(t, s, store.Delivery{GUID: "before", Payload: []byte("payload")})
	Deliver(t, s, store.Delivery{GUID: "already done"})
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "already done", Result: "done"}); err != nil {
		t.Fatal(err)
	}
	handled := make(chan store.Delivery, 10)
	start(t, s, store.Jobs{Handle: func(ctx context.Context, d store.Delivery) error {
		handled <- d
		switch {
		case d.GUID == "fails once" && d.Attempts == 0:
			return errors.New("not today")
		case d.GUID == "panics once" && d.Attempts == 0:
			panic("ouch")
		}
		return s.Apply(ctx, store.Outcome{Delivery: d.GUID, Result: "handled"})
	}})
	if d := receive(t, "the delivery from before", handled); d.GUID != "before" || string(d.Payload) != "payload" {
		t.Errorf("handled %+v", d)
	}
	for _, guid := range []string{"fails once", "panics once"} {
		Deliver(t, s, store.Delivery{GUID: guid})
		first, second := receive(t, guid, handled), receive(t, guid+", again", handled)
		if first.GUID != guid || second.GUID != guid || second.Attempts != 1 || second.Error == "" {
			t.Errorf("handled %+v, then %+v", first, second)
		}
	}
	stop(t, s)
	for _, guid := range []string{"before", "already done", "fails once", "panics once"} {
		if d, err := s.Delivery(t.Context(), guid); err != nil || d.State != store.DeliveryDone {
			t.Errorf("%s is %s, error %v", guid, d.State, err)
		}
	}
	if len(handled) != 0 {
		t.Errorf("handled again: %v", <-handled)
	}
}

func stop(t *testing.T, s *store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.StopJobs(ctx); err != nil {
		t.Fatal(err)
	}
}

// One delivery that never works dies after its last attempt, holds up no other,
// and can be brought back, by hand or by GitHub delivering it again.
func testJobsDie(t *testing.T, open Open) {
	s := open(t, store.Options{Retry: []time.Duration{time.Millisecond, time.Millisecond}})
	attempts, healthy := make(chan int, 100), make(chan string, 100)
	failed := make(chan string, 100)
	start(t, s, store.Jobs{Workers: 1, Failed: func(kind string) { failed <- kind }, Handle: func(ctx context.Context, d store.Delivery) error {
		if d.GUID != "poison" {
			healthy <- d.GUID
			return nil
		}
		attempts <- d.Attempts
		return errors.New("bad payload")
	}})
	Deliver(t, s, store.Delivery{GUID: "poison", Payload: []byte("{}")})
	for i := range 3 {
		if got := receive(t, "an attempt", attempts); got != i {
			t.Errorf("attempt %d saw %d failures", i, got)
		}
		Deliver(t, s, store.Delivery{GUID: fmt.Sprint("healthy ", i)})
		receive(t, "a healthy delivery", healthy)
	}
	await(t, s, "poison", store.DeliveryDead)
	for range 3 {
		if kind := receive(t, "a failure", failed); kind != "delivery" {
			t.Errorf("counted as %q", kind)
		}
	}
	dead, err := s.Deliveries(t.Context(), store.DeliveryDead, 10)
	if err != nil || len(dead) != 1 || dead[0].Attempts != 3 || dead[0].Error != "bad payload" {
		t.Errorf("dead: %+v, %v", dead, err)
	}
	if err := s.Replay(t.Context(), "poison", "root"); err != nil {
		t.Fatal(err)
	}
	receive(t, "the replayed attempt", attempts)
	await(t, s, "poison", store.DeliveryDead)
	if stored, err := s.AddDelivery(t.Context(), store.Delivery{GUID: "poison"}); err != nil || !stored {
		t.Errorf("redelivered: stored %v, error %v", stored, err)
	}
	if err := s.Replay(t.Context(), "healthy 0", "root"); err == nil {
		t.Error("a delivery that is done was replayed")
	}
	log := entries(t, s)
	if len(log) != 1 || log[0].Actor != "root" || log[0].Action != "replay delivery" || log[0].Delivery != "poison" || !log[0].Allowed {
		t.Errorf("audited: %+v", log)
	}
}

// await waits until a delivery has come to a state; it reads, because the store
// tells nobody of that.
func await(t *testing.T, s *store.Store, guid string, want store.DeliveryState) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		d, err := s.Delivery(t.Context(), guid)
		if err != nil {
			t.Fatal(err)
		}
		if d.State == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s is %s, want %s", guid, d.State, want)
		}
	}
}

// Stopping waits for what is under way; what is cut short begins anew and that
// does not count as an attempt.
func testJobsDrain(t *testing.T, open Open) {
	s := open(t, store.Options{})
	started, release := make(chan string, 2), make(chan struct{})
	jobs := store.Jobs{Handle: func(ctx context.Context, d store.Delivery) error {
		started <- d.GUID
		select {
		case <-release:
			return s.Apply(ctx, store.Outcome{Delivery: d.GUID})
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	start(t, s, jobs)
	Deliver(t, s, store.Delivery{GUID: "cut short"})
	receive(t, "the handler", started)
	if err := s.StartJobs(t.Context(), jobs); err == nil {
		t.Error("jobs were started twice")
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.StopJobs(impatient); err != nil {
		t.Fatal(err)
	}
	if d, _ := s.Delivery(t.Context(), "cut short"); d.State != store.DeliveryPending || d.Attempts != 0 {
		t.Errorf("cut short: %+v", d)
	}
	start(t, s, jobs)
	receive(t, "the handler after the restart", started)
	stopped := make(chan error, 1)
	go func() { stopped <- s.StopJobs(context.WithoutCancel(t.Context())) }()
	close(release)
	if err := receive(t, "the drain", stopped); err != nil {
		t.Fatal(err)
	}
	if d, _ := s.Delivery(t.Context(), "cut short"); d.State != store.DeliveryDone {
		t.Errorf("after the drain: %+v", d)
	}
}

func testJobsOnSchedule(t *testing.T, open Open) {
	s := open(t, store.Options{})
	runs, failed := make(chan string, 100), make(chan string, 100)
	start(t, s, store.Jobs{
		Failed: func(kind string) { failed <- kind },
		Handle: func(context.Context, store.Delivery) error { return nil },
		Periodic: []store.Periodic{
			{Name: "at start", Schedule: cron.Every(24 * time.Hour), RunOnStart: true, Run: func(context.Context) error {
				runs <- "at start"
				return errors.New("failing does not end a schedule")
			}},
			{Name: "often", Schedule: cron.Every(time.Second), Run: func(context.Context) error {
				runs <- "often"
				return errors.New("failing does not end a schedule")
			}},
		},
	})
	seen := map[string]int{}
	for seen["at start"] < 1 || seen["often"] < 2 {
		seen[receive(t, "a scheduled run", runs)]++
	}
	stop(t, s)
	counted := map[string]int{}
	for range seen["at start"] + seen["often"] {
		counted[receive(t, "a failure", failed)]++
	}
	if counted["often"] != seen["often"] || counted["at start"] != seen["at start"] {
		t.Errorf("counted %v of %v", counted, seen)
	}
	if seen["at start"] != 1 {
		t.Errorf("the daily work ran %d times", seen["at start"])
	}
}
