package report

import (
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// clock words a time of today in a way that stays true while nothing is written anew.
func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

// ciTitle is the title of an environment that waits for an image while CI is at work: with
// the run that is expected to end last or, where none runs any more, that one failed. It is ""
// where CI tells nothing. It has no time in it that passes, so that a wait costs no edits.
func ciTitle(image string, runs []previews.CIRun) string {
	if len(runs) == 0 {
		return ""
	}
	switch first := runs[0]; first.State {
	case previews.RunRunning, previews.RunQueued:
		return "Waiting for " + image + " · CI run " + standing(first)
	case previews.RunFailed:
		return "CI run failed, so " + image + " will not come"
	}
	return ""
}

// standing says since when a run goes on, and how long it may.
func standing(run previews.CIRun) string {
	verb := ""
	if run.State == previews.RunQueued {
		verb = "queued "
	}
	text := verb + "since " + clock(run.Since)
	switch {
	case run.Late:
		return text + ", longer than the usual " + Elapsed(run.Usual.Round(time.Second))
	case run.Usual > 0:
		return text + ", usually " + Elapsed(run.Usual.Round(time.Second))
	}
	return text
}

// ciLines link to the runs, one a line.
func ciLines(runs []previews.CIRun) string {
	lines := make([]string, len(runs))
	for i, run := range runs {
		name := link(Text(run.Name), run.URL)
		switch {
		case run.Ongoing():
			lines[i] = "- CI run " + name + ": " + standing(run)
		case run.State == previews.RunFailed:
			lines[i] = "- CI run failed: " + name
		default:
			lines[i] = "- CI run passed: " + name
		}
	}
	return strings.Join(lines, "\n")
}

// nextLook says when the images are looked up again, and what to do where CI failed. Where
// CI tells how it stands it is nothing that is worth an edit each time.
func nextLook(in Input, runs []previews.CIRun) string {
	switch {
	case len(runs) == 0 || runs[0].State == previews.RunPassed:
		return "Looked up again after each CI run" + nextCheck(in) + ". Nothing is committed before."
	case runs[0].State == previews.RunFailed:
		return "Run it again there, or fix and push. Looked up all the same after each CI run and every minute. Nothing is committed before."
	}
	return "Looked up again after each CI run and every minute. Nothing is committed before."
}
