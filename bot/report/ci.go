package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// clock words a time of today in a way that stays true while nothing is written anew.
func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

// ciTitle is the title of an environment that waits for an image while CI is at work: with
// the run that is expected to end last or, where none runs any more, that one failed. It is ""
// where CI tells nothing. It has no time in it that passes, so that a wait costs no edits.
func ciTitle(in Input, image string) string {
	runs := in.Environment.Runs()
	if len(runs) == 0 {
		return ""
	}
	switch first := runs[0]; first.State {
	case previews.RunRunning, previews.RunQueued:
		return "Waiting for " + image + " · CI run " + standing(in, first)
	case previews.RunFailed:
		return "CI run failed, so " + image + " will not come"
	}
	return ""
}

// standing says since when a run goes on, and how long it may; to whoever asks now, how long
// it has.
func standing(in Input, run previews.CIRun) string {
	if in.Asked && run.State == previews.RunRunning {
		text := minutes(in.Now.Sub(run.Since))
		if run.Usual > 0 {
			text += " of ~" + minutes(run.Usual)
		}
		return text
	}
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

// minutes words a time as it stands on a clock that runs: 3:10.
func minutes(d time.Duration) string {
	seconds := int(max(d, 0).Round(time.Second) / time.Second)
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// ciLines link to the runs, one a line.
func ciLines(in Input) string {
	runs := in.Environment.Runs()
	lines := make([]string, len(runs))
	for i, run := range runs {
		name := link(Text(run.Name), run.URL)
		switch {
		case run.Ongoing():
			lines[i] = "- CI run " + name + ": " + standing(in, run)
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
