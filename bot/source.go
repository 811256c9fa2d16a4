package bot

import (
	"cmp"
	"slices"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// A chart is a program, and whoever can change what is rendered can change what runs. So a
// preview's source is the base branch's, chart and all; of the head's count the values that
// the base branch's spec lists as overridable, and nothing of a fork's (spec.SourceFrom). A
// head without a source is rendered by idp, as any other. The head's own counts at a commit
// that somebody else with write permission approved by its full SHA; never a fork's.

// sourceOf is the source that a spec names, nil for none.
func sourceOf(at SpecAt) *spec.Source {
	if at.Spec == nil {
		return nil
	}
	return at.Spec.Preview.Source
}

// source is where the objects of the head's preview come from; nil for idp.
func (d *deciding) source() *previews.Source {
	base, head := sourceOf(d.Base), sourceOf(d.Spec)
	if d.PR.Fork {
		head = nil // d.Spec is the base branch's, bounded
	} else if head == nil {
		return nil
	}
	if d.env != nil && d.env.Source != nil && head != nil && d.env.Source.Approved.SHA == d.PR.HeadSHA {
		return &previews.Source{Base: d.PR.HeadSHA, Branch: d.PR.HeadRef, From: *head, Approved: d.env.Source.Approved}
	}
	if base == nil {
		if head == nil {
			return nil
		}
		return &previews.Source{Branch: d.PR.BaseRef, Left: []spec.Untaken{{Key: "preview.source"}}, Head: head}
	}
	from := spec.SourceFrom(*base, head)
	out := &previews.Source{Base: d.BaseSHA, Branch: d.PR.BaseRef, From: from.Source, Taken: from.Taken, Left: from.Left}
	if head != nil && (len(from.Left) > 0 || d.changes(*base)) {
		out.Head = head
	}
	return out
}

// asksFiles says whether it counts which files the pull request changes: for preview.paths,
// or since a source may come to be its own.
func (s Snapshot) asksFiles() bool {
	trusted := s.trusted()
	return trusted != nil && (len(trusted.Preview.Paths) > 0 || !s.PR.Fork && sourceOf(s.Spec) != nil)
}

// asksRoots is the base branch's source where it counts what that is made of: the pull
// request may change a file of it that only the files themselves name. nil for none.
func (s Snapshot) asksRoots() *spec.Source {
	base := sourceOf(s.Base)
	if base == nil || base.Kind == spec.Manifests || base.Chart != "" || s.PR.Fork || sourceOf(s.Spec) == nil || len(s.ChangedFiles) == 0 || len(s.ChangedFiles) >= maxChangedFiles {
		return nil
	}
	return base
}

// changes says whether the pull request changes a file that the base branch's source is made
// of, or more files than GitHub lists. That its base branch went on is no change of its. Of an
// overlay any file counts where it is not known what its kustomizations name. What the pull
// request's own names beside is of one that it changes.
func (d *deciding) changes(base spec.Source) bool {
	if len(d.ChangedFiles) >= maxChangedFiles {
		return true
	}
	made := d.BaseRoots
	if made == nil {
		made = roots.Of(base, func(string) ([]byte, bool) { return nil, false })
		if base.Kind == spec.Kustomize {
			made = []string{""}
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
		d.because("rendered from the head's own %s source in %q, which %s approved", s.From.Kind, cmp.Or(s.From.Chart, s.From.Path), s.Approved.By)
	case s.Base == "":
		d.because("the head names a source and %s does not: idp renders by itself", s.Branch)
	default:
		d.because("rendered from the %s source in %q at %s of %s, with %d values of the head's; %d keys are not taken",
			s.From.Kind, cmp.Or(s.From.Chart, s.From.Path), shortSHA(s.Base), s.Branch, len(s.Taken), len(s.Left))
	}
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
	return said("approved the "+string(env.Source.From.Kind)+" source of "+shortSHA(sha), r.roomMade())
}
