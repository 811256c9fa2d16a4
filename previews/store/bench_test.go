package store

import (
	"slices"
	"testing"
	"time"
)

func reportQuantiles(b *testing.B, waits []time.Duration) {
	slices.Sort(waits)
	at := func(q float64) float64 {
		return float64(waits[int(q*float64(len(waits)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
}
