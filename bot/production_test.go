package bot

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// TestProductionConditions takes away one by one what a deployment to production needs:
// each missing, nothing is deployed there.
func TestProductionConditions(t *testing.T) {
	t.Parallel()
	// story is carol asking for a commit of the default branch and bob approving it.
	type story struct {
		Snapshot
		asks, approves Event
		before         func(*Snapshot) // what changes between the two
	}
	by := func(id int64, login, body string) Event {
		e := commentEvent(body)
		e.Actor = Actor{ID: id, Login: login}
		return e
	}
	revisions := func(s *Snapshot, f func(*Revision)) {
		changed := map[string]Revision{}
		for key, rev := range s.Revisions {
			f(&rev)
			changed[key] = rev
		}
		s.Revisions = changed
	}
	conditions := map[string]struct {
		missing func(*story)
		// because is why, in a part of what is said; "" where nothing is.
		because string
	}{
		"nothing is missing":               {func(*story) {}, ""},
		"the permission of who asks":       {func(s *story) { s.Permission = access.Write; s.before = maintainer }, "it needs maintain permission"},
		"the permission of who approves":   {func(s *story) { s.before = func(s *Snapshot) { s.Permission = access.Write } }, "it needs maintain permission"},
		"a permission that can be read":    {func(s *story) { s.before = func(s *Snapshot) { s.PermissionErr = "503" } }, "could not be read"},
		"a person that approves":           {func(s *story) { s.approves.Actor.Bot = true }, ""},
		"a commit of the protected branch": {func(s *story) { revisions(&s.Snapshot, func(r *Revision) { r.OnDefault, r.InPull = false, true }) }, "takes only commits of the default branch"},
		"a commit that stays on that branch": {func(s *story) {
			s.before = func(s *Snapshot) { revisions(s, func(r *Revision) { r.OnDefault = false }) }
		}, "is neither on the default branch nor part"},
		"a commit of the repository's own": {func(s *story) { revisions(&s.Snapshot, func(r *Revision) { r.OnDefault, r.InPull = false, false }) }, "is neither on the default branch nor part"},
		"a branch that GitHub protects":    {func(s *story) { revisions(&s.Snapshot, func(r *Revision) { r.BranchProtected = false }) }, "GitHub does not protect the default branch"},
		"protection that can be read":      {func(s *story) { revisions(&s.Snapshot, func(r *Revision) { r.BranchErr = "503" }) }, "could not be read"},
		"a branch that is protected still": {func(s *story) {
			s.before = func(s *Snapshot) { revisions(s, func(r *Revision) { r.BranchProtected = false }) }
		}, "It was not approved."},
		"any check": {func(s *story) {
			s.Platform.Environments[0].Checks = nil
			revisions(&s.Snapshot, func(r *Revision) { r.Checks = nil })
		}, "takes only commits with green checks, and the commit has none yet"},
		"commit statuses that can be read":       {func(s *story) { unread()(&s.Snapshot) }, "the App may not read them here"},
		"the required check":                     {func(s *story) { checked()(&s.Snapshot) }, "the commit does not have it yet"},
		"a green check":                          {func(s *story) { checked("failure")(&s.Snapshot) }, "to be green, and it is failure"},
		"a check that is done":                   {func(s *story) { checked("")(&s.Snapshot) }, "that is not done yet"},
		"a check that is green still":            {func(s *story) { s.before = checked("failure") }, "It was not approved."},
		"checks that can be read":                {func(s *story) { revisions(&s.Snapshot, func(r *Revision) { r.ChecksErr = "503" }) }, "could not be read"},
		"an approval":                            {func(s *story) { s.approves = by(4, "dan", "/idp status production") }, ""},
		"an approval by another than who asks":   {func(s *story) { s.approves.Actor = s.asks.Actor }, "somebody else has to approve it"},
		"the same, under another name":           {func(s *story) { s.approves.Actor = Actor{ID: s.asks.Actor.ID, Login: "renamed"} }, "somebody else has to approve it"},
		"an approval by another than the author": {func(s *story) { s.approves.Actor = Actor{ID: 1, Login: "ANN"} }, "somebody else has to approve it"},
		"an approval of that commit":             {func(s *story) { s.approves = by(2, "bob", "/idp approve "+newSHA) }, "Nothing of `a1b2c3d` waits"},
		"an approval of all of it":               {func(s *story) { s.approves = by(2, "bob", "/idp approve "+mainSHA[:39]) }, "takes the full commit"},
		"declarations that can be read":          {func(s *story) { s.PlatformErr = "503" }, "it is not known who may, since the platform's declarations cannot be read"},
	}
	figure.Tell(t, "%d conditions, one missing at a time: 0 deployments; all there: 1", len(conditions)-1)
	for name, test := range conditions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := story{Snapshot: declaring(t, maintainer, checked("success"), func(s *Snapshot) {
				s.Platform.Environments[0] = platform.Environment{Name: "production", Class: "durable", Permission: "maintain", Protected: true, Approval: true, Checks: []string{"ci/test"}}
			})}
			s.asks, s.approves = by(3, "carol", "/idp deploy production "+mainSHA), by(2, "bob", "/idp approve "+mainSHA)
			test.missing(&s)
			asked := Decide(s.Snapshot, s.asks)
			then := afterAll(s.Snapshot, asked)
			if s.before != nil {
				s.before(&then)
			}
			approved := Decide(then, s.approves)
			end, deploys := afterAll(then, approved), false
			for _, row := range end.Declared {
				deploys = deploys || row.Ref.ID == "production" && row.Wanted == previews.Present
			}
			said := replies(asked) + replies(approved)
			if want := name == "nothing is missing"; deploys != want {
				t.Errorf("deploys: %v; %q", deploys, said)
			}
			if !strings.Contains(said, test.because) {
				t.Errorf("said %q", said)
			}
		})
	}
}
