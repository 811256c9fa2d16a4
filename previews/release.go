package previews

import (
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
)

// Outcome is what became of a release.
type Outcome string

// The outcomes. Superseded and stopped ones failed nobody.
const (
	OutcomeHealthy    Outcome = "healthy"
	OutcomeFailed     Outcome = "failed"
	OutcomeSuperseded Outcome = "superseded"
	OutcomeStopped    Outcome = "stopped"
)

// Finished is a release that came to its end, as the measures of delivery count it.
// The store keeps every one of them.
type Finished struct {
	Ref         string // owner/repo/id.service
	Environment string // "preview", or the declared environment's name
	Service     string // "" for a preview
	Repository  string // owner/name of today
	SHA         string
	PR          int
	Kind        ReleaseKind
	Outcome     Outcome
	Reason      string
	// CommittedAt is the time of the commit, AskedAt when it was asked for, AppliedAt
	// when it was pushed to the GitOps repository (zero for never), EndedAt its end.
	CommittedAt, AskedAt, AppliedAt, EndedAt time.Time
}

// Observe records what was seen of the generation that is applied, and draws the
// conclusion where it is a verdict: a release that is healthy is remembered, one that
// failed is taken back where its spec asks for that, and the next one has its turn.
func (e *Environment) Observe(seen *Observation, now time.Time) {
	e.Observed = seen
	e.conclude(now)
}

// conclude ends the release that is under way when its state is one that lasts.
func (e *Environment) conclude(now time.Time) {
	if e.Wanted != Present {
		return
	}
	if !e.Declared() {
		e.concludePreview(now)
		return
	}
	switch e.State() {
	case StateReady, StateCommitted:
		e.succeed(now)
	case StateDegraded:
		e.fail(failure(e), now)
	case StateFailed:
		// Nothing of it runs, so there is nothing to take back.
		e.failed(failure(e), now)
		e.takeTurn(now)
	}
}

func (e *Environment) concludePreview(now time.Time) {
	if s := e.State(); s != StateReady && s != StateDegraded || e.Concluded == e.AppliedSHA {
		return
	}
	outcome, reason := OutcomeHealthy, ""
	if e.State() == StateDegraded {
		outcome, reason = OutcomeFailed, failure(e)
	}
	e.Concluded = e.AppliedSHA
	e.finish(Release{Kind: ReleaseDeploy, SHA: e.AppliedSHA, PR: e.PR, At: e.WantedAt}, outcome, reason, now)
}

// failure says what was seen to be wrong.
func failure(e *Environment) string {
	switch o := e.Observed; {
	case e.State() == StateFailed && e.Problem != nil:
		return e.Problem.Message
	case o != nil && o.Fault != nil && o.Fault.Measured != "":
		return o.Fault.Measured
	case o != nil && o.Fault != nil && o.Fault.Short != "":
		return strings.TrimPrefix(o.Fault.Service+": "+o.Fault.Short, ": ")
	case o != nil && o.Message != "":
		return o.Message
	}
	return "it became degraded"
}

// succeed remembers the current release as one to go back to.
func (e *Environment) succeed(now time.Time) {
	d := e.revised()
	if d.Current.HealthyAt.IsZero() {
		d.Current.HealthyAt, d.Current.Images, d.Current.Charts = now, e.Images, e.Charts
		d.Current.Source = d.Current.Source.pinned(e.Source)
		if !e.Shared() {
			e.finish(d.Current, OutcomeHealthy, "", now)
		}
		kept := []Release{d.Current}
		for _, r := range d.Healthy {
			if r.SHA != d.Current.SHA && len(kept) < keepHealthy {
				kept = append(kept, r)
			}
		}
		d.Healthy = kept
	}
	e.takeTurn(now)
}

// fail ends the current release, and goes back to the last healthy one where the
// spec asks for that and there is one. What was healthy and fails later is no failed
// rollout: going back would not tell what changed.
func (e *Environment) fail(reason string, now time.Time) {
	if !e.Deployed.Current.HealthyAt.IsZero() {
		return
	}
	e.failed(reason, now)
	kind := e.Deployed.Current.Kind
	if to, ok := e.Target(""); ok && kind != ReleaseRollback && kind != ReleaseAbort && e.rollsBack() {
		e.GoBack(to, ReleaseRollback, "", 0, reason, now)
		return
	}
	e.takeTurn(now)
}

// failed takes down, once, that the current release failed.
func (e *Environment) failed(reason string, now time.Time) {
	d := e.revised()
	if d.Current.FailedAt.IsZero() {
		e.finish(d.Current, OutcomeFailed, reason, now)
		d.Current.FailedAt = now
	}
}

// rollsBack says that the spec of one of its services asks for going back by itself.
func (e *Environment) rollsBack() bool {
	parsed, _ := spec.Parse(spec.Path, e.Spec)
	if parsed == nil {
		return false
	}
	for _, service := range parsed.Services {
		if e.Has(service.Name) && service.Rollback.Auto {
			return true
		}
	}
	return false
}

// finish takes down a release for the measures, and for its pull request. The caller
// has made Deployed the row's own.
func (e *Environment) finish(r Release, o Outcome, reason string, now time.Time) {
	if e.Shared() {
		return
	}
	f := Finished{
		Ref: e.Ref.String(), Environment: e.Ref.ID, Service: e.Ref.Service, Repository: e.Owner + "/" + e.Repo,
		SHA: r.SHA, PR: r.PR, Kind: r.Kind, Outcome: o, Reason: reason,
		CommittedAt: r.CommittedAt, AskedAt: r.At, EndedAt: now,
	}
	if e.Declared() {
		e.Deployed.Last = &Ended{SHA: r.SHA, PR: r.PR, Outcome: o, Reason: reason, At: now}
	} else {
		f.Environment = "preview"
	}
	if e.AppliedSHA == r.SHA {
		f.AppliedAt = e.AppliedAt
	}
	e.Finished = append(e.Finished[:len(e.Finished):len(e.Finished)], f)
}
