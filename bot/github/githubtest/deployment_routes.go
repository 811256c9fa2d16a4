package githubtest

import (
	"net/http"
	"net/url"
	"slices"
)

var deploymentStates = []string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}

func (c *call) deploymentOf() *deployment {
	for _, d := range c.repo.deployments {
		if d.id == c.number("deployment_id") {
			return d
		}
	}
	return nil
}

func listDeployments(c *call) reply {
	all := slices.DeleteFunc(slices.Clone(c.repo.deployments), func(d *deployment) bool {
		for name, have := range map[string]string{"sha": d.sha, "ref": d.ref, "task": d.task, "environment": d.environment} {
			if want := c.query.Get(name); want != "" && want != "none" && want != have {
				return true
			}
		}
		return false
	})
	slices.Reverse(all)
	return listed(c, all, c.s.deploymentShape)
}

func getDeployment(c *call) reply {
	d := c.deploymentOf()
	if d == nil {
		return *notFound()
	}
	return ok(c.s.deploymentShape(d))
}

// deleteDeployment removes an inactive deployment, or the only one
// (docs.github.com, "Delete a deployment").
func deleteDeployment(c *call) reply {
	d := c.deploymentOf()
	if d == nil {
		return *notFound()
	}
	if len(c.repo.deployments) > 1 && d.state() != "inactive" {
		return *refuse(http.StatusUnprocessableEntity, "We cannot delete an active deployment unless it is the only deployment in a given repository.")
	}
	c.repo.deployments = slices.DeleteFunc(c.repo.deployments, func(other *deployment) bool { return other == d })
	return reply{status: http.StatusNoContent}
}

func listDeploymentStatuses(c *call) reply {
	d := c.deploymentOf()
	if d == nil {
		return *notFound()
	}
	all := slices.Clone(d.statuses)
	slices.Reverse(all)
	return listed(c, all, func(one *deploymentStatus) any { return c.s.deploymentStatusShape(d, one) })
}

// statusRequest is the body of POST …/statuses.
type statusRequest struct {
	State          string  `json:"state"`
	TargetURL      string  `json:"target_url"`
	LogURL         string  `json:"log_url"`
	Description    string  `json:"description"`
	Environment    *string `json:"environment"`
	EnvironmentURL string  `json:"environment_url"`
	AutoInactive   *bool   `json:"auto_inactive"`
}

func (q statusRequest) problems() []fieldError {
	var out []fieldError
	bad := func(field, code, message string) {
		out = append(out, fieldError{Resource: "DeploymentStatus", Field: field, Code: code, Message: message})
	}
	if !slices.Contains(deploymentStates, q.State) {
		bad("state", "invalid", "state is not included in the list")
	}
	if len([]rune(q.Description)) > maxDeploymentDescription {
		bad("description", "custom", "description is too long (maximum is 140 characters)")
	}
	for field, value := range map[string]string{"target_url": q.TargetURL, "log_url": q.LogURL, "environment_url": q.EnvironmentURL} {
		if u, err := url.Parse(value); value != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https") {
			bad(field, "custom", field+" must use http(s) scheme")
		}
	}
	return out
}

// createDeploymentStatus adds a status. A success retires, unless auto_inactive
// is false, the earlier deployments of its environment that are neither transient
// nor of production (docs.github.com, "Create a deployment status").
func createDeploymentStatus(c *call) reply {
	d := c.deploymentOf()
	if d == nil {
		return *notFound()
	}
	var want statusRequest
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	if problems := want.problems(); len(problems) > 0 {
		return *invalid(problems...)
	}
	if want.LogURL == "" {
		want.LogURL = want.TargetURL
	}
	set(&d.environment, want.Environment)
	one := c.addStatus(d, want)
	if want.State == "success" && (want.AutoInactive == nil || *want.AutoInactive) {
		c.retireOthers(d)
	}
	return created(c.s.deploymentStatusShape(d, one))
}

func (c *call) addStatus(d *deployment, want statusRequest) *deploymentStatus {
	one := &deploymentStatus{
		id: c.s.nextID(), state: want.State, description: want.Description, environment: d.environment,
		environmentURL: want.EnvironmentURL, logURL: want.LogURL, creator: c.actor(), app: c.asApp(), created: c.s.now(),
	}
	d.statuses, d.updated = append(d.statuses, one), c.s.now()
	return one
}

func (c *call) retireOthers(d *deployment) {
	for _, other := range c.repo.deployments {
		if other.id < d.id && other.environment == d.environment && !other.transient && !other.production && other.state() != "inactive" {
			c.addStatus(other, statusRequest{State: "inactive"})
		}
	}
}
