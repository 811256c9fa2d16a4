package previews_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

// sight is what is to be seen beyond Argo CD's verdict, and how often it was looked at.
type sight struct {
	progress *previews.Progress
	fault    *previews.Fault
	unserved string
	err      error
	looked   map[string]int
}

// look lets the observer see it.
func (w *observing) look() *sight {
	s := &sight{looked: map[string]int{}}
	w.observer.Look = previews.Looking{
		Progress: func(context.Context, string) (*previews.Progress, error) {
			s.looked["progress"]++
			return s.progress, s.err
		},
		Fault: func(_ context.Context, _ string, logs bool) (*previews.Fault, error) {
			s.looked["fault"]++
			if logs {
				s.looked["logs"]++
			}
			return s.fault, s.err
		},
		ShowsLogs: func(e previews.Environment) bool { return e.Private },
		Serves: func(context.Context, previews.Environment) string {
			s.looked["serves"]++
			return s.unserved
		},
	}
	return s
}

func (w *observing) seen(seen previews.Seen) { w.cluster.apps[w.row.Ref.Name()] = seen }

// must steps after d, and fails on an error.
func (w *observing) must(d time.Duration) previews.Environment {
	w.Helper()
	w.clock.Advance(d)
	e, err := w.step()
	if err != nil {
		w.Fatal(err)
	}
	return e
}

var (
	rolling = previews.Seen{Revision: "c2", Compared: "c2", Sync: "Synced", Health: "Progressing"}
	well    = previews.Seen{Revision: "c2", Compared: "c2", Sync: "Synced", Health: "Healthy"}
	broken  = previews.Seen{Revision: "c2", Compared: "c2", Sync: "Synced", Health: "Degraded", Message: "crash loop"}
)

// Each link of the chain has its own time, and ready is said after the last one.
func TestObserverChain(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	s := w.look()
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "took", Buckets: []float64{1}}, []string{"link"})
	w.observer.Took = took
	s.unserved = "service web answers 503"
	w.seen(rolling)
	w.must(3 * time.Second)
	w.seen(well)
	e := w.must(14 * time.Second)
	if e.State() != previews.StateSyncing || e.Observed.Unserved != s.unserved {
		t.Fatalf("%s: %+v", e.State(), e.Observed)
	}
	s.unserved = ""
	e = w.must(5 * time.Second)
	if e.State() != previews.StateReady {
		t.Fatalf("%s: %+v", e.State(), e.Observed)
	}
	want := []previews.Link{
		{Name: "image"}, {Name: "committed"}, {Name: "synced", Took: 3 * time.Second}, {Name: "healthy", Took: 14 * time.Second}, {Name: "serves", Took: 5 * time.Second},
	}
	if diff := cmp.Diff(want, e.Links()); diff != "" {
		t.Error(diff)
	}
	// It degrades and recovers: it was ready before, and is not measured twice.
	w.observer.Moved = func() []string { return []string{w.row.Ref.Name()} }
	w.seen(broken)
	w.must(time.Hour)
	w.seen(well)
	if e = w.must(time.Minute); e.State() != previews.StateReady || !cmp.Equal(want, e.Links()) {
		t.Errorf("%s: %v", e.State(), e.Links())
	}
	counts, sums := samples(t, took)
	if sums["total"] != 22 {
		t.Errorf("total %v", sums["total"])
	}
	if diff := cmp.Diff(map[string]uint64{"image": 1, "committed": 1, "synced": 1, "healthy": 1, "serves": 1, "total": 1}, counts); diff != "" {
		t.Error(diff)
	}
}

// What does not serve is asked often at first and seldom later, and once it is ready no more.
func TestObserverServes(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	s := w.look()
	s.unserved = "service web answers 503"
	w.seen(well)
	for range 60 {
		w.must(time.Second)
	}
	if n := s.looked["serves"]; n < 9 || n > 25 {
		t.Errorf("asked %d times in a minute", n)
	}
	w.clock.Advance(14 * time.Minute)
	e := w.must(0)
	if e.State() != previews.StateDegraded || !e.Observed.TimedOut || !strings.HasPrefix(e.Observed.Message, "healthy, and does not serve after 15m0s: service web answers 503") {
		t.Errorf("%s: %+v", e.State(), e.Observed)
	}
	s.unserved = ""
	if e = w.must(15 * time.Second); e.State() != previews.StateReady {
		t.Errorf("%s: %+v", e.State(), e.Observed)
	}
	before := s.looked["serves"]
	w.observer.Moved = func() []string { return []string{w.row.Ref.Name()} }
	if w.must(time.Minute); s.looked["serves"] != before {
		t.Error("it is asked though it is ready")
	}
}

// The pauses of a rollout are not held against it.
func TestObserverProgress(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	s := w.look()
	paused := previews.Seen{Revision: "c2", Sync: "Synced", Health: "Suspended", Steps: true}
	w.seen(paused)
	s.progress = &previews.Progress{Service: "web", Canary: true, Step: 1, Steps: 2, Weight: 10, Left: 30 * time.Minute, Pauses: 30 * time.Minute}
	e := w.must(time.Second)
	if e.Observed.Progress == nil || e.Observed.Progress.Weight != 10 {
		t.Fatalf("%+v", e.Observed)
	}
	for range 20 {
		w.must(time.Second)
	}
	if n := s.looked["progress"]; n > 4 {
		t.Errorf("asked %d times in 21 seconds", n)
	}
	if e = w.must(44 * time.Minute); e.State() != previews.StateSyncing {
		t.Errorf("a pause of its own ended it: %+v", e.Observed)
	}
	if e = w.must(time.Minute); e.State() != previews.StateDegraded || !e.Observed.TimedOut {
		t.Errorf("%s: %+v", e.State(), e.Observed)
	}
	if e.Observed.Progress == nil {
		t.Error("how far it came is forgotten")
	}
}

// What is at fault is looked for while it moves, after a while, and at once with a verdict.
func TestObserverFault(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.update(func(e *previews.Environment) { e.Private = true })
	s := w.look()
	s.fault = &previews.Fault{Object: "Pod web-1", Short: "it crashes", Message: "exit 1", Logs: []string{"panic"}}
	w.seen(rolling)
	w.must(time.Second)
	if e := w.must(19 * time.Second); e.Observed.Fault != nil || s.looked["fault"] != 0 {
		t.Errorf("too early: %+v", e.Observed)
	}
	e := w.must(time.Second)
	if e.Observed.Fault == nil || e.State() != previews.StateSyncing || s.looked["logs"] != 1 {
		t.Fatalf("%s: %+v", e.State(), e.Observed)
	}
	version := e.Version
	for range 30 {
		e = w.must(time.Second)
	}
	if s.looked["fault"] > 5 || e.Version != version {
		t.Errorf("asked %d times in 30 seconds, and written %d times", s.looked["fault"], e.Version-version)
	}
	// What goes away by itself is not told any more.
	s.fault = &previews.Fault{Object: "Pod web-2"}
	if e = w.must(10 * time.Second); e.Observed.Fault != nil {
		t.Errorf("%+v", e.Observed.Fault)
	}
	s.fault = &previews.Fault{Object: "Pod web-1", Short: "it crashes", Message: "exit 2"}
	w.seen(broken)
	if e = w.must(0); e.State() != previews.StateDegraded || e.Observed.Fault == nil || e.Observed.Fault.Message != "exit 2" {
		t.Errorf("%s: %+v", e.State(), e.Observed)
	}
	before := s.looked["fault"]
	if w.must(time.Minute); s.looked["fault"] != before {
		t.Error("a verdict that is told is looked at again")
	}
}

// That nothing more can be learnt keeps no verdict back, and is tried again.
func TestObserverFaultUnknown(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	s := w.look()
	s.err = errors.New("connection refused")
	w.seen(broken)
	if e, err := w.step(); err == nil || e.State() != previews.StateDegraded || e.Observed.Message != "crash loop" || s.looked["logs"] != 0 {
		t.Errorf("%s (%v): %+v", e.State(), err, e.Observed)
	}
	s.err, s.fault = nil, &previews.Fault{Object: "Pod web-1", Short: "it crashes"}
	if e := w.must(15 * time.Second); e.Observed.Fault == nil {
		t.Errorf("%+v", e.Observed)
	}
}

// A change by hand is told once in a while; a commit that is not applied yet is none.
func TestObserverDrift(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.observer.Moved = func() []string { return []string{w.row.Ref.Name()} }
	w.seen(well)
	w.must(time.Second)
	drifted := well
	drifted.Sync, drifted.Differs = "OutOfSync", "Deployment web"
	w.seen(drifted)
	first := w.must(time.Minute)
	if d := first.Observed.Drift; d == nil || d.Objects != "Deployment web" || first.State() != previews.StateReady {
		t.Fatalf("%s: %+v", first.State(), first.Observed)
	}
	for range 5 {
		w.seen(well)
		w.must(time.Minute)
		w.seen(drifted)
		if e := w.must(time.Minute); e.Version != first.Version {
			t.Fatal("each change by hand is told")
		}
	}
	if e := w.must(time.Hour); e.Observed.Drift.At.Equal(first.Observed.Drift.At) {
		t.Error("what goes on is not told again")
	}
	w.seen(well)
	before := w.must(2 * time.Hour)
	newer := drifted
	newer.Compared = "c3" // the expiry moved, and is about to be applied
	w.seen(newer)
	if e := w.must(time.Minute); e.Version != before.Version {
		t.Errorf("a commit is taken for a change by hand: %+v", e.Observed)
	}
}

// What Argo CD puts back between two looks leaves nothing but its sync to be told by.
func TestObserverHealedBetweenLooks(t *testing.T) {
	t.Parallel()
	w := newObserving(t)
	w.observer.Moved = func() []string { return []string{w.row.Ref.Name()} }
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	healed := well
	healed.Healed, healed.HealedAt = "Deployment web", at
	w.seen(healed)
	w.must(time.Second)
	if e := w.must(time.Minute); e.State() != previews.StateReady || e.Observed.Drift != nil {
		t.Fatalf("what was put back before is news: %s %+v", e.State(), e.Observed)
	}
	healed.HealedAt = at.Add(time.Minute)
	for _, health := range []string{"Progressing", "Healthy"} {
		healed.Health = health
		w.seen(healed)
		if d := w.must(time.Minute).Observed.Drift; d == nil || d.Objects != "Deployment web" {
			t.Fatalf("%s: nothing is told of what was put back: %+v", health, d)
		}
	}
	first := w.must(time.Minute)
	if e := w.must(2 * time.Hour); e.Version != first.Version {
		t.Error("one change by hand is told twice")
	}
	healed.HealedAt = at.Add(3 * time.Hour)
	w.seen(healed)
	if e := w.must(time.Minute); e.Observed.Drift.At.Equal(first.Observed.Drift.At) {
		t.Error("the next change by hand is not told")
	}
}

// samples counts what a histogram took, by its label, and sums it up.
func samples(t *testing.T, c prometheus.Collector) (counts map[string]uint64, sums map[string]float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	secrettest.Text(t, "the metrics", fmt.Append(nil, families))
	counts, sums = map[string]uint64{}, map[string]float64{}
	for _, m := range families[0].GetMetric() {
		label := m.GetLabel()[0].GetValue()
		counts[label], sums[label] = m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
	}
	return counts, sums
}

func TestRoughly(t *testing.T) {
	t.Parallel()
	for left, want := range map[time.Duration]time.Duration{
		0: 0, time.Second: 30 * time.Second, 31 * time.Second: time.Minute, 61 * time.Second: 2 * time.Minute,
		4 * time.Minute: 4 * time.Minute, 10 * time.Minute: 10 * time.Minute, 601 * time.Second: 15 * time.Minute, time.Hour: time.Hour,
	} {
		if got := previews.Roughly(left); got != want {
			t.Errorf("%s is roughly %s, want %s", left, got, want)
		}
	}
}
