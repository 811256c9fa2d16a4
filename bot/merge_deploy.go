package bot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// merged deploys what a pull request came to when it was merged into the default
// branch, where the platform team wants that. It happens once for each pull request,
// whatever comes to be known of it later, and never takes the place of what was
// merged after it.
func (d *deciding) merged() {
	defer d.under("")()
	if !d.PR.Merged || !d.PR.BaseIsDefault || d.PR.MergeSHA == "" {
		return
	}
	for _, env := range d.Platform.Environments {
		if !env.AutoDeploy {
			continue
		}
		d.rulebook = "auto_deploy of " + env.Name
		rev, found := d.Revisions[d.PR.MergeSHA]
		if !found || rev.Spec.Spec == nil || !rev.OnDefault {
			d.because("nothing of %s is deployed to %s: it has no valid spec on the default branch", shortSHA(d.PR.MergeSHA), env.Name)
			continue
		}
		shared := d.part(env, "")
		if slices.Contains(shared.Deployed.Merges, d.PR.Number) {
			d.because("the merge was deployed to %s before", env.Name)
			continue
		}
		if why := d.fit(env, rev); why != "" {
			d.because("the merge is not deployed: %s", why)
			d.auditOf(shared.Ref, "merge", rev.SHA, false, why)
			d.tellMerged(env, rev, capitalised(report.Text(why))+".")
			continue
		}
		deployable := d.deployableTo(env, rev)
		if refusals, _ := d.judged(previews.ReleaseMerge, env, rev, deployable); len(refusals) > 0 {
			why := strings.Join(refusals, " ")
			d.because("the merge is not deployed: %s", why)
			d.rulebook = d.denied
			d.auditOf(shared.Ref, "merge", rev.SHA, false, "refused by policy: "+why)
			d.tellMerged(env, rev, refusals...)
			continue
		}
		if unproven := d.unproven(previews.ReleaseMerge, env, rev.SHA, deployable); len(unproven) > 0 {
			why := strings.Join(unproven, " ")
			d.because("the merge is not deployed: %s", why)
			d.auditOf(shared.Ref, "merge", rev.SHA, false, "not proven: "+why)
			continue
		}
		shared.NoteMerge(d.PR.Number)
		var services []string
		for _, service := range deployable {
			if part := d.part(env, service); part.Deployed.Current.Kind != previews.ReleaseMerge || !part.Deployed.Current.CommittedAt.After(rev.CommittedAt) {
				services = append(services, service)
			}
		}
		started, queued, _ := d.deploy(env, services, func(service string) previews.Release {
			return d.releaseOf(env, rev, previews.ReleaseMerge, service)
		})
		d.because("the merge is deployed to %s: %d services start, %d wait", env.Name, len(started), len(queued))
	}
}

// tellMerged replies in the pull request that its merge is not deployed, and why: there is
// no row yet whose comment and check would say so. It is told where the merge is heard of,
// by its event or, where that was lost, by the sweep, and not with each event after that.
func (d *deciding) tellMerged(env platform.Environment, rev Revision, why ...string) {
	if d.event.Action != "closed" && !d.event.Swept {
		return
	}
	d.reply([]answer{sorry("not deployed", fmt.Sprintf("The merge, %s, was not deployed to %s.\n\n%s\n\n%s asks for it again.",
		report.Code(shortSHA(rev.SHA)), report.Code(env.Name), strings.Join(why, "\n\n"), report.Code("/idp deploy "+env.Name+" "+shortSHA(rev.SHA))))})
}
