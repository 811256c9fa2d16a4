package github

import (
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
)

// Client speaks for one installation. Its methods are in a file for each kind of
// thing on GitHub. Errors name the operation and its subject; see wrap.
type Client struct {
	app    *App
	id     int64
	budget *budget
}

// rest returns a go-github client for one repository: reads with a token that
// can only read, writes with one that can only report.
func (c *Client) rest(repo bot.RepositoryRef) *gh.Client {
	return c.scoped(
		scope{installation: c.id, repository: repo.ID, use: useRead},
		scope{installation: c.id, repository: repo.ID, use: useReport},
	)
}

// status returns a go-github client that reads a repository's commit statuses.
func (c *Client) status(repo bot.RepositoryRef) *gh.Client {
	status := scope{installation: c.id, repository: repo.ID, use: useStatus}
	return c.scoped(status, status)
}

// attest returns a go-github client that reads a repository's attestations.
func (c *Client) attest(repo bot.RepositoryRef) *gh.Client {
	attest := scope{installation: c.id, repository: repo.ID, use: useAttest}
	return c.scoped(attest, attest)
}

// actions returns a go-github client that reads what runs of a repository's workflows.
func (c *Client) actions(repo bot.RepositoryRef) *gh.Client {
	actions := scope{installation: c.id, repository: repo.ID, use: useActions}
	return c.scoped(actions, actions)
}

// teams returns a go-github client that reads who is in a team.
func (c *Client) teams(repo bot.RepositoryRef) *gh.Client {
	teams := scope{installation: c.id, repository: repo.ID, use: useTeams}
	return c.scoped(teams, teams)
}

// listing returns a go-github client that sees the names of the installation's
// repositories and nothing in them.
func (c *Client) listing() *gh.Client {
	list := scope{installation: c.id, use: useList}
	return c.scoped(list, list)
}

func (c *Client) scoped(read, write scope) *gh.Client {
	a := c.app
	var next http.RoundTripper = authorized{tokens: a.tokens, read: read, write: write, next: a.wire}
	next = limited{budget: c.budget, clock: a.clock, log: a.log, installation: c.id, next: next}
	next = paced{budget: c.budget, clock: a.clock, next: next}
	next = retrying{clock: a.clock, log: a.log, repeatable: idempotent, next: next}
	if a.readOnly {
		next = readOnly{next: next}
	}
	next = caching{cache: a.cache, scope: read, next: next}
	return a.client(next)
}

// perPage is the most that GitHub gives in one page.
const perPage = 100

// pages calls page with the options of each page in turn, until the last.
func pages(page func(gh.ListOptions) (*gh.Response, error)) error {
	for opts := (gh.ListOptions{PerPage: perPage}); ; {
		resp, err := page(opts)
		if err != nil {
			return err
		}
		// A next page that does not come after this one would never end.
		if resp.NextPage <= opts.Page {
			return nil
		}
		opts.Page = resp.NextPage
	}
}
