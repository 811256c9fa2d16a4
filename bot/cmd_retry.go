package bot

import (
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// retry rolls the same commit out anew, where its last try failed.
func retry(r *run) answer {
	if len(r.args) != 1 {
		return r.misused("takes one environment")
	}
	env, a, ok := r.declared(r.args[0])
	if !ok {
		return a
	}
	if a, ok := r.unlocked(env); !ok {
		return a
	}
	tried := false
	for _, part := range r.partsOf(env.Name) {
		switch part.State() {
		case previews.StateFailed, previews.StateDegraded:
			changed := part.Problem != nil && part.Problem.Kind == previews.ProblemChanged
			part.Again(r.event.Actor.Login, r.event.Actor.ID, r.Now)
			part.Overwrite = changed
			r.auditOf(part.Ref, "retry "+env.Name, part.SHA, true, "asked for")
			tried = true
		}
	}
	if !tried {
		return sorry("nothing failed", "Nothing in "+report.Code(env.Name)+" has failed, so there is nothing to try again.")
	}
	return done("tries " + env.Name + " again")
}
