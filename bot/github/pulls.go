package github

import (
	"context"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// MaxChangedFiles is how many changed files of a pull request GitHub lists.
// Source: docs.github.com/rest/pulls/pulls#list-pull-requests-files.
const MaxChangedFiles = 3000

// PullRequest reads a pull request as it is now. bot.ErrNotFound says that there
// is none, or that the name now belongs to another repository.
func (c *Client) PullRequest(ctx context.Context, repo bot.RepositoryRef, number int) (bot.PullRequest, error) {
	found, _, err := c.rest(repo).PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	if err != nil {
		return bot.PullRequest{}, wrap(err, "read pull request %s#%d", fullName(repo), number)
	}
	pr := c.pullRequest(found)
	if repo.ID != 0 && pr.Repository.ID != repo.ID {
		return bot.PullRequest{}, fmt.Errorf("read pull request %s#%d: the name belongs to another repository: %w", fullName(repo), number, bot.ErrNotFound)
	}
	return pr, nil
}

// OpenPullRequests lists the open pull requests, oldest first. A list that
// cannot be read whole is an error, never a shorter list. While it is read, pull
// requests may come and go: that one is missing proves nothing.
func (c *Client) OpenPullRequests(ctx context.Context, repo bot.RepositoryRef) ([]bot.PullRequest, error) {
	client := c.rest(repo)
	open := []bot.PullRequest{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.PullRequests.List(ctx, repo.Owner, repo.Name,
			&gh.PullRequestListOptions{State: "open", Sort: "created", Direction: "asc", ListOptions: page})
		for _, one := range found {
			open = append(open, c.pullRequest(one))
		}
		return resp, err
	})
	if err != nil {
		return nil, wrap(err, "list open pull requests of %s", fullName(repo))
	}
	return open, nil
}

// ChangedFiles lists the paths that a pull request touches, with the former
// paths of renamed files. MaxChangedFiles or more say that there may be others.
func (c *Client) ChangedFiles(ctx context.Context, repo bot.RepositoryRef, number int) ([]string, error) {
	client := c.rest(repo)
	paths := []string{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.PullRequests.ListFiles(ctx, repo.Owner, repo.Name, number, &page)
		for _, file := range found {
			paths = append(paths, file.GetFilename())
			if before := file.GetPreviousFilename(); before != "" {
				paths = append(paths, before)
			}
		}
		return resp, err
	})
	if err != nil {
		return nil, wrap(err, "list changed files of %s#%d", fullName(repo), number)
	}
	return paths, nil
}

func (c *Client) pullRequest(pr *gh.PullRequest) bot.PullRequest {
	base, head := pr.GetBase(), pr.GetHead()
	labels := make([]string, 0, len(pr.Labels))
	for _, label := range pr.Labels {
		labels = append(labels, label.GetName())
	}
	merged, merge := pr.GetMerged() || pr.MergedAt != nil, ""
	if merged {
		// Of one that is open, it is a merge that GitHub only tries.
		merge = pr.GetMergeCommitSHA()
	}
	return bot.PullRequest{
		Repository:     repositoryRef(base.GetRepo()),
		InstallationID: c.id,
		Number:         pr.GetNumber(),
		Title:          pr.GetTitle(),
		Open:           pr.GetState() == "open",
		Merged:         merged,
		Draft:          pr.GetDraft(),
		Labels:         labels,
		HeadSHA:        head.GetSHA(),
		HeadRef:        head.GetRef(),
		BaseRef:        base.GetRef(),
		BaseIsDefault:  base.GetRef() != "" && base.GetRef() == base.GetRepo().GetDefaultBranch(),
		MergeSHA:       merge,
		// A head whose repository was deleted has none: that was a fork.
		Fork:      head.GetRepo().GetID() == 0 || head.GetRepo().GetID() != base.GetRepo().GetID(),
		Author:    actor(pr.GetUser()),
		UpdatedAt: pr.GetUpdatedAt().Time,
		// A list of pull requests leaves the count out.
		Uncommented: pr.Comments != nil && *pr.Comments == 0,
	}
}

func actor(user *gh.User) bot.Actor {
	return bot.Actor{ID: user.GetID(), Login: user.GetLogin(), Bot: user.GetType() == "Bot" || strings.HasSuffix(user.GetLogin(), "[bot]")}
}

func repositoryRef(repo *gh.Repository) bot.RepositoryRef {
	return bot.RepositoryRef{ID: repo.GetID(), Owner: repo.GetOwner().GetLogin(), Name: repo.GetName(), Private: repo.GetPrivate()}
}

func fullName(repo bot.RepositoryRef) string { return repo.Owner + "/" + repo.Name }
