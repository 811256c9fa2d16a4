package bot

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// approve lets a commit go that waits for somebody's approval. It takes the full SHA:
// what is approved is that commit and no other, whatever is pushed meanwhile.
func approve(r *run) answer {
	sha := validApproval(r.args)
	if sha == "" {
		return r.misused("takes the full commit, all 40 digits of it")
	}
	var answers []answer
	for _, env := range r.Platform.Environments {
		for _, part := range r.servicesOf(env.Name) {
			if waits(part, sha) {
				answers = append(answers, r.approveOne(env, part, sha))
			}
		}
	}
	if len(answers) == 0 && r.PR.Fork {
		return r.approveFork(sha)
	}
	if len(answers) == 0 && sourcesOf(r.Spec) != nil {
		return r.approveSource(sha)
	}
	if len(answers) == 0 {
		return sorry("nothing waits for it", "Nothing of "+report.Code(shortSHA(sha))+" waits for an approval here.")
	}
	return merged(answers)
}

func waits(part *previews.Environment, sha string) bool {
	return len(part.Waiting(sha)) > 0
}

// mayApprove says whether the actor may approve one of the releases that wait.
func (r *run) mayApprove(env platform.Environment, part *previews.Environment, sha string) (v access.Verdict) {
	for _, release := range part.Waiting(sha) {
		if v = access.Authorize(r.approval(env, release)); v.Allowed {
			break
		}
	}
	return v
}

func (r *run) approveOne(env platform.Environment, part *previews.Environment, sha string) answer {
	v := r.mayApprove(env, part, sha)
	switch r.rulebook = v.Reason; {
	case v.Cause.OfPullRequest():
		return r.unfit(v, sha, "It was not approved")
	case !v.Allowed:
		return r.refused(r.command.Name()+" "+env.Name, v)
	}
	rev, a, ok := r.revision(sha)
	if !ok {
		return a
	}
	if why := r.fit(env, rev); why != "" {
		return sorry(why, capitalised(report.Text(why))+". It was not approved.")
	}
	if unproven := r.unproven(approval, env, sha, []string{part.Ref.Service}); len(unproven) > 0 {
		why := strings.Join(unproven, " ")
		r.auditOf(part.Ref, "approve "+env.Name, sha, false, "not proven: "+why)
		return sorry("its images are not proven", why+" It was not approved.")
	}
	if a, ok := r.stillPermitted(env, part, rev); !ok {
		return a
	}
	if !part.Approve(sha, r.event.Actor.Login, r.event.Actor.ID, r.Now) {
		return sorry("it is one's own", r.addressed(fmt.Sprintf("you asked for %s in %s or wrote it; somebody else has to approve it.",
			report.Code(shortSHA(sha)), report.Code(env.Name))))
	}
	if shared := r.part(env, ""); part.Deployed.Current.SHA == sha && !shares(shared, sha) {
		shared.Share(part.Deployed.Current, r.Now)
	}
	r.auditOf(part.Ref, "approve "+env.Name, sha, true, "by somebody else than who asked")
	return said("approved "+shortSHA(sha)+" for "+env.Name, r.warned())
}

// stillPermitted asks the policies again about what waits: they, and what they look at,
// may be others than when it was asked for. What goes back is not asked about.
func (r *run) stillPermitted(env platform.Environment, part *previews.Environment, rev Revision) (answer, bool) {
	r.warnings = nil
	for _, release := range part.Waiting(rev.SHA) {
		if release.Kind == previews.ReleaseRollback || release.Kind == previews.ReleaseAbort {
			continue
		}
		if a, ok := r.permitted(release.Kind, env, rev, []string{part.Ref.Service}); !ok {
			a.text += " It was not approved."
			return a, false
		}
	}
	return answer{}, true
}
