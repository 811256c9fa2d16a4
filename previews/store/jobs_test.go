package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

func open(t testing.TB, change func(*Options)) *Store {
	t.Helper()
	o := Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "idp.db")}
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
