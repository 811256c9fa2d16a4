package bot

import (
	"fmt"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// promote takes what runs healthy in one environment to another: the same commit, by
// the same digests.
func promote(r *run) answer {
	if len(r.args) != 2 {
		return r.misused("takes two environments, from and to, such as staging production")
	}
	from, a, ok := r.known(r.args[0])
	if !ok {
		return a
	}
	to, a, ok := r.declared(r.args[1])
	if !ok {
		return a
	}
	if from.Name == to.Name {
		return r.misused("takes two different environments")
	}
	var answers []answer
	for _, part := range r.servicesOf(from.Name) {
		if part.Deployed.Current.HealthyAt.IsZero() {
			answers = append(answers, sorry("it is not healthy", fmt.Sprintf("%s in %s is not healthy, so it is not promoted: %s.",
				report.Code(part.Ref.Service), report.Code(from.Name), report.Text(string(part.State())))))
			continue
		}
		answers = append(answers, r.promoteOne(from.Name, to.Name, part))
	}
	if len(answers) == 0 {
		return sorry("nothing to promote", "Nothing runs in "+report.Code(from.Name)+" yet. "+report.Code("/idp deploy "+from.Name)+" deploys there.")
	}
	return merged(answers)
}

func (r *run) promoteOne(from, to string, part *previews.Environment) answer {
	env, _, _ := r.known(to)
	current := part.Deployed.Current
	rev, found := r.Revisions[current.SHA]
	if !found {
		return sorry("unknown commit", "Commit "+report.Code(shortSHA(current.SHA))+", which "+report.Code(from)+" runs, is not in this repository any more.")
	}
	source := r.promoted(env, part.Ref.Service, rev, current.Source)
	if source.Together() != part.Together() {
		return sorry("they are parted otherwise", fmt.Sprintf("One source renders all services of one of %s and %s, and those of the other are deployed one by one, so that nothing is taken from one to the other. %s deploys there.",
			report.Code(from), report.Code(to), report.Code("/idp deploy "+to)))
	}
	return r.release(env, rev, []string{part.Ref.Service}, previews.ReleasePromote, false, func(string) previews.Release {
		release := r.deciding.release(env, rev, previews.ReleasePromote)
		release.Spec, release.Team, release.Ref, release.Images, release.From = current.Spec, current.Team, current.Ref, current.Images, from
		release.CommittedAt = current.CommittedAt
		release.Source, release.Charts = source, current.Charts
		if !rev.OnDefault && current.Trust != "" && r.givesIn(env) {
			release.Trust = current.Trust // it may be of another pull request than this one
		}
		return release
	})
}

// merged makes one answer of several: it failed where none worked.
func merged(answers []answer) answer {
	out := answer{failed: true}
	for _, a := range answers {
		out.failed = out.failed && a.failed
		if a.text != "" {
			out.text += "\n\n" + a.text
		}
		if a.reason != "" {
			out.reason += "; " + a.reason
		}
	}
	if len(out.text) > 0 {
		out.text = out.text[2:]
	}
	if len(out.reason) > 0 {
		out.reason = out.reason[2:]
	}
	return out
}
