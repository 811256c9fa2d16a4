package githubtest

import (
	"fmt"
	"slices"
	"time"
)

// checkSuite gathers one App's check runs on one commit.
type checkSuite struct {
	repo    *Repository
	id      int64
	app     *App
	sha     string
	branch  string
	before  string
	created time.Time
	updated time.Time
}

// checkRun is one run. The last of its name in a suite is the one that counts.
type checkRun struct {
	suite       *checkSuite
	id          int64
	name        string
	status      string
	conclusion  string
	detailsURL  string
	externalID  string
	started     time.Time
	completed   time.Time
	title       string
	summary     string
	text        string
	annotations []Annotation
	actions     []CheckAction
}

// CheckRun is a snapshot of a check run.
type CheckRun struct {
	ID          int64
	App         string // slug
	Name        string
	HeadSHA     string
	Status      string
	Conclusion  string
	DetailsURL  string
	ExternalID  string
	Title       string
	Summary     string
	Text        string
	StartedAt   time.Time
	CompletedAt time.Time
	Annotations []Annotation
	Actions     []CheckAction
}

// Annotation is a remark on a line of a file.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn *int   `json:"start_column"`
	EndColumn   *int   `json:"end_column"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title"`
	RawDetails  string `json:"raw_details"`
}

// CheckAction is a button of a check run.
type CheckAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

// CheckRuns returns every check run, oldest first.
func (r *Repository) CheckRuns() []CheckRun {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	out := []CheckRun{}
	for _, run := range r.runs {
		out = append(out, run.snapshot())
	}
	return out
}

// CheckRuns returns the check runs on the head commit, oldest first.
func (pr *PullRequest) CheckRuns() []CheckRun {
	sha := pr.HeadSHA()
	return slices.DeleteFunc(pr.repo.CheckRuns(), func(run CheckRun) bool { return run.HeadSHA != sha })
}

func (run *checkRun) snapshot() CheckRun {
	return CheckRun{
		ID: run.id, App: run.suite.app.slug, Name: run.name, HeadSHA: run.suite.sha, Status: run.status, Conclusion: run.conclusion,
		DetailsURL: run.detailsURL, ExternalID: run.externalID, Title: run.title, Summary: run.summary, Text: run.text,
		StartedAt: run.started, CompletedAt: run.completed,
		Annotations: slices.Clone(run.annotations), Actions: slices.Clone(run.actions),
	}
}

// RerequestCheck is the "Re-run" of a check run's page.
func (r *Repository) RerequestCheck(by string, id int64) error {
	return r.onRun(id, func(run *checkRun) error {
		r.s.emitCheckRun(run, r.s.account(by), "rerequested", nil)
		return nil
	})
}

// RerequestSuite is the "Re-run all checks" for an App on a commit.
func (r *Repository) RerequestSuite(by string, app *App, sha string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, suite := range r.suites {
		if suite.app == app && suite.sha == sha {
			r.s.emitSuite(suite, r.s.account(by), "rerequested")
			return nil
		}
	}
	return fmt.Errorf("%s has no check suite of %s on %s", r.fullName(), app.slug, sha)
}

// PressAction presses a check run's button.
func (r *Repository) PressAction(by string, id int64, identifier string) error {
	return r.onRun(id, func(run *checkRun) error {
		known := slices.ContainsFunc(run.actions, func(a CheckAction) bool { return a.Identifier == identifier })
		if !known {
			return fmt.Errorf("check run %d has no action %q", id, identifier)
		}
		r.s.emitCheckRun(run, r.s.account(by), "requested_action", object{"requested_action": object{"identifier": identifier}})
		return nil
	})
}

func (r *Repository) onRun(id int64, do func(*checkRun) error) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	run := r.run(id)
	if run == nil {
		return fmt.Errorf("%s has no check run %d", r.fullName(), id)
	}
	return do(run)
}

func (r *Repository) run(id int64) *checkRun {
	at := slices.IndexFunc(r.runs, func(run *checkRun) bool { return run.id == id })
	if at < 0 {
		return nil
	}
	return r.runs[at]
}

// suite returns the App's newest suite on a commit, made where there is none.
func (r *Repository) suite(app *App, sha string) *checkSuite {
	for _, suite := range slices.Backward(r.suites) {
		if suite.app == app && suite.sha == sha {
			return suite
		}
	}
	return r.newSuite(app, sha)
}

// newSuite makes one more suite of the App's on a commit.
func (r *Repository) newSuite(app *App, sha string) *checkSuite {
	suite := &checkSuite{repo: r, id: r.s.nextID(), app: app, sha: sha, created: r.s.now(), updated: r.s.now()}
	for name, tip := range r.branches {
		if tip == sha {
			suite.branch = name
		}
	}
	r.suites = append(r.suites, suite)
	return suite
}

// requestSuites makes a suite for every App that may write checks, as GitHub does
// on each push, and asks for it.
func (s *Server) requestSuites(r *Repository, by *account, branch, before, after string) {
	for _, app := range s.apps {
		i := app.covering(r)
		if i == nil || !atLeast(i.permissions["checks"], "write") {
			continue
		}
		suite := r.suite(app, after)
		suite.branch, suite.before = branch, before
		s.emitSuite(suite, by, "requested")
	}
}

// latest returns the last run of each name.
func (suite *checkSuite) latest() []*checkRun {
	byName := map[string]*checkRun{}
	for _, run := range suite.repo.runs {
		if run.suite == suite {
			byName[run.name] = run
		}
	}
	var out []*checkRun
	for _, run := range suite.repo.runs {
		if byName[run.name] == run && run.suite == suite {
			out = append(out, run)
		}
	}
	return out
}

// state sums the suite up: queued while empty, completed when every run is.
func (suite *checkSuite) state() (status, conclusion string) {
	runs := suite.latest()
	if len(runs) == 0 {
		return "queued", ""
	}
	worst := []string{"failure", "timed_out", "cancelled", "action_required", "success", "neutral", "skipped"}
	at := len(worst)
	for _, run := range runs {
		if run.status != "completed" {
			return "in_progress", ""
		}
		if i := slices.Index(worst, run.conclusion); i >= 0 {
			at = min(at, i)
		}
	}
	if at == len(worst) {
		return "completed", "neutral"
	}
	return "completed", worst[at]
}

// pulls lists the open pull requests that the commit heads. It is empty for a
// fork's branch, as on GitHub.
func (suite *checkSuite) pulls() []object {
	out := []object{}
	side := func(r *Repository, ref, sha string) object {
		return object{"ref": ref, "sha": sha, "repo": object{"id": r.id, "url": r.api(""), "name": r.name}}
	}
	for _, pr := range suite.repo.sortedPulls() {
		if pr.state == "open" && pr.headRepo == suite.repo && pr.headSHA == suite.sha {
			out = append(out, object{
				"url": suite.repo.api(fmt.Sprintf("/pulls/%d", pr.number)), "id": pr.id, "number": pr.number,
				"head": side(pr.headRepo, pr.headRef, pr.headSHA), "base": side(pr.repo, pr.baseRef, pr.base()),
			})
		}
	}
	return out
}

func (s *Server) runShape(run *checkRun) object {
	r := run.suite.repo
	api := r.api(fmt.Sprintf("/check-runs/%d", run.id))
	page := r.html(fmt.Sprintf("/runs/%d", run.id))
	details := run.detailsURL
	if details == "" {
		details = page
	}
	return object{
		"id": run.id, "node_id": nodeID("CR", run.id), "head_sha": run.suite.sha, "name": run.name, "url": api, "html_url": page,
		"details_url": details, "status": run.status, "conclusion": textOrNil(run.conclusion), "external_id": run.externalID,
		"started_at": stampOrNil(run.started), "completed_at": stampOrNil(run.completed),
		"check_suite": object{"id": run.suite.id}, "app": s.appShape(run.suite.app), "pull_requests": run.suite.pulls(),
		"output": object{
			"title": textOrNil(run.title), "summary": textOrNil(run.summary), "text": textOrNil(run.text),
			"annotations_count": len(run.annotations), "annotations_url": api + "/annotations",
		},
	}
}

// hookSuiteShape is what the payloads of check runs and suites share.
func (s *Server) hookSuiteShape(suite *checkSuite) object {
	status, conclusion := suite.state()
	return object{
		"id": suite.id, "node_id": nodeID("CS", suite.id), "head_branch": textOrNil(suite.branch), "head_sha": suite.sha,
		"status": status, "conclusion": textOrNil(conclusion), "url": suite.repo.api(fmt.Sprintf("/check-suites/%d", suite.id)),
		"before": textOrNil(suite.before), "after": suite.sha, "pull_requests": suite.pulls(), "app": s.appShape(suite.app),
		"created_at": stamp(suite.created), "updated_at": stamp(suite.updated),
	}
}

// fullSuiteShape adds the commit and the count, as the event and the API have it.
func (s *Server) fullSuiteShape(suite *checkSuite) object {
	return merged(s.hookSuiteShape(suite), object{
		"latest_check_runs_count": len(suite.latest()), "head_commit": simpleCommitShape(s.commits[suite.sha]),
		"check_runs_url": suite.repo.api(fmt.Sprintf("/check-suites/%d/check-runs", suite.id)),
	})
}

// suiteShape is GitHub's "check-suite".
func (s *Server) suiteShape(suite *checkSuite) object {
	return merged(s.fullSuiteShape(suite), object{"repository": s.minimalShape(suite.repo)})
}
