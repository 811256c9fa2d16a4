package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/report"
)

// maxAnnotations is how many annotations GitHub takes in one request.
// Source: docs.github.com/rest/checks/runs#create-a-check-run.
const maxAnnotations = 50

// FindCheckRun returns the id of this App's newest check run with the name at
// the commit for an environment, 0 when there is none. Two pull requests may have
// one head: the run's external id says whose it is.
func (c *Client) FindCheckRun(ctx context.Context, repo bot.RepositoryRef, sha, name, environment string) (int64, error) {
	found, _, err := c.rest(repo).Checks.ListCheckRunsForRef(ctx, repo.Owner, repo.Name, sha, &gh.ListCheckRunsOptions{
		CheckName: &name, Filter: gh.String("all"), AppID: &c.app.id, ListOptions: gh.ListOptions{PerPage: perPage},
	})
	if err != nil {
		return 0, wrap(err, "look for check %q of %s at %.7s", name, fullName(repo), sha)
	}
	var newest int64
	for _, run := range found.CheckRuns {
		owner, _, _ := strings.Cut(run.GetExternalID(), "@")
		if run.GetName() == name && run.GetApp().GetID() == c.app.id && owner == environment {
			newest = max(newest, run.GetID())
		}
	}
	return newest, nil
}

// CreateCheckRun creates a check run and returns its id.
func (c *Client) CreateCheckRun(ctx context.Context, repo bot.RepositoryRef, check report.Check) (int64, error) {
	now, later := firstAnnotations(annotations(check), 0)
	opts := gh.CreateCheckRunOptions{
		Name: check.Name, HeadSHA: check.HeadSHA, DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
		Status: optional(check.Status), Conclusion: optional(check.Conclusion),
		StartedAt: stamp(check.StartedAt), CompletedAt: stamp(check.CompletedAt), Output: output(check, now),
		Actions: actions(check),
	}
	made, _, err := c.rest(repo).Checks.CreateCheckRun(ctx, repo.Owner, repo.Name, opts)
	if err != nil {
		return 0, wrap(err, "create check %q of %s at %.7s", check.Name, fullName(repo), check.HeadSHA)
	}
	return made.GetID(), c.annotate(ctx, repo, made.GetID(), check, later)
}

// UpdateCheckRun makes a check run say something else. GitHub appends
// annotations and never takes one away; since those of one commit do not change,
// only the ones that are not there yet are sent.
func (c *Client) UpdateCheckRun(ctx context.Context, repo bot.RepositoryRef, id int64, check report.Check) error {
	all := annotations(check)
	there := 0
	if len(all) > 0 {
		run, _, err := c.rest(repo).Checks.GetCheckRun(ctx, repo.Owner, repo.Name, id)
		if err != nil {
			return wrap(err, "read check run %d of %s", id, fullName(repo))
		}
		there = run.GetOutput().GetAnnotationsCount()
	}
	now, later := firstAnnotations(all, there)
	if err := c.updateCheckRun(ctx, repo, id, check, now); err != nil {
		return err
	}
	return c.annotate(ctx, repo, id, check, later)
}

// annotate appends annotations, as many at a time as GitHub takes.
func (c *Client) annotate(ctx context.Context, repo bot.RepositoryRef, id int64, check report.Check, left []*gh.CheckRunAnnotation) error {
	for len(left) > 0 {
		var now []*gh.CheckRunAnnotation
		now, left = firstAnnotations(left, 0)
		if err := c.updateCheckRun(ctx, repo, id, check, now); err != nil {
			return err
		}
	}
	return nil
}

// checkUpdate is go-github's with buttons that are taken away too: left out, those of
// before stay.
type checkUpdate struct {
	gh.UpdateCheckRunOptions
	Actions []*gh.CheckRunAction `json:"actions"`
}

func (c *Client) updateCheckRun(ctx context.Context, repo bot.RepositoryRef, id int64, check report.Check, now []*gh.CheckRunAnnotation) error {
	client := c.rest(repo)
	req, err := client.NewRequest(http.MethodPatch, fmt.Sprintf("repos/%s/%s/check-runs/%d", url.PathEscape(repo.Owner), url.PathEscape(repo.Name), id), checkUpdate{
		Actions: actions(check),
		UpdateCheckRunOptions: gh.UpdateCheckRunOptions{
			Name: check.Name, DetailsURL: optional(check.DetailsURL), ExternalID: optional(check.ExternalID),
			Status: optional(check.Status), Conclusion: optional(check.Conclusion),
			CompletedAt: stamp(check.CompletedAt), Output: output(check, now),
		},
	})
	if err == nil {
		_, err = client.Do(ctx, req, nil)
	}
	return wrap(err, "update check run %d of %s", id, fullName(repo))
}

// actions are the check's buttons, in GitHub's words.
func actions(check report.Check) []*gh.CheckRunAction {
	out := []*gh.CheckRunAction{}
	for _, b := range check.Buttons {
		out = append(out, &gh.CheckRunAction{Label: b.Label, Description: b.Description, Identifier: b.Identifier})
	}
	return out
}

// firstAnnotations skips those that are there and splits the rest into what goes
// into one request and what is left.
func firstAnnotations(all []*gh.CheckRunAnnotation, there int) (now, later []*gh.CheckRunAnnotation) {
	all = all[min(there, len(all)):]
	most := min(maxAnnotations, len(all))
	return all[:most], all[most:]
}

// output always has a text: without one an update leaves the last one standing,
// such as the diff of a preview that is gone.
func output(check report.Check, now []*gh.CheckRunAnnotation) *gh.CheckRunOutput {
	return &gh.CheckRunOutput{
		Title: &check.Title, Summary: &check.Summary, Text: &check.Text, Annotations: now,
	}
}

func annotations(check report.Check) []*gh.CheckRunAnnotation {
	out := make([]*gh.CheckRunAnnotation, 0, len(check.Annotations))
	for _, one := range check.Annotations {
		out = append(out, annotation(one))
	}
	return out
}

// optional leaves out what is empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func stamp(at time.Time) *gh.Timestamp {
	if at.IsZero() {
		return nil
	}
	return &gh.Timestamp{Time: at.UTC()}
}

func annotation(one report.Annotation) *gh.CheckRunAnnotation {
	out := &gh.CheckRunAnnotation{
		Path: &one.Path, StartLine: &one.StartLine, EndLine: &one.EndLine,
		AnnotationLevel: &one.Level, Message: &one.Message, Title: optional(one.Title),
	}
	// GitHub refuses columns of an annotation that spans lines.
	if one.StartLine == one.EndLine && one.StartColumn > 0 {
		out.StartColumn, out.EndColumn = &one.StartColumn, gh.Int(max(one.EndColumn, one.StartColumn))
	}
	return out
}
