package report

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/idp-bot/idp/previews"
)

// TestButtons says which buttons the check of each situation has: those whose commands
// mean something then.
func TestButtons(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"looking": "destroy", "waiting": "destroy", "committing": "destroy", "syncing": "destroy", "committed": "destroy", "ready": "destroy", "degraded": "destroy", "pinned": "destroy",
		"image-never-came": "redeploy destroy", "push-refused": "redeploy destroy", "folder-changed": "redeploy destroy",
		"spec-errors": "", "spec-errors-previous-serves": "destroy", "no-preview": "",
		"fork": "approve", "fork-previous-serves": "approve destroy", "fork-waiting": "destroy", "fork-ready": "destroy",
		"removing": "", "removal-blocked": "destroy", "gone-command": "redeploy", "gone-expired": "redeploy", "gone-evicted": "redeploy",
		"gone-merged": "", "gone-closed": "", "gone-draft": "", "gone-untriggered": "",
		"deployed": "", "deployed-degraded": "redeploy",
	}
	for _, s := range states() {
		expected, listed := want[s.name]
		delete(want, s.name)
		check := CheckOf(s.in)
		var got []string
		for _, b := range check.Buttons {
			got = append(got, b.Identifier)
		}
		if buttons := strings.Join(got, " "); listed && buttons != expected {
			t.Errorf("%s: %q, want %q", s.name, buttons, expected)
		}
		if (len(got) > 0) != strings.Contains(check.ExternalID, "@") && s.in.Environment.RecheckAt.IsZero() {
			t.Errorf("%s: buttons %q of %s", s.name, got, check.ExternalID)
		}
	}
	for name := range want {
		t.Errorf("there is no situation %s", name)
	}
}

// TestButtonsFit holds all buttons to GitHub's limits.
func TestButtonsFit(t *testing.T) {
	t.Parallel()
	for _, b := range []Button{approveButton, redeployButton, returnButton, destroyButton} {
		if utf8.RuneCountInString(b.Label) > 20 || utf8.RuneCountInString(b.Description) > 40 || utf8.RuneCountInString(b.Identifier) > 20 || b.Label == "" || b.Description == "" {
			t.Errorf("%+v is too long", b)
		}
	}
	in := newState("", time.Minute).in
	e := &in.Environment
	e.Fork = &previews.Fork{}
	e.Refuse(previews.Problem{Kind: previews.ProblemFork, SHA: e.HeadSHA}, in.Now)
	e.Blocked = e.Generation
	if n := len(CheckOf(in).Buttons); n == 0 || n > 3 {
		t.Errorf("%d buttons", n)
	}
}

// A check that waits for an approval in a queue can be pressed too.
func TestQueuedButtons(t *testing.T) {
	t.Parallel()
	in := rollingOut(previews.Release{SHA: oldSHA, PR: 57, NeedsApproval: true}, previews.Release{SHA: newSHA, PR: 58})
	for i, check := range QueuedOf(in) {
		if approvable := len(check.Buttons) == 1 && check.Buttons[0].Identifier == ButtonApprove; approvable != (check.HeadSHA == oldSHA) {
			t.Errorf("%d: %+v", i, check.Buttons)
		}
	}
}
