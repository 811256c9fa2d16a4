package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// GitHub's limits on a check run (docs.github.com, "Create a check run").
const (
	maxOutput            = 65535 // characters of summary and of text
	maxAnnotations       = 50    // per request
	maxActions           = 3
	maxActionLabel       = 20
	maxActionDescription = 40
	maxActionIdentifier  = 20
	maxAnnotationText    = 64 << 10 // bytes of message and of raw_details
	maxAnnotationTitle   = 255      // characters
)

var (
	checkStatuses    = []string{"queued", "in_progress", "completed"}
	checkConclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"}
	annotationLevels = []string{"notice", "warning", "failure"}
)

// checkRequest is the body that creates or updates a check run; nil fields are
// left as they are.
type checkRequest struct {
	Name        *string       `json:"name"`
	HeadSHA     *string       `json:"head_sha"`
	DetailsURL  *string       `json:"details_url"`
	ExternalID  *string       `json:"external_id"`
	Status      *string       `json:"status"`
	StartedAt   *time.Time    `json:"started_at"`
	Conclusion  *string       `json:"conclusion"`
	CompletedAt *time.Time    `json:"completed_at"`
	Output      *checkOutput  `json:"output"`
	Actions     []CheckAction `json:"actions"`
}

type checkOutput struct {
	Title       *string      `json:"title"`
	Summary     *string      `json:"summary"`
	Text        *string      `json:"text"`
	Annotations []Annotation `json:"annotations"`
}

// problems lists everything that GitHub would refuse. An output needs its title
// only where the run is created.
func (q *checkRequest) problems(creates bool) []fieldError {
	var out []fieldError
	bad := func(field, message string) {
		out = append(out, fieldError{Resource: "CheckRun", Field: field, Code: "invalid", Message: message})
	}
	if q.Status != nil && !slices.Contains(checkStatuses, *q.Status) {
		bad("status", "status is not one of "+strings.Join(checkStatuses, ", "))
	}
	if q.Conclusion != nil && !slices.Contains(checkConclusions, *q.Conclusion) {
		bad("conclusion", "conclusion is not one of "+strings.Join(checkConclusions, ", "))
	}
	if q.Status != nil && *q.Status == "completed" && q.Conclusion == nil {
		bad("conclusion", "conclusion is required when status is completed")
	}
	if q.DetailsURL != nil && !strings.HasPrefix(*q.DetailsURL, "http://") && !strings.HasPrefix(*q.DetailsURL, "https://") {
		bad("details_url", "details_url must use http or https")
	}
	if len(q.Actions) > maxActions {
		bad("actions", fmt.Sprintf("Only %d actions are allowed", maxActions))
	}
	for _, a := range q.Actions {
		over := utf8.RuneCountInString(a.Label) > maxActionLabel || utf8.RuneCountInString(a.Description) > maxActionDescription ||
			utf8.RuneCountInString(a.Identifier) > maxActionIdentifier
		if over || a.Label == "" || a.Description == "" || a.Identifier == "" {
			bad("actions", "label, description and identifier are needed and limited to 20, 40 and 20 characters")
		}
	}
	if q.Output != nil {
		if creates && (q.Output.Title == nil || *q.Output.Title == "") {
			bad("output", "title is required")
		}
		q.Output.problems(bad)
	}
	return out
}

func (o *checkOutput) problems(bad func(field, message string)) {
	if o.Summary == nil {
		bad("output", "summary is required")
	}
	for name, text := range map[string]*string{"summary": o.Summary, "text": o.Text} {
		if text != nil && utf8.RuneCountInString(*text) > maxOutput {
			bad(name, fmt.Sprintf("%s exceeds a maximum of %d characters", name, maxOutput))
		}
	}
	if len(o.Annotations) > maxAnnotations {
		bad("annotations", fmt.Sprintf("Only %d annotations are allowed per request", maxAnnotations))
	}
	for _, a := range o.Annotations {
		if reason := a.problem(); reason != "" {
			bad("annotations", reason)
		}
	}
}

func (a Annotation) problem() string {
	switch {
	case a.Path == "" || a.Message == "":
		return "path and message are required"
	case a.StartLine < 1 || a.EndLine < a.StartLine:
		return "start_line and end_line must name lines in order"
	case !slices.Contains(annotationLevels, a.Level):
		return "annotation_level is not one of " + strings.Join(annotationLevels, ", ")
	case (a.StartColumn != nil || a.EndColumn != nil) && a.StartLine != a.EndLine:
		return "columns need start_line and end_line to be the same"
	case len(a.Message) > maxAnnotationText || len(a.RawDetails) > maxAnnotationText:
		return "message and raw_details are limited to 64 KB"
	case utf8.RuneCountInString(a.Title) > maxAnnotationTitle:
		return "title is limited to 255 characters"
	}
	return ""
}

func createCheckRun(c *call) reply {
	var want checkRequest
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	problems := want.problems(true)
	if want.Name == nil || *want.Name == "" {
		problems = append(problems, fieldError{Resource: "CheckRun", Field: "name", Code: "missing_field"})
	}
	if want.HeadSHA == nil || len(*want.HeadSHA) != 40 || c.repo.resolve(*want.HeadSHA) == nil {
		problems = append(problems, fieldError{Resource: "CheckRun", Field: "head_sha", Code: "invalid", Message: "No commit found for SHA"})
	}
	if len(problems) > 0 {
		return *invalid(problems...)
	}
	run := &checkRun{suite: c.repo.suite(c.asApp(), *want.HeadSHA), id: c.s.nextID(), name: *want.Name, status: "queued", started: c.s.now()}
	c.repo.runs = append(c.repo.runs, run)
	c.s.applyRun(run, c.actor(), want, "created")
	return created(c.s.runShape(run))
}

// updateCheckRun changes a run of the App's own; annotations are appended.
func updateCheckRun(c *call) reply {
	run := c.repo.run(c.number("check_run_id"))
	if run == nil {
		return *notFound()
	}
	if run.suite.app != c.asApp() {
		return *refuse(http.StatusForbidden, "Invalid app_id `"+formatID(c.asApp().id)+"` - check run can only be modified by the GitHub App that created it.")
	}
	var want checkRequest
	if bad := c.decode(&want); bad != nil {
		return *bad
	}
	if problems := want.problems(false); len(problems) > 0 {
		return *invalid(problems...)
	}
	c.s.applyRun(run, c.actor(), want, "")
	return ok(c.s.runShape(run))
}

// applyRun lays the request over the run and emits what happened: the action
// given, and "completed" where it became so.
func (s *Server) applyRun(run *checkRun, by *account, want checkRequest, action string) {
	was := run.status
	set(&run.name, want.Name)
	set(&run.detailsURL, want.DetailsURL)
	set(&run.externalID, want.ExternalID)
	set(&run.status, want.Status)
	set(&run.started, want.StartedAt)
	set(&run.completed, want.CompletedAt)
	if want.Conclusion != nil {
		run.status, run.conclusion = "completed", *want.Conclusion
	} else if want.Status != nil {
		run.conclusion = ""
	}
	switch {
	case run.status != "completed":
		run.completed = time.Time{}
	case run.completed.IsZero():
		run.completed = s.now()
	}
	if o := want.Output; o != nil {
		set(&run.title, o.Title)
		set(&run.summary, o.Summary)
		set(&run.text, o.Text)
		run.annotations = append(run.annotations, o.Annotations...)
	}
	if want.Actions != nil {
		run.actions = want.Actions
	}
	run.suite.updated = s.now()
	if action != "" {
		s.emitCheckRun(run, by, action, nil)
	}
	if run.status == "completed" && was != "completed" {
		s.emitCheckRun(run, by, "completed", nil)
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func getCheckRun(c *call) reply {
	run := c.repo.run(c.number("check_run_id"))
	if run == nil {
		return *notFound()
	}
	return ok(c.s.runShape(run))
}

func listAnnotations(c *call) reply {
	run := c.repo.run(c.number("check_run_id"))
	if run == nil {
		return *notFound()
	}
	return listed(c, run.annotations, func(a Annotation) any {
		return object{
			"path": a.Path, "blob_href": c.repo.html("/blob/" + run.suite.sha + "/" + a.Path), "start_line": a.StartLine, "end_line": a.EndLine,
			"start_column": a.StartColumn, "end_column": a.EndColumn, "annotation_level": a.Level, "title": textOrNil(a.Title),
			"message": a.Message, "raw_details": textOrNil(a.RawDetails),
		}
	})
}

// listRuns filters as GitHub does: by name, status, App, and unless filter=all
// only the latest of each name.
func (c *call) listRuns(suites []*checkSuite) reply {
	var runs []*checkRun
	for _, suite := range suites {
		if c.query.Get("filter") != "all" {
			runs = append(runs, suite.latest()...)
			continue
		}
		for _, run := range c.repo.runs {
			if run.suite == suite {
				runs = append(runs, run)
			}
		}
	}
	name, status, app := c.query.Get("check_name"), c.query.Get("status"), c.query.Get("app_id")
	runs = slices.DeleteFunc(runs, func(run *checkRun) bool {
		return name != "" && run.name != name || status != "" && run.status != status || app != "" && formatID(run.suite.app.id) != app
	})
	slices.SortFunc(runs, func(a, b *checkRun) int { return int(b.id - a.id) })
	return counted(c, "check_runs", runs, func(run *checkRun) any { return c.s.runShape(run) })
}

func (c *call) suitesOn(sha string) []*checkSuite {
	return slices.DeleteFunc(slices.Clone(c.repo.suites), func(suite *checkSuite) bool { return suite.sha != sha })
}

func listCommitCheckRuns(c *call) reply {
	at := c.repo.resolve(c.params["ref"])
	if at == nil {
		return *refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	return c.listRuns(c.suitesOn(at.sha))
}

func listCommitCheckSuites(c *call) reply {
	at := c.repo.resolve(c.params["ref"])
	if at == nil {
		return *refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	return counted(c, "check_suites", c.suitesOn(at.sha), func(suite *checkSuite) any { return c.s.suiteShape(suite) })
}

func (c *call) suiteOf() *checkSuite {
	for _, suite := range c.repo.suites {
		if suite.id == c.number("check_suite_id") {
			return suite
		}
	}
	return nil
}

func getCheckSuite(c *call) reply {
	suite := c.suiteOf()
	if suite == nil {
		return *notFound()
	}
	return ok(c.s.suiteShape(suite))
}

func listSuiteCheckRuns(c *call) reply {
	suite := c.suiteOf()
	if suite == nil {
		return *notFound()
	}
	return c.listRuns([]*checkSuite{suite})
}
