package previews_test

import (
	"testing"

	"github.com/idp-bot/idp/previews"
)

// A row that wants what is not approved is given up with its reason; what is approved
// while the commit is prepared is committed in its place.
func TestCommitterRechecksApprovals(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	approve := func(sha string) func(*previews.Environment) {
		return func(e *previews.Environment) { e.Clear(previews.Approval{SHA: sha, By: "ann", ByID: 1}) }
	}
	never := w.add(1, 1, func(e *previews.Environment) { e.Fork = &previews.Fork{} })
	other := w.add(1, 2, approve(firstSHA(9)))
	late := w.add(1, 3, approve(firstSHA(3)))
	own := w.add(1, 4)
	overtaken := false
	w.committer.Git = crashing{Writer: w.committer.Git, planned: func() error {
		if !overtaken {
			overtaken = true
			w.change(late, approve(firstSHA(8)))
			w.push(late, firstSHA(8))
		}
		return nil
	}}
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-3": firstSHA(8), "repo-1/pr-4": firstSHA(4)})
	for _, id := range []int64{never, other} {
		if e := w.row(id); e.State() != previews.StateFailed || e.Problem == nil || e.Problem.Message != "this commit is not the one that was approved" {
			t.Errorf("%s: %s, %+v", e.Ref, e.State(), e.Problem)
		}
	}
	if e := w.row(own); e.State() != previews.StateCommitted {
		t.Errorf("what needs no approval: %s", e.State())
	}
	// A removal needs none.
	w.change(late, approve(""))
	w.remove(late)
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-4": firstSHA(4)})
	w.once()
}
