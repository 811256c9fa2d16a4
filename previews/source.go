package previews

import (
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

// Source is where the objects of a preview's services come from, where that is not idp alone:
// charts, overlays or manifests, as the base branch has them; and where those of a service in
// a declared environment do, as the default branch has them.
type Source struct {
	// Base is the commit of the base branch that it is read at, Branch that branch; Base is
	// "" where the base branch names no source, so that idp renders by itself. Where somebody
	// approved the pull request's own, they are its commit and its branch.
	Base   string `json:"base,omitempty"`
	Branch string `json:"branch"`
	// From are the base branch's sources with the values that are the pull request's.
	From spec.Sources `json:"from,omitempty"`
	// Taken are the keys of those values, Left what differs in the pull request and is not
	// taken.
	Taken []string       `json:"taken,omitempty"`
	Left  []spec.Untaken `json:"left,omitempty"`
	// Approved is the commit whose own source counts; its zero value is none.
	Approved Approval `json:"approved,omitzero"`
	// Head are the pull request's own sources, where it changes what one is made of and may
	// come to have them by an approval; nil otherwise. Would is what they would change, as was
	// found when the revision was committed.
	Head  spec.Sources `json:"head,omitempty"`
	Would *Proposed    `json:"would,omitempty"`
	// Pins are the images of others that it runs, as they were found when the revision was
	// rendered first: rendered again, it runs the same.
	Pins []Pin `json:"pins,omitempty"`
	// Notes are what was dropped or changed of what it rendered to when it was committed
	// last, a sentence each without its full stop. They are a chart's words, and not to be
	// trusted.
	Notes []string `json:"notes,omitempty"`
}

// Pin is an image of a source that is no service's.
type Pin struct {
	Image string `json:"image"`
	// Digest is "sha256:…"; where it is "", Why says why the image keeps its tag.
	Digest string `json:"digest,omitempty"`
	Why    string `json:"why,omitempty"`
}

// Sourced says that objects of services come from a source.
func (e *Environment) Sourced() bool { return e.Source != nil && e.Source.Base != "" }

// Proposed is what a pull request's own sources would change of the manifests of its preview.
// All of it is the pull request's words, and not to be trusted.
type Proposed struct {
	// Changes are the objects that would be others. Of what is too long to keep the diffs are
	// left out, from the end.
	Changes []manifests.Difference `json:"changes,omitempty"`
	// Failed says why it cannot be rendered, "" where it can.
	Failed string `json:"failed,omitempty"`
}

// maxProposed is how much of the diffs of a Proposed is kept, in bytes.
const maxProposed = 48_000

// Propose bounds what is kept of changes.
func Propose(changes []manifests.Difference) *Proposed {
	changes = slices.Clone(changes)
	size := 0
	for i := range changes {
		if size += len(changes[i].Diff); size > maxProposed {
			changes[i].Diff = ""
		}
	}
	return &Proposed{Changes: changes}
}

// Charts are the platform's charts that a generation is rendered from: however often it is
// written, it is from the same.
type Charts struct {
	Generation int64
	platform.UsedCharts
}

// Has says that each of the charts of these names is among them.
func (c *Charts) Has(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return c.Digests[name] == "" })
}

// Own says that it is the pull request's own, which somebody approved at that commit.
func (s *Source) Own() bool { return s != nil && s.Base != "" && s.Base == s.Approved.SHA }

// Together says that one source renders all services.
func (s *Source) Together() bool {
	return s.base() != "" && len(s.From) == 1 && s.From[0].Service == ""
}

// Same says that what is rendered of both is the same.
func (s *Source) Same(as *Source) bool {
	return s.base() == as.base() && (s.base() == "" || reflect.DeepEqual(s.From, as.From))
}

// base is the commit that the source is read at, "" for idp.
func (s *Source) base() string {
	if s == nil {
		return ""
	}
	return s.Base
}

// pinned is a source with the images of others that ran with it.
func (s *Source) pinned(ran *Source) *Source {
	if s == nil || ran == nil || len(ran.Pins) == 0 {
		return s
	}
	out := *s
	out.Pins = ran.Pins
	return &out
}

// Remake asks for the wanted revision again, made of another source.
func (e *Environment) Remake(s Source, now time.Time) {
	e.Source = &s
	if e.Retry(now) {
		return // it was given up as it was
	}
	e.renew(now)
	e.WantedAt = now
}

// Rendered is what an environment is rendered to.
type Rendered struct {
	// Files is every file below the environment's folder.
	Files []gitops.File
	// Notes are what was dropped or changed of a source, as in Source.Notes.
	Notes []string
	// Pins are the images of others, as in Source.Pins.
	Pins []Pin
	// Would is what the pull request's own source would change, as in Source.Would.
	Would *Proposed
	// Charts are the platform's charts that they are rendered from, nil for none.
	Charts *Charts
	// Unrouted says that no route leads into it, as Environment.Unrouted.
	Unrouted bool
	// Update is what is written to files of others, in place of manifests; nil for nothing.
	Update *Update
}

// ChartError says that a chart of the platform team's keeps something from being rendered, until
// they mend it. What runs goes on.
type ChartError struct{ Err *fault.Error }

func (e *ChartError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong, in words for people.
func (e *ChartError) Unwrap() error { return e.Err }

// LaterError says that something cannot be rendered now and may be later, through nobody's
// fault: the row stays due.
type LaterError struct{ Err error }

func (e *LaterError) Error() string { return "not now: " + e.Err.Error() }

// Unwrap returns what was in the way.
func (e *LaterError) Unwrap() error { return e.Err }

func isLater(err error) bool {
	_, ok := errors.AsType[*LaterError](err)
	return ok
}

// noted keeps in mind what was told of the files that a row was committed with.
func (e *Environment) noted(r Rendered) {
	if e.Source == nil {
		return
	}
	source := *e.Source
	source.Notes, source.Would, source.Pins = r.Notes, r.Would, r.Pins
	e.Source = &source
}
