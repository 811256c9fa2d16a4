package report

import (
	"time"

	"github.com/idp-bot/idp/previews"
)

// declared makes it a service of a declared environment.
func declared(in *Input) {
	e := &in.Environment
	e.Ref.ID, e.Ref.Service = "staging", "payments-api"
	e.Deployed = &previews.Deployed{Current: previews.Release{Kind: previews.ReleaseDeploy, SHA: e.SHA, Spec: e.Spec, PR: e.PR}}
	e.ExpiresAt, e.TTL = time.Time{}, 0
}

// dismissedBy has an operator take it away.
func dismissedBy(by string) func(*Input) {
	return func(in *Input) {
		e := &in.Environment
		e.Dismiss(by, pushed.Add(time.Hour))
		e.Commit(previews.Applied{Generation: e.Generation, Commit: "5c0ffee000000000000000000000000000000001", Watched: e.Observed != nil, At: pushed.Add(time.Hour + time.Second)})
	}
}

// wentBack makes it one that is older than what was there before.
func wentBack(by, reason string) func(*Input) {
	return func(in *Input) {
		d := in.Environment.Deployed
		d.Current.Kind = previews.ReleaseRollback
		d.Fallback = &previews.Fallback{From: previews.Release{SHA: oldSHA}, Reason: reason, By: by, At: pushed}
	}
}

// queued has releases wait behind it, the first for an approval, and somebody lock it.
func queued(in *Input) {
	d := in.Environment.Deployed
	d.Queue = []previews.Release{{SHA: oldSHA, PR: 57, NeedsApproval: true}, {SHA: newSHA, PR: 58}}
	d.Lock = &previews.Lock{By: "carol", Reason: "the fair is on", At: pushed}
}
