package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// maxCommentBody is the length of a comment, in characters.
const maxCommentBody = 65536

// Comment is a snapshot of an issue comment.
type Comment struct {
	ID        int64
	User      string // login
	Body      string
	CreatedAt time.Time
	UpdatedAt time.Time
	// App is the slug of the App that wrote it; empty for a person.
	App       string
	Reactions []Reaction
}

// Reaction is a snapshot of a reaction.
type Reaction struct {
	User    string
	Content string // "+1", "eyes", "rocket", …
}

type comment struct {
	issue     *issue
	id        int64
	author    *account
	app       *App
	body      string
	created   time.Time
	updated   time.Time
	reactions []reaction
}

func (c *comment) snapshot() Comment {
	out := Comment{ID: c.id, User: c.author.login, Body: c.body, CreatedAt: c.created, UpdatedAt: c.updated}
	if c.app != nil {
		out.App = c.app.slug
	}
	for _, r := range c.reactions {
		out.Reactions = append(out.Reactions, Reaction{User: r.author.login, Content: r.content})
	}
	return out
}

func refuseBody(body string) string {
	switch {
	case body == "":
		return "body can't be blank"
	case utf8.RuneCountInString(body) > maxCommentBody:
		return fmt.Sprintf("body is too long (maximum is %d characters)", maxCommentBody)
	}
	return ""
}

func (i *issue) addComment(by *account, app *App, body string) *comment {
	s := i.repo.s
	c := &comment{issue: i, id: s.nextID(), author: by, app: app, body: body, created: s.now(), updated: s.now()}
	i.repo.comments[c.id] = c
	i.updated = s.now()
	s.emitComment(c, by, "created", nil)
	return c
}

func (c *comment) edit(by *account, body string) {
	s, before := c.issue.repo.s, c.body
	c.body, c.updated = body, s.now()
	s.emitComment(c, by, "edited", object{"body": object{"from": before}})
}

func (c *comment) remove(by *account) {
	delete(c.issue.repo.comments, c.id)
	c.issue.repo.s.emitComment(c, by, "deleted", nil)
}

// EditComment changes a comment and emits "issue_comment edited".
func (r *Repository) EditComment(by string, id int64, body string) error {
	return r.withComment(id, func(c *comment) { c.edit(r.s.account(by), body) })
}

// DeleteComment removes a comment and emits "issue_comment deleted".
func (r *Repository) DeleteComment(by string, id int64) error {
	return r.withComment(id, func(c *comment) { c.remove(r.s.account(by)) })
}

func (r *Repository) withComment(id int64, do func(*comment)) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	c := r.comments[id]
	if c == nil {
		return fmt.Errorf("%s has no comment %d", r.fullName(), id)
	}
	do(c)
	return nil
}

func (s *Server) commentShape(c *comment) object {
	r, number := c.issue.repo, c.issue.number
	kind := "issues"
	if c.issue.pull != nil {
		kind = "pull"
	}
	api := r.api(fmt.Sprintf("/issues/comments/%d", c.id))
	return object{
		"url": api, "html_url": r.html(fmt.Sprintf("/%s/%d#issuecomment-%d", kind, number, c.id)),
		"issue_url": r.api(fmt.Sprintf("/issues/%d", number)), "id": c.id, "node_id": nodeID("IC", c.id),
		"user": s.userShape(c.author), "created_at": stamp(c.created), "updated_at": stamp(c.updated),
		"author_association": r.association(c.author), "body": c.body,
		"performed_via_github_app": s.appShape(c.app), "reactions": rollup(api+"/reactions", c.reactions),
	}
}

// issueOf finds {issue_number}, which a pull request's number is as well.
func (c *call) issueOf() *issue { return c.repo.issues[int(c.number("issue_number"))] }

func listComments(c *call) reply {
	i := c.issueOf()
	if i == nil {
		return *notFound()
	}
	all := i.comments()
	if since, err := time.Parse(time.RFC3339, c.query.Get("since")); err == nil {
		all = slices.DeleteFunc(all, func(one *comment) bool { return one.updated.Before(since) })
	}
	return listed(c, all, func(one *comment) any { return c.s.commentShape(one) })
}

// commentRequest is the body of the calls that write one.
type commentRequest struct {
	Body *string `json:"body"`
}

func (c *call) commentBody() (string, *reply) {
	var want commentRequest
	if bad := c.decode(&want); bad != nil {
		return "", bad
	}
	if want.Body == nil {
		return "", invalid(fieldError{Resource: "IssueComment", Field: "body", Code: "missing_field"})
	}
	if reason := refuseBody(*want.Body); reason != "" {
		return "", invalid(fieldError{Resource: "IssueComment", Field: "data", Code: "unprocessable", Message: reason})
	}
	return *want.Body, nil
}

func createComment(c *call) reply {
	i := c.issueOf()
	if i == nil {
		return *notFound()
	}
	body, bad := c.commentBody()
	if bad != nil {
		return *bad
	}
	one := i.addComment(c.actor(), c.asApp(), body)
	shape := c.s.commentShape(one)
	return reply{status: http.StatusCreated, body: shape, header: http.Header{"Location": {shape["url"].(string)}}}
}

func getComment(c *call) reply {
	one := c.repo.comments[c.number("comment_id")]
	if one == nil {
		return *notFound()
	}
	return ok(c.s.commentShape(one))
}

// updateComment lets an App edit what it may edit: its own comments, and with
// write access those of others.
func updateComment(c *call) reply {
	one := c.repo.comments[c.number("comment_id")]
	if one == nil {
		return *notFound()
	}
	body, bad := c.commentBody()
	if bad != nil {
		return *bad
	}
	one.edit(c.actor(), body)
	return ok(c.s.commentShape(one))
}

func deleteComment(c *call) reply {
	one := c.repo.comments[c.number("comment_id")]
	if one == nil {
		return *notFound()
	}
	one.remove(c.actor())
	return reply{status: http.StatusNoContent}
}
