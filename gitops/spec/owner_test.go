package spec_test

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/spec"
)

// TestCheckTeam is every spelling of a team in a deploy.yaml against every owner.
func TestCheckTeam(t *testing.T) {
	t.Parallel()
	const several = "services:\n  - name: api\n    team: %1\n  - name: web\n    team: %2\n"
	for _, c := range []struct {
		raw, owner string
		want       []string
	}{
		{"service: {name: web}\n", "web", nil},
		{"service: {name: web}\n", "", nil},
		{"service:\n  name: web\n  team: web\n", "web", nil},
		{"service:\n  name: web\n  team: Web\n", "web", []string{`deploy.yaml:3:9: team "Web" is not this repository's: WHY: did you mean "web"?`}},
		{"service:\n  name: web\n  team: payments\n", "", []string{`deploy.yaml:3:9: team "payments" is not this repository's: WHY`}},
		{strings.NewReplacer("%1", "web", "%2", "payments").Replace(several), "web", []string{`deploy.yaml:5:11: team "payments" is not`}},
		{strings.NewReplacer("%1", "a", "%2", "b").Replace(several), "web", []string{`deploy.yaml:3:11: team "a" is not`, `deploy.yaml:5:11: team "b" is not`}},
		{"not: [valid", "web", nil},
	} {
		errs := spec.CheckTeam("deploy.yaml", []byte(c.raw), c.owner, "WHY")
		if len(errs) != len(c.want) {
			t.Errorf("%q of %q: %v", c.raw, c.owner, errs)
			continue
		}
		for i, e := range errs {
			if !strings.HasPrefix(e.Error(), c.want[i]) || e.Field == "" || e.EndLine < e.Line {
				t.Errorf("%q of %q: %+v, want %q", c.raw, c.owner, e, c.want[i])
			}
		}
	}
}
