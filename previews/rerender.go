package previews

import (
	"fmt"
	"time"
)

// StaysRendered says, in a clause, why an environment is not rendered anew on an operator's
// word; "" where it is. What is under way is rendered by the release that runs anyway, what
// somebody holds stays as it is, and nothing is rendered whose approval does not hold any
// more. A pin keeps a preview from expiring, not from being rendered.
func (e *Environment) StaysRendered() string {
	switch {
	case e.Wanted != Present || e.Tree == "" || e.AppliedCommit == "":
		return "nothing of it is in Git yet"
	case e.Proposed() != nil:
		return "a pull request of the GitOps repository proposes it"
	case e.Blocked == e.Generation:
		return "what is wanted was given up; it is rendered when that is tried again"
	case e.AppliedGeneration != e.Generation:
		return "something newer is under way, and rendered by the release that runs"
	case !e.Cleared(e.SHA):
		return "its commit is not one that is approved"
	case e.Declared() && e.Deployed.Lock != nil:
		return fmt.Sprintf("it is locked by %s", e.Deployed.Lock.By)
	case e.Declared() && e.State() != StateReady && e.State() != StateCommitted:
		return fmt.Sprintf("a rollout of it is under way, or failed (%s)", e.State())
	}
	return ""
}

// Rerender has a generation that is applied rendered and committed once more as it is, with
// the same commit, images and expiry, and says whether it does.
func (e *Environment) Rerender(generation int64, now time.Time) bool {
	return e.StaysRendered() == "" && e.Commits(generation, now)
}
