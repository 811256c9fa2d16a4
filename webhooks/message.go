package webhooks

import (
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot"
)

// message is what is read of the payloads of the events that have a decoder.
// Source: docs.github.com/webhooks/webhook-events-and-payloads.
type message struct {
	Action     string `json:"action"`
	Repository *struct {
		ID      int64  `json:"id"`
		Name    string `json:"name"`
		Private bool   `json:"private"`
		Owner   user   `json:"owner"`
	} `json:"repository"`
	Sender      user `json:"sender"`
	PullRequest *struct {
		UpdatedAt time.Time `json:"updated_at"`
		Head      struct {
			SHA string `json:"sha"`
		} `json:"head"`
	} `json:"pull_request"`
	Issue *struct {
		PullRequest *struct{} `json:"pull_request"`
	} `json:"issue"`
	Comment *struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
		User user   `json:"user"`
		App  *struct {
			ID int64 `json:"id"`
		} `json:"performed_via_github_app"`
	} `json:"comment"`
	// Repositories and those below are an installation's.
	Repositories        []briefRepository `json:"repositories"`
	RepositoriesAdded   []briefRepository `json:"repositories_added"`
	RepositoriesRemoved []briefRepository `json:"repositories_removed"`

	CheckRun *struct {
		commitWork
		ID int64 `json:"id"`
	} `json:"check_run"`
	// RequestedAction is the button of a check run that was pressed.
	RequestedAction *struct {
		Identifier string `json:"identifier"`
	} `json:"requested_action"`
	CheckSuite  *commitWork `json:"check_suite"`
	WorkflowRun *commitWork `json:"workflow_run"`
}

// briefRepository is a repository as events about installations name it.
type briefRepository struct {
	ID       int64  `json:"id"`
	FullName string `json:"full_name"`
	Private  bool   `json:"private"`
}

type user struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"`
}

func (u user) actor() bot.Actor {
	return bot.Actor{ID: u.ID, Login: u.Login, Bot: u.Type == "Bot" || strings.HasSuffix(u.Login, "[bot]")}
}

// commitWork is a check run, a check suite or a workflow run: something that
// belongs to a commit. PullRequests is empty where the commit is a fork's.
type commitWork struct {
	Name    string `json:"name"`
	HeadSHA string `json:"head_sha"`
	// ExternalID is what the check's App calls it: idp the environment's name, and
	// after an "@" when it was last asked for.
	ExternalID   string `json:"external_id"`
	PullRequests []struct {
		Number int `json:"number"`
	} `json:"pull_requests"`
}

// fill adds the message's facts to the event.
func (m message) fill(e *bot.Event) {
	e.Actor = m.Sender.actor()
	if r := m.Repository; r != nil {
		e.Repository = bot.RepositoryRef{ID: r.ID, Owner: r.Owner.Login, Name: r.Name, Private: r.Private}
	}
	if p := m.PullRequest; p != nil {
		e.AsOf, e.HeadSHA = p.UpdatedAt, p.Head.SHA
	}
	if c := m.Comment; c != nil {
		e.Actor = c.User.actor()
		e.Comment = &bot.Comment{ID: c.ID, Body: c.Body}
		if c.App != nil {
			e.Comment.ViaApp = c.App.ID
		}
	}
	for _, r := range slices.Concat(m.Repositories, m.RepositoriesAdded, m.RepositoriesRemoved) {
		owner, name, _ := strings.Cut(r.FullName, "/")
		e.Repositories = append(e.Repositories, bot.RepositoryRef{ID: r.ID, Owner: owner, Name: name, Private: r.Private})
	}
	var run *commitWork
	if m.CheckRun != nil {
		run = &m.CheckRun.commitWork
		if pressed := m.RequestedAction; pressed != nil {
			e.Button = &bot.Button{Check: m.CheckRun.ID, ExternalID: m.CheckRun.ExternalID, Identifier: pressed.Identifier}
		}
	}
	for _, work := range []*commitWork{run, m.CheckSuite, m.WorkflowRun} {
		if work == nil {
			continue
		}
		e.HeadSHA = work.HeadSHA
		e.CheckOf, _, _ = strings.Cut(work.ExternalID, "@")
		// With several, all of them are found by the commit.
		if len(work.PullRequests) == 1 {
			e.PR = work.PullRequests[0].Number
		}
	}
}
