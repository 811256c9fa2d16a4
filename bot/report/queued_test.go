package report

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// rollingOut is a service of a declared environment on its way, with releases behind it.
func rollingOut(queue ...previews.Release) Input {
	in := newState("", 2*time.Minute, resolved, applied, declared, observe("Synced", "Progressing", "")).in
	in.Web = "https://github.example"
	in.Environment.Deployed.Queue = queue
	return in
}

const thirdSHA = "3333333333333333333333333333333333333333"

func TestQueuedGolden(t *testing.T) {
	t.Parallel()
	spec := []byte("service: {name: payments-api}\n")
	first, second := previews.Release{SHA: oldSHA, PR: 57, Spec: spec}, previews.Release{SHA: thirdSHA, PR: 58, Spec: spec}
	approval := first
	approval.NeedsApproval = true
	locked := rollingOut(first)
	locked.Environment.Deployed.Lock = &previews.Lock{By: "carol", Reason: "the <fair> is on", At: pushed}
	for name, in := range map[string]Input{"queued": rollingOut(first, second), "queued-behind-approval": rollingOut(approval, second), "queued-locked": locked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.MarshalIndent(QueuedOf(in), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, append(got, '\n'))
		})
	}
}

// Two pull requests may wait with one commit, or with the one that is deployed: a commit
// has one check.
func TestQueuedOnce(t *testing.T) {
	t.Parallel()
	in := rollingOut(previews.Release{SHA: oldSHA, PR: 57}, previews.Release{SHA: oldSHA, PR: 58}, previews.Release{SHA: newSHA, PR: 59})
	if got := QueuedOf(in); len(got) != 1 || got[0].HeadSHA != oldSHA || got[0].PR != 57 {
		t.Errorf("checks %+v", got)
	}
	if got := QueuedOf(newState("", time.Minute).in); got != nil {
		t.Errorf("a preview has %+v", got)
	}
}

// What does not wait any more is told by what became of it.
func TestUnqueued(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		set        func(*previews.Deployed)
		conclusion string
		title      string
	}{
		{"nothing is known", func(*previews.Deployed) {}, cancelled, "No longer in the queue"},
		{"a newer one waits", func(d *previews.Deployed) { d.Queue = []previews.Release{{SHA: thirdSHA, PR: 57}} }, cancelled, "Superseded by 3333333"},
		{"a newer one is deployed", func(d *previews.Deployed) { d.Current.PR = 57 }, cancelled, "Superseded by a1b2c3d"},
		{"it was deployed meanwhile", func(d *previews.Deployed) {
			d.Last = &previews.Ended{SHA: oldSHA, Outcome: previews.OutcomeHealthy, At: pushed}
		}, success, "Deployed to payments-api in staging"},
		{"it failed meanwhile", func(d *previews.Deployed) {
			d.Last = &previews.Ended{SHA: oldSHA, Outcome: previews.OutcomeFailed, Reason: "it crashed", At: pushed}
		}, failure, "Failed: it crashed"},
		{"it was stopped meanwhile", func(d *previews.Deployed) {
			d.Fallback = &previews.Fallback{From: previews.Release{SHA: oldSHA}, Reason: "stopped by carol", By: "carol", At: pushed}
		}, cancelled, "Stopped: stopped by carol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := rollingOut()
			c.set(in.Environment.Deployed)
			got := Unqueued(in, "idp / staging (x)", oldSHA, 57)
			if got.Title != c.title || got.Conclusion != c.conclusion || got.Status != completed || got.Name != "idp / staging (x)" || got.HeadSHA != oldSHA || got.Summary == "" {
				t.Errorf("check %+v", got)
			}
		})
	}
}
