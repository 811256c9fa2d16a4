package githubtest

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// GitHub's limits on a pull request's text.
const (
	maxPullTitle = 256
	maxPullBody  = 65536
)

// pullRequest is the body that opens or changes a pull request; nil fields are left
// as they are.
type pullRequest struct {
	Title *string `json:"title"`
	Head  string  `json:"head"`
	Base  *string `json:"base"`
	Body  *string `json:"body"`
	State *string `json:"state"`
	Draft bool    `json:"draft"`
}

func (q *pullRequest) problems() []fieldError {
	var out []fieldError
	bad := func(field, code, message string) {
		out = append(out, fieldError{Resource: "PullRequest", Field: field, Code: code, Message: message})
	}
	if q.Title != nil && strings.TrimSpace(*q.Title) == "" {
		bad("title", "missing_field", "")
	}
	if q.Title != nil && utf8.RuneCountInString(*q.Title) > maxPullTitle {
		bad("title", "custom", "title is too long (maximum is 256 characters)")
	}
	if q.Body != nil && utf8.RuneCountInString(*q.Body) > maxPullBody {
		bad("body", "custom", "body is too long (maximum is 65536 characters)")
	}
	if q.State != nil && !slices.Contains([]string{"open", "closed"}, *q.State) {
		bad("state", "invalid", "")
	}
	return out
}

// createPull opens a pull request by the App (docs.github.com, "Create a pull
// request"). Only branches of the repository itself are taken for its head: an App
// may write no other.
func createPull(c *call) reply {
	var want pullRequest
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	problems := want.problems()
	if want.Title == nil {
		problems = append(problems, fieldError{Resource: "PullRequest", Field: "title", Code: "missing_field"})
	}
	if want.Base == nil {
		problems = append(problems, fieldError{Resource: "PullRequest", Field: "base", Code: "missing_field"})
	}
	if len(problems) > 0 {
		return *invalid(problems...)
	}
	head := strings.TrimPrefix(want.Head, c.repo.owner.login+":")
	if refusal := c.repo.mayOpen(c.repo, head, *want.Base); refusal != nil {
		return *invalid(*refusal)
	}
	opts := PullRequestOptions{Title: *want.Title, Head: head, HeadRepository: c.repo, Base: *want.Base, Draft: want.Draft}
	set(&opts.Body, want.Body)
	return created(c.s.pullFullShape(c.repo.openPull(c.actor(), opts)))
}

// updatePull changes text, base and state (docs.github.com, "Update a pull
// request").
func updatePull(c *call) reply {
	pr := c.pullOf()
	if pr == nil {
		return *notFound()
	}
	var want pullRequest
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	problems := want.problems()
	if want.Base != nil && c.repo.branches[*want.Base] == "" {
		problems = append(problems, fieldError{Resource: "PullRequest", Field: "base", Code: "invalid"})
	}
	if len(problems) > 0 {
		return *invalid(problems...)
	}
	title, body := pr.title, pr.body
	set(&title, want.Title)
	set(&body, want.Body)
	if title != pr.title || body != pr.body {
		pr.edit(c.actor(), title, body)
	}
	if want.Base != nil && *want.Base != pr.baseRef {
		pr.retarget(c.actor(), *want.Base)
	}
	switch {
	case want.State == nil:
	case *want.State == "closed":
		pr.close(c.actor(), nil)
	default:
		pr.reopen(c.actor())
	}
	return ok(c.s.pullFullShape(pr))
}
