package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// noSHA stands for the head of a pull request whose event names none.
var noSHA = strings.Repeat("0", 40)

// facts is the snapshot that a payload and a few assumptions make up.
type facts struct {
	bot.Snapshot
	assumptions []string
}

func (f *facts) assumed(format string, args ...any) {
	f.assumptions = append(f.assumptions, fmt.Sprintf(format, args...))
}

// payloadUser, payloadLabel and the types below are the parts of GitHub's payloads
// that facts come from.
// https://docs.github.com/en/webhooks/webhook-events-and-payloads
type payloadUser struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

type payloadLabel struct {
	Name string `json:"name"`
}

type payloadRef struct {
	SHA  string `json:"sha"`
	Ref  string `json:"ref"`
	Repo *struct {
		ID            int64  `json:"id"`
		DefaultBranch string `json:"default_branch"`
	} `json:"repo"`
}

// payloadPR is a pull request, or the issue that an issue_comment shows it as.
type payloadPR struct {
	Number int            `json:"number"`
	Title  string         `json:"title"`
	State  string         `json:"state"`
	Merged bool           `json:"merged"`
	Draft  bool           `json:"draft"`
	Labels []payloadLabel `json:"labels"`
	User   payloadUser    `json:"user"`
	Head   payloadRef     `json:"head"`
	Base   payloadRef     `json:"base"`
	// MergeSHA is of a merge that GitHub only tries while it is not merged.
	MergeSHA string `json:"merge_commit_sha"`
	// PullRequest is what an issue says of being one.
	PullRequest *struct {
		MergedAt *string `json:"merged_at"`
	} `json:"pull_request"`
}

type payload struct {
	PullRequest *payloadPR `json:"pull_request"`
	Issue       *payloadPR `json:"issue"`
}

// hasSubject refuses a payload without what an event of that name is about, which
// GitHub puts under a key of its own: it is another event's.
func hasSubject(event string, raw []byte) error {
	key := event
	switch event {
	case "issue_comment":
		key = "comment"
	case "pull_request", "check_run", "check_suite", "workflow_run", "installation":
	default:
		return nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return err
	}
	if _, ok := keys[key]; !ok {
		return fmt.Errorf("it has no %q, so it is no %s", key, event)
	}
	return nil
}

// newFacts takes from the payload what it tells of the pull request, and assumes
// the rest.
func newFacts(raw []byte, event bot.Event) (*facts, error) {
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "cannot decode the event", "")
	}
	f := &facts{}
	switch {
	case p.PullRequest != nil:
		f.PR = p.PullRequest.facts()
		f.PR.Fork = p.PullRequest.Head.Repo == nil || p.PullRequest.Head.Repo.ID != event.Repository.ID
	case p.Issue != nil:
		f.PR = p.Issue.facts()
		f.PR.Merged = p.Issue.PullRequest != nil && p.Issue.PullRequest.MergedAt != nil
		f.PR.HeadSHA = noSHA
		f.assumed("the head is %s, for a comment's event names none", noSHA[:7])
		f.assumed("the head is in this repository, not in a fork")
	default:
		f.PR = bot.PullRequest{Number: event.PR, Open: true, HeadSHA: event.HeadSHA, Author: event.Actor}
		f.assumed("the pull request is open, %s wrote it, and its head is in this repository", event.Actor.Login)
	}
	f.PR.Repository, f.PR.InstallationID = event.Repository, event.InstallationID
	if f.PR.Number == 0 {
		f.PR.Number = 1
		f.assumed("the pull request is #1, for the event names none")
	}
	if !fullSHA.MatchString(f.PR.HeadSHA) {
		return nil, fault.Newf(fault.Invalid, "the head %q is not a commit", f.PR.HeadSHA)
	}
	return f, nil
}

func (p *payloadPR) facts() bot.PullRequest {
	out := bot.PullRequest{
		Number: p.Number, Title: p.Title, Open: p.State == "open", Merged: p.Merged, Draft: p.Draft,
		HeadSHA: p.Head.SHA, HeadRef: p.Head.Ref, BaseRef: p.Base.Ref,
		Author: bot.Actor{ID: p.User.ID, Login: p.User.Login, Bot: p.User.Type == "Bot" || strings.HasSuffix(p.User.Login, "[bot]")},
	}
	if p.Base.Repo != nil {
		out.BaseIsDefault = p.Base.Ref == p.Base.Repo.DefaultBranch
	}
	if p.Merged {
		out.MergeSHA = p.MergeSHA
	}
	for _, label := range p.Labels {
		out.Labels = append(out.Labels, label.Name)
	}
	return out
}

// assume fills in what no payload tells.
func (f *facts) assume(event bot.Event, flags replayFlags, now time.Time, class platform.Class) error {
	f.Now, f.Class, f.ChangedFiles = now, class, flags.changed
	f.Permission = access.Permission(flags.permission)
	if f.PR.Fork {
		f.Base, f.BaseSHA = f.Spec, noSHA
		f.assumed("the base branch has the same %s, for the head is in a fork", spec.Path)
	}
	if !f.PR.Fork && f.Spec.Spec != nil && f.Spec.Spec.Sources() != nil {
		f.Base, f.BaseSHA = f.Spec, noSHA
		f.assumed("the base branch has the same %s, which names a source", spec.Path)
	}
	f.assumed("what the payload says still holds: live, the bot would read it again")
	if s := f.Spec.Spec; s != nil && len(s.Preview.Paths) > 0 && len(flags.changed) == 0 {
		touched := *s
		touched.Preview.Paths = nil
		f.Spec.Spec = &touched
		f.assumed("the pull request changes files below preview.paths; --changed names others")
	}
	if event.Kind == bot.EventComment {
		f.assumed("%s has %s permission", event.Actor.Login, flags.permission)
	}
	return f.assumeRow(flags.existing)
}

// assumeRow makes the row of a preview that was deployed at the same commit an
// hour ago.
func (f *facts) assumeRow(existing bool) error {
	if !existing || f.Spec.Spec == nil {
		f.assumed("the pull request has no preview yet; --existing assumes one")
		return nil
	}
	f.assumed("the pull request's preview is there, at this commit, since an hour")
	before := f.Snapshot
	before.Now = f.Now.Add(-time.Hour)
	before.PR.Open, before.PR.Merged, before.PR.Draft, before.PR.Fork, before.PR.Labels = true, false, false, false, nil
	wanted := *before.Spec.Spec
	wanted.Preview = spec.Preview{Enabled: true, Trigger: spec.TriggerAuto, Drafts: true, TTL: wanted.Preview.TTL}
	before.Spec.Spec, before.Class.BotPreviews = &wanted, true
	row := bot.Decide(before, bot.Event{Kind: bot.EventPullRequest, Name: "pull_request", Action: "opened"}).Environment
	if row == nil {
		return nil
	}
	images, err := templateImages(f.Class, *row)
	if err != nil {
		return err
	}
	row.RowID, row.Version = 1, 1
	row.Resolve(images, before.Now)
	row.Commit(previews.Applied{Generation: row.Generation, SHA: row.SHA, Tree: "replay", At: before.Now})
	f.Environment = row
	return nil
}
