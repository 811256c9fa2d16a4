package githubtest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// workflowRun is a run of an Actions workflow.
type workflowRun struct {
	repo               *Repository
	id, number         int64
	workflow           string
	event              string
	branch             string
	at                 *commit
	actor              *account
	status, conclusion string
	created, started   time.Time
	updated            time.Time
}

// StartWorkflow begins a run of an Actions workflow on the newest commit of a branch: in the
// queue, or under way.
func (r *Repository) StartWorkflow(by, workflow, branch string, queued bool) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	run, err := r.workflowRun(by, workflow, branch)
	if err != nil {
		return err
	}
	run.status, run.updated = "queued", r.s.now()
	if !queued {
		run.status, run.started = "in_progress", r.s.now()
	}
	return nil
}

// FinishWorkflow says that an Actions workflow ran on a commit of a branch, and
// emits "workflow_run completed": what a registry's image often follows. A run that was
// started there ends.
func (r *Repository) FinishWorkflow(by, workflow, branch, conclusion string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	run, err := r.workflowRun(by, workflow, branch)
	if err != nil {
		return err
	}
	run.status, run.conclusion, run.updated = "completed", conclusion, r.s.now()
	body := object{"workflow": r.workflowShape(workflow), "workflow_run": r.workflowRunShape(run)}
	r.s.emit(event{name: "workflow_run", action: "completed", repo: r, sender: run.actor, body: body})
	return nil
}

// RanWorkflow says that an Actions workflow ran on the default branch a day ago, and was
// successful in that time.
func (r *Repository) RanWorkflow(by, workflow string, took time.Duration) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	run, err := r.workflowRun(by, workflow, r.defaultBranch)
	if err != nil {
		return err
	}
	run.started = r.s.now().Add(-24 * time.Hour)
	run.created, run.updated = run.started, run.started.Add(took)
	run.status, run.conclusion = "completed", "success"
	return nil
}

// workflowRun returns the run of a workflow at a branch's newest commit that has not ended,
// a new one where there is none.
func (r *Repository) workflowRun(by, workflow, branch string) (*workflowRun, error) {
	at := r.s.commits[r.branches[branch]]
	if at == nil {
		return nil, fmt.Errorf("run workflow %s: %s has no branch %s", workflow, r.fullName(), branch)
	}
	for _, run := range r.workflowRuns {
		if run.workflow == workflow && run.at == at && run.status != "completed" {
			return run, nil
		}
	}
	run := &workflowRun{
		repo: r, id: r.s.nextID(), number: int64(len(r.workflowRuns) + 1), workflow: workflow, event: "push", branch: branch, at: at,
		actor: r.s.account(by), created: r.s.now(), started: r.s.now(),
	}
	r.workflowRuns = append(r.workflowRuns, run)
	return run, nil
}

// workflowID is that of a workflow, by the order in which they first ran.
func (r *Repository) workflowID(name string) int64 {
	var names []string
	for _, run := range r.workflowRuns {
		if !slices.Contains(names, run.workflow) {
			names = append(names, run.workflow)
		}
	}
	return r.id + int64(max(slices.Index(names, name), 0))
}

func workflowFile(name string) string { return ".github/workflows/" + name + ".yaml" }

func (r *Repository) workflowShape(name string) object {
	id := r.workflowID(name)
	return object{
		"id": id, "node_id": nodeID("W", id), "name": name, "path": workflowFile(name), "state": "active",
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "url": r.api("/actions/workflows/" + formatID(id)),
		"html_url": r.html("/blob/" + r.defaultBranch + "/" + workflowFile(name)), "badge_url": r.html("/workflows/" + name + "/badge.svg"),
	}
}

// listedRuns answers with the newest runs first, of those that are asked for.
func listedRuns(c *call, of func(*workflowRun) bool) reply {
	var found []*workflowRun
	for _, run := range c.repo.workflowRuns {
		sha, status := c.query.Get("head_sha"), c.query.Get("status")
		if of(run) && (sha == "" || run.at.sha == sha) && (status == "" || status == run.status || status == run.conclusion) {
			found = append(found, run)
		}
	}
	slices.Reverse(found)
	return counted(c, "workflow_runs", found, func(run *workflowRun) any {
		shape := c.repo.workflowRunShape(run)
		if c.query.Get("exclude_pull_requests") == "true" {
			shape["pull_requests"] = []object{}
		}
		return shape
	})
}

func listWorkflowRuns(c *call) reply {
	return listedRuns(c, func(*workflowRun) bool { return true })
}

func listRunsOfWorkflow(c *call) reply {
	id := c.number("workflow_id")
	if !slices.ContainsFunc(c.repo.workflowRuns, func(run *workflowRun) bool { return c.repo.workflowID(run.workflow) == id }) {
		return *refuse(http.StatusNotFound, "Not Found")
	}
	return listedRuns(c, func(run *workflowRun) bool { return c.repo.workflowID(run.workflow) == id })
}

func (r *Repository) workflowRunShape(run *workflowRun) object {
	api := r.api(fmt.Sprintf("/actions/runs/%d", run.id))
	suite := &checkSuite{repo: r, sha: run.at.sha}
	id := r.workflowID(run.workflow)
	return object{
		"id": run.id, "node_id": nodeID("WFR", run.id), "name": run.workflow, "path": workflowFile(run.workflow), "display_title": run.at.message,
		"head_branch": run.branch, "head_sha": run.at.sha, "head_commit": simpleCommitShape(run.at), "run_number": run.number, "run_attempt": 1,
		"event": run.event, "status": run.status, "conclusion": textOrNil(run.conclusion), "workflow_id": id,
		"check_suite_id": run.id, "check_suite_node_id": nodeID("CS", run.id), "check_suite_url": r.api(fmt.Sprintf("/check-suites/%d", run.id)),
		"url": api, "html_url": r.html(fmt.Sprintf("/actions/runs/%d", run.id)), "pull_requests": suite.pulls(),
		"created_at": stamp(run.created), "updated_at": stamp(run.updated), "run_started_at": stamp(run.started),
		"actor": r.s.userShape(run.actor), "triggering_actor": r.s.userShape(run.actor),
		"jobs_url": api + "/jobs", "logs_url": api + "/logs", "artifacts_url": api + "/artifacts", "cancel_url": api + "/cancel",
		"rerun_url": api + "/rerun", "previous_attempt_url": nil, "workflow_url": r.api("/actions/workflows/" + formatID(id)),
		"repository": r.s.minimalShape(r), "head_repository": r.s.minimalShape(r),
	}
}

// listCommits answers with a commit and those before it, the newest first.
func listCommits(c *call) reply {
	from := c.repo.resolve(cmp.Or(c.query.Get("sha"), c.repo.defaultBranch))
	if from == nil {
		return *refuse(http.StatusNotFound, "Not Found")
	}
	all := c.s.between("", from.sha)
	slices.Reverse(all)
	if path := c.query.Get("path"); path != "" {
		all = slices.DeleteFunc(all, func(one *commit) bool { return !c.s.touches(one, path) })
	}
	return listed(c, all, func(one *commit) any { return c.repo.commitShape(one) })
}

// touches says that a commit is in the history of a path, as git simplifies it: a merge is
// not where what is there is as in one of its parents.
func (s *Server) touches(one *commit, path string) bool {
	differs := func(from map[string]string) bool {
		return slices.ContainsFunc(changes(from, one.tree), func(f fileChange) bool {
			return f.path == path || strings.HasPrefix(f.path, path+"/")
		})
	}
	if len(one.parents) == 0 {
		return differs(nil)
	}
	return !slices.ContainsFunc(one.parents, func(parent string) bool { return !differs(s.commits[parent].tree) })
}

// listCommitPulls lists the pull requests that have a commit.
func listCommitPulls(c *call) reply {
	at := c.repo.resolve(c.params["ref"])
	if at == nil {
		return *refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	with := slices.DeleteFunc(c.repo.sortedPulls(), func(pr *PullRequest) bool {
		return !slices.Contains(c.s.between(pr.base(), pr.headSHA), at) && pr.mergeSHA() != at.sha
	})
	return listed(c, with, func(pr *PullRequest) any { return c.s.pullShape(pr) })
}
