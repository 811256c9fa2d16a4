package githubtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type deployment struct {
	repo        *Repository
	id          int64
	sha         string
	ref         string
	task        string
	environment string
	description string
	payload     any
	transient   bool
	production  bool
	creator     *account
	app         *App
	created     time.Time
	updated     time.Time
	statuses    []*deploymentStatus
}

type deploymentStatus struct {
	id             int64
	state          string
	description    string
	environment    string
	environmentURL string
	logURL         string
	creator        *account
	app            *App
	created        time.Time
}

// Deployment is a snapshot of a deployment.
type Deployment struct {
	ID          int64
	SHA         string
	Ref         string
	Task        string
	Environment string
	Description string
	Payload     string // JSON
	Transient   bool
	Production  bool
	CreatedAt   time.Time
	// Statuses, oldest first.
	Statuses []DeploymentStatus
}

// DeploymentStatus is a snapshot of one status.
type DeploymentStatus struct {
	ID             int64
	State          string
	Description    string
	EnvironmentURL string
	LogURL         string
	CreatedAt      time.Time
}

// State is that of the latest status; "pending" where there is none.
func (d Deployment) State() string {
	if len(d.Statuses) == 0 {
		return "pending"
	}
	return d.Statuses[len(d.Statuses)-1].State
}

// Deployments returns every deployment, oldest first.
func (r *Repository) Deployments() []Deployment {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	out := []Deployment{}
	for _, d := range r.deployments {
		out = append(out, d.snapshot())
	}
	return out
}

func (d *deployment) snapshot() Deployment {
	out := Deployment{
		ID: d.id, SHA: d.sha, Ref: d.ref, Task: d.task, Environment: d.environment, Description: d.description,
		Payload: string(mustJSON(d.payload)), Transient: d.transient, Production: d.production, CreatedAt: d.created,
	}
	for _, one := range d.statuses {
		out.Statuses = append(out.Statuses, DeploymentStatus{
			ID: one.id, State: one.state, Description: one.description,
			EnvironmentURL: one.environmentURL, LogURL: one.logURL, CreatedAt: one.created,
		})
	}
	return out
}

func (d *deployment) state() string { return d.snapshot().State() }

func (s *Server) deploymentShape(d *deployment) any {
	api := d.repo.api(fmt.Sprintf("/deployments/%d", d.id))
	return object{
		"url": api, "id": d.id, "node_id": nodeID("DE", d.id), "sha": d.sha, "ref": d.ref, "task": d.task, "payload": d.payload,
		"original_environment": d.environment, "environment": d.environment, "description": textOrNil(d.description),
		"creator": s.userShape(d.creator), "created_at": stamp(d.created), "updated_at": stamp(d.updated),
		"statuses_url": api + "/statuses", "repository_url": d.repo.api(""), "transient_environment": d.transient,
		"production_environment": d.production, "performed_via_github_app": s.appShape(d.app),
	}
}

func (s *Server) deploymentStatusShape(d *deployment, one *deploymentStatus) any {
	api := d.repo.api(fmt.Sprintf("/deployments/%d", d.id))
	return object{
		"url": fmt.Sprintf("%s/statuses/%d", api, one.id), "id": one.id, "node_id": nodeID("DES", one.id), "state": one.state,
		"creator": s.userShape(one.creator), "description": one.description, "environment": one.environment,
		"target_url": one.logURL, "log_url": one.logURL, "environment_url": one.environmentURL,
		"created_at": stamp(one.created), "updated_at": stamp(one.created), "deployment_url": api, "repository_url": d.repo.api(""),
		"performed_via_github_app": s.appShape(one.app),
	}
}

// deploymentRequest is the body of POST /deployments, with GitHub's defaults.
type deploymentRequest struct {
	Ref         string           `json:"ref"`
	Task        string           `json:"task"`
	AutoMerge   *bool            `json:"auto_merge"`
	Contexts    *[]string        `json:"required_contexts"`
	Payload     *json.RawMessage `json:"payload"`
	Environment string           `json:"environment"`
	Description *string          `json:"description"`
	Transient   bool             `json:"transient_environment"`
	Production  *bool            `json:"production_environment"`
}

const (
	maxDeploymentDescription = 140
	defaultEnvironment       = "production"
)

func createDeployment(c *call) reply {
	want := deploymentRequest{Task: "deploy", Environment: defaultEnvironment}
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	if want.Ref == "" {
		return *invalid(fieldError{Resource: "Deployment", Field: "ref", Code: "missing_field"})
	}
	at := c.repo.resolve(want.Ref)
	if at == nil {
		return *refuse(http.StatusUnprocessableEntity, "No ref found for: "+want.Ref)
	}
	if want.Description != nil && len([]rune(*want.Description)) > maxDeploymentDescription {
		return *invalid(fieldError{Resource: "Deployment", Field: "description", Code: "custom", Message: "description is too long (maximum is 140 characters)"})
	}
	if (want.AutoMerge == nil || *want.AutoMerge) && c.repo.branches[want.Ref] != "" {
		if merge := c.mergeDefault(want.Ref); merge != nil {
			return *merge
		}
	}
	if failing := c.repo.failing(at.sha, want.Contexts); failing != "" {
		return *refuse(http.StatusConflict, "Conflict: Commit status checks failed for "+want.Ref+": "+failing)
	}
	d := c.newDeployment(want, at)
	return created(c.s.deploymentShape(d))
}

func (c *call) newDeployment(want deploymentRequest, at *commit) *deployment {
	d := &deployment{
		repo: c.repo, id: c.s.nextID(), sha: at.sha, ref: want.Ref, task: want.Task, environment: want.Environment,
		transient: want.Transient, production: want.Environment == defaultEnvironment, payload: object{},
		creator: c.actor(), app: c.asApp(), created: c.s.now(), updated: c.s.now(),
	}
	set(&d.description, want.Description)
	set(&d.production, want.Production)
	if want.Payload != nil {
		d.payload = *want.Payload
	}
	c.repo.deployments = append(c.repo.deployments, d)
	return d
}

// mergeDefault is "auto_merge": a branch that lacks commits of the default branch
// is merged with it and 202 answered instead of a deployment; nil where nothing
// is lacking.
func (c *call) mergeDefault(ref string) *reply {
	r := c.repo
	head, base := r.branches[ref], r.branches[r.defaultBranch]
	if len(c.s.between(head, base)) == 0 {
		return nil
	}
	fork := c.s.mergeBase(base, head)
	if fork == nil {
		return refuse(http.StatusConflict, "Conflict merging "+r.defaultBranch+" into "+ref+".")
	}
	tree, clean := merge3(fork.tree, c.s.commits[head].tree, c.s.commits[base].tree)
	if !clean {
		return refuse(http.StatusConflict, "Conflict merging "+r.defaultBranch+" into "+ref+".")
	}
	merge := r.commit(c.actor(), "Merge "+r.defaultBranch+" into "+ref, tree, head, base)
	r.moveBranch(c.actor(), ref, merge.sha, false)
	return &reply{status: http.StatusAccepted, body: object{"message": "Auto-merged " + r.defaultBranch + " into " + ref + " on deployment."}}
}

// failing names the checks that keep a commit from being deployed: all of its
// checks unless the request lists some.
func (r *Repository) failing(sha string, contexts *[]string) string {
	var out []string
	for _, suite := range r.suites {
		if suite.sha != sha {
			continue
		}
		for _, run := range suite.latest() {
			passed := slices.Contains([]string{"success", "neutral", "skipped"}, run.conclusion)
			if !passed && (contexts == nil || slices.Contains(*contexts, run.name)) {
				out = append(out, run.name)
			}
		}
	}
	return strings.Join(out, ", ")
}
