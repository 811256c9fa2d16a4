package bot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// A chart is a program, and whoever can change what is rendered can change what runs. So a
// preview's sources are the base branch's, charts and all; of the head's count the values that
// the base branch's spec lists as overridable, and nothing of a fork's (spec.SourcesFrom). What
// the head has no source for is rendered by idp, as any other. The head's own count at a commit
// that somebody else with write permission approved by its full SHA; never a fork's.

// sourcesOf are the sources that a spec names for previews, nil for none.
func sourcesOf(at SpecAt) spec.Sources {
	if at.Spec == nil {
		return nil
	}
	return at.Spec.Sources()
}

// source is where the objects of the head's preview come from; nil for idp.
func (d *deciding) source() *previews.Source {
	base, head := sourcesOf(d.Base), sourcesOf(d.Spec)
	if d.PR.Fork {
		head = nil // d.Spec is the base branch's, bounded
	} else if head == nil {
		return nil
	} else {
		base = kept(base, head, d.Spec.Spec)
	}
	if d.env != nil && d.env.Source != nil && head != nil && d.env.Source.Approved.SHA == d.PR.HeadSHA {
		return &previews.Source{Base: d.PR.HeadSHA, Branch: d.PR.HeadRef, From: head, Approved: d.env.Source.Approved}
	}
	if base == nil {
		if head == nil {
			return nil
		}
		return &previews.Source{Branch: d.PR.BaseRef, Left: unknownTo(head), Head: head}
	}
	from := spec.SourcesFrom(base, head)
	out := &previews.Source{Base: d.BaseSHA, Branch: d.PR.BaseRef, From: from.Sources, Taken: from.Taken, Left: from.Left}
	if head != nil && (len(from.Left) > 0 || d.changes(base)) {
		out.Head = head
	}
	return out
}

// kept are the base branch's sources of which the head has something to say: of services that
// it has, and has rendered by a source.
func kept(base, head spec.Sources, of *spec.Spec) spec.Sources {
	_, whole := head.Of("")
	var out spec.Sources
	for _, one := range base {
		_, own := head.Of(one.Service)
		there := slices.ContainsFunc(of.Services, func(s spec.Service) bool { return s.Name == one.Service })
		if one.Service == "" || there && (own || whole) {
			out = append(out, one)
		}
	}
	return out
}

// unknownTo are the keys of sources that the base branch does not have.
func unknownTo(head spec.Sources) []spec.Untaken {
	var out []spec.Untaken
	for _, one := range head {
		out = append(out, spec.Untaken{Key: one.Key()})
	}
	return out
}

// asksFiles says whether it counts which files the pull request changes: for preview.paths,
// or since a source may come to be its own.
func (s Snapshot) asksFiles() bool {
	trusted := s.trusted()
	return trusted != nil && (len(trusted.Preview.Paths) > 0 || !s.PR.Fork && sourcesOf(s.Spec) != nil)
}

// asksRoots are the base branch's sources where it counts what they are made of: the pull
// request may change a file of one that only the files themselves name. nil for none.
func (s Snapshot) asksRoots() []spec.Source {
	head := sourcesOf(s.Spec)
	if s.PR.Fork || head == nil || len(s.ChangedFiles) == 0 || len(s.ChangedFiles) >= maxChangedFiles {
		return nil
	}
	base := kept(sourcesOf(s.Base), head, s.Spec.Spec)
	named := func(one spec.SourceOf) bool { return one.Kind != spec.Manifests && one.Chart == "" }
	if !slices.ContainsFunc(base, named) {
		return nil
	}
	return base.Plain()
}

// changes says whether the pull request changes a file that one of the base branch's sources
// is made of, or more files than GitHub lists. That its base branch went on is no change of
// its. Of an overlay any file counts where it is not known what its kustomizations name. What
// the pull request's own names beside is of one that it changes.
func (d *deciding) changes(base spec.Sources) bool {
	if len(d.ChangedFiles) >= maxChangedFiles {
		return true
	}
	made := d.BaseRoots
	if made == nil {
		for _, one := range base {
			made = append(made, roots.Of(one.Source, roots.In(nil))...)
			if one.Kind == spec.Kustomize {
				made = []string{""}
				break
			}
		}
	}
	return slices.ContainsFunc(d.ChangedFiles, func(file string) bool { return roots.Hold(made, file) })
}

// sourced records where the objects of the wanted revision come from.
func (d *deciding) sourced() {
	d.env.Source = d.source()
	switch s := d.env.Source; {
	case s == nil:
	case s.Own():
		d.because("rendered from the head's own %s, which %s approved", named(s.From), s.Approved.By)
	case s.Base == "":
		d.because("the head names a source and %s does not: idp renders by itself", s.Branch)
	default:
		d.because("rendered from the %s at %s of %s, with %d values of the head's; %d keys are not taken",
			named(s.From), shortSHA(s.Base), s.Branch, len(s.Taken), len(s.Left))
	}
}

// named are sources in words, for the log.
func named(sources spec.Sources) string {
	var out []string
	for _, s := range sources {
		text := fmt.Sprintf("%s source in %q", s.Kind, cmp.Or(s.Chart, s.Path))
		if s.Service != "" {
			text += " of " + s.Service
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// approveSource lets the head's own chart, overlay or manifests count, at one commit.
func (r *run) approveSource(sha string) answer {
	if refusal, ok := r.approvable(sha); !ok {
		return refusal
	}
	if w := r.guarded(wish{wanted: true, why: "its own source is approved"}); !w.wanted {
		a, _ := r.mayHave(w)
		return a
	}
	env := r.row()
	if env.Source.Own() && env.Source.Approved.SHA == sha {
		return said("it is approved already", report.Code(shortSHA(sha))+" is approved already, by "+report.Code(env.Source.Approved.By)+".\n\n"+r.describe())
	}
	if own := r.wish(); !own.wanted {
		// As with a command that asks for a preview: whoever approves it wants to see it.
		env.AskedBy = r.event.Actor.Login
	}
	env.Source = &previews.Source{Approved: previews.Approval{SHA: sha, Into: r.PR.BaseRef, By: r.event.Actor.Login, ByID: r.event.Actor.ID, At: r.Now}}
	if !r.bring() {
		env.Remake(*r.source(), r.Now)
	}
	return said("approved the "+named(env.Source.From)+" at "+shortSHA(sha), r.roomMade())
}
