package bot

import (
	"fmt"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// preview brings the preview up whatever the trigger, and whoever destroyed it
// before. Where it is there already it tries again what was given up.
func preview(r *run) answer {
	if a, ok := r.noArguments(); !ok {
		return a
	}
	w := r.guarded(r.asked())
	if a, ok := r.mayHave(w); !ok {
		r.because("%s", w.why)
		return a
	}
	if own := r.wish(); !own.wanted {
		// Without this the next event would take it away again.
		r.row().AskedBy = r.event.Actor.Login
	}
	if r.bring() || r.env.Retry(r.Now) {
		return said(fmt.Sprintf("preview of %s wanted", shortSHA(r.PR.HeadSHA)), r.roomMade())
	}
	return said("it is wanted already", "Nothing to do: the preview of "+report.Code(shortSHA(r.PR.HeadSHA))+" was asked for already.\n\n"+r.describe())
}

// mayHave refuses a preview that the pull request cannot have, in words.
func (r *run) mayHave(w wish) (answer, bool) {
	switch {
	case w.wanted:
		return answer{}, true
	case w.problem != nil && w.problem.Kind == previews.ProblemSpec && len(w.problem.Errors) > 0:
		r.refuse(*w.problem)
		return sorry(w.why, fmt.Sprintf("%s at %s has %s; the check %s lists them. Nothing was deployed.", report.Code(spec.Path),
			report.Code(shortSHA(r.PR.HeadSHA)), errorCount(w.problem), report.Code(report.CheckName))), false
	case w.problem != nil && w.problem.Kind == previews.ProblemPolicy:
		r.refuse(*w.problem)
		return sorry(w.why, fmt.Sprintf("No preview of %s: %s.%s The check %s has all of it.",
			report.Code(shortSHA(r.PR.HeadSHA)), report.Text(w.problem.Message), joined(report.Text(w.problem.Hint)), report.Code(report.CheckName))), false
	case w.problem != nil:
		r.refuse(*w.problem)
		return sorry(w.why, "No preview: "+report.Text(w.problem.Message)+". "+report.Hint(w.problem.Hint)), false
	case w.removal == previews.RemovedMerged:
		return sorry(w.why, "This pull request is merged, so there is nothing to preview."), false
	case w.removal == previews.RemovedClosed:
		return sorry(w.why, "This pull request is closed. Reopen it to have a preview."), false
	case w.removal == previews.RemovedDraft:
		return sorry(w.why, "Drafts have no preview here ("+report.Code("preview.drafts: false")+"). Mark the pull request ready for review first."), false
	case !r.Spec.Found:
		return sorry(w.why, "There is no "+report.Code(spec.Path)+" at "+report.Code(shortSHA(r.PR.HeadSHA))+", so there is nothing to deploy. Add one and push."), false
	default:
		return sorry(w.why, "No preview: "+report.Text(w.why)+"."), false
	}
}

// joined is a sentence that follows another, "" of none.
func joined(sentence string) string {
	if sentence == "" {
		return ""
	}
	return " " + sentence
}

func errorCount(p *previews.Problem) string {
	if len(p.Errors) == 1 {
		return "1 error"
	}
	return fmt.Sprintf("%d errors", len(p.Errors))
}
