package bot

import (
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// A chart is a program, and whoever can change what is rendered can change what runs. So a
// preview's source is the base branch's, chart and all; of the head's count the values that
// the base branch's spec lists as overridable, and nothing of a fork's (spec.SourceFrom). A
// head without a source is rendered by idp, as any other.

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
	if base == nil {
		if head == nil {
			return nil
		}
		return &previews.Source{Branch: d.PR.BaseRef, Left: []spec.Untaken{{Key: "preview.source"}}}
	}
	from := spec.SourceFrom(*base, head)
	return &previews.Source{Base: d.BaseSHA, Branch: d.PR.BaseRef, From: from.Source, Taken: from.Taken, Left: from.Left}
}

// sourced records where the objects of the wanted revision come from.
func (d *deciding) sourced() {
	d.env.Source = d.source()
	switch s := d.env.Source; {
	case s == nil:
	case s.Base == "":
		d.because("the head names a source and %s does not: idp renders by itself", s.Branch)
	default:
		d.because("rendered from the %s source in %q at %s of %s, with %d values of the head's; %d keys are not taken",
			s.From.Kind, s.From.Path, shortSHA(s.Base), s.Branch, len(s.Taken), len(s.Left))
	}
}
