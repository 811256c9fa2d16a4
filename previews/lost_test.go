package previews_test

import (
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// What GitHub told of a repository is kept with its first time, and is not replaced by what only
// looks so. What is gone has nothing to lose.
func TestLose(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if s.Lose(previews.LostDeleted, began) {
		t.Error("an environment that was never deployed lost its repository")
	}
	s.deploy("a", 1)
	for _, step := range []struct {
		why  previews.LossReason
		news bool
		then previews.LossReason
	}{
		{previews.LostUnreadable, true, previews.LostUnreadable},
		{previews.LostSuspended, true, previews.LostSuspended},
		{previews.LostUnreadable, false, previews.LostSuspended},
		{previews.LostSuspended, false, previews.LostSuspended},
		{previews.LostDeleted, true, previews.LostDeleted},
	} {
		s.now = s.now.Add(time.Hour)
		before := s.Lost
		if news := s.Lose(step.why, s.now); news != step.news || s.Lost.Reason != step.then || !news && s.Lost != before {
			t.Errorf("%s is news: %t, then %+v", step.why, news, s.Lost)
		}
	}
	if s.Wanted != previews.Present || s.NeedsCommit() {
		t.Errorf("it is wanted %s", s.Wanted)
	}
}

// A declared environment that an operator takes away leaves nothing to go back to, and the same
// commit may be deployed again.
func TestDismiss(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	s.see("Healthy", "")
	s.NoteMerge(1)
	s.deploy("b", 2)
	s.deploy("c", 3)
	s.SetLock(&previews.Lock{By: "carol"}, s.now)
	s.Lose(previews.LostDeleted, s.now)
	s.Finished = nil
	if !s.Dismiss("ops", s.now) || s.Wanted != previews.Absent || s.Removal.Reason != previews.RemovedByOperator || s.Removal.By != "ops" || s.Actor != "ops" || !s.NeedsCommit() {
		t.Fatalf("wanted %s: %+v", s.Wanted, s.Removal)
	}
	d := s.Deployed
	if _, back := s.Target(""); back || d.Lock != nil || len(d.Queue) > 0 || d.Current.SHA != "" || s.Lost != nil || len(d.Merges) != 1 {
		t.Errorf("it keeps %+v", d)
	}
	if len(s.Finished) != 1 || s.Finished[0].Outcome != previews.OutcomeStopped || s.Finished[0].SHA != sha("b") {
		t.Errorf("ended: %+v", s.Finished)
	}
	if s.Dismiss("ops", s.now) {
		t.Error("it was taken away twice")
	}
	s.Fail(previews.Problem{Kind: previews.ProblemChanged, Message: "somebody else changed it"}, s.now)
	if !s.Dismiss("ops", s.now) || !s.Overwrite || !s.NeedsCommit() {
		t.Error("a removal that was given up is not tried again")
	}
	s.Commit(previews.Applied{Generation: s.Generation, Commit: sha("e"), Watched: true, At: s.now})
	if s.State() != previews.StateRemoving {
		t.Errorf("it is %s, and Argo CD has it still", s.State())
	}
	if !s.deploy("a", 4) || s.State() != previews.StateWaiting {
		t.Errorf("deployed again it is %s", s.State())
	}
}
