package github

import (
	"context"
	"encoding/json"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/report"
)

// deploymentMark is a deployment's payload: by it one preview's deployment is
// told from another's of the same commit, since all share one GitHub environment.
type deploymentMark struct {
	Preview string `json:"idp_preview"`
}

// FindDeployment returns the id of the newest deployment of the commit that
// carries the preview's mark, 0 when there is none.
func (c *Client) FindDeployment(ctx context.Context, repo bot.RepositoryRef, d report.Deployment) (int64, error) {
	client := c.rest(repo)
	var newest int64
	err := pages(func(page gh.ListOptions) (*gh.Response, error) {
		found, resp, err := client.Repositories.ListDeployments(ctx, repo.Owner, repo.Name,
			&gh.DeploymentsListOptions{SHA: d.SHA, Environment: d.Environment, ListOptions: page})
		for _, one := range found {
			if one.GetSHA() == d.SHA && marked(one.Payload) == d.Preview {
				newest = max(newest, one.GetID())
			}
		}
		return resp, err
	})
	if err != nil {
		return 0, wrap(err, "look for the deployment of %s at %.7s", fullName(repo), d.SHA)
	}
	return newest, nil
}

// marked reads the payload, which GitHub returns as it was given or, once it was
// stored as text, as a string that holds it. Others' payloads carry no mark.
func marked(payload json.RawMessage) string {
	var text string
	if json.Unmarshal(payload, &text) == nil {
		payload = json.RawMessage(text)
	}
	var mark deploymentMark
	if json.Unmarshal(payload, &mark) != nil {
		return ""
	}
	return mark.Preview
}

// CreateDeployment creates a deployment of exactly that commit and returns its
// id. Nothing is merged and no status is waited for. GitHub takes the environment
// "production" for one of production, and no other.
func (c *Client) CreateDeployment(ctx context.Context, repo bot.RepositoryRef, d report.Deployment) (int64, error) {
	made, _, err := c.rest(repo).Repositories.CreateDeployment(ctx, repo.Owner, repo.Name, &gh.DeploymentRequest{
		Ref: &d.SHA, Environment: &d.Environment, Description: optional(cut(d.Description, maxDescription)),
		AutoMerge: gh.Bool(false), RequiredContexts: &[]string{}, Payload: deploymentMark{d.Preview},
		TransientEnvironment: &d.Transient,
	})
	if err != nil {
		return 0, wrap(err, "create the deployment of %s at %.7s", fullName(repo), d.SHA)
	}
	return made.GetID(), nil
}

// maxDescription is what GitHub takes of a status's description, in characters.
const maxDescription = 139

// SetDeploymentStatus says how a deployment stands. Other deployments of the
// environment are left as they are.
func (c *Client) SetDeploymentStatus(ctx context.Context, repo bot.RepositoryRef, id int64, d report.Deployment) error {
	_, _, err := c.rest(repo).Repositories.CreateDeploymentStatus(ctx, repo.Owner, repo.Name, id, &gh.DeploymentStatusRequest{
		State: &d.State, EnvironmentURL: optional(d.URL), Description: optional(cut(d.Description, maxDescription)), AutoInactive: gh.Bool(false),
	})
	return wrap(err, "set deployment %d of %s to %s", id, fullName(repo), d.State)
}
