package previews

import (
	"testing"
	"time"
)

// What was never wanted, for its head was refused, is no removal of what runs; what was
// removed meanwhile is removed from Git, too.
func TestAdopt(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0).UTC()
	held := Environment{Wanted: Present, Generation: 3, ResolvedGeneration: 3, AppliedGeneration: 3, SHA: "01d", HeadSHA: "01d", AppliedSHA: "01d", AppliedCommit: "c0ffee", Tree: "7ree"}
	refused := Environment{Wanted: Absent, HeadSHA: "4ead", Problem: &Problem{Kind: ProblemSpec, SHA: "4ead"}}
	if !refused.Adopt(held) || refused.Wanted != Present || refused.NeedsCommit() || refused.HeadSHA != "4ead" || refused.Problem == nil || refused.Tree != "7ree" {
		t.Errorf("refused: %+v", refused)
	}
	wanted := Environment{}
	wanted.Want(Revision{SHA: "4ead", Spec: []byte("x"), TTL: time.Hour}, now)
	closed := wanted
	closed.Remove(Removal{Reason: RemovedClosed}, now)
	if !closed.Adopt(held) || closed.Wanted != Absent || !closed.NeedsCommit() || closed.Generation != 4 || closed.Tree != "7ree" {
		t.Errorf("closed: %+v", closed)
	}
	blocked := wanted
	blocked.Fail(Problem{Kind: ProblemImage}, now)
	if !blocked.Adopt(held) || blocked.Blocked != blocked.Generation || blocked.NeedsCommit() {
		t.Errorf("given up: %+v", blocked)
	}
	known := held
	if known.Adopt(held) {
		t.Error("what is known to be in Git adopts nothing")
	}
	intends := wanted
	intends.Intend("n3w")
	if intends.Adopt(held) {
		t.Error("what is being written adopts nothing")
	}
}
