package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

const (
	// maxTitle and maxBody are what GitHub takes of a pull request, in characters.
	maxTitle = 256
	maxBody  = 65536
)

// proposing returns a go-github client for the pull requests of one GitOps
// repository.
func (c *Client) proposing(repo bot.RepositoryRef) *gh.Client {
	propose := scope{installation: c.id, repository: repo.ID, use: usePropose}
	return c.scoped(propose, propose)
}

// ProposeChange sees to it that a pull request of the change's branch into its
// base is open, with the change's title and body, and returns its number: the one
// that is open already, else a new one. bot.ErrNothingToPropose says that there is
// nothing to merge, bot.ErrNotFound that GitHub does not know the branch, or the
// base, or not yet.
func (c *Client) ProposeChange(ctx context.Context, repo bot.RepositoryRef, change bot.Change) (int, error) {
	change.Title, change.Body = cut(change.Title, maxTitle-1), cut(change.Body, maxBody-1)
	number, err := c.proposed(ctx, repo, change)
	if number != 0 || err != nil {
		return number, err
	}
	made, _, err := c.proposing(repo).PullRequests.Create(ctx, repo.Owner, repo.Name, &gh.NewPullRequest{
		Title: &change.Title, Body: &change.Body, Head: &change.Branch, Base: &change.Base,
	})
	if err == nil {
		return made.GetNumber(), nil
	}
	// It may have been made by another process, or by a request whose answer was lost.
	if refusedFor(err, "already exists") {
		if number, err := c.proposed(ctx, repo, change); number != 0 || err != nil {
			return number, err
		}
	}
	return 0, wrap(unproposed(err), "propose %s of %s", change.Branch, fullName(repo))
}

// proposed returns the open pull request of the change, made to say what the
// change says; 0 where there is none.
func (c *Client) proposed(ctx context.Context, repo bot.RepositoryRef, change bot.Change) (int, error) {
	pr, err := c.openChange(ctx, repo, change.Branch, change.Base)
	if pr == nil || err != nil || pr.GetTitle() == change.Title && pr.GetBody() == change.Body {
		return pr.GetNumber(), err
	}
	_, _, err = c.proposing(repo).PullRequests.Edit(ctx, repo.Owner, repo.Name, pr.GetNumber(), &gh.PullRequest{Title: &change.Title, Body: &change.Body})
	return pr.GetNumber(), wrap(err, "edit %s#%d", fullName(repo), pr.GetNumber())
}

// FindChange returns the number of the open pull request of a branch into another of the
// same repository, 0 where there is none.
func (c *Client) FindChange(ctx context.Context, repo bot.RepositoryRef, branch, base string) (int, error) {
	pr, err := c.openChange(ctx, repo, branch, base)
	return pr.GetNumber(), err
}

func (c *Client) openChange(ctx context.Context, repo bot.RepositoryRef, branch, base string) (*gh.PullRequest, error) {
	found, _, err := c.proposing(repo).PullRequests.List(ctx, repo.Owner, repo.Name, &gh.PullRequestListOptions{
		State: "open", Head: repo.Owner + ":" + branch, Base: base, ListOptions: gh.ListOptions{PerPage: perPage},
	})
	if err != nil {
		return nil, wrap(err, "look for the proposal of %s of %s", branch, fullName(repo))
	}
	for _, pr := range found {
		// GitHub leaves a filter out that it cannot read.
		if head, of := pr.GetHead(), pr.GetBase(); head.GetRef() == branch && of.GetRef() == base && head.GetRepo().GetID() == of.GetRepo().GetID() {
			return pr, nil
		}
	}
	return nil, nil
}

// refusedFor says that GitHub refuses what was asked, with such words.
func refusedFor(err error, words string) bool {
	answer, ok := errors.AsType[*APIError](plain(err))
	return ok && answer.Status == http.StatusUnprocessableEntity && strings.Contains(answer.Message, words)
}

// unproposed gives the refusals of a pull request that mean something their names.
func unproposed(err error) error {
	switch {
	case refusedFor(err, "No commits between"):
		return fmt.Errorf("%w: %w", bot.ErrNothingToPropose, plain(err))
	case refusedFor(err, "head: invalid"), refusedFor(err, "base: invalid"):
		return fmt.Errorf("%w: %w", bot.ErrNotFound, plain(err))
	}
	return err
}

// ChangeState reads how a proposed change stands: bot.ChangeOpen, bot.ChangeMerged
// with the commit that it became on its base, or bot.ChangeClosed.
func (c *Client) ChangeState(ctx context.Context, repo bot.RepositoryRef, number int) (state, mergeSHA string, err error) {
	found, _, err := c.proposing(repo).PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	if err != nil {
		return "", "", wrap(err, "read %s#%d", fullName(repo), number)
	}
	switch pr := c.pullRequest(found); {
	case pr.Merged:
		return bot.ChangeMerged, pr.MergeSHA, nil
	case pr.Open:
		return bot.ChangeOpen, "", nil
	}
	return bot.ChangeClosed, "", nil
}

// CloseChange closes a proposed change that is open, and comments why, once, unless
// the comment is empty. One that is merged or closed, or gone, is left as it is:
// ChangeState tells which.
func (c *Client) CloseChange(ctx context.Context, repo bot.RepositoryRef, number int, comment string) error {
	state, _, err := c.ChangeState(ctx, repo, number)
	switch {
	case errors.Is(err, bot.ErrNotFound):
		return nil
	case err != nil:
		return err
	case state != bot.ChangeOpen:
		return nil
	}
	if err := c.explain(ctx, repo, number, comment); err != nil {
		return err
	}
	_, _, err = c.proposing(repo).PullRequests.Edit(ctx, repo.Owner, repo.Name, number, &gh.PullRequest{State: gh.String("closed")})
	return wrap(err, "close %s#%d", fullName(repo), number)
}

// explain comments, unless the App did so before it was interrupted. It is all with the
// rights to propose, for an App that only writes has no others.
func (c *Client) explain(ctx context.Context, repo bot.RepositoryRef, number int, comment string) error {
	if comment == "" {
		return nil
	}
	client := c.proposing(repo)
	said, err := comments(ctx, client, repo, number)
	if err != nil {
		return err
	}
	for _, one := range said {
		if one.ViaApp == c.app.id && one.Body == comment {
			return nil
		}
	}
	_, _, err = client.Issues.CreateComment(ctx, repo.Owner, repo.Name, number, &gh.IssueComment{Body: &comment})
	return wrap(err, "comment on %s#%d", fullName(repo), number)
}
