package previews

import "time"

// Chain is when an environment's commit reached each link of the way to what serves;
// zero where it has not yet.
type Chain struct {
	// Synced is when Argo CD had applied it, Healthy when all of it was well, Served when
	// every web service answered at its host: zero where nobody asks that.
	Synced  time.Time `json:"synced,omitzero"`
	Healthy time.Time `json:"healthy,omitzero"`
	Served  time.Time `json:"served,omitzero"`
	// Ready is when the last link that is looked at was reached for the first time.
	Ready time.Time `json:"ready,omitzero"`
}

// reach notes the links that an observation shows.
func (c *Chain) reach(o *Observation, serving bool, now time.Time) {
	if o.Sync != synced {
		return
	}
	first := func(at *time.Time, reached bool) {
		if reached && at.IsZero() {
			*at = now
		}
	}
	well := o.Health == healthy
	first(&c.Synced, true)
	first(&c.Healthy, well)
	first(&c.Served, well && serving && o.Unserved == "")
	first(&c.Ready, well && o.Unserved == "")
}

// Link is one link of the chain, and how long it took after the one before.
type Link struct {
	Name string
	Took time.Duration
}

// The links, in their order.
const (
	LinkImage     = "image"
	LinkCommitted = "committed"
	LinkSynced    = "synced"
	LinkHealthy   = "healthy"
	LinkServes    = "serves"
)

// Links returns the links that the wanted revision has reached, in order. It has none
// before the revision is committed, and where it was wanted again after that.
func (e *Environment) Links() []Link {
	if e.Wanted != Present || e.AppliedSHA != e.SHA || e.SHA != e.HeadSHA ||
		e.ResolvedGeneration != e.Generation || e.ResolvedAt.Before(e.WantedAt) || e.AppliedAt.Before(e.ResolvedAt) {
		return nil
	}
	links := []Link{{LinkImage, e.ResolvedAt.Sub(e.WantedAt)}, {LinkCommitted, e.AppliedAt.Sub(e.ResolvedAt)}}
	if e.Observed == nil {
		return links
	}
	c, last := e.Observed.Chain, e.AppliedAt
	for _, next := range []struct {
		name string
		at   time.Time
	}{{LinkSynced, c.Synced}, {LinkHealthy, c.Healthy}, {LinkServes, c.Served}} {
		if next.at.Before(last) {
			break // it has not come to it
		}
		links = append(links, Link{next.name, next.at.Sub(last)})
		last = next.at
	}
	return links
}

// Progress is how far a rollout by steps has come.
type Progress struct {
	Service string `json:"service"`
	Canary  bool   `json:"canary,omitempty"`
	// Step of Steps has Weight percent of the traffic; all are 0 where there are none.
	Step   int `json:"step,omitempty"`
	Steps  int `json:"steps,omitempty"`
	Weight int `json:"weight,omitempty"`
	// Left is roughly what is left of the pauses, and Pauses how long they are in all.
	Left   time.Duration `json:"left,omitempty"`
	Pauses time.Duration `json:"pauses,omitempty"`
	// Waits says that somebody has to let it go on, and Message why it stands.
	Waits   bool   `json:"waits,omitempty"`
	Message string `json:"message,omitempty"`
}

// Roughly rounds up what is left, to what is worth telling again when it changes.
func Roughly(left time.Duration) time.Duration {
	unit := 5 * time.Minute
	switch {
	case left <= time.Minute:
		unit = 30 * time.Second
	case left <= 10*time.Minute:
		unit = time.Minute
	}
	return (left + unit - 1).Truncate(unit)
}

// pausing is how long a rollout pauses of its own accord, which is not held against it.
func (o *Observation) pausing() time.Duration {
	if o == nil || o.Progress == nil {
		return 0
	}
	return o.Progress.Pauses
}

// Fault is what explains best why an environment is not well.
type Fault struct {
	// Object is "Pod web-7d9f4c-x2x1z", and Service what it is of.
	Object  string `json:"object,omitempty"`
	Service string `json:"service,omitempty"`
	// Message is in its own words. Short completes "web: …", Cause is a likely reason and
	// Next what to do, in sentences; all are "" where nothing is known.
	Message string `json:"message,omitempty"`
	Short   string `json:"short,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Next    string `json:"next,omitempty"`
	// Measured is the figure that ended a rollout by analysis.
	Measured string  `json:"measured,omitempty"`
	Events   []Event `json:"events,omitempty"`
	// Ran says that its container ran, and wrote what it had to say.
	Ran bool `json:"ran,omitempty"`
	// Logs are the last lines of the container, kept only where people may read them.
	// LogsMissing says why there are none, where there should be.
	Logs        []string `json:"logs,omitempty"`
	LogsMissing string   `json:"logsMissing,omitempty"`
}

// Event is what Kubernetes noted about an object, Count times.
type Event struct {
	At      time.Time `json:"at"`
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	Count   int       `json:"count"`
}

// Drift is a change by hand that Argo CD found on the cluster, and puts right.
type Drift struct {
	// Objects are those that were changed, in words.
	Objects string    `json:"objects"`
	At      time.Time `json:"at"`
}

// sameFault says that there is nothing new to tell of a fault. Its events and logs
// come and go with every try.
func sameFault(a, b *Fault) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Object == b.Object && a.Short == b.Short && a.Message == b.Message && (len(a.Logs) > 0) == (len(b.Logs) > 0)
}

// samePointed compares what two pointers point to.
func samePointed[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// known says that a cause is known.
func (f *Fault) known() bool { return f != nil && f.Short != "" }
