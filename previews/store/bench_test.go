package store

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

func reportQuantiles(b *testing.B, waits []time.Duration) {
	slices.Sort(waits)
	at := func(q float64) float64 {
		return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}

// BenchmarkInbox measures deliveries per second as the edge stores them, many
// requests at once, against the same rows written in the largest batches by one
// caller with no queue and no waiting: what group commit can reach at most.
func BenchmarkInbox(b *testing.B) {
	const payload, parallel, batch = 8 << 10, 128, 128
	grouped := func() float64 {
		s := open(b, nil)
		start := time.Now()
		var next atomic.Int64
		var group errgroup.Group
		for range parallel {
			group.Go(func() error {
				for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
					if _, err := s.AddDelivery(b.Context(), Delivery{GUID: fmt.Sprint("guid-", i), Payload: make([]byte, payload)}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
		return float64(b.N) / time.Since(start).Seconds()
	}
	raw := func() float64 {
		s := open(b, nil)
		start := time.Now()
		for i := 0; i < b.N; i += batch {
			group := make([]*submission, min(batch, b.N-i))
			for j := range group {
				group[j] = &submission{delivery: Delivery{GUID: fmt.Sprint("guid-", i+j), Payload: make([]byte, payload)}}
			}
			if err := s.inbox.commit(group); err != nil {
				b.Fatal(err)
			}
		}
		return float64(b.N) / time.Since(start).Seconds()
	}
	perSecond, most := grouped(), raw()
	b.ReportMetric(perSecond, "grouped/s")
	b.ReportMetric(most, "raw-batches/s")
	b.ReportMetric(perSecond/most, "ratio")
}

// BenchmarkUpdateAll is one batch of the reaper: 500 rows changed in one commit.
func BenchmarkUpdateAll(b *testing.B) {
	s := open(b, nil)
	ids := make([]int64, 500)
	for i := range ids {
		guid := fmt.Sprint("guid-", i)
		if _, err := s.AddDelivery(b.Context(), Delivery{GUID: guid}); err != nil {
			b.Fatal(err)
		}
		e := previews.Environment{Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(i)}, Spec: make([]byte, 1<<10)}
		if err := s.Apply(b.Context(), Outcome{Delivery: guid, Environment: &e}); err != nil {
			b.Fatal(err)
		}
		ids[i] = e.RowID
	}
	for b.Loop() {
		if err := s.UpdateAll(b.Context(), ids, func(e *previews.Environment) error { e.ImageAttempts++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
