package report

import (
	"slices"

	"github.com/idp-bot/idp/gitops/platform"
)

// closed says that no route leads into a preview: of what is in Git by its commit, whatever
// was said since, and before that by what the next commit will be.
func closed(in Input) bool {
	e := &in.Environment
	if e.AppliedSHA == "" {
		return !e.Declared() && in.Class.Closed()
	}
	return e.Unrouted
}

// unaddressed says that some service would have an address, were the preview not closed.
func unaddressed(in Input) bool {
	return slices.ContainsFunc(services(in), func(s service) bool { return s.closed })
}

// unrouted says why a preview has no address, and who mends it how; "" where it has one, or
// nothing that would.
func unrouted(in Input, v verdict) string {
	if !v.services || !unaddressed(in) {
		return ""
	}
	return "No address: " + platform.WhyClosed + ". The platform team says it with " + Code("access") + " in " + Code(in.Class.File()) +
		", or with " + Code("preview_access: public") + " in idp's configuration where previews are for everybody; the next push then has an address."
}
