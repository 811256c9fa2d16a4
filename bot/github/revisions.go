package github

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

var (
	// fullSHA is a whole SHA, and someSHA what is taken for one, whole or short:
	// seven digits are what GitHub shows.
	fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)
	someSHA = regexp.MustCompile(`^[0-9a-fA-F]{7,40}$`)
	// notInRef is what git allows in no branch's name (git-check-ref-format(1)).
	notInRef = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|//|@\{|(^|/)\.|\.(lock)?(/|$)|^/|/$|^-`)
)

// commitFacts is what idp reads of GitHub's "commit".
type commitFacts struct {
	SHA    string `json:"sha"`
	Commit struct {
		Committer struct {
			Date gh.Timestamp `json:"date"`
		} `json:"committer"`
	} `json:"commit"`
	Author  *gh.User `json:"author"`
	Parents []struct {
		SHA string `json:"sha"`
	} `json:"parents"`
}

// Commit reads the commit that a branch's name, a whole SHA or a short one stands
// for. What looks like a SHA is taken for one, also where a branch has that name
// ("heads/" before it says that the branch is meant); a tag is taken for nothing.
// GitHub serves the commits of a repository's forks as the repository's own: see
// Contains. bot.ErrNotFound says that there is none, or several.
func (c *Client) Commit(ctx context.Context, repo bot.RepositoryRef, ref string) (bot.Commit, error) {
	sha, below, err := commitPath(ref)
	if err != nil {
		return bot.Commit{}, fmt.Errorf("read commit %q of %s: %w", cut(ref, 100), fullName(repo), err)
	}
	client := c.rest(repo)
	// Every page tells the commit, and as many of its files as are asked for.
	req, err := client.NewRequest(http.MethodGet,
		"repos/"+url.PathEscape(repo.Owner)+"/"+url.PathEscape(repo.Name)+"/commits/"+below+"?per_page=1", nil)
	var found commitFacts
	if err == nil {
		_, err = client.Do(ctx, req, &found)
	}
	if err != nil {
		return bot.Commit{}, wrap(commitless(err), "read commit %q of %s", ref, fullName(repo))
	}
	if !fullSHA.MatchString(found.SHA) {
		return bot.Commit{}, fmt.Errorf("read commit %q of %s: GitHub's answer holds no SHA", ref, fullName(repo))
	}
	if !strings.HasPrefix(found.SHA, sha) {
		return bot.Commit{}, fmt.Errorf("read commit %q of %s: a branch or tag has that name, and no commit: %w", ref, fullName(repo), bot.ErrNotFound)
	}
	out := bot.Commit{SHA: found.SHA, CommittedAt: found.Commit.Committer.Date.UTC(), Author: actor(found.Author)}
	for _, parent := range found.Parents {
		out.Parents = append(out.Parents, parent.SHA)
	}
	return out, nil
}

// commitPath returns the digits that the commit's SHA must begin with, none for a
// branch, and where GitHub has the commit, below "commits/". "heads/" leads to the
// branch also where a tag has its name.
func commitPath(ref string) (sha, path string, err error) {
	if someSHA.MatchString(ref) {
		sha = strings.ToLower(ref)
		return sha, sha, nil
	}
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")
	if name == "" || name == "@" || len(name) > 255 || notInRef.MatchString(name) {
		return "", "", fmt.Errorf("it is no branch's name and no SHA: %w", bot.ErrNotFound)
	}
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "", "heads/" + strings.Join(parts, "/"), nil
}

// commitless makes bot.ErrNotFound of GitHub's other ways to say that it has no such
// commit: 422 "No commit found for SHA", and 409 "Git Repository is empty".
func commitless(err error) error {
	answer, ok := errors.AsType[*APIError](plain(err))
	if ok && (answer.Status == http.StatusUnprocessableEntity || answer.Status == http.StatusConflict) {
		return fmt.Errorf("%w: %w", bot.ErrNotFound, answer)
	}
	return err
}

// DefaultBranch returns the name of the repository's default branch.
// bot.ErrNotFound says that the repository is gone, or that the name now belongs
// to another one.
func (c *Client) DefaultBranch(ctx context.Context, repo bot.RepositoryRef) (string, error) {
	found, _, err := c.rest(repo).Repositories.Get(ctx, repo.Owner, repo.Name)
	switch {
	case err != nil:
		return "", wrap(err, "read the default branch of %s", fullName(repo))
	case repo.ID != 0 && found.GetID() != repo.ID:
		return "", fmt.Errorf("read the default branch of %s: the name belongs to another repository: %w", fullName(repo), bot.ErrNotFound)
	case found.GetDefaultBranch() == "":
		return "", fmt.Errorf("read the default branch of %s: GitHub's answer holds none", fullName(repo))
	}
	return found.GetDefaultBranch(), nil
}

// BranchProtected says whether pushes to a branch are held to rules, of branch protection or
// of a ruleset; false of a branch that is not there.
func (c *Client) BranchProtected(ctx context.Context, repo bot.RepositoryRef, branch string) (bool, error) {
	found, _, err := c.rest(repo).Repositories.GetBranch(ctx, repo.Owner, repo.Name, branch, 0)
	if err = wrap(err, "read whether branch %s of %s is protected", branch, fullName(repo)); errors.Is(err, bot.ErrNotFound) {
		return false, nil
	}
	return err == nil && found.GetProtected(), err
}

// Contains says whether a commit is the tip, a branch or a whole SHA, or an
// ancestor of it. That is what tells a branch's commits from those of a fork,
// which GitHub serves through the same repository. sha is whole. bot.ErrNotFound
// says that the repository knows one of the two not at all.
func (c *Client) Contains(ctx context.Context, repo bot.RepositoryRef, tip, sha string) (bool, error) {
	if !fullSHA.MatchString(sha) {
		return false, fmt.Errorf("look for commit %q of %s: it is no whole SHA: %w", cut(sha, 100), fullName(repo), bot.ErrNotFound)
	}
	tipSHA, err := c.tipSHA(ctx, repo, tip)
	if err != nil {
		return false, err
	}
	// From the tip to the commit, since an ancestor lacks nothing: the other way
	// round the answer lists everything that came after it.
	compared, _, err := c.rest(repo).Repositories.CompareCommits(ctx, repo.Owner, repo.Name, tipSHA, sha, &gh.ListOptions{PerPage: 1})
	if err != nil {
		if unrelated(err) {
			return false, nil
		}
		return false, wrap(err, "look for commit %.7s of %s in %s", sha, fullName(repo), tip)
	}
	return compared.GetStatus() == "behind" || compared.GetStatus() == "identical", nil
}

// tipSHA returns the tip of a branch, which no tag of the same name can stand in
// for; a whole SHA stands for itself.
func (c *Client) tipSHA(ctx context.Context, repo bot.RepositoryRef, tip string) (string, error) {
	if fullSHA.MatchString(tip) {
		return tip, nil
	}
	name := strings.TrimPrefix(strings.TrimPrefix(tip, "refs/"), "heads/")
	if name == "" || notInRef.MatchString(name) {
		return "", fmt.Errorf("read branch %q of %s: it is no branch's name: %w", cut(tip, 100), fullName(repo), bot.ErrNotFound)
	}
	found, _, err := c.rest(repo).Git.GetRef(ctx, repo.Owner, repo.Name, "heads/"+name)
	if err != nil {
		return "", wrap(err, "read branch %q of %s", name, fullName(repo))
	}
	if sha := found.GetObject().GetSHA(); fullSHA.MatchString(sha) {
		return sha, nil
	}
	return "", fmt.Errorf("read branch %q of %s: GitHub's answer holds no SHA", name, fullName(repo))
}

// unrelated tells GitHub's 404 for two commits that it knows and that share no
// history from its 404 for one that it does not know.
func unrelated(err error) bool {
	refused, ok := errors.AsType[*gh.ErrorResponse](err)
	return ok && strings.HasPrefix(refused.Message, "No common ancestor")
}

// Checks lists the newest check run of each name, App and check suite at a commit, by
// name. An App may have several suites there, as Actions has for a push and for a pull
// request of the same commit, and what one of them is green about another may not be.
// Commit statuses, the older kind, are not among them: see Statuses.
func (c *Client) Checks(ctx context.Context, repo bot.RepositoryRef, sha string) ([]bot.CheckState, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("list checks of %s at %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	type key struct {
		name       string
		app, suite int64
	}
	client, newest := c.rest(repo), map[key]*gh.CheckRun{}
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, sha,
			&gh.ListCheckRunsOptions{Filter: gh.String("latest"), ListOptions: page})
		if err != nil {
			return nil, err
		}
		for _, run := range found.CheckRuns {
			k := key{run.GetName(), run.GetApp().GetID(), run.GetCheckSuite().GetID()}
			if newest[k].GetID() < run.GetID() {
				newest[k] = run
			}
		}
		return resp, nil
	})
	if err != nil {
		return nil, wrap(commitless(err), "list checks of %s at %.7s", fullName(repo), sha)
	}
	states := make([]bot.CheckState, 0, len(newest))
	keys := slices.SortedFunc(maps.Keys(newest), func(a, b key) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.app, b.app), cmp.Compare(a.suite, b.suite))
	})
	for _, k := range keys {
		states = append(states, bot.CheckState{Name: k.name, AppID: k.app, Status: newest[k].GetStatus(), Conclusion: newest[k].GetConclusion()})
	}
	return states, nil
}

// Statuses lists the newest commit status of each context at a commit, by context, as
// checks of no App. bot.ErrNoAccess says that the App may not read them.
func (c *Client) Statuses(ctx context.Context, repo bot.RepositoryRef, sha string) ([]bot.CheckState, error) {
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("list statuses of %s at %q: it is no whole SHA: %w", fullName(repo), cut(sha, 100), bot.ErrNotFound)
	}
	client := c.status(repo)
	var states []bot.CheckState
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.Repositories.GetCombinedStatus(ctx, repo.Owner, repo.Name, sha, &page)
		if err != nil {
			return nil, err
		}
		for _, one := range found.Statuses {
			state := bot.CheckState{Name: one.GetContext(), Status: "completed", Conclusion: one.GetState()}
			if one.GetState() == "pending" {
				state.Status, state.Conclusion = "in_progress", ""
			}
			states = append(states, state)
		}
		return resp, nil
	})
	if err != nil {
		return nil, wrap(commitless(err), "list statuses of %s at %.7s", fullName(repo), sha)
	}
	slices.SortFunc(states, func(a, b bot.CheckState) int { return strings.Compare(a.Name, b.Name) })
	return states, nil
}
