package platform_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
)

// TestTeamsOfRepositories is the matrix team × repository: a deploy.yaml may say whose
// it is only where the platform team does not, or says the same.
func TestTeamsOfRepositories(t *testing.T) {
	t.Parallel()
	cells, refused := 0, 0
	for _, strict := range []bool{false, true} {
		p, errs := platform.Load([]gitops.File{{Path: platform.TeamsPath, Content: []byte("strict: " + strconv.FormatBool(strict) + `
teams:
  payments: {repositories: [{id: 1, name: acme/payments-api}, {id: 2, name: acme/ledger}], github: acme/payments}
  web: {repositories: [{id: 3, name: acme/web}]}
  nobody: {}
`)}}, class())
		if err := errs.Err(); err != nil {
			t.Fatal(err)
		}
		owners := map[int64]string{1: "payments", 2: "payments", 3: "web", 4: "", 0: ""}
		for repository, owner := range owners {
			for _, team := range []string{"", "payments", "web", "nobody", "Payments", "attackers"} {
				raw := "service:\n  name: api\n"
				if team != "" {
					raw += "  team: " + team + "\n"
				}
				errs := p.Teams.Check("deploy.yaml", []byte(raw), repository)
				if cells++; len(errs) > 0 {
					refused++
				}
				fine := team == "" || team == owner || owner == "" && !strict
				if fine != (len(errs) == 0) {
					t.Errorf("strict %v, repository %d of %q, team %q: %v", strict, repository, owner, team, errs)
				}
				for _, e := range errs {
					if e.Line != 3 || e.Column != 9 || e.Suggestion != owner || !strings.Contains(e.Message, "platform/teams.yaml, which the platform team changes") {
						t.Errorf("strict %v, repository %d, team %q: %+v", strict, repository, team, e)
					}
				}
			}
		}
	}
	figure.Tell(t, "%d teams claimed for repositories: the %d that are not the platform team's word refused", cells, refused)
	if errs := (platform.Teams{}).Check("deploy.yaml", []byte("service: {name: a, team: any}\n"), 1); len(errs) > 0 {
		t.Errorf("without teams.yaml: %v", errs)
	}
}
