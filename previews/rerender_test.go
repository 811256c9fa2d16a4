package previews

import (
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
)

// TestStaysRendered: what is held, or on its way, is not rendered anew.
func TestStaysRendered(t *testing.T) {
	t.Parallel()
	settled := func() Environment {
		return Environment{
			Wanted: Present, Generation: 3, ResolvedGeneration: 3, AppliedGeneration: 3, SHA: "a", AppliedSHA: "a", AppliedCommit: "c", Tree: "t",
			ExpiresAt: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
		}
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*Environment)
		stays  bool
	}{
		"settled":                     {func(*Environment) {}, false},
		"pinned":                      {func(e *Environment) { e.ExpiresAt, e.Pinned = time.Time{}, true }, false},
		"taken away":                  {func(e *Environment) { e.Wanted = Absent }, true},
		"never committed":             {func(e *Environment) { e.AppliedCommit, e.Tree = "", "" }, true},
		"a push is under way":         {func(e *Environment) { e.Generation = 4 }, true},
		"given up":                    {func(e *Environment) { e.Blocked = 3 }, true},
		"proposed":                    {func(e *Environment) { e.Lane.Proposed, e.Proposal = true, &Proposal{Number: 1, Generation: 3} }, true},
		"a fork's, approved":          {func(e *Environment) { e.Fork = &Fork{Approved: Approval{SHA: "a"}} }, false},
		"a fork's, withdrawn":         {func(e *Environment) { e.Fork = &Fork{} }, true},
		"its own chart, pushed since": {func(e *Environment) { e.Source = &Source{Base: "b", Approved: Approval{SHA: "b"}} }, true},
		"locked":                      {func(e *Environment) { e.Deployed = &Deployed{Lock: &Lock{By: "alice"}} }, true},
		"rolling out":                 {func(e *Environment) { e.Deployed, e.Observed = &Deployed{}, &Observation{Generation: 2} }, true},
		"deployed and well": {func(e *Environment) {
			e.Deployed, e.Observed = &Deployed{}, &Observation{Generation: 3, Health: "Healthy", Sync: "Synced"}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := settled()
			if e.Deployed == nil {
				e.Ref = gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "pr-1"}
			}
			c.change(&e)
			if why := e.StaysRendered(); (why != "") != c.stays {
				t.Fatalf("it stays: %q", why)
			}
			before := e
			if e.Rerender(before.Generation, now) == c.stays {
				t.Fatalf("rendered anew: %v", !c.stays)
			}
			if !c.stays && (!e.NeedsCommit() || e.SHA != before.SHA || !e.ExpiresAt.Equal(before.ExpiresAt) || e.Pinned != before.Pinned) {
				t.Errorf("it is %+v", e)
			}
			if e = before; e.Rerender(before.Generation-1, now) {
				t.Error("an older generation is rendered anew")
			}
		})
	}
}
