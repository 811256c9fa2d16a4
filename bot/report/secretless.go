package report

import (
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// secretless says that an environment runs without secrets that its class has, and why; ""
// where it has them, or there are none.
func secretless(in Input) string {
	e := &in.Environment
	if e.Wanted != previews.Present || e.Shared() || !in.Class.Withheld(e.Trust) {
		return ""
	}
	text := Code(short(e.SHA)) + " runs without the class's secrets, because "
	switch e.Trust {
	case platform.TrustFork:
		return text + "it comes from a fork."
	case platform.TrustBot:
		return text + "it comes from a bot."
	case platform.TrustUnknown:
		return text + "it is not known who pushed it. " + Code(askAgain(e)) + " asks again."
	case platform.TrustMember:
		return text + "they are for commits of the default branch alone."
	}
	return text + "they are for previews alone."
}

func askAgain(e *previews.Environment) string {
	if e.Declared() {
		return "/idp deploy " + e.Ref.ID
	}
	return "/idp preview"
}
