package githubtest

import "fmt"

// FinishWorkflow says that an Actions workflow ran on a commit of a branch, and
// emits "workflow_run completed": what a registry's image often follows.
func (r *Repository) FinishWorkflow(by, workflow, branch, conclusion string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	at := r.s.commits[r.branches[branch]]
	if at == nil {
		return fmt.Errorf("finish workflow %s: %s has no branch %s", workflow, r.fullName(), branch)
	}
	actor := r.s.account(by)
	body := object{
		"workflow":     r.workflowShape(workflow),
		"workflow_run": r.workflowRunShape(actor, workflow, branch, conclusion, at),
	}
	r.s.emit(event{name: "workflow_run", action: "completed", repo: r, sender: actor, body: body})
	return nil
}

func (r *Repository) workflowShape(name string) object {
	file := ".github/workflows/" + name + ".yaml"
	return object{
		"id": r.id, "node_id": nodeID("W", r.id), "name": name, "path": file, "state": "active",
		"created_at": stamp(r.created), "updated_at": stamp(r.created), "url": r.api("/actions/workflows/" + formatID(r.id)),
		"html_url": r.html("/blob/" + r.defaultBranch + "/" + file), "badge_url": r.html("/workflows/" + name + "/badge.svg"),
	}
}

func (r *Repository) workflowRunShape(actor *account, name, branch, conclusion string, at *commit) object {
	id := r.s.nextID()
	api := r.api(fmt.Sprintf("/actions/runs/%d", id))
	suite := &checkSuite{repo: r, sha: at.sha}
	return object{
		"id": id, "node_id": nodeID("WFR", id), "name": name, "path": ".github/workflows/" + name + ".yaml", "display_title": at.message,
		"head_branch": branch, "head_sha": at.sha, "head_commit": simpleCommitShape(at), "run_number": 1, "run_attempt": 1,
		"event": "push", "status": "completed", "conclusion": conclusion, "workflow_id": r.id,
		"check_suite_id": id, "check_suite_node_id": nodeID("CS", id), "check_suite_url": r.api(fmt.Sprintf("/check-suites/%d", id)),
		"url": api, "html_url": r.html(fmt.Sprintf("/actions/runs/%d", id)), "pull_requests": suite.pulls(),
		"created_at": stamp(at.at), "updated_at": stamp(r.s.now()), "run_started_at": stamp(at.at),
		"actor": r.s.userShape(actor), "triggering_actor": r.s.userShape(actor),
		"jobs_url": api + "/jobs", "logs_url": api + "/logs", "artifacts_url": api + "/artifacts", "cancel_url": api + "/cancel",
		"rerun_url": api + "/rerun", "previous_attempt_url": nil, "workflow_url": r.api("/actions/workflows/" + formatID(r.id)),
		"repository": r.s.minimalShape(r), "head_repository": r.s.minimalShape(r),
	}
}
