package githubtest

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// issue is what issues and pull requests share: the conversation.
type issue struct {
	repo      *Repository
	id        int64
	number    int
	title     string
	body      string
	author    *account
	state     string // "open", "closed"
	labels    []string
	created   time.Time
	updated   time.Time
	closed    time.Time
	reactions []reaction
	pull      *PullRequest // nil for a plain issue
}

// Issue is an issue that is no pull request.
type Issue struct{ *issue }

// OpenIssue opens an issue, numbered in one sequence with pull requests.
func (r *Repository) OpenIssue(by, title, body string) *Issue {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return &Issue{r.newIssue(r.s.account(by), title, body)}
}

func (r *Repository) newIssue(author *account, title, body string) *issue {
	r.nextNumber++
	i := &issue{
		repo: r, id: r.s.nextID(), number: r.nextNumber, title: title, body: body, author: author,
		state: "open", created: r.s.now(), updated: r.s.now(),
	}
	r.issues[i.number] = i
	return i
}

// Number returns the number of the issue or pull request.
func (i *issue) Number() int { return i.number }

// Comment adds a comment by a user and emits "issue_comment created". It returns
// an error for a body that GitHub refuses: empty, or over 65,536 characters.
func (i *issue) Comment(by, body string) (Comment, error) {
	i.repo.s.mu.Lock()
	defer i.repo.s.mu.Unlock()
	if reason := refuseBody(body); reason != "" {
		return Comment{}, fmt.Errorf("comment on %s#%d: %s", i.repo.fullName(), i.number, reason)
	}
	return i.addComment(i.repo.s.account(by), nil, body).snapshot(), nil
}

// Comments returns the conversation, oldest first.
func (i *issue) Comments() []Comment {
	i.repo.s.mu.Lock()
	defer i.repo.s.mu.Unlock()
	out := []Comment{}
	for _, c := range i.comments() {
		out = append(out, c.snapshot())
	}
	return out
}

func (i *issue) comments() []*comment {
	var out []*comment
	for _, id := range slices.Sorted(maps.Keys(i.repo.comments)) {
		if c := i.repo.comments[id]; c.issue == i {
			out = append(out, c)
		}
	}
	return out
}

// label returns the label's object, made on first use.
func (r *Repository) label(name string) object {
	if r.labels[name] == 0 {
		r.labels[name] = r.s.nextID()
	}
	return object{
		"id": r.labels[name], "node_id": nodeID("LA", r.labels[name]), "url": r.api("/labels/" + name),
		"name": name, "color": "ededed", "default": false, "description": "",
	}
}

func (i *issue) labelShapes() []object {
	out := []object{}
	for _, name := range i.labels {
		out = append(out, i.repo.label(name))
	}
	return out
}

// association is how the author stands to the repository.
func (r *Repository) association(a *account) string {
	switch r.permission(a) {
	case "admin":
		if a == r.owner {
			return "OWNER"
		}
		return "MEMBER"
	case "write", "maintain", "triage":
		return "COLLABORATOR"
	}
	return "NONE"
}

// issueShape is the "issue" of a webhook payload.
func (s *Server) issueShape(i *issue) object {
	r := i.repo
	api := r.api(fmt.Sprintf("/issues/%d", i.number))
	page := r.html(fmt.Sprintf("/issues/%d", i.number))
	out := object{
		"url": api, "repository_url": r.api(""), "labels_url": api + "/labels{/name}", "comments_url": api + "/comments",
		"events_url": api + "/events", "html_url": page, "id": i.id, "node_id": nodeID("I", i.id), "number": i.number,
		"title": i.title, "user": s.userShape(i.author), "labels": i.labelShapes(), "state": i.state, "locked": false,
		"assignee": nil, "assignees": []any{}, "milestone": nil, "comments": len(i.comments()),
		"created_at": stamp(i.created), "updated_at": stamp(i.updated), "closed_at": stampOrNil(i.closed),
		"author_association": r.association(i.author), "active_lock_reason": nil, "body": textOrNil(i.body),
		"reactions": rollup(api+"/reactions", i.reactions), "timeline_url": api + "/timeline",
		"performed_via_github_app": nil, "state_reason": nil,
	}
	if i.pull != nil {
		html := r.html(fmt.Sprintf("/pull/%d", i.number))
		out["html_url"], out["draft"] = html, i.pull.draft
		out["pull_request"] = object{
			"url": r.api(fmt.Sprintf("/pulls/%d", i.number)), "html_url": html, "diff_url": html + ".diff",
			"patch_url": html + ".patch", "merged_at": stampOrNil(i.pull.mergedAt),
		}
	}
	return out
}
