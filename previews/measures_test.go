package previews_test

import (
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// A tally tells how often, how fast and how well; going back restores and is no
// deployment, and what was superseded is neither good nor bad.
func TestTally(t *testing.T) {
	t.Parallel()
	var tally previews.Tally
	at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	add := func(kind previews.ReleaseKind, outcome previews.Outcome, asked, ended int) {
		tally.Add(previews.Finished{
			Ref: "acme/web/staging.web", Environment: "staging", Kind: kind, Outcome: outcome,
			CommittedAt: at(asked - 60), AskedAt: at(asked), EndedAt: at(ended),
		})
	}
	add(previews.ReleaseDeploy, previews.OutcomeHealthy, 0, 2)
	add(previews.ReleaseMerge, previews.OutcomeSuperseded, 10, 11)
	add(previews.ReleaseDeploy, previews.OutcomeFailed, 20, 25)
	add(previews.ReleaseRollback, previews.OutcomeFailed, 25, 27)
	add(previews.ReleaseAbort, previews.OutcomeStopped, 27, 28)
	add(previews.ReleaseRollback, previews.OutcomeHealthy, 28, 30)
	add(previews.ReleasePromote, previews.OutcomeHealthy, 40, 44)
	tally.Add(previews.Finished{Ref: "acme/web/pr-1", Environment: "preview", Outcome: previews.OutcomeHealthy, AskedAt: at(0), EndedAt: at(1)})

	got := tally.Measures()
	if len(got) != 2 || got[0].Environment != "preview" || got[1].Environment != "staging" {
		t.Fatalf("measured are %+v", got)
	}
	if m := got[0]; m.Healthy != 1 || len(m.Lead) != 0 || m.Provisioning.Quantile(0.5) != time.Minute || m.FailureRate() != 0 {
		t.Errorf("previews: %+v", m)
	}
	m := got[1]
	if m.Healthy != 2 || m.Failed != 2 || m.Superseded != 1 || m.Stopped != 1 || m.WentBack != 1 || m.FailureRate() != 0.5 {
		t.Errorf("staging: %+v, failure rate %v", m, m.FailureRate())
	}
	if p := m.Provisioning; p.Quantile(0.5) != 4*time.Minute || p.Quantile(0) != 2*time.Minute || p.Quantile(1) != 4*time.Minute || p.Sum() != 6*time.Minute {
		t.Errorf("provisioning: %v", p)
	}
	if m.Lead.Quantile(0) != 62*time.Minute {
		t.Errorf("lead time: %v", m.Lead)
	}
	if len(m.Restore) != 1 || m.Restore[0] != 5*time.Minute {
		t.Errorf("it was down from the first failure until it was healthy again: %v", m.Restore)
	}
	if (previews.Durations{}).Quantile(0.9) != 0 {
		t.Error("nothing has a quantile")
	}
}
