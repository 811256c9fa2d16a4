package bot

import (
	"fmt"
	"slices"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// updateOf is what a new part of an environment has beside, where deployments of this
// repository change values in files that are there already; nil where idp renders. What is
// written is read anew before the commit.
func (d *deciding) updateOf(env platform.Environment, service string) *previews.Update {
	u, _, updates := env.UpdateOf(d.PR.Repository.ID, service)
	if !updates {
		return nil
	}
	return &previews.Update{Application: u.Application}
}

// converted says that an environment is deployed to in another way than until now, "" where
// it is not. idp would take away what it rendered, or render beside what is there.
func (d *deciding) converted(env platform.Environment) string {
	_, _, updates := env.UpdateOf(d.PR.Repository.ID, "")
	for _, part := range d.partsOf(env.Name) {
		switch {
		case !part.Live() || updates == (part.Update != nil):
		case updates:
			return fmt.Sprintf("what runs in %s of this repository was rendered by idp, and the platform team now has values changed in files instead, by update in %s; they have to declare that under a new name", env.Name, platform.EnvironmentsPath)
		default:
			return fmt.Sprintf("the platform team does not let this repository change files for %s any more, by update in %s", env.Name, platform.EnvironmentsPath)
		}
	}
	return ""
}

// deployableTo are the services of a spec that an environment has a place for: all where idp
// renders them, else those whose files the platform team names.
func (d *deciding) deployableTo(env platform.Environment, rev Revision) []string {
	return slices.DeleteFunc(d.grouped(env, rev), func(service string) bool {
		_, listed, updates := env.UpdateOf(d.PR.Repository.ID, service)
		return updates && !listed
	})
}

// placed refuses services that an environment has no place for.
func (r *run) placed(env platform.Environment, services []string) (answer, bool) {
	for _, service := range services {
		if _, listed, updates := env.UpdateOf(r.PR.Repository.ID, service); updates && !listed {
			return sorry("no file of the service", fmt.Sprintf("Deployments to %s change values in files that are there already, and the platform team names none for service %s. They add it to %s in %s. Nothing was deployed.",
				report.Code(env.Name), report.Code(service), report.Code("update"), report.Code(platform.EnvironmentsPath))), false
		}
	}
	return answer{}, true
}
