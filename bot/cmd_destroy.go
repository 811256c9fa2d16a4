package bot

import (
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// destroy takes the preview away and keeps it away. Where a removal was given up,
// it is tried again.
func destroy(r *run) answer {
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
