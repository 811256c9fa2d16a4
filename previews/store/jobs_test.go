package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

func open(t testing.TB, change func(*Options)) *Store {
	t.Helper()
	o := Options{URL: "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")}
	if change != nil {
		change(&o)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

type outage struct{}

func (outage) Error() string   { return "GitHub answered 502" }
func (outage) Temporary() bool { return true }

// An outage is waited out, the longer it lasts the less often asked about, and for
// three days; nothing dies of it before.
func TestOutageIsNoFailure(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for age, want := range map[time.Duration]time.Duration{
		0: time.Second, 20 * time.Second: 5 * time.Second, time.Hour: time.Minute, 71 * time.Hour: time.Minute, 73 * time.Hour: 0,
	} {
		wait, waits := notYet(fmt.Errorf("read: %w", outage{}), Delivery{ReceivedAt: now.Add(-age)}, now)
		if wait != want || waits != (want > 0) {
			t.Errorf("after %s: %s, %t", age, wait, waits)
		}
	}
	if _, waits := notYet(errors.New("bad payload"), Delivery{ReceivedAt: now}, now); waits {
		t.Error("what is wrong in itself is waited for")
	}
	s := open(t, func(o *Options) { o.Retry = []time.Duration{} }) // the first failure is the last
	tries, failed := 0, 0
	done := make(chan struct{})
	err := s.StartJobs(t.Context(), Jobs{
		Workers: 1,
		Failed:  func(string) { failed++ },
		Handle: func(context.Context, Delivery) error {
			if tries++; tries == 1 {
				return outage{}
			}
			close(done)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddDelivery(t.Context(), Delivery{GUID: "patient", ReceivedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := s.StopJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Delivery(t.Context(), "patient"); err != nil || d.State != DeliveryDone || d.Attempts != 0 || failed != 0 {
		t.Errorf("%s after %d failures, %d counted, %v", d.State, d.Attempts, failed, err)
	}
}

// BenchmarkInsertToHandle measures how long a lone delivery waits from
// AddDelivery's call until its handler starts: storing included.
func BenchmarkInsertToHandle(b *testing.B) {
	s := open(b, nil)
	handled := make(chan time.Time, 1)
	err := s.StartJobs(b.Context(), Jobs{Handle: func(context.Context, Delivery) error {
		handled <- time.Now()
		return nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	waits := make([]time.Duration, 0, b.N)
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if _, err := s.AddDelivery(b.Context(), Delivery{GUID: fmt.Sprint("guid-", i), Event: "pull_request", Payload: make([]byte, 8<<10)}); err != nil {
			b.Fatal(err)
		}
		waits = append(waits, (<-handled).Sub(start))
	}
	reportQuantiles(b, waits)
}

// TestQuiet: of what River says, warnings are told, but for those about its own end.
func TestQuiet(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := quiet(slog.New(slog.NewTextHandler(secrettest.Writer(t, "the log", &out), nil)))
	log.Info("idle")
	log.Error("maintenance.PeriodicJobEnqueuer: Error starting transaction", "error", context.Canceled.Error())
	log.Error("leadership.Elector: Error attempting reelection", "err", fmt.Errorf("begin: %w", context.Canceled))
	if out.Len() > 0 {
		t.Errorf("it was told: %s", out.String())
	}
	log.Error("Error fetching jobs", "error", "disk I/O error")
	if !strings.Contains(out.String(), "disk I/O error") {
		t.Errorf("it was not told: %s", out.String())
	}
}
