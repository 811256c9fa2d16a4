package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// issueComment is what idp reads of GitHub's "issue-comment". go-github's own
// type leaves out which App wrote it.
type issueComment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	App  *struct {
		ID int64 `json:"id"`
	} `json:"performed_via_github_app"`
}

// Comments lists every comment on a pull request, oldest first, with the App
// that wrote it. Review comments are not among them.
func (c *Client) Comments(ctx context.Context, repo bot.RepositoryRef, number int) ([]bot.Comment, error) {
	return comments(ctx, c.rest(repo), repo, number)
}

func comments(ctx context.Context, client *gh.Client, repo bot.RepositoryRef, number int) ([]bot.Comment, error) {
	all := []bot.Comment{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		query := url.Values{"per_page": {strconv.Itoa(page.PerPage)}, "page": {strconv.Itoa(max(page.Page, 1))}}
		path := fmt.Sprintf("repos/%s/%s/issues/%d/comments?%s", url.PathEscape(repo.Owner), url.PathEscape(repo.Name), number, query.Encode())
		req, err := client.NewRequest(http.MethodGet, path, nil)
		if err != nil {
			return nil, err
		}
		var found []issueComment
		resp, err := client.Do(ctx, req, &found)
		for _, one := range found {
			all = append(all, one.comment())
		}
		return resp, err
	})
	if err != nil {
		return nil, wrap(err, "list comments of %s#%d", fullName(repo), number)
	}
	return all, nil
}

func (i issueComment) comment() bot.Comment {
	out := bot.Comment{ID: i.ID, Body: i.Body}
	if i.App != nil {
		out.ViaApp = i.App.ID
	}
	return out
}

// CreateComment writes a comment of at most 65,536 characters and returns its id.
// A failure may have come after GitHub wrote it: look for it before trying again.
func (c *Client) CreateComment(ctx context.Context, repo bot.RepositoryRef, number int, body string) (int64, error) {
	made, _, err := c.rest(repo).Issues.CreateComment(ctx, repo.Owner, repo.Name, number, &gh.IssueComment{Body: &body})
	if err != nil {
		return 0, wrap(err, "comment on %s#%d", fullName(repo), number)
	}
	return made.GetID(), nil
}

// EditComment replaces a comment's text. bot.ErrNotFound says that somebody
// deleted it.
func (c *Client) EditComment(ctx context.Context, repo bot.RepositoryRef, id int64, body string) error {
	_, _, err := c.rest(repo).Issues.EditComment(ctx, repo.Owner, repo.Name, id, &gh.IssueComment{Body: &body})
	return wrap(err, "edit comment %d of %s", id, fullName(repo))
}

// DeleteComment deletes a comment; one that is gone already is fine.
func (c *Client) DeleteComment(ctx context.Context, repo bot.RepositoryRef, id int64) error {
	_, err := c.rest(repo).Issues.DeleteComment(ctx, repo.Owner, repo.Name, id)
	if err = wrap(err, "delete comment %d of %s", id, fullName(repo)); errors.Is(err, bot.ErrNotFound) {
		return nil
	}
	return err
}

// React puts a reaction on a comment: one of +1 -1 laugh confused heart hooray
// rocket eyes. One that is there already is fine (GitHub then answers 200).
func (c *Client) React(ctx context.Context, repo bot.RepositoryRef, commentID int64, content string) error {
	_, _, err := c.rest(repo).Reactions.CreateIssueCommentReaction(ctx, repo.Owner, repo.Name, commentID, content)
	return wrap(err, "react to comment %d of %s", commentID, fullName(repo))
}
