//go:build e2e

package main

import (
	"testing"
	"time"

	"github.com/idp-bot/idp/cmd/loadtest/measure"
)

// TestEndToEndMeasured measures a little of everything, on a cluster of its own. It
// wants the figures to be there and to be possible; what they are is for cmd/loadtest
// to report, on a machine that has nothing else to do.
func TestEndToEndMeasured(t *testing.T) {
	o := measure.Options{
		PRs: 2, AtOnce: 3, Repositories: []int{1, 2}, Deploys: 1, Pause: time.Second, Expiries: 1, Generator: true, Poll: 10 * time.Second,
		GitHub: githubDescription(t), Progress: func(line string) { t.Log(line) },
	}
	r, err := measure.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// At each number of repositories one by one and at once, by hand and by idp, coming and
	// going; and once two of canaries, of expiry and of the generator.
	const times, once = 10, 6
	if want := times*len(o.Repositories) + once; len(r.Times) != want {
		t.Errorf("%d times are measured, not %d", len(r.Times), want)
	}
	for _, m := range r.Times {
		if m.Count == 0 || m.Least <= 0 || m.P50 < m.Least || m.P99 < m.P50 || m.Max < m.P99 {
			t.Errorf("this cannot be: %+v", m)
		}
	}
	if len(r.Adds) != 2*len(o.Repositories) || len(r.Links) != len(o.Repositories) || len(r.Ahead) == 0 || r.Pauses != measure.Seconds(2*o.Pause) {
		t.Errorf("the report is not whole: %+v", r)
	}
	for _, l := range r.Links {
		if l.Mean["total"] <= 0 {
			t.Errorf("idp has recorded no way to a preview that is ready: %+v", l)
		}
	}
	for _, q := range r.Requests {
		if q.Reads == 0 {
			t.Errorf("nothing was asked of GitHub: %+v", q)
		}
	}
}
