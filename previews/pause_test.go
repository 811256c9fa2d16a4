package previews_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// While idp is paused nothing is committed, rows that wait say why, and what was taken
// back meanwhile is never committed.
func TestPauseHoldsCommits(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.committer.Paused = w.store.Paused
	runs := w.add(1, 1)
	w.step()
	deployed := map[string]string{"repo-1/pr-1": firstSHA(1)}
	w.wantDeployed(deployed)
	if _, err := w.store.Pause(t.Context(), "ada", "the cluster is being upgraded"); err != nil {
		t.Fatal(err)
	}
	waits, takenBack := w.add(1, 2), w.add(2, 3)
	w.remove(runs)
	w.step()
	w.wantDeployed(deployed)
	for _, id := range []int64{waits, takenBack} {
		p := w.row(id).Problem
		if p == nil || p.Kind != previews.ProblemPaused || !strings.HasSuffix(p.Message, ": the cluster is being upgraded") {
			t.Errorf("row %d waits for %+v", id, p)
		}
	}
	told := w.row(waits).Version
	w.remove(takenBack)
	w.clock.Advance(time.Minute)
	w.step()
	if now := w.row(waits).Version; now != told {
		t.Errorf("it is told again and again: version %d, then %d", told, now)
	}
	if _, err := w.store.Resume(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-2": firstSHA(2)})
	if e := w.row(waits); e.Problem != nil {
		t.Errorf("it still has the problem %+v", e.Problem)
	}
	w.once()
}

// Where it cannot be told whether idp is paused, nothing is committed.
func TestPauseUnknown(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.committer.Paused = func(context.Context) (previews.Pause, error) { return previews.Pause{}, context.DeadlineExceeded }
	w.add(1, 1)
	if _, err := w.committer.Step(t.Context()); err == nil {
		t.Error("no error")
	}
	w.wantDeployed(map[string]string{})
}
