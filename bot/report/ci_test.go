package report

import (
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// TestCIAsked: whoever asks is told how long the run has been going, of how long it usually
// takes; what is kept up to date has nothing in it that passes.
func TestCIAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run         previews.CIRun
		asked, kept string
	}{
		"running":   {runOf("build", previews.RunRunning, 6*time.Minute), "CI run 3:10 of \\~6:00", "CI run since 18:00 UTC, usually 6m"},
		"the first": {runOf("build", previews.RunRunning, 0), "CI run 3:10", "CI run since 18:00 UTC"},
		"queued":    {runOf("build", previews.RunQueued, 6*time.Minute), "CI run queued since 18:00 UTC, usually 6m", "CI run queued since 18:00 UTC, usually 6m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newState("", 3*time.Minute+15*time.Second, waits(false, c.run)).in
			if got := Status(in); !strings.Contains(got, " · "+c.asked+" · ") {
				t.Errorf("asked: %s", got)
			}
			if got := CheckOf(in).Title; !strings.HasSuffix(got, " · "+c.kept) {
				t.Errorf("kept: %s", got)
			}
		})
	}
}
