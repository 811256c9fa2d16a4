package previews_test

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
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

// An approval holds to the digests that were found for it first. A tag that is pushed
// again takes it back, until somebody approves the commit anew.
func TestApprovalHoldsToDigests(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	change := func(fn func(*previews.Environment)) {
		t.Helper()
		if _, err := w.store.Update(t.Context(), w.row, func(e *previews.Environment) error { fn(e); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	// again takes the preview away and asks for the same commit once more.
	again := func(apiDigest string) previews.Environment {
		t.Helper()
		w.shelf.put("api:a", apiDigest)
		w.shelf.put("web:a", "sha256:web")
		change(func(e *previews.Environment) {
			e.Remove(previews.Removal{Reason: previews.RemovedByCommand}, w.clock.Now())
			e.Want(revisionOf("a"), w.clock.Now())
		})
		return w.step()
	}
	approve := func(e *previews.Environment) { e.Clear(previews.Approval{SHA: "a", By: "ann", ByID: 1}) }
	change(approve)
	for range 2 {
		if e := again("sha256:one"); e.State() != previews.StateCommitting || e.Fork.Approved.Digests["api:a"] != "sha256:one" || !e.Cleared("a") {
			t.Fatalf("approved: %s, %+v", e.State(), e.Fork)
		}
	}
	e := again("sha256:two")
	if e.State() != previews.StateFailed || e.Problem.Kind != previews.ProblemFork || e.Cleared("a") || !strings.HasPrefix(e.Problem.Message, "image api:a was pushed again after it was approved") {
		t.Errorf("pushed again: %s, %+v, %+v", e.State(), e.Problem, e.Fork)
	}
	if e = again("sha256:one"); e.Cleared("a") {
		t.Error("what was taken back is approved again by itself")
	}
	change(approve)
	if e = again("sha256:two"); e.State() != previews.StateCommitting || !e.Cleared("a") || e.Fork.Withdrawn != "" {
		t.Errorf("approved anew: %s, %+v, %+v", e.State(), e.Problem, e.Fork)
	}
	// As the commit is made the images are looked at once more.
	if e.Images[0].Digest = "sha256:three"; e.Cleared("a") {
		t.Error("another image than the approved one is cleared")
	}
	figure.Tell(t, "a tag pushed again after its approval: 0 commits until it was approved anew")
}
