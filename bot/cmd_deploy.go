package bot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// force is the word that lets a quarantined revision be deployed again.
const force = "--force"

// deploy asks for a revision of some services, or all, in a declared environment.
func deploy(r *run) answer {
	o, a, ok := r.order()
	if !ok {
		return a
	}
	return r.release(o.env, o.rev, o.services, previews.ReleaseDeploy, o.forced, func(service string) previews.Release {
		return r.releaseOf(o.env, o.rev, previews.ReleaseDeploy, service)
	})
}

// order is what the words after "/idp deploy" ask for.
type order struct {
	env      platform.Environment
	rev      Revision
	services []string
	// forced says that a quarantined revision is meant to be deployed again.
	forced bool
}

// order reads the command's words.
func (r *run) order() (o order, a answer, ok bool) {
	words, forced := withoutForce(r.args)
	if len(words) == 0 {
		return o, r.misused("takes the name of an environment, such as staging"), false
	}
	o.forced = forced
	if o.env, a, ok = r.declared(words[0]); !ok {
		return o, a, false
	}
	named, names, a, ok := r.deployable(words[1:])
	if !ok {
		return o, a, false
	}
	if o.rev, a, ok = r.revision(named); !ok {
		return o, a, false
	}
	o.services, a, ok = r.picked(o.env, o.rev, names)
	return o, a, ok
}

func withoutForce(args []string) (words []string, forced bool) {
	words = slices.DeleteFunc(slices.Clone(args), func(word string) bool { return word == force })
	return words, len(words) < len(args)
}

// deployable tells the commit among a command's words from the services.
func (r *run) deployable(words []string) (commit string, services []string, a answer, ok bool) {
	for _, word := range words {
		switch {
		case !commitArgument.MatchString(word):
			services = append(services, word)
		case commit != "":
			return "", nil, r.misused("takes one commit"), false
		default:
			commit = word
		}
	}
	return commit, services, answer{}, true
}

// release checks a revision against what the environment demands, and asks for it.
func (r *run) release(env platform.Environment, rev Revision, services []string, kind previews.ReleaseKind, forced bool, of func(service string) previews.Release) answer {
	if v := r.lets(r.command.Action, env, rev.SHA); !v.Allowed {
		return r.unfit(v, rev.SHA, "Nothing was deployed")
	}
	if a, ok := r.unlocked(env); !ok {
		return a
	}
	if why := r.fit(env, rev); why != "" {
		return sorry(why, capitalised(report.Text(why))+". Nothing was deployed.")
	}
	if a, ok := r.placed(env, services); !ok {
		return a
	}
	if a, ok := r.permitted(kind, env, rev, services); !ok {
		return a
	}
	if a, ok := r.proven(kind, env, rev.SHA, services); !ok {
		return a
	}
	if a, ok := r.sound(env, rev.SHA, services, forced); !ok {
		return a
	}
	a := r.told(env, rev.SHA, services, of)
	if warned := r.warned(); warned != "" {
		a.text = strings.TrimPrefix(a.text+"\n\n"+warned, "\n\n")
	}
	return a
}

// sound refuses a revision that failed here before, unless somebody insists.
func (r *run) sound(env platform.Environment, sha string, services []string, forced bool) (answer, bool) {
	for _, service := range services {
		part := r.part(env, service)
		why := part.QuarantinedFor(sha)
		if why == "" {
			continue
		}
		if !forced {
			return sorry("it is quarantined", fmt.Sprintf("%s failed in %s and was rolled back: %s. Fix and push; to deploy the same commit again, comment %s.",
				report.Code(shortSHA(sha)), report.Code(env.Name), report.Text(why), report.Code("/idp deploy "+env.Name+" "+shortSHA(sha)+" "+force))), false
		}
		part.Admit(sha)
	}
	return answer{}, true
}

// told asks for the release and says what a reader cannot see elsewhere: that it
// waits, or that it is there already.
func (r *run) told(env platform.Environment, sha string, services []string, of func(service string) previews.Release) answer {
	waiting := map[string]string{}
	for _, service := range services {
		waiting[service] = r.ahead(env, service)
	}
	started, queued, running := r.deploy(env, services, of)
	what := fmt.Sprintf("%s to %s", shortSHA(sha), env.Name)
	var texts []string
	if len(queued) > 0 {
		if env.Approval {
			texts = append(texts, fmt.Sprintf("%s of %s waits for an approval: somebody else than %s %s comments %s.",
				report.Code(shortSHA(sha)), codes(queued), report.Code(r.event.Actor.Login), report.Text(approvers(env)), report.Code("/idp approve "+sha)))
		} else {
			texts = append(texts, fmt.Sprintf("%s of %s waits in the queue of %s: %s.", report.Code(shortSHA(sha)), codes(queued), report.Code(env.Name), waiting[queued[0]]))
		}
	}
	if len(running) > 0 {
		texts = append(texts, fmt.Sprintf("%s runs %s of %s already, or is about to.", report.Code(env.Name), report.Code(shortSHA(sha)), codes(running)))
	}
	switch {
	case len(started) == 0 && len(queued) == 0:
		return said("nothing to do: it runs already", strings.Join(texts, "\n\n"))
	case len(texts) == 0:
		return done("deploys " + what)
	default:
		return said("deploys "+what+fmt.Sprintf(", %d of %d services at once", len(started), len(services)), strings.Join(texts, "\n\n"))
	}
}

// ahead says what a release of a service has to wait for.
func (r *run) ahead(env platform.Environment, service string) string {
	part, ok := r.existing(r.refOf(env.Name).Of(service))
	if !ok {
		return "nothing is under way"
	}
	current := part.Deployed.Current
	text := report.Code(shortSHA(current.SHA)) + " is under way"
	if current.PR != 0 {
		text += fmt.Sprintf(" for pull request %d", current.PR)
	}
	if n := len(part.Deployed.Queue); n > 0 {
		text += fmt.Sprintf(", and %s before it", counted(n, "other waits"))
	}
	return text
}
