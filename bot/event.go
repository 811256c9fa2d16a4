// Package bot decides what idp does about an event, and reports what came of it.
//
// A decision is pure: Decide takes a Snapshot of live facts and an Event and
// returns a Decision with its reasons. Handle (handle.go) reads the facts,
// decides, and applies the decision in one transaction; the reporter
// (reporter.go) writes the comment, the check run and the deployment that follow
// from an environment's row. No decision is taken from a payload's stale facts.
package bot

import (
	"time"

	"github.com/idp-bot/idp/previews"
)

// EventKind says what an event is about.
type EventKind string

// The kinds of event. A webhook event without a kind of its own is EventIgnored.
const (
	// EventPullRequest: something about a pull request changed; what, is read live.
	EventPullRequest EventKind = "pull_request"
	// EventComment: somebody created a comment on a pull request.
	EventComment EventKind = "comment"
	// EventButton: somebody pressed one of the buttons of idp's check.
	EventButton EventKind = "button"
	// EventRequest: somebody gave commands through idp's API.
	EventRequest EventKind = "request"
	// EventRerequest: somebody pressed "Re-run" on idp's check.
	EventRerequest EventKind = "rerequest"
	// EventBuild: a check or a workflow of a commit finished, so that an image
	// may have appeared.
	EventBuild EventKind = "build"
	// EventRepository: the repository was renamed, transferred, deleted, archived or
	// brought back.
	EventRepository EventKind = "repository"
	// EventInstallation: idp was given access to repositories, or it was taken away.
	EventInstallation EventKind = "installation"
	// EventIgnored: nothing for idp.
	EventIgnored EventKind = "ignored"
)

// RerequestEvent is the event name of deliveries that stand for one pull request each
// of the several that one "Re-run" is about; their payload is an Event as JSON.
const RerequestEvent = "idp_rerequest"

// Event is what a delivery says, cut down to what idp acts on. Beside ids it is a
// hint: every fact is read again, live, before a decision.
type Event struct {
	Kind EventKind
	// Delivery is the GUID of the delivery, the key of everything that follows, and
	// ReceivedAt when it arrived.
	Delivery   string
	ReceivedAt time.Time
	// Name and Action are GitHub's, such as "pull_request" and "opened".
	Name, Action   string
	InstallationID int64
	Repository     RepositoryRef
	// PR is the pull request's number, 0 where the event names none.
	PR int
	// HeadSHA is the commit of an EventBuild, EventRerequest or EventButton, and the head of
	// an EventPullRequest by then; CheckOf the name of the environment that the check of an
	// EventRerequest or EventButton is of; "" where unknown.
	HeadSHA, CheckOf string
	// AsOf is when GitHub says that the pull request of an EventPullRequest had changed last;
	// zero where unknown.
	AsOf time.Time
	// Repositories are those that an EventInstallation names.
	Repositories []RepositoryRef
	Actor        Actor
	// Comment is set for an EventComment.
	Comment *Comment
	// Button is set for an EventButton.
	Button *Button
	// Request is set for an EventRequest.
	Request *Request
	// Swept events were made by the sweep instead of delivered: a removal that
	// follows from one is inferred and counts against the breaker.
	Swept bool
}

// RepositoryRef names a repository as the event did.
type RepositoryRef struct {
	ID          int64
	Owner, Name string
	Private     bool
}

// Actor is who caused an event.
type Actor struct {
	ID    int64
	Login string
	// Bot is true for GitHub Apps and bot accounts.
	Bot bool
}

// Comment is a comment on a pull request.
type Comment struct {
	ID   int64
	Body string
	// ViaApp is the id of the App that wrote the comment, 0 when none did.
	ViaApp int64
}

// seenBy says that a row was decided about from a state of the pull request that the event
// adds nothing to: a later one or, for GitHub's times tell seconds, one of the same second
// that has the head which the event tells of.
func (e Event) seenBy(row previews.Environment) bool {
	if e.AsOf.IsZero() || row.AsOf.IsZero() {
		return false
	}
	switch e.Action {
	case "opened", "synchronize":
		return e.AsOf.Before(row.AsOf) || e.AsOf.Equal(row.AsOf) && e.HeadSHA != "" && e.HeadSHA == row.HeadSHA
	case "edited":
		return e.AsOf.Before(row.AsOf)
	}
	return false
}
