package platform_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops/platform"
)

func TestAccessFor(t *testing.T) {
	t.Parallel()
	production := platform.Environment{
		Permission: "maintain", Users: []string{"ann"}, Teams: []string{"platform"},
		Actions: map[string]platform.Rule{
			"approve": {Teams: []string{"release-managers"}}, "rollback": {Permission: "write"},
			"logs": {Permission: "read"}, "diff": {Users: []string{"bob"}},
		},
	}.Access()
	for command, want := range map[string]platform.Rule{
		"deploy":   {Permission: "maintain", Users: []string{"ann"}, Teams: []string{"platform"}},
		"approve":  {Permission: "maintain", Teams: []string{"release-managers"}},
		"rollback": {Permission: "write", Users: []string{"ann"}, Teams: []string{"platform"}},
		"logs":     {Permission: "read"},
		"diff":     {Permission: "write", Users: []string{"bob"}},
		"status":   {Permission: "write"},
	} {
		if diff := cmp.Diff(want, production.For(command, "write")); diff != "" {
			t.Errorf("%s: %s", command, diff)
		}
	}
	if got := (platform.Access{}).For("deploy", "write"); got.Permission != "write" || got.Users != nil || got.Teams != nil {
		t.Errorf("where nothing is declared: %+v", got)
	}
}
