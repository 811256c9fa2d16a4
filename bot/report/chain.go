package report

import (
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// chain tells how long each step took, from the push to the preview that serves:
// "Ready 1m52s after the push: image 1m31s · committed 0.4s · synced 3s · healthy 14s ·
// serves 3s". It is "" before the revision is committed, and where it was wanted again
// after that.
func chain(in Input) string {
	e := &in.Environment
	links := e.Links()
	if e.State() == previews.StateDegraded {
		// It may have been healthy once; that is not what there is to say.
		links = slices.DeleteFunc(links, func(l previews.Link) bool { return l.Name == previews.LinkHealthy || l.Name == previews.LinkServes })
	}
	if len(links) == 0 {
		return ""
	}
	var total time.Duration
	steps := make([]string, len(links))
	for i, link := range links {
		total += link.Took
		steps[i] = link.Name + " " + Elapsed(link.Took)
	}
	if !checked(e) {
		steps[0] = "image not checked"
	}
	done := capital(links[len(links)-1].Name)
	if e.State() == previews.StateReady {
		done = "Ready"
	}
	start := "it was asked for"
	if e.WantedAt.Equal(e.PushedAt) && !e.Declared() {
		start = "the push"
	}
	return done + " " + Elapsed(total) + " after " + start + ": " + strings.Join(steps, " · ")
}

// checked says that the images were looked up.
func checked(e *previews.Environment) bool {
	return slices.ContainsFunc(e.Images, func(i previews.Image) bool { return i.Digest != "" })
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
