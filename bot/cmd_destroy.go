package bot

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// destroy takes the preview away and keeps it away. Where a removal was given up,
// it is tried again.
func destroy(r *run) answer {
	if a, ok := r.longLived(); ok {
		return a
	}
	if a, ok := r.noArguments(); !ok {
		return a
	}
	if r.env == nil || r.env.Generation == 0 {
		return sorry("there is no preview", "There is no preview of this pull request to destroy.")
	}
	if r.env.Remove(previews.Removal{Reason: previews.RemovedByCommand, By: r.event.Actor.Login}, r.Now) {
		r.env.AskedBy = ""
		r.because("preview removed")
		return done("preview removed")
	}
	if r.env.Retry(r.Now) {
		return done("the removal is tried again")
	}
	if r.env.State() == previews.StateRemoving {
		return said("it is being removed", "The preview is being removed already: "+report.Text(report.RemovalReason(r.env.Removal))+".")
	}
	return sorry("it is gone", "There is no preview to destroy; it is gone: "+report.Text(report.RemovalReason(r.env.Removal))+".")
}

// longLived answers who names a declared environment: a command takes none away.
func (r *run) longLived() (answer, bool) {
	if len(r.args) != 1 {
		return answer{}, false
	}
	env, ok := r.Platform.Environment(strings.ToLower(r.args[0]))
	if !ok {
		return answer{}, false
	}
	text := fmt.Sprintf("%s is a long-lived environment, and no command in a pull request takes it away: this one removes the preview.", report.Code(env.Name))
	if _, _, updates := env.UpdateOf(r.PR.Repository.ID, ""); updates {
		text += " The files and the Application of this repository there are its team's own: idp changes values in them, and removes neither."
	}
	return sorry("a long-lived environment stays", text+" Nothing was removed."), true
}
