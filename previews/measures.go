package previews

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Measures are the four measures of delivery, and how long people wait, of one
// environment name over a time. Durations that nothing was measured of are empty.
//
// See https://dora.dev/guides/dora-metrics-four-keys/ for what the four are.
type Measures struct {
	// Environment is "preview", or a declared environment's name.
	Environment string
	// Healthy counts the releases that became healthy, going back left out: what the
	// deployment frequency is of. Superseded ones and those that somebody stopped are
	// neither healthy nor failed.
	Healthy, Failed, Superseded, Stopped int
	// WentBack counts the releases that went back to an older revision.
	WentBack int
	// Provisioning is from asking until it was healthy, Lead from the commit until then,
	// and Restore from a failure until the same service was healthy again.
	Provisioning, Lead, Restore Durations
}

// FailureRate is the share of changes that failed, from 0 to 1; 0 where there were
// none.
func (m Measures) FailureRate() float64 {
	if m.Healthy+m.Failed == 0 {
		return 0
	}
	return float64(m.Failed) / float64(m.Healthy+m.Failed)
}

// Durations are what was measured of one thing.
type Durations []time.Duration

// Quantile returns the smallest duration that at least a share q of them, from 0 to
// 1, does not exceed; 0 of none.
func (d Durations) Quantile(q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(d))
	at := int(q * float64(len(sorted)))
	return sorted[min(at, len(sorted)-1)]
}

// Sum returns all of them together.
func (d Durations) Sum() (sum time.Duration) {
	for _, one := range d {
		sum += one
	}
	return sum
}

// Tally adds up releases in the order in which they ended. Its zero value is ready.
type Tally struct {
	measures map[string]*Measures
	// failed are the services that are down since their last release failed.
	failed map[string]time.Time
}

// Add takes a release into account.
func (t *Tally) Add(f Finished) {
	if t.measures == nil {
		t.measures, t.failed = map[string]*Measures{}, map[string]time.Time{}
	}
	m := t.measures[f.Environment]
	if m == nil {
		m = &Measures{Environment: f.Environment}
		t.measures[f.Environment] = m
	}
	back := f.Kind == ReleaseRollback || f.Kind == ReleaseAbort
	switch f.Outcome {
	case OutcomeHealthy:
		if since, down := t.failed[f.Ref]; down {
			m.Restore = append(m.Restore, f.EndedAt.Sub(since))
			delete(t.failed, f.Ref)
		}
		if back {
			m.WentBack++
			return
		}
		m.Healthy++
		m.Provisioning = append(m.Provisioning, f.EndedAt.Sub(f.AskedAt))
		if !f.CommittedAt.IsZero() {
			m.Lead = append(m.Lead, f.EndedAt.Sub(f.CommittedAt))
		}
	case OutcomeFailed:
		m.Failed++
		if _, down := t.failed[f.Ref]; !down {
			t.failed[f.Ref] = f.EndedAt
		}
	case OutcomeSuperseded:
		m.Superseded++
	case OutcomeStopped:
		m.Stopped++
	}
}

// Measures returns what was added up, by environment.
func (t *Tally) Measures() []Measures {
	var out []Measures
	for m := range maps.Values(t.measures) {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Measures) int { return cmp.Compare(a.Environment, b.Environment) })
	return out
}
