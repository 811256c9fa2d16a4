package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// What renders a service in a declared environment is what the default branch says, and what
// stands there: people with write permission took it there. A commit that is on that branch is
// rendered from itself. Any other, such as a pull request's, is rendered from the branch's tip
// as it was when the release was asked for, and of its own count the values that the tip lists
// as overridable, as with previews. The release keeps all of that, so that whatever is done
// with it later, going back to it or taking it to another environment, renders the same again.

// releaseOf is a release of one service of a revision that this event asks for.
func (d *deciding) releaseOf(env platform.Environment, rev Revision, kind previews.ReleaseKind, service string) previews.Release {
	r := d.release(env, rev, kind)
	r.Source = d.sourceIn(env, service, rev, d.base(rev))
	return r
}

// base is the revision whose sources count for another.
func (d *deciding) base(rev Revision) Revision {
	if rev.OnDefault {
		return rev
	}
	return d.Tip
}

// sourceIn is where the objects of a service of rev come from in an environment, where the
// sources of base count; nil for idp.
func (d *deciding) sourceIn(env platform.Environment, service string, rev, base Revision) *previews.Source {
	if _, _, updates := env.UpdateOf(d.PR.Repository.ID, service); updates {
		return nil
	}
	own, head := sourcesIn(env.Name, service, base), sourcesIn(env.Name, service, rev)
	switch {
	case own == nil && head == nil:
		return nil
	case own == nil:
		return &previews.Source{Branch: d.DefaultBranch, Left: unknownTo(head)}
	case base.SHA == rev.SHA:
		return &previews.Source{Base: base.SHA, Branch: d.DefaultBranch, From: own}
	}
	from := spec.SourcesFrom(own, head)
	return &previews.Source{Base: base.SHA, Branch: d.DefaultBranch, From: from.Sources, Taken: from.Taken, Left: from.Left}
}

// sourcesIn is the source that a revision names for a service in an environment, nil for none.
func sourcesIn(env, service string, rev Revision) spec.Sources {
	if rev.Spec.Spec == nil {
		return nil
	}
	for _, one := range rev.Spec.Spec.SourcesIn(env) {
		if one.Service == service || one.Service == "" {
			return spec.Sources{one}
		}
	}
	return nil
}

// together says that one source renders all services of an environment, where the sources of
// base count.
func (d *deciding) together(env platform.Environment, base Revision) bool {
	if _, _, updates := env.UpdateOf(d.PR.Repository.ID, ""); updates || base.Spec.Spec == nil {
		return false
	}
	_, together := base.Spec.Spec.Together[env.Name]
	return together
}

// grouped are the names of the parts that an environment has of a revision's services: each by
// itself or, where one source renders all of them, spec.All.
func (d *deciding) grouped(env platform.Environment, rev Revision) []string {
	if d.together(env, d.base(rev)) {
		return []string{spec.All}
	}
	return allServices(rev.Spec.Spec)
}

// ungrouped are the services of a revision that are in some parts of an environment.
func (d *deciding) ungrouped(env platform.Environment, rev Revision, parts []string) []string {
	if rev.Spec.Spec != nil && d.together(env, d.base(rev)) {
		return allServices(rev.Spec.Spec)
	}
	return parts
}

// regrouped says that the services of an environment are deployed in other parts than until
// now, "" where they are not: what one part has would be rendered by another, too.
func (d *deciding) regrouped(env platform.Environment, rev Revision) string {
	if rev.Spec.Spec == nil {
		return ""
	}
	together := d.together(env, d.base(rev))
	for _, part := range d.servicesOf(env.Name) {
		switch {
		case !part.Live() || part.Together() == together:
		case together:
			return fmt.Sprintf("the services of %s were deployed one by one until now, and one source renders all of them now; the platform team has to declare that under a new name", env.Name)
		default:
			return fmt.Sprintf("one source rendered all services of %s until now, and now they are deployed one by one; the platform team has to declare that under a new name", env.Name)
		}
	}
	return ""
}

// promoted is where the objects of a service come from in an environment that it is taken to:
// read at the commit which those that run now were read at, while that is on the default
// branch.
func (d *deciding) promoted(env platform.Environment, service string, rev Revision, current *previews.Source) *previews.Source {
	base := d.base(rev)
	if current != nil && current.Base != "" {
		if same, known := d.Revisions[current.Base]; known && same.OnDefault {
			base = same
		}
	}
	source := d.sourceIn(env, service, rev, base)
	if source != nil && current != nil {
		source.Pins = current.Pins // what ran, not what a tag has come to mean
	}
	return source
}

// unsourced says why it is not known what renders a revision; "" where it is.
func (d *deciding) unsourced(env platform.Environment, rev Revision) string {
	if rev.OnDefault || rev.Spec.Spec == nil || rev.Spec.Spec.SourcesIn(env.Name) == nil || !d.Tip.Spec.Found || d.Tip.Spec.Spec != nil {
		return ""
	}
	if _, _, updates := env.UpdateOf(d.PR.Repository.ID, ""); updates {
		return ""
	}
	return fmt.Sprintf("%s has errors on %s, which says what %s is rendered from", spec.Path, d.DefaultBranch, env.Name)
}

// readTip reads what the default branch says where something else may come to be deployed.
func readTip(ctx context.Context, gh Handling, s *Snapshot) error {
	for _, rev := range s.Revisions {
		if rev.OnDefault {
			continue
		}
		tip, err := gh.Commit(ctx, s.PR.Repository, "heads/"+s.DefaultBranch)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		s.Tip = Revision{Commit: tip, OnDefault: true}
		s.Tip.Spec, err = readSpec(ctx, gh, s.PR.Repository, tip.SHA)
		return err
	}
	return nil
}
