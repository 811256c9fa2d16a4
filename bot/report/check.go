package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// CheckPrefix begins the names of idp's check runs. CheckName is that of previews, which
// branch protection refers to; those of declared environments are like "idp / staging".
const (
	CheckPrefix = "idp / "
	CheckName   = CheckPrefix + "preview"
)

// GitHub's limits for a check run: summary and text 65,535 characters each, 50
// annotations a request, a title that fits its row.
// https://docs.github.com/en/rest/checks/runs
const (
	maxOutput      = 65_535
	maxCheckTitle  = 250
	maxAnnotations = 50
	// maxNotes is how many notes are listed.
	maxNotes = 10
)

// Check is a check run as it shall be. Title is plain text, Summary and Text are
// Markdown within GitHub's limits. Conclusion is "" while Status is queued
// or in_progress.
type Check struct {
	Name, HeadSHA        string
	Status, Conclusion   string
	Title, Summary, Text string
	Annotations          []Annotation
	// Buttons do what commands do.
	Buttons []Button
	// DetailsURL is the preview itself once the commit is deployed; "" leads people
	// to the check run's own page, which says what is wrong.
	DetailsURL string
	// ExternalID is the environment's name, and when the check was last asked for
	// again, so that a repeated verdict is still written; and where it has buttons, the
	// environment's generation. An "@" is before each.
	ExternalID string
	// StartedAt and CompletedAt are zero where unknown.
	StartedAt, CompletedAt time.Time
}

// Annotation is one mistake on a line of a file. Lines and columns count from 1;
// the columns are 0 where GitHub takes none, across lines.
type Annotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"startLine"`
	EndLine     int    `json:"endLine"`
	StartColumn int    `json:"startColumn,omitempty"`
	EndColumn   int    `json:"endColumn,omitempty"`
	// Level is "failure" for all that idp annotates.
	Level   string `json:"level"`
	Title   string `json:"title"`
	Message string `json:"message"`
}

// Hash identifies the content of the check run; equal hashes need no request.
func (c Check) Hash() string { return hashOf(c) }

// CheckOf returns the check run of the environment's newest commit.
func CheckOf(in Input) Check {
	v := verdictOf(in)
	e := &in.Environment
	title := v.check
	if title == "" {
		title = v.title
	}
	c := Check{
		Name: checkName(e), HeadSHA: e.HeadSHA, Status: v.status, Conclusion: v.conclusion,
		Title: plain(title, maxCheckTitle), Summary: summary(in, v),
		Annotations: annotations(e), ExternalID: externalID(e), StartedAt: started(e),
	}
	if v.settled() {
		c.DetailsURL = previewURL(in)
	}
	if v.status == completed {
		c.CompletedAt = ended(e)
	}
	c.Text = checkText(in)
	return c.withButtons(e, buttonsOf(e))
}

// Superseded returns the conclusion of the check run of a commit that is no longer
// the pull request's newest.
func Superseded(in Input, sha string) Check {
	if check, ok := passed(in, sha); ok {
		return check
	}
	head := short(in.Environment.HeadSHA)
	return Check{
		Name: checkName(&in.Environment), HeadSHA: sha, Status: completed, Conclusion: cancelled,
		Title:      "Superseded by " + head,
		Summary:    "A newer commit, " + Code(head) + ", took the place of this one before it was ready.",
		ExternalID: externalID(&in.Environment),
	}
}

// held says that GitHub's limits held this up: what it says is older than it looks.
func held(in Input) string {
	if in.Held.IsZero() {
		return ""
	}
	return "This waited for GitHub's limits, until " + in.Held.UTC().Format("15:04 UTC") + "."
}

func summary(in Input, v verdict) string {
	e := &in.Environment
	expires := expiry(in)
	if expires != "" {
		expires = Text(capital(expires)) + "."
	}
	more := ""
	if p := e.Problem; p != nil && len(p.Errors) > maxAnnotations {
		more = "The first " + plural(maxAnnotations, "error") + " are annotated."
	}
	text := join(maxOutput, v.cause, running(in, v), serviceTable(in, v), unrouted(in, v), chain(in), v.next, secretless(in), proposed(e), origin(e), sourced(e), dropped(e), notes(in), waiting(e), more, expires, held(in))
	if text == "" {
		// GitHub refuses an output without a summary.
		return Text(v.title) + "."
	}
	return text
}

// notes lists what the commit's author should not count on.
func notes(in Input) string {
	notes := in.Notes
	if e := &in.Environment; e.SHA == e.HeadSHA {
		notes = slices.Concat(notes, e.Warnings) // what policies tell and let pass
	}
	if in.Environment.Wanted != previews.Present || len(notes) == 0 {
		return ""
	}
	var lines []string
	for i, note := range notes {
		if i == maxNotes {
			lines = append(lines, fmt.Sprintf("and %d more", len(notes)-maxNotes))
			break
		}
		lines = append(lines, sentence(note))
	}
	return list("Notes:", lines)
}

// externalID changes when somebody presses "Re-run", and with it the hash.
func externalID(e *previews.Environment) string {
	if e.RecheckAt.IsZero() {
		return e.Ref.Name()
	}
	return e.Ref.Name() + "@" + e.RecheckAt.UTC().Format(time.RFC3339)
}

func annotations(e *previews.Environment) []Annotation {
	if e.Problem == nil || e.Problem.SHA != e.HeadSHA {
		return nil
	}
	var out []Annotation
	for i, one := range e.Problem.Errors {
		if i == maxAnnotations {
			break
		}
		out = append(out, annotation(one))
	}
	return out
}

// annotation puts an error on its line. GitHub takes columns only within one line.
func annotation(one spec.Error) Annotation {
	a := Annotation{
		Path: one.Path, StartLine: max(one.Line, 1), Level: failure,
		Title: "idp: deploy.yaml", Message: plain(one.Message, 2000),
	}
	a.EndLine = max(one.EndLine, a.StartLine)
	if a.EndLine == a.StartLine && one.Column > 0 {
		a.StartColumn, a.EndColumn = one.Column, one.Column
	}
	return a
}
