package bot

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// buttonEvent is bob's press of a button of the check of a commit.
func buttonEvent(identifier, sha string) Event {
	return Event{
		Kind: EventButton, Delivery: "d", Name: "check_run", Action: "requested_action", HeadSHA: sha,
		Actor: Actor{ID: 2, Login: "bob"}, Button: &Button{Check: 11, Identifier: identifier, ExternalID: "idp-web-pr-42@1"},
	}
}

// ofFork is a pull request of mallory's whose head is in a fork.
func ofFork(t testing.TB) Snapshot {
	t.Helper()
	s := open(t)
	s.PR.Fork, s.PR.Author = true, Actor{ID: 66, Login: "mallory"}
	return s
}

const anotherSHA = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

func TestApproval(t *testing.T) {
	t.Parallel()
	asked := func(s Snapshot) Snapshot { return with(s, pullRequestEvent("opened")) }
	destroyed := func(s Snapshot) Snapshot {
		return with(deployed(with(asked(s), commentEvent("/idp approve "+newSHA))), commentEvent("/idp destroy"))
	}
	change := func(f func(*Snapshot)) func(Snapshot) Snapshot {
		return func(s Snapshot) Snapshot { s = asked(s); f(&s); return s }
	}
	for _, c := range []struct {
		name   string
		before func(Snapshot) Snapshot
		event  Event
		// wants is the revision that is wanted then; reply a part of what is said.
		wants, reply string
	}{
		{"by a writer", asked, commentEvent("/idp approve " + newSHA), newSHA, ""},
		{"in capitals", asked, commentEvent("/idp approve " + strings.ToUpper(newSHA)), newSHA, ""},
		{"by the button", asked, buttonEvent("approve", newSHA), newSHA, ""},
		{"before the first event", func(s Snapshot) Snapshot { return s }, commentEvent("/idp approve " + newSHA), newSHA, ""},
		{"after a destroy", destroyed, commentEvent("/idp approve " + newSHA), newSHA, ""},
		{"where a label would have to ask", change(func(s *Snapshot) { s.Base = specAt(service + "preview: {trigger: label}\n") }), commentEvent("/idp approve " + newSHA), newSHA, ""},
		{"of a commit that was pushed over", change(func(s *Snapshot) { s.PR.HeadSHA = anotherSHA }), commentEvent("/idp approve " + newSHA), "", "The newest commit of this pull request is `bbbbbbb` and not `a1b2c3d`"},
		{"by the button of a commit that was pushed over", change(func(s *Snapshot) { s.PR.HeadSHA = anotherSHA }), buttonEvent("approve", newSHA), "", "The newest commit of this pull request is `bbbbbbb` and not `a1b2c3d`"},
		{"of a short commit", asked, commentEvent("/idp approve " + newSHA[:12]), "", "takes the full commit"},
		{"of nothing", asked, commentEvent("/idp approve"), "", "takes the full commit"},
		{"by its author", change(func(s *Snapshot) { s.PR.Author.ID = 2 }), commentEvent("/idp approve " + newSHA), "", "this pull request is yours"},
		{"by its author's button", change(func(s *Snapshot) { s.PR.Author.ID = 2 }), buttonEvent("approve", newSHA), "", "this pull request is yours"},
		{"by an outsider", change(func(s *Snapshot) { s.Permission = access.Read }), commentEvent("/idp approve " + newSHA), "", "it needs write permission on this repository, and yours is read"},
		{"by an outsider's button", change(func(s *Snapshot) { s.Permission = access.None }), buttonEvent("approve", newSHA), "", "it needs write permission"},
		{"when nobody knows who may", change(func(s *Snapshot) { s.PermissionErr = "503" }), buttonEvent("approve", newSHA), "", "could not be read"},
		{"of what has errors", change(func(s *Snapshot) { s.Spec = specAt("service: {nmae: secretly}\n") }), commentEvent("/idp approve " + newSHA), "", "has 1 error, which its author has to mend. Nothing was approved."},
		{"of what is closed", change(func(s *Snapshot) { s.PR.Open = false }), commentEvent("/idp approve " + newSHA), "", "This pull request is closed."},
		{"where previews are switched off", change(func(s *Snapshot) { s.Base = specAt(service + "preview: {enabled: false}\n") }), commentEvent("/idp approve " + newSHA), "", "preview.enabled is false"},
		{"where the base branch's spec has errors", change(func(s *Snapshot) { s.Base = specAt("service: {nmae: web}\n") }), commentEvent("/idp approve " + newSHA), "", "has 1 error on the base branch"},
		{"a preview, which takes an approval", asked, commentEvent("/idp preview"), "", "`/idp approve " + newSHA + "`"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.before(ofFork(t))
			d := Decide(s, c.event)
			e := after(s, d).Environment
			if got := wantedOf(e); got != c.wants {
				t.Errorf("wants %q, not %q; %q", got, c.wants, d.Reasons)
			}
			if c.wants == "" && e != nil && e.Fork.Approved.SHA != "" && !d.Audit[0].Allowed {
				t.Errorf("approved nevertheless: %+v", e.Fork)
			}
			if c.wants != "" && (e.Fork.Approved.SHA != c.wants || e.Fork.Approved.ByID != 2 || e.Fork.Base != oldSHA || e.Problem != nil) {
				t.Errorf("row %+v of %+v", e.Fork, e)
			}
			said := replies(d)
			if !strings.Contains(said, c.reply) || (c.reply == "") != (said == "") {
				t.Errorf("said %q", said)
			}
			if strings.Contains(said, "secretly") || strings.Contains(said, "nmae") {
				t.Errorf("talks about the fork's file: %q", said)
			}
			if reactions := reactions(d); (c.event.Kind == EventButton) != (reactions == "") {
				t.Errorf("reactions %q", reactions)
			}
			if len(d.Audit) != 1 || d.Audit[0].Allowed != (c.reply == "") || d.Audit[0].Reason == "" {
				t.Errorf("audit %+v", d.Audit)
			}
		})
	}
}

func wantedOf(e *previews.Environment) string {
	if e == nil || e.Wanted != previews.Present {
		return ""
	}
	return e.SHA
}

// Each push asks again, and what was approved before runs on until then.
func TestApprovalIsOfOneCommit(t *testing.T) {
	t.Parallel()
	s := deployed(with(ofFork(t), pullRequestEvent("opened"), commentEvent("/idp approve "+newSHA)))
	expires := s.Environment.ExpiresAt
	s = with(later(pushedTo(s, anotherSHA), 3600e9), pullRequestEvent("synchronize"))
	e := s.Environment
	if e.Wanted != previews.Present || e.SHA != newSHA || e.Problem == nil || e.Problem.Kind != previews.ProblemFork || e.Problem.SHA != anotherSHA {
		t.Fatalf("after a push: %+v", e)
	}
	if !e.ExpiresAt.Equal(expires) {
		t.Errorf("an outsider's push moved the expiry from %v to %v", expires, e.ExpiresAt)
	}
	for _, asks := range []Event{commentEvent("/idp preview"), pullRequestEvent("labeled"), buttonEvent("redeploy", anotherSHA)} {
		if got := with(s, asks).Environment; got.SHA != newSHA {
			t.Errorf("%s %s runs %s", asks.Name, asks.Action, got.SHA)
		}
	}
	s = with(s, commentEvent("/idp approve "+anotherSHA))
	if e := s.Environment; e.SHA != anotherSHA || e.Problem != nil || e.Cleared(newSHA) || !e.Cleared(anotherSHA) {
		t.Errorf("after the second approval: %+v", e)
	}
}

// Its author may let a pull request go into another branch: what stands there was not
// looked at when the commit was approved.
func TestApprovalIsForOneBranch(t *testing.T) {
	t.Parallel()
	s := deployed(with(ofFork(t), pullRequestEvent("opened"), commentEvent("/idp approve "+newSHA)))
	s.PR.BaseRef, s.Base = "experiments", validSpec(t, service+"  command: [lax]\n")
	s = with(s, pullRequestEvent("edited"))
	if e := s.Environment; strings.Contains(string(e.Spec), "lax") || e.Problem == nil || e.Problem.Kind != previews.ProblemFork || e.Wanted != previews.Present {
		t.Errorf("after another branch was named: %s, %+v", e.Spec, e.Problem)
	}
	if e := with(s, commentEvent("/idp approve "+newSHA)).Environment; !strings.Contains(string(e.Spec), "lax") || e.Problem != nil {
		t.Errorf("after it was approved for that: %s, %+v", e.Spec, e.Problem)
	}
	s.PR.BaseRef, s.Base = "main", validSpec(t, service)
	if e := with(s, pullRequestEvent("edited")).Environment; e.Problem != nil {
		t.Errorf("after the first branch was named again: %+v", e.Problem)
	}
}

// What is deployed of a fork is the base branch's spec.
func TestForkSpec(t *testing.T) {
	t.Parallel()
	s := ofFork(t)
	s.Spec = validSpec(t, service+"  image: evil.example.com/x:{sha}\n  team: theirs\n")
	s.Spec.Raw = []byte(strings.ReplaceAll(string(s.Spec.Raw), "service:\n", "service:\n  replicas: 2\n"))
	s.Spec = validSpec(t, string(s.Spec.Raw))
	s = with(s, pullRequestEvent("opened"), commentEvent("/idp approve "+newSHA))
	e := s.Environment
	if got := specAt(string(e.Spec)).Spec.Services[0]; got.Image != "" || got.Replicas != 2 || got.Team != "" || e.Team != "" {
		t.Errorf("deploys %+v", got)
	}
	if got := strings.Join(e.Fork.Taken, " "); got != "replicas" {
		t.Errorf("took %s", got)
	}
	var left []string
	for _, one := range e.Fork.Left {
		left = append(left, one.String())
	}
	if got := strings.Join(left, " "); got != "team image" {
		t.Errorf("left %s", got)
	}
	if check := report.CheckOf(report.Input{Environment: *e, Class: s.Class, Now: s.Now}); !strings.Contains(check.Summary, "from the fork's were taken: `replicas`; not taken: `team`, `image`.") {
		t.Errorf("the check says %s", check.Summary)
	}
}
