package bot

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/previews"
)

// compared reads what a comment asks to have compared, as the handler does: each part
// changes one object. It returns the parts that were looked at.
func compared(s *Snapshot, event Event) (parts []string) {
	h := &Handler{Compare: func(_ context.Context, would previews.Environment) report.Planned {
		parts = append(parts, would.Ref.Key()+" at "+shortSHA(would.SHA))
		return report.Planned{Changes: []manifests.Difference{{Verb: manifests.Changed, Object: "Deployment " + would.Ref.Service, Diff: "+x\n"}}}
	}}
	h.readPlanned(context.Background(), event, s)
	return parts
}

func TestDiff(t *testing.T) {
	t.Parallel()
	staged := []step{says("bob", 2, "/idp deploy staging"), healthyNow}
	other := func(_ testing.TB, s Snapshot) Snapshot { s.PR.Number = 41; return s }
	for _, c := range []struct {
		name   string
		set    func(*Snapshot)
		before []step
		body   string
		parts  string
		reply  string
	}{
		{"of what is not there yet", nil, nil, "/idp diff staging", "staging at a1b2c3d, staging.web at a1b2c3d", "Deploying `a1b2c3d` to `staging` changes 2 objects."},
		{"of a service", nil, nil, "/idp diff staging web", "staging at a1b2c3d, staging.web at a1b2c3d", "**web**: 1 object changes: Deployment web"},
		{"of another commit", nil, staged, "/idp diff staging " + mainSHA[:8], "staging at 0000000, staging.web at 0000000", "Deploying `0000000` to `staging` changes 2 objects."},
		{"of what runs", nil, staged, "/idp diff staging", "", "Deploying `a1b2c3d` to `staging` changes nothing.\n\n**web**: nothing changes, the commit runs there already or is about to."},
		{"where", nil, nil, "/idp diff", "", "takes the name of an environment, such as staging"},
		{"nowhere", nil, nil, "/idp diff stagging", "", "There is no environment `stagging`."},
		{"of no service", nil, nil, "/idp diff staging api", "", "There is no service `api` here."},
		{"of somebody else's commit", nil, nil, "/idp diff staging " + foreignSHA, "", "is neither on the default branch nor part of this pull request"},
		{"of a fork", func(s *Snapshot) { s.PR.Fork = true }, nil, "/idp diff staging", "", "the code of forks is not deployed"},
		{"by a reader", func(s *Snapshot) { s.Permission = access.Triage }, nil, "/idp diff staging", "-", "`/idp diff` was not run: it needs write permission on this repository, and yours is triage."},
		{"of what is locked", nil, []step{says("carol", 3, "/idp lock staging the fair is on")}, "/idp diff staging", "staging at a1b2c3d, staging.web at a1b2c3d", "`/idp deploy staging` would be refused now:\n\n- `staging` is locked by `carol` since Sat 21 Nov 18:00 UTC: the fair is on."},
		{"without the check", nil, nil, "/idp diff tested", "tested at a1b2c3d, tested.web at a1b2c3d", "- Tested needs check \"ci/test\", and the commit does not have it yet."},
		{"where one may not deploy", nil, nil, "/idp diff canary", "canary at a1b2c3d, canary.web at a1b2c3d", "- It is for some people only. Carol, with write permission can deploy there."},
		{"for production", nil, nil, "/idp diff production", "production at a1b2c3d, production.web at a1b2c3d", "- Production takes only commits of the default branch."},
		{"that waits for approval", nil, nil, "/idp diff production", "production at a1b2c3d, production.web at a1b2c3d", "⏳ It would wait:\n\n- Somebody else than who asks for it, with maintain permission or more, has to approve the commit."},
		{
			"behind another", nil, []step{other, says("bob", 2, "/idp deploy staging"), func(_ testing.TB, s Snapshot) Snapshot { s.PR.Number = 42; return s }},
			"/idp diff staging " + mainSHA, "staging at 0000000, staging.web at 0000000", "- Web waits in the queue: `a1b2c3d` is under way for pull request 41.",
		},
		{
			"in the place of its own", nil, []step{says("bob", 2, "/idp deploy staging")},
			"/idp diff staging " + mainSHA, "staging at 0000000, staging.web at 0000000", "Deploying `0000000` to `staging` changes 2 objects.",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := declaring(t)
			if c.set != nil {
				c.set(&s)
			}
			for _, do := range c.before {
				s = do(t, s)
			}
			event := commentEvent(c.body)
			before := slices.Clone(s.Declared)
			if parts := strings.Join(compared(&s, event), ", "); parts != c.parts && c.parts != "-" {
				t.Errorf("compared are %q", parts)
			}
			d := Decide(s, event)
			if !strings.Contains(replies(d), c.reply) {
				t.Errorf("the reply is %q", replies(d))
			}
			if len(d.Declared) > 0 || d.Environment != nil || !reflect.DeepEqual(before, s.Declared) {
				t.Errorf("asking changed something: %+v", d.Declared)
			}
		})
	}
}

// What was quarantined is said to be, and by force it is not in the way.
func TestDiffOfQuarantined(t *testing.T) {
	t.Parallel()
	s := quarantined(t)
	for body, refused := range map[string]bool{"/idp diff staging " + mainSHA: true, "/idp diff staging " + mainSHA + " --force": false} {
		event := commentEvent(body)
		compared(&s, event)
		d := Decide(s, event)
		if strings.Contains(replies(d), "failed in `staging` and was rolled back") != refused || len(d.Declared) > 0 {
			t.Errorf("%s: %d rows, %q", body, len(d.Declared), replies(d))
		}
	}
}

// Beside commands that do change something, what is compared is what stands in Git, and
// what would be in the way is what the commands before left.
func TestDiffAfterOthers(t *testing.T) {
	t.Parallel()
	s := declaring(t)
	event := commentEvent("/idp lock staging\n/idp diff staging\n/idp unlock staging\n/idp diff tested")
	compared(&s, event)
	d := Decide(s, event)
	if !strings.Contains(replies(d), "is locked by `bob`") || reactions(d) != reactionDone {
		t.Errorf("%s: %q", reactions(d), replies(d))
	}
	for _, row := range d.Declared {
		if row.Generation > 0 || row.Ref.ID != "staging" {
			t.Errorf("%s is wanted at generation %d", row.Ref, row.Generation)
		}
	}
}

// Without a GitOps repository at hand it says so, and nothing more.
func TestDiffUnread(t *testing.T) {
	t.Parallel()
	d := Decide(declaring(t), commentEvent("/idp diff staging"))
	if !strings.Contains(replies(d), "**web**: not known. The GitOps repository is not read here.") {
		t.Errorf("the reply is %q", replies(d))
	}
}
