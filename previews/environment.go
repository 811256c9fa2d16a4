// Package previews owns environments: what is wanted of each, what has been
// committed for it, and when it goes away.
//
// An Environment is a row. Everything that happens to it is a transition of its
// wanted state (transition.go), a pure method that bumps the generation; the
// reconcilers of this package (committer, image watcher, reaper) only ever bring
// the world to the generation that the row asks for. Each of them is
// level-triggered and re-reads the row before it writes, so that running one
// late, twice or after a crash is harmless. Nothing here infers a removal from
// absence: an environment goes when its row says so, with a reason.
//
// The package never talks to GitHub and never reads a webhook.
package previews

import (
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// Presence is what is wanted of an environment.
type Presence string

// The two wanted states.
const (
	Present Presence = "present"
	Absent  Presence = "absent"
)

// Environment is one row: a preview of a pull request, or a part of an environment that
// the platform team declared, such as staging: one of its services, or what they share
// (deployed.go). Times are UTC; the zero time means "not yet" or "never".
type Environment struct {
	// RowID is the store's key, Version counts the row's updates: whoever decides
	// from a row names the version it read, and is refused when that has moved on.
	RowID, Version int64

	Ref            gitops.EnvironmentRef
	InstallationID int64
	// Owner and Repo are the repository's names of today, for calls and links; the
	// paths in Ref keep the names of the first day.
	Owner, Repo string
	Private     bool
	// PR is the pull request's number; of a declared environment's service that of
	// whoever asked for what is wanted, 0 where none did.
	PR int

	// HeadSHA is the pull request's newest commit that idp has seen, HeadRef its branch.
	HeadSHA, HeadRef string
	// Looks is what the pull request looked like beside its head (state, draft, base,
	// labels) when it was last decided about: where GitHub lists it otherwise, an
	// event was lost.
	Looks string
	// AsOf is GitHub's time of the pull request that was decided about when HeadSHA and Looks
	// last changed, or whatever else: an event from before says nothing new. Zero where unknown.
	AsOf time.Time `json:",omitzero"`
	// Author opened the pull request; AuthorID is GitHub's id of them, 0 in rows from before
	// it was kept.
	Author   string
	AuthorID int64
	// Uncommented says that nobody, idp included, had commented on the pull request when the
	// row was made.
	Uncommented bool `json:",omitempty"`
	// AskedBy is who asked for the preview with a command, "" when nobody did. One
	// that was asked for needs no trigger: it stays through pushes, and comes back
	// with a reopened pull request, until it is destroyed by command.
	AskedBy string
	// Team owns the environment, from the spec; "" when it names none.
	Team string

	// Class is the name of the platform team's class that it belongs to, "" for the
	// server's own. Namespace is where its objects live, "" for Ref.Namespace.
	Class, Namespace string
	// Lane is the way that its changes take into Git; the zero one is the server's own.
	// Proposal is the pull request that the last of them waits in, or waited in, where
	// they are proposed; nil where there is none.
	Lane     gitops.Lane `json:",omitzero"`
	Proposal *Proposal   `json:",omitempty"`
	// ArgoCD is the root of the API of the Argo CD that follows that branch, "" for the
	// server's own.
	ArgoCD string `json:",omitempty"`
	// RolloutTimeout is how long a release may take to become healthy, 0 for the server's.
	RolloutTimeout time.Duration `json:",omitempty"`
	// Fork is what the preview of a fork's pull request has beside; nil for one whose head
	// is in the repository itself.
	Fork *Fork `json:",omitempty"`
	// Source is where the objects of its services come from; nil for idp itself.
	Source *Source `json:",omitempty"`
	// Charts are the platform's charts that it was last rendered from, nil for none.
	Charts *Charts `json:",omitempty"`
	// Update is what there is beside where deployments change values in files that are there
	// already; nil where idp renders.
	Update *Update `json:",omitempty"`
	// Deployed is what a part of a declared environment has beside; nil for a preview.
	Deployed *Deployed `json:",omitempty"`
	// Lost is why nothing more is heard of its repository; nil while idp reaches it.
	Lost *Lost `json:",omitempty"`
	// Concluded is the revision of a preview whose end was taken down for the measures.
	Concluded string `json:",omitempty"`
	// Finished are the releases that ended with this change; the store keeps them apart.
	Finished []Finished `json:"-"`

	// Wanted with its Generation is the desired state. SHA and Spec (the bytes of
	// .idp/deploy.yaml at SHA) are what it is made of.
	Wanted     Presence
	Generation int64
	SHA        string
	Spec       []byte
	// Trust is how far the code of SHA is trusted, which decides what its class gives it; ""
	// where that gives nothing by it, or nobody knows.
	Trust platform.Trust `json:",omitempty"`
	// WantedAt is when this generation was decided, AskedAt when the delivery that
	// asked for it arrived.
	WantedAt, AskedAt time.Time
	// Actor is the login of whoever asked for this generation; "" where time did.
	Actor string
	// Removal says why the environment is wanted absent.
	Removal Removal

	// PushedAt is when HeadSHA was first seen. TTL counts from there; ExpiresAt is
	// the instant that results, moved on by extensions. Pinned environments have
	// no expiry. WarnedAt is when expiry was announced, zero after each extension.
	PushedAt, ExpiresAt, WarnedAt time.Time
	TTL                           time.Duration
	Pinned                        bool

	// Images of ResolvedGeneration, one per service; they are what is committed.
	Images             []Image
	ResolvedGeneration int64
	ResolvedAt         time.Time
	// Merge, Baseline and CI are what GitHub said that images of SHA are named by and waited
	// for; nil where nothing had to be asked.
	Merge    *Merge    `json:",omitempty"`
	Baseline *Baseline `json:",omitempty"`
	CI       *CI       `json:",omitempty"`
	// ImageAttempts counts the checks of this generation; NextImageCheck is due next.
	ImageAttempts  int
	NextImageCheck time.Time

	// AppliedGeneration is the newest generation whose commit was pushed,
	// AppliedCommit that commit, and AppliedSHA the revision it deploys, "" after a
	// removal. AppliedAt is when that revision was first pushed; a later commit that
	// only moves the expiry leaves it. Tree is the git tree id of the folder as idp
	// last wrote it, "" for no folder. Intents are those it has set out to write since:
	// until Commit tells what became of them, the folder may have any of them.
	AppliedGeneration         int64
	AppliedSHA, AppliedCommit string
	// AppliedBase is the commit that the source of AppliedCommit was read at, "" for none.
	AppliedBase string `json:",omitempty"`
	AppliedAt   time.Time
	// Unrouted says that AppliedCommit has no route into the preview, and so no address: nobody
	// had said then how previews are guarded.
	Unrouted bool `json:",omitempty"`
	Tree     string
	Intents  []string
	// Diff is the manifest diff of AppliedCommit, already cut to fit a check run.
	Diff string

	// Observed is what Argo CD says of AppliedCommit; nil where it is not asked.
	Observed *Observation

	// Warnings are what policies told of this generation and let pass, a sentence each
	// without its full stop.
	Warnings []string `json:",omitempty"`

	// Problem is why HeadSHA is not what runs; nil when nothing is wrong. Blocked is
	// the generation that was given up because of it.
	Problem *Problem
	Blocked int64
	// Overwrite lets the next commit replace a folder that somebody else changed.
	Overwrite bool

	// RecheckAt is when somebody last asked for the check run to be written again.
	RecheckAt time.Time

	CreatedAt, UpdatedAt time.Time
}

// Image is the image of one service: the reference the template gave and, once
// the registry has it, the digest ("sha256:…"). With the image check off Digest
// stays empty and the reference is committed as it is.
type Image struct {
	Service   string `json:"service"`
	Reference string `json:"reference"`
	Digest    string `json:"digest,omitempty"`
	// Reported says that the workflow which built it told its digest, so that it was not
	// looked for by its tag.
	Reported bool `json:"reported,omitempty"`
	// Commit is what the image was built from where that is not the revision itself: the
	// commit by which GitHub would merge the pull request or, with Branch, one of the
	// default branch, which is called so.
	Commit string `json:"commit,omitempty"`
	Branch string `json:"branch,omitempty"`
	// Missing is the registry's answer when it does not have the image yet.
	Missing string `json:"missing,omitempty"`
}

// Of is the commit that an image was built from where that is not the revision itself, with
// its branch before an "@"; "" for the revision.
func (i Image) Of() string {
	if i.Commit == "" {
		return ""
	}
	return i.Branch + "@" + i.Commit
}

// From takes up what Of gave.
func (i *Image) From(of string) {
	if at := strings.LastIndexByte(of, '@'); at >= 0 {
		i.Branch, i.Commit = of[:at], of[at+1:]
	}
}

// RemovalReason says what ended an environment.
type RemovalReason string

// The reasons; each is positive evidence, none is an absence.
const (
	RemovedMerged      RemovalReason = "merged"
	RemovedClosed      RemovalReason = "closed"
	RemovedDraft       RemovalReason = "draft"
	RemovedByCommand   RemovalReason = "command"
	RemovedExpired     RemovalReason = "expired"
	RemovedByOperator  RemovalReason = "operator"    // of the server, by name
	RemovedDeleted     RemovalReason = "deleted"     // the repository, by its owner
	RemovedEvicted     RemovalReason = "evicted"     // by policy, to make room for another
	RemovedUntriggered RemovalReason = "untriggered" // label taken away or ignored, preview switched off, spec deleted
)

// Removal is who or what asked for the environment to go.
type Removal struct {
	Reason RemovalReason `json:"reason,omitempty"`
	// By is the login of whoever asked, when somebody did.
	By string `json:"by,omitempty"`
	// ByID is GitHub's id of theirs, where they asked by an event without a decision.
	ByID int64 `json:"byID,omitempty"`
	// Detail completes the sentence, such as the label that was taken away.
	Detail string `json:"detail,omitempty"`
	// For is the pull request that it made room for, "owner/name#42"; "" where that may not
	// be named to who reads it.
	For string `json:"for,omitempty"`
	// Inferred removals were found by a sweep instead of being told; the breaker
	// counts them.
	Inferred bool      `json:"inferred,omitempty"`
	At       time.Time `json:"at"`
}

// ProblemKind says what kind of trouble a Problem is.
type ProblemKind string

// The kinds of problem.
const (
	ProblemSpec   ProblemKind = "spec"   // .idp/deploy.yaml has errors
	ProblemFork   ProblemKind = "fork"   // code of a fork waits for approval
	ProblemPolicy ProblemKind = "policy" // the platform team's policies refuse it
	// ProblemProvenance is for images that are not proven to be what their class asks for.
	ProblemProvenance ProblemKind = "provenance"
	ProblemImage      ProblemKind = "image"   // an image never came, or may not be read
	ProblemChanged    ProblemKind = "changed" // somebody else changed the folder in the GitOps repository
	ProblemPush       ProblemKind = "push"    // the GitOps repository refuses the push
	// ProblemUpdate is for a team's file whose value cannot be replaced.
	ProblemUpdate ProblemKind = "update"
	// ProblemPlatform is for what the platform team declares and nobody can read.
	ProblemPlatform ProblemKind = "platform"
	// ProblemChart is for a chart of the platform team's that is not what they pinned, or that
	// cannot be loaded.
	ProblemChart ProblemKind = "chart"
	// ProblemDeclined is for a proposal that was closed and not merged.
	ProblemDeclined ProblemKind = "declined"
	// ProblemPaused is for what waits until idp is resumed; see Pause.
	ProblemPaused ProblemKind = "paused"
)

// Problem is why a revision is not deployed, in words for its author.
type Problem struct {
	Kind ProblemKind `json:"kind"`
	// SHA is the revision that has the problem.
	SHA     string `json:"sha"`
	Message string `json:"message"`
	// Hint is the next step.
	Hint string `json:"hint,omitempty"`
	// Errors are the spec's errors, with positions, or where denials point at it.
	Errors []spec.Error `json:"errors,omitempty"`
	// Rule is by which rule it was refused, for the audit; "" where the message says it.
	Rule string `json:"rule,omitempty"`
	// Denials are what policies say, a sentence each without its full stop.
	Denials []string  `json:"denials,omitempty"`
	At      time.Time `json:"at"`
}

// Observation is what Argo CD reports of one generation. Sync and Health are empty
// while it does not answer.
type Observation struct {
	Generation int64  `json:"generation"`
	Revision   string `json:"revision"` // commit that was synced
	Sync       string `json:"sync"`
	Health     string `json:"health"`
	Message    string `json:"message,omitempty"`
	// TimedOut says that it is called degraded because its time was over.
	TimedOut bool `json:"timedOut,omitempty"`
	// Gone says that Argo CD has taken everything down that a removal took from Git.
	Gone bool      `json:"gone,omitempty"`
	At   time.Time `json:"at"`

	// Chain is when it came how far. Unserved says which service does not answer at its
	// host yet, and how: until all do, it is not ready.
	Chain    Chain  `json:"chain,omitzero"`
	Unserved string `json:"unserved,omitempty"`
	// Progress is of a rollout by steps, Fault of what is not well, Drift of what was
	// changed by hand; each is nil where there is none.
	Progress *Progress `json:"progress,omitempty"`
	Fault    *Fault    `json:"fault,omitempty"`
	Drift    *Drift    `json:"drift,omitempty"`
}

// State is an environment in one word, for lists, metrics and reports.
type State string

// The states. Refused means that nothing was ever deployed and Problem says why.
const (
	StateRefused    State = "refused"
	StateWaiting    State = "waiting"    // for an image
	StateCommitting State = "committing" // rendered, being pushed
	StateProposed   State = "proposed"   // in a pull request of the GitOps repository, which somebody has to merge
	StateCommitted  State = "committed"  // in Git; nobody watches it further
	StateSyncing    State = "syncing"    // in Git; Argo CD is at it
	StateReady      State = "ready"
	StateDegraded   State = "degraded"
	StateFailed     State = "failed"   // this generation cannot be deployed; Problem says why
	StateRemoving   State = "removing" // out of Git, and where that is watched, off the cluster
	StateGone       State = "gone"
)

// States lists every State, for metrics.
var States = []State{StateRefused, StateWaiting, StateCommitting, StateProposed, StateCommitted, StateSyncing, StateReady, StateDegraded, StateFailed, StateRemoving, StateGone}

// State derives the environment's state from its row.
func (e *Environment) State() State {
	switch {
	case e.Wanted == Absent && e.Generation == 0:
		return StateRefused
	case e.Wanted == Absent && e.AppliedGeneration == e.Generation && (e.Observed == nil || e.Observed.Gone):
		return StateGone
	case e.Wanted == Absent:
		return StateRemoving
	case e.Blocked == e.Generation:
		return StateFailed
	case e.ResolvedGeneration != e.Generation:
		return StateWaiting
	case e.AppliedGeneration != e.Generation && e.AppliedSHA != e.SHA:
		// A generation of the revision that runs, with a new expiry, is no news.
		if e.Proposed() != nil {
			return StateProposed
		}
		return StateCommitting
	default:
		return e.observedState()
	}
}

func (e *Environment) observedState() State {
	o := e.Observed
	switch {
	case o == nil:
		return StateCommitted
	case o.Generation != e.AppliedGeneration:
		return StateSyncing
	case o.Health == "Degraded":
		return StateDegraded
	case o.Health == "Healthy" && o.Sync == "Synced" && o.Unserved == "":
		return StateReady
	default:
		return StateSyncing
	}
}

// Leaving says that an environment has left Git and that it is being watched until it
// has left the cluster.
func (e *Environment) Leaving() bool {
	return e.State() == StateRemoving && e.AppliedGeneration == e.Generation
}

// Live says whether the environment has files in the GitOps repository.
func (e *Environment) Live() bool { return e.Tree != "" }
