package previews

import (
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
)

const (
	// keepHealthy is how many healthy releases a service remembers to go back to.
	keepHealthy = 10
	// keepMerges is how many merged pull requests an environment remembers.
	keepMerges = 500
	// keepQuarantined is how many revisions it remembers that failed.
	keepQuarantined = 50
)

// ReleaseKind says what a release came of.
type ReleaseKind string

// The kinds of release.
const (
	ReleaseDeploy   ReleaseKind = "deploy"   // a command named the revision
	ReleasePromote  ReleaseKind = "promote"  // a command took it from another environment
	ReleaseMerge    ReleaseKind = "merge"    // a merge to the default branch asked for it
	ReleaseRollback ReleaseKind = "rollback" // somebody, or a failed rollout, went back to it
	ReleaseAbort    ReleaseKind = "abort"    // somebody stopped the rollout before it
)

// Release is one revision of one service on its way into a declared environment, or
// there.
type Release struct {
	Kind ReleaseKind `json:"kind"`
	// SHA is the full commit, Ref the branch it came from; Spec is .idp/deploy.yaml at
	// SHA, valid, and Team the owner it names.
	SHA  string `json:"sha"`
	Ref  string `json:"ref,omitempty"`
	Spec []byte `json:"spec"`
	Team string `json:"team,omitempty"`
	// Trust is how far the commit's code is trusted; "" where its class gives nothing by it.
	Trust platform.Trust `json:"trust,omitempty"`
	// Images are those of the service, where they are known already: a rollback and a
	// promotion take what ran, not what a tag has come to mean.
	Images []Image `json:"images,omitempty"`
	// Source is where its objects are rendered from, as that was when it was asked for; nil
	// for idp. Going back to it renders the same again.
	Source *Source `json:"source,omitempty"`
	// Charts are the platform's charts that it was rendered from, once it was found healthy.
	Charts *Charts `json:"charts,omitempty"`
	// PR is the pull request that hears of it; By who asked and Author who opened the
	// pull request, with GitHub's ids, for logins change hands.
	PR       int    `json:"pr,omitempty"`
	By       string `json:"by,omitempty"`
	ByID     int64  `json:"byID,omitempty"`
	Author   string `json:"author,omitempty"`
	AuthorID int64  `json:"authorID,omitempty"`
	// From is the environment that a promotion took it from.
	From string `json:"from,omitempty"`
	// At is when it was asked for, CommittedAt the time of the commit itself.
	At          time.Time `json:"at"`
	CommittedAt time.Time `json:"committedAt,omitzero"`
	// NeedsApproval keeps it in the queue until somebody else approved it.
	NeedsApproval bool   `json:"needsApproval,omitempty"`
	ApprovedBy    string `json:"approvedBy,omitempty"`
	ApprovedByID  int64  `json:"approvedByID,omitempty"`
	// Attempt counts how often it was tried again: the same revision rolls out anew.
	Attempt int `json:"attempt,omitempty"`
	// HealthyAt is when it was found healthy, FailedAt when it was found to have failed;
	// zero until then.
	HealthyAt time.Time `json:"healthyAt,omitzero"`
	FailedAt  time.Time `json:"failedAt,omitzero"`
}

// Quarantined is a revision that failed and was rolled back: it is not deployed again
// unless somebody insists.
type Quarantined struct {
	SHA    string    `json:"sha"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Lock keeps an environment as it is.
type Lock struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Ended is how a release ended.
type Ended struct {
	SHA     string    `json:"sha"`
	PR      int       `json:"pr,omitempty"`
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Fallback is why a service went back to an older revision.
type Fallback struct {
	// From is the release that failed, or was stopped; By is who asked, "" where idp
	// did it of itself.
	From Release `json:"from"`
	// Reason is what was wrong, in words.
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// Deployed is what a part of a declared environment has beside what a preview has.
type Deployed struct {
	// Lock is the environment's; every part of it has the same.
	Lock *Lock `json:"lock,omitempty"`
	// Current is what is wanted; Queue waits for its turn, the next first.
	Current Release   `json:"current"`
	Queue   []Release `json:"queue,omitempty"`
	// Healthy are the releases that were found healthy, the newest first.
	Healthy []Release `json:"healthy,omitempty"`
	// Last is the release that ended last, for its own commit and pull request to hear of
	// though the next has its turn already.
	Last *Ended `json:"last,omitempty"`
	// Fallback says why Current is older than what was there before; nil where it is
	// not.
	Fallback   *Fallback     `json:"fallback,omitempty"`
	Quarantine []Quarantined `json:"quarantine,omitempty"`
	// Merges are the pull requests whose merge was deployed, on the shared part: each is
	// deployed once.
	Merges []int `json:"merges,omitempty"`
}

// Declared says that the environment is not a preview but one that the platform team
// declared, or a service of one.
func (e *Environment) Declared() bool { return e.Deployed != nil }

// Shared says that it is the part of a declared environment that its services share.
// It follows them and says nothing of its own.
func (e *Environment) Shared() bool { return e.Deployed != nil && e.Ref.Service == "" }

// Together says that it is the one part that has all services of its repository, which one
// source renders.
func (e *Environment) Together() bool {
	return e.Declared() && e.Source.Together()
}

// Has says that a service of its spec is part of it.
func (e *Environment) Has(service string) bool {
	return !e.Declared() || e.Ref.Service == service || e.Together()
}

// NamespaceName is where the environment's objects live.
func (e *Environment) NamespaceName() string {
	if e.Namespace != "" {
		return e.Namespace
	}
	return e.Ref.Namespace()
}

// Moving says that a release is under way: what comes after it has to wait.
func (e *Environment) Moving() bool {
	switch e.State() {
	case StateWaiting, StateCommitting, StateProposed, StateSyncing:
		return e.Generation > 0
	}
	return false
}

// QuarantinedFor says why a revision is not to be deployed again; "" where it may be.
func (e *Environment) QuarantinedFor(sha string) string {
	for _, q := range e.Deployed.Quarantine {
		if q.SHA == sha {
			return q.Reason
		}
	}
	return ""
}

// Deploy asks for a release. It starts at once where nothing is under way, or where
// what is under way was asked for by the same pull request, which it takes the place
// of. Else it waits in the queue, as one does that needs an approval. Of one pull
// request only the newest waits.
func (e *Environment) Deploy(r Release, now time.Time) (started bool) {
	d := e.revised()
	d.Queue = slices.DeleteFunc(d.Queue, func(waiting Release) bool { return waiting.PR == r.PR && r.PR != 0 })
	own := r.PR != 0 && d.Current.PR == r.PR
	if r.waits() || d.Lock != nil || e.Moving() && !own {
		d.Queue = append(d.Queue, r)
		return false
	}
	e.start(r, now)
	return true
}

// Would returns the environment as a release would make it once that has its turn,
// whatever is under way now. It changes nothing.
func (e *Environment) Would(r Release, now time.Time) Environment {
	out := *e
	out.revised()
	out.start(r, now)
	out.Finished = nil
	return out
}

// NoteMerge remembers that a pull request's merge was deployed.
func (e *Environment) NoteMerge(pr int) {
	d := e.revised()
	d.Merges = append(slices.Clone(d.Merges), pr)
	d.Merges = d.Merges[max(0, len(d.Merges)-keepMerges):]
}

// Share brings what the services of an environment share to a release of one of them.
// It waits for nobody: the services wait for it.
func (e *Environment) Share(r Release, now time.Time) {
	e.revised()
	r.Images = nil
	e.start(r, now)
}

// Approve lets the releases of a revision go that wait for somebody's approval, and
// says whether there was one that this person may approve: neither who asked for it
// nor who wrote it.
func (e *Environment) Approve(sha, login string, actorID int64, now time.Time) (approved bool) {
	d := e.revised()
	for i, r := range d.Queue {
		if r.SHA != sha || !r.waits() || r.Own(login, actorID) {
			continue
		}
		d.Queue[i].ApprovedBy, d.Queue[i].ApprovedByID, approved = login, actorID, true
	}
	e.takeTurn(now)
	return approved
}

// Own says that somebody asked for the release or wrote it. Ids are compared; a release
// that was asked for before the author's was kept has a login alone.
func (r Release) Own(login string, id int64) bool {
	return id <= 0 || r.ByID == id || r.AuthorID == id || r.AuthorID == 0 && strings.EqualFold(r.Author, login)
}

// Waiting are the releases of a revision that wait for somebody's approval.
func (e *Environment) Waiting(sha string) []Release {
	return slices.DeleteFunc(slices.Clone(e.Deployed.Queue), func(r Release) bool { return r.SHA != sha || !r.waits() })
}

// SetLock locks the part, or gives it free with nil: then the next release starts.
func (e *Environment) SetLock(l *Lock, now time.Time) {
	e.revised().Lock = l
	if l == nil {
		e.takeTurn(now)
	}
}

// Again starts the current release anew, as a rollout of its own.
func (e *Environment) Again(by string, byID int64, now time.Time) {
	r := e.Deployed.Current
	r.By, r.ByID, r.At, r.HealthyAt, r.FailedAt = by, byID, now, time.Time{}, time.Time{}
	r.Attempt++
	e.revised().Fallback = nil
	e.start(r, now)
}

// Target returns the healthy release to go back to: the one whose commit begins with
// sha or, for "", the newest that is not what is wanted now.
func (e *Environment) Target(sha string) (Release, bool) {
	for _, r := range e.Deployed.Healthy {
		if sha == "" && r.SHA != e.Deployed.Current.SHA || sha != "" && strings.HasPrefix(r.SHA, sha) {
			return r, true
		}
	}
	return Release{}, false
}

// GoBack replaces what is wanted by a release that was healthy, in Git, whatever is
// under way. by is who asked, "" for idp itself, which quarantines what failed.
func (e *Environment) GoBack(to Release, kind ReleaseKind, by string, byID int64, reason string, now time.Time) {
	d := e.revised()
	failed := d.Current
	d.Fallback = &Fallback{From: failed, Reason: reason, By: by, At: now}
	if by == "" {
		d.Quarantine = append(slices.DeleteFunc(d.Quarantine, func(q Quarantined) bool { return q.SHA == failed.SHA }),
			Quarantined{SHA: failed.SHA, Reason: reason, At: now})
		d.Quarantine = d.Quarantine[max(0, len(d.Quarantine)-keepQuarantined):]
	}
	if failed.HealthyAt.IsZero() && failed.FailedAt.IsZero() {
		e.finish(failed, OutcomeStopped, reason, now)
	}
	to.Kind, to.PR, to.Author, to.AuthorID, to.By, to.ByID, to.At = kind, failed.PR, failed.Author, failed.AuthorID, by, byID, now
	to.HealthyAt, to.FailedAt = time.Time{}, time.Time{}
	to.NeedsApproval, to.ApprovedBy, to.ApprovedByID = false, "", 0
	e.start(to, now)
}

// Admit takes a revision out of quarantine.
func (e *Environment) Admit(sha string) {
	d := e.revised()
	d.Quarantine = slices.DeleteFunc(d.Quarantine, func(q Quarantined) bool { return q.SHA == sha })
}

func (r Release) waits() bool { return r.NeedsApproval && r.ApprovedBy == "" }

// revised makes what the row has of its own before it is changed: rows are copied
// with their pointers.
func (e *Environment) revised() *Deployed {
	d := *e.Deployed
	d.Queue, d.Healthy, d.Quarantine = slices.Clone(d.Queue), slices.Clone(d.Healthy), slices.Clone(d.Quarantine)
	e.Deployed = &d
	return e.Deployed
}

// start makes a release what is wanted.
func (e *Environment) start(r Release, now time.Time) {
	d := e.Deployed
	if old := d.Current; old.HealthyAt.IsZero() && old.FailedAt.IsZero() && e.Moving() && r.Kind != ReleaseRollback && r.Kind != ReleaseAbort {
		e.finish(old, OutcomeSuperseded, "", now)
	}
	if r.Kind != ReleaseRollback && r.Kind != ReleaseAbort {
		d.Fallback = nil
	}
	if e.Shared() {
		r.Source, r.Charts = nil, nil // it has no objects of any service
	}
	d.Current = r
	if e.HeadSHA != r.SHA || e.PushedAt.IsZero() {
		e.HeadSHA, e.PushedAt = r.SHA, now
	}
	e.HeadRef, e.PR, e.Author = r.Ref, r.PR, r.Author
	e.SHA, e.Spec, e.Team, e.Trust, e.Source = r.SHA, r.Spec, r.Team, r.Trust, r.Source
	e.Wanted, e.Removal, e.Problem, e.Overwrite, e.Warnings = Present, Removal{}, nil, false, nil
	if e.AppliedSHA == r.SHA {
		e.AppliedSHA = "" // what Git has of it is of an earlier attempt
	}
	e.next(now)
	e.Charts = nil
	if r.Charts != nil {
		e.Charts = &Charts{Generation: e.Generation, UsedCharts: r.Charts.UsedCharts}
	}
	e.Actor, e.AskedAt = r.By, r.At
	e.awaitImages(now)
	if e.Shared() || len(r.Images) > 0 {
		e.Resolve(r.Images, now)
	}
}

// takeTurn starts the next release that may go.
func (e *Environment) takeTurn(now time.Time) {
	d := e.Deployed
	if d.Lock != nil || e.Moving() {
		return
	}
	for i, r := range d.Queue {
		if !r.waits() {
			d.Queue = slices.Delete(slices.Clone(d.Queue), i, i+1)
			e.start(r, now)
			return
		}
	}
}
