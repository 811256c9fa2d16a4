package webhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/report"
)

// meaning has the actions of GitHub's events that may mean something to idp. Every other
// event, and every other action, is kept and has been dealt with once it is.
var meaning = map[string][]string{
	// What the action changed is read live; the rest cannot change what is wanted.
	"pull_request": {"opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft", "labeled", "unlabeled", "edited", "closed"},
	// Comments on pull requests arrive as comments on issues. An edited comment is never a
	// command, for somebody else may have edited it.
	"issue_comment": {"created"},
	// GitHub sends "rerequested" and "requested_action" only to the App whose check run it
	// is, and "completed" of everybody's, idp's own among them.
	"check_run":                 {"rerequested", "requested_action", "completed"},
	"check_suite":               {"rerequested", "completed"},
	"workflow_run":              {"completed"},
	"repository":                {"renamed", "transferred", "deleted", "archived", "unarchived"},
	"installation":              installed,
	"installation_repositories": installed,
	"ping":                      {},
}

var installed = []string{"created", "deleted", "suspend", "unsuspend", "new_permissions_accepted", "added", "removed"}

// means says whether an event may mean something to idp, by all that is known of it before
// its payload is read.
func means(event, action string) bool { return slices.Contains(meaning[event], action) }

// decoders says what the events are to idp that may mean something. To handle an event, add a
// row to both; its examples are under testdata/payloads already.
var decoders = map[string]func(message) bot.EventKind{
	"pull_request":              func(message) bot.EventKind { return bot.EventPullRequest },
	"issue_comment":             issueComment,
	"check_run":                 checkRun,
	"check_suite":               checkSuite,
	"workflow_run":              workflowRun,
	"repository":                func(message) bot.EventKind { return bot.EventRepository },
	"installation":              func(message) bot.EventKind { return bot.EventInstallation },
	"installation_repositories": func(message) bot.EventKind { return bot.EventInstallation },
}

func issueComment(m message) bot.EventKind {
	if m.Issue != nil && m.Issue.PullRequest != nil && m.Comment != nil {
		return bot.EventComment
	}
	return bot.EventIgnored
}

func checkRun(m message) bot.EventKind {
	switch {
	case m.CheckRun == nil:
		return bot.EventIgnored
	case m.Action == "rerequested":
		return bot.EventRerequest
	case m.Action == "requested_action" && m.RequestedAction != nil:
		return bot.EventButton
	case m.Action == "completed" && !strings.HasPrefix(m.CheckRun.Name, report.CheckPrefix):
		return bot.EventBuild
	}
	return bot.EventIgnored
}

func checkSuite(m message) bot.EventKind {
	switch {
	case m.CheckSuite == nil:
		return bot.EventIgnored
	case m.Action == "rerequested":
		return bot.EventRerequest
	}
	return bot.EventBuild
}

func workflowRun(m message) bot.EventKind {
	if m.WorkflowRun == nil {
		return bot.EventIgnored
	}
	return bot.EventBuild
}

// Decode returns what a delivery says, GitHub's or idp's own. It fails only for
// a payload that is not what GitHub documents of an event that idp acts on.
func Decode(event, guid string, payload []byte) (bot.Event, error) {
	decode := decodeGitHub
	if strings.HasPrefix(event, ownEvents) {
		decode = decodeOwn
	}
	out, err := decode(event, guid, payload)
	if err != nil {
		return bot.Event{}, fmt.Errorf("decode %s %s: %w", event, guid, err)
	}
	return out, nil
}

func decodeGitHub(event, guid string, payload []byte) (bot.Event, error) {
	e, err := openEnvelope(payload)
	if err != nil {
		return bot.Event{}, err
	}
	out := bot.Event{
		Kind: bot.EventIgnored, Delivery: guid, Name: event, Action: e.Action, InstallationID: e.Installation.ID,
		Repository: bot.RepositoryRef{ID: e.Repository.ID}, PR: e.pullRequest(),
	}
	if !means(event, e.Action) {
		return out, nil
	}
	var m message
	err = json.Unmarshal(payload, &m)
	m.fill(&out)
	if out.Kind = decoders[event](m); out.Kind == bot.EventIgnored {
		return out, nil
	}
	if err != nil {
		return bot.Event{}, err
	}
	return out, complete(out)
}

// decodeOwn reads an event that idp made itself: it is stored as it is. The edge lets
// nothing in that calls itself one.
func decodeOwn(name, guid string, payload []byte) (bot.Event, error) {
	var event bot.Event
	if err := json.Unmarshal(payload, &event); err != nil {
		return bot.Event{}, err
	}
	if event.Delivery != guid || event.Name != name {
		return bot.Event{}, errors.New("it is not idp's own")
	}
	return event, nil
}

// complete holds an event that is acted on to what acting on it needs.
func complete(e bot.Event) error {
	switch {
	case e.Kind == bot.EventInstallation && e.InstallationID <= 0:
		return fmt.Errorf("%s.%s names no installation", e.Name, e.Action)
	case e.Kind == bot.EventInstallation:
		return nil
	case e.Repository.ID <= 0 || e.Repository.Owner == "" || e.Repository.Name == "":
		return fmt.Errorf("%s.%s names no repository", e.Name, e.Action)
	case (e.Kind == bot.EventPullRequest || e.Kind == bot.EventComment) && e.PR <= 0:
		return fmt.Errorf("%s.%s names no pull request", e.Name, e.Action)
	case e.Kind == bot.EventComment && (e.Comment.ID <= 0 || e.Actor.Login == ""):
		return fmt.Errorf("%s.%s names no comment or author", e.Name, e.Action)
	case e.Kind == bot.EventButton && (e.Button.Check <= 0 || e.Actor.Login == ""):
		return fmt.Errorf("%s.%s names no check or who pressed its button", e.Name, e.Action)
	case (e.Kind == bot.EventBuild || e.Kind == bot.EventRerequest || e.Kind == bot.EventButton) && e.HeadSHA == "":
		return fmt.Errorf("%s.%s names no commit", e.Name, e.Action)
	}
	return nil
}
