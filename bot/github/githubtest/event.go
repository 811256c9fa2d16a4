package githubtest

import (
	"slices"
	"strings"
)

// event is one thing that happened, on its way to every App that hears of it.
type event struct {
	name   string // X-GitHub-Event
	action string // empty for push
	repo   *Repository
	sender *account
	body   object // what is particular to the event
	only   *App   // where just one App hears of it
}

// emit queues the event for each App whose installation covers the repository
// and that subscribes to it. Events about the installation itself go out without
// a subscription: see emitInstallation.
func (s *Server) emit(e event) {
	for _, app := range s.apps {
		if e.only != nil && app != e.only {
			continue
		}
		i := app.covering(e.repo)
		if i == nil || !i.suspended.IsZero() || !slices.Contains(app.events, e.name) {
			continue
		}
		s.enqueue(i, e, s.payload(i, e))
	}
}

// payload is the whole body of a repository's event for an installation.
func (s *Server) payload(i *Installation, e event) object {
	out := merged(e.body, object{
		"repository": s.repositoryShape(e.repo), "sender": s.userShape(e.sender),
		"installation": object{"id": i.id, "node_id": nodeID("I", i.id)},
	})
	if e.action != "" {
		out["action"] = e.action
	}
	if e.repo.owner.kind == "Organization" {
		out["organization"] = s.organizationShape(e.repo.owner)
	}
	return out
}

func (s *Server) emitRepository(r *Repository, by *account, action string, was object) {
	body := object{}
	if was != nil {
		body["changes"] = was
	}
	s.emit(event{name: "repository", action: action, repo: r, sender: by, body: body})
}

func (s *Server) emitPull(pr *PullRequest, by *account, action string, more object) {
	body := merged(object{"number": pr.number, "pull_request": s.pullFullShape(pr)}, more)
	s.emit(event{name: "pull_request", action: action, repo: pr.repo, sender: by, body: body})
}

func (s *Server) emitComment(c *comment, by *account, action string, was object) {
	body := object{"issue": s.issueShape(c.issue), "comment": s.commentShape(c)}
	if was != nil {
		body["changes"] = was
	}
	s.emit(event{name: "issue_comment", action: action, repo: c.issue.repo, sender: by, body: body})
}

// emitCheckRun tells the run's own App; "created" and "completed" go to every
// App that reads checks.
func (s *Server) emitCheckRun(run *checkRun, by *account, action string, more object) {
	shape := s.runShape(run)
	shape["check_suite"] = s.hookSuiteShape(run.suite)
	e := event{name: "check_run", action: action, repo: run.suite.repo, sender: by, body: merged(object{"check_run": shape}, more)}
	if action == "rerequested" || action == "requested_action" {
		e.only = run.suite.app
	}
	s.emit(e)
}

func (s *Server) emitSuite(suite *checkSuite, by *account, action string) {
	s.emit(event{
		name: "check_suite", action: action, repo: suite.repo, sender: by, only: suite.app,
		body: object{"check_suite": s.fullSuiteShape(suite)},
	})
}

const zeroSHA = "0000000000000000000000000000000000000000"

func (s *Server) emitPush(r *Repository, by *account, branch, before, after string, forced bool) {
	gone, made := after == "", before == ""
	if made {
		before = r.branches[r.defaultBranch]
	}
	commits := []object{}
	var head any
	if !gone {
		for _, c := range s.between(before, after) {
			commits = append(commits, s.pushedShape(r, c))
		}
		head = s.pushedShape(r, s.commits[after])
	}
	if made {
		before = zeroSHA
	}
	if gone {
		after = zeroSHA
	}
	s.emit(event{name: "push", repo: r, sender: by, body: object{
		"ref": "refs/heads/" + branch, "before": before, "after": after, "created": made, "deleted": gone, "forced": forced,
		"base_ref": nil, "compare": r.html("/compare/" + before[:12] + "..." + after[:12]), "commits": commits, "head_commit": head,
		"pusher": object{"name": by.login, "email": email(by)},
	}})
}

// pushedShape is a commit in the payload of a push.
func (s *Server) pushedShape(r *Repository, c *commit) object {
	from := map[string]string{}
	if len(c.parents) > 0 {
		from = s.commits[c.parents[0]].tree
	}
	added, removed, modified := []string{}, []string{}, []string{}
	for _, f := range changes(from, c.tree) {
		switch f.status {
		case "added":
			added = append(added, f.path)
		case "removed":
			removed = append(removed, f.path)
		case "renamed":
			added, removed = append(added, f.path), append(removed, f.previous)
		default:
			modified = append(modified, f.path)
		}
	}
	person := object{"name": c.author.login, "email": email(c.author), "username": c.author.login}
	return merged(simpleCommitShape(c), object{
		"distinct": true, "url": r.html("/commit/" + c.sha), "author": person, "committer": person,
		"added": added, "removed": removed, "modified": modified,
	})
}

// briefShape is a repository in the payloads of installations.
func briefShape(r *Repository) object {
	return object{"id": r.id, "node_id": nodeID("R", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private}
}

func (s *Server) emitInstallation(i *Installation, action string) {
	covered := []object{}
	for _, r := range s.repositories {
		if i.covers(r) {
			covered = append(covered, briefShape(r))
		}
	}
	slices.SortFunc(covered, func(a, b object) int { return strings.Compare(a["full_name"].(string), b["full_name"].(string)) })
	body := object{
		"action": action, "installation": s.installationShape(i), "repositories": covered, "sender": s.userShape(i.account),
	}
	s.enqueue(i, event{name: "installation", action: action}, body)
}

func (s *Server) emitSelection(i *Installation, r *Repository, on bool) {
	action, added, removed := "added", []object{briefShape(r)}, []object{}
	if !on {
		action, added, removed = "removed", removed, added
	}
	s.enqueue(i, event{name: "installation_repositories", action: action}, object{
		"action": action, "installation": s.installationShape(i), "repository_selection": i.selection(),
		"repositories_added": added, "repositories_removed": removed, "requester": nil, "sender": s.userShape(i.account),
	})
}
