package bot

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// rollback goes back, in Git, to a release that was healthy: the one before, or the
// commit that is named. A lock does not hold it: it is how a bad change is undone.
func rollback(r *run) answer {
	if len(r.args) == 0 || len(r.args) > 2 || len(r.args) == 2 && !commitArgument.MatchString(r.args[1]) {
		return r.misused("takes an environment and, if it is not the release before, a commit")
	}
	env, a, ok := r.declared(r.args[0])
	if !ok {
		return a
	}
	sha := ""
	if len(r.args) == 2 {
		sha = strings.ToLower(r.args[1])
	}
	return r.goBack(env.Name, previews.ReleaseRollback, sha, func(*previews.Environment) bool { return true })
}

// goBack brings the services of an environment that are concerned back to an older
// healthy release.
func (r *run) goBack(env string, kind previews.ReleaseKind, sha string, concerns func(*previews.Environment) bool) answer {
	var answers []answer
	for _, part := range r.servicesOf(env) {
		if !concerns(part) {
			continue
		}
		to, ok := part.Target(sha)
		switch {
		case !ok && sha != "":
			answers = append(answers, sorry("it was never healthy", fmt.Sprintf("%s of %s was never healthy in %s, so there is nothing to go back to. Known are %s.",
				report.Code(shortSHA(sha)), report.Code(part.Ref.Service), report.Code(env), healthy(part))))
		case !ok:
			answers = append(answers, sorry("there is no healthy release before", fmt.Sprintf("%s in %s has no other healthy release to go back to.",
				report.Code(part.Ref.Service), report.Code(env))))
		case to.SHA == part.Deployed.Current.SHA && part.State() != previews.StateDegraded:
			answers = append(answers, said("it runs already", fmt.Sprintf("%s runs %s of %s already.", report.Code(env), report.Code(shortSHA(to.SHA)), report.Code(part.Ref.Service))))
		default:
			from := part.Deployed.Current.SHA
			part.GoBack(to, kind, r.event.Actor.Login, r.event.Actor.ID, string(kind)+" by "+r.event.Actor.Login, r.Now)
			r.auditOf(part.Ref, string(kind)+" "+env, to.SHA, true, "from "+shortSHA(from))
			answers = append(answers, done(fmt.Sprintf("%s back to %s", part.Ref.Service, shortSHA(to.SHA))))
		}
	}
	if len(answers) == 0 {
		return sorry("nothing to go back from", "Nothing is under way in "+report.Code(env)+".")
	}
	return merged(answers)
}

func healthy(part *previews.Environment) string {
	var shas []string
	for _, release := range part.Deployed.Healthy {
		shas = append(shas, shortSHA(release.SHA))
	}
	if len(shas) == 0 {
		return "none"
	}
	return codes(shas)
}
