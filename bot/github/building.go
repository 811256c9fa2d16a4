package github

import (
	"context"
	"fmt"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// lastRuns is how many successful runs of a workflow tell how long it takes.
const lastRuns = 10

// TestMerge reads how GitHub would merge a pull request. While it works that out, which a
// question starts, it knows neither a commit nor whether there are conflicts.
// Source: docs.github.com/rest/pulls/pulls#get-a-pull-request.
func (c *Client) TestMerge(ctx context.Context, repo bot.RepositoryRef, number int) (bot.TestMerge, error) {
	found, _, err := c.rest(repo).PullRequests.Get(ctx, repo.Owner, repo.Name, number)
	if err != nil {
		return bot.TestMerge{}, wrap(err, "read the merge of %s#%d", fullName(repo), number)
	}
	if repo.ID != 0 && found.GetBase().GetRepo().GetID() != repo.ID {
		return bot.TestMerge{}, fmt.Errorf("read the merge of %s#%d: the name belongs to another repository: %w", fullName(repo), number, bot.ErrNotFound)
	}
	switch sha := found.GetMergeCommitSHA(); {
	case found.GetState() != "open" || found.Mergeable == nil:
		return bot.TestMerge{}, nil
	case !*found.Mergeable:
		// What is named still is of a time without conflicts.
		return bot.TestMerge{Conflicts: true}, nil
	case fullSHA.MatchString(sha):
		return bot.TestMerge{SHA: sha}, nil
	}
	return bot.TestMerge{}, nil
}

// Compare implements bot.Building.
func (c *Client) Compare(ctx context.Context, repo bot.RepositoryRef, base, head string) (bot.Comparison, error) {
	for _, sha := range []string{base, head} {
		if !fullSHA.MatchString(sha) {
			return bot.Comparison{}, fmt.Errorf("compare %q of %s: it is no whole SHA: %w", cut(sha, 100), fullName(repo), bot.ErrNotFound)
		}
	}
	// The first page has all files that are listed, whatever the number of commits on it.
	found, _, err := c.rest(repo).Repositories.CompareCommits(ctx, repo.Owner, repo.Name, base, head, &gh.ListOptions{PerPage: 1})
	if err != nil {
		return bot.Comparison{}, wrap(err, "compare %.7s and %.7s of %s", base, head, fullName(repo))
	}
	out := bot.Comparison{Base: found.GetMergeBaseCommit().GetSHA()}
	if !fullSHA.MatchString(out.Base) {
		return bot.Comparison{}, fmt.Errorf("compare %.7s and %.7s of %s: GitHub's answer holds no merge base", base, head, fullName(repo))
	}
	for _, file := range found.Files {
		out.Files = append(out.Files, file.GetFilename())
		if before := file.GetPreviousFilename(); before != "" {
			out.Files = append(out.Files, before)
		}
	}
	return out, nil
}

// History implements bot.Building.
func (c *Client) History(ctx context.Context, repo bot.RepositoryRef, sha string) ([]bot.Commit, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("list commits of %s from %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	return c.commits(ctx, repo, gh.CommitsListOptions{SHA: sha, ListOptions: gh.ListOptions{PerPage: perPage}})
}

// Changes implements bot.Building.
func (c *Client) Changes(ctx context.Context, repo bot.RepositoryRef, sha, path string, most int) ([]bot.Commit, error) {
	if !fullSHA.MatchString(sha) || path == "" {
		return nil, fmt.Errorf("list changes of %q of %s from %q: there is no whole SHA, or no path: %w", cut(path, 100), fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	return c.commits(ctx, repo, gh.CommitsListOptions{SHA: sha, Path: path, ListOptions: gh.ListOptions{PerPage: most}})
}

// Became implements bot.Building. One that is squashed has none of its commits in the branch.
// Source: docs.github.com/rest/commits/commits#list-pull-requests-associated-with-a-commit.
func (c *Client) Became(ctx context.Context, repo bot.RepositoryRef, sha, branch string) ([]string, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("list pull requests of %s with %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	found, _, err := c.rest(repo).PullRequests.ListPullRequestsWithCommit(ctx, repo.Owner, repo.Name, sha, &gh.ListOptions{PerPage: perPage})
	if err != nil {
		return nil, wrap(commitless(err), "list pull requests of %s with %.7s", fullName(repo), sha)
	}
	var out []string
	for _, pr := range found {
		if became := pr.GetMergeCommitSHA(); pr.MergedAt != nil && pr.GetBase().GetRef() == branch && fullSHA.MatchString(became) {
			out = append(out, became)
		}
	}
	return out, nil
}

// commits lists one page.
func (c *Client) commits(ctx context.Context, repo bot.RepositoryRef, o gh.CommitsListOptions) ([]bot.Commit, error) {
	found, _, err := c.rest(repo).Repositories.ListCommits(ctx, repo.Owner, repo.Name, &o)
	if err != nil {
		return nil, wrap(commitless(err), "list commits of %s from %.7s", fullName(repo), o.SHA)
	}
	out := make([]bot.Commit, 0, len(found))
	for _, one := range found {
		commit := bot.Commit{SHA: one.GetSHA(), CommittedAt: one.GetCommit().GetCommitter().GetDate().UTC(), Author: actor(one.GetAuthor())}
		for _, parent := range one.Parents {
			commit.Parents = append(commit.Parents, parent.GetSHA())
		}
		out = append(out, commit)
	}
	return out, nil
}

// WorkflowRuns implements bot.Building. Of a pull request GitHub names the head, not the
// commit that would merge it, as what a run is of.
func (c *Client) WorkflowRuns(ctx context.Context, repo bot.RepositoryRef, sha string) ([]bot.WorkflowRun, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("list workflow runs of %s at %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	found, _, err := c.actions(repo).Actions.ListRepositoryWorkflowRuns(ctx, repo.Owner, repo.Name,
		&gh.ListWorkflowRunsOptions{HeadSHA: sha, ExcludePullRequests: true, ListOptions: gh.ListOptions{PerPage: perPage}})
	if err != nil {
		return nil, wrap(err, "list workflow runs of %s at %.7s", fullName(repo), sha)
	}
	out := make([]bot.WorkflowRun, 0, len(found.WorkflowRuns))
	for _, run := range found.WorkflowRuns {
		if run.GetHeadSHA() != sha {
			continue // GitHub leaves a filter out that it cannot read
		}
		out = append(out, bot.WorkflowRun{
			ID: run.GetID(), Workflow: run.GetWorkflowID(), Name: run.GetName(), Event: run.GetEvent(), URL: run.GetHTMLURL(),
			Status: run.GetStatus(), Conclusion: run.GetConclusion(), AskedAt: run.GetCreatedAt().UTC(), StartedAt: run.GetRunStartedAt().UTC(),
		})
	}
	return out, nil
}

// Durations implements bot.Building.
func (c *Client) Durations(ctx context.Context, repo bot.RepositoryRef, workflow int64) ([]time.Duration, error) {
	found, _, err := c.actions(repo).Actions.ListWorkflowRunsByID(ctx, repo.Owner, repo.Name, workflow,
		&gh.ListWorkflowRunsOptions{Status: "success", ExcludePullRequests: true, ListOptions: gh.ListOptions{PerPage: lastRuns}})
	if err != nil {
		return nil, wrap(err, "list the last runs of workflow %d of %s", workflow, fullName(repo))
	}
	var out []time.Duration
	for _, run := range found.WorkflowRuns {
		if took := run.GetUpdatedAt().Sub(run.GetRunStartedAt().Time); took > 0 && run.GetConclusion() == "success" {
			out = append(out, took)
		}
	}
	return out, nil
}
