package report

import (
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// chain tells how long each step took, from the push to the preview that serves:
// "Ready 1m52s after the push: image 1m31s · committed 0.4s · rolled out 20s". It is
// "" before the revision is committed, and where it was wanted again after that.
func chain(in Input) string {
	e := &in.Environment
	if e.Wanted != previews.Present || e.AppliedSHA != e.SHA || e.SHA != e.HeadSHA ||
		e.ResolvedGeneration != e.Generation || e.ResolvedAt.Before(e.WantedAt) || e.AppliedAt.Before(e.ResolvedAt) {
		return ""
	}
	steps := []string{imageStep(e), "committed " + Elapsed(e.AppliedAt.Sub(e.ResolvedAt))}
	last, done := e.AppliedAt, "Committed"
	if e.State() == previews.StateReady {
		steps = append(steps, "rolled out "+Elapsed(e.Observed.At.Sub(last)))
		last, done = e.Observed.At, "Ready"
	}
	start := "it was asked for"
	if e.WantedAt.Equal(e.PushedAt) {
		start = "the push"
	}
	return done + " " + Elapsed(last.Sub(e.WantedAt)) + " after " + start + ": " + strings.Join(steps, " · ")
}

func imageStep(e *previews.Environment) string {
	for _, image := range e.Images {
		if image.Digest != "" {
			return "image " + Elapsed(e.ResolvedAt.Sub(e.WantedAt))
		}
	}
	return "image not checked"
}

// started and ended are when the work on the head's verdict began and came to it;
// zero where the row does not tell.
func started(e *previews.Environment) time.Time {
	if e.Generation == 0 || e.SHA != e.HeadSHA {
		return e.PushedAt
	}
	return e.WantedAt
}

func ended(e *previews.Environment) time.Time {
	var at time.Time
	switch {
	case e.Problem != nil:
		at = e.Problem.At
	case e.Wanted == previews.Absent:
		at = e.Removal.At
	case e.State() == previews.StateReady || e.State() == previews.StateDegraded:
		at = e.Observed.At
	default:
		at = e.AppliedAt
	}
	if at.Before(started(e)) {
		return time.Time{}
	}
	return at
}
