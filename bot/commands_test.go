package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/previews"
)

func TestCommandTable(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range Commands() {
		if seen[c.Name()] || c.Name() != strings.ToLower(c.Name()) || strings.ContainsAny(c.Name(), " \t") {
			t.Errorf("command %q is there twice or has no good name", c.Name())
		}
		seen[c.Name()] = true
		if !strings.HasPrefix(c.Usage, "/idp "+c.Name()) || c.Summary == "" || !c.Needs().Covers(access.Write) || c.run == nil {
			t.Errorf("row %+v is incomplete", c)
		}
		if !strings.Contains(CommandTable(), "`"+c.Usage+"`") {
			t.Errorf("the table lacks %s", c.Usage)
		}
	}
}

// TestWhoMay is the matrix of permission × command × fork × open: without write
// permission nothing changes, and the refusal says why and who may.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	permissions := []access.Permission{access.None, access.Read, access.Triage, access.Write, access.Maintain, access.Admin, "", "owner"}
	base := deployed(with(open(t), pullRequestEvent("opened")))
	for _, permission := range permissions {
		for _, failed := range []string{"", "503 from GitHub"} {
			for _, c := range Commands() {
				for _, fork := range []bool{false, true} {
					for _, isOpen := range []bool{false, true} {
						s := base
						s.Permission, s.PermissionErr, s.PR.Fork, s.PR.Open = permission, failed, fork, isOpen
						line := "/idp " + c.Name()
						if c.Action == access.Extend {
							line += " 1h"
						}
						d := Decide(s, commentEvent(line))
						name := fmt.Sprintf("%s by %q (%q), fork %v, open %v", line, permission, failed, fork, isOpen)
						may := permission.Covers(access.Write) && failed == ""
						if !may && (d.Environment != nil || reactions(d) != "confused" || !strings.Contains(replies(d), "people with write permission") && !strings.Contains(replies(d), "People with write permission")) {
							t.Errorf("%s: %q, %q", name, reactions(d), replies(d))
						}
						if len(d.Audit) != 1 || !may && d.Audit[0].Allowed || d.Audit[0].Actor.Login != "bob" {
							t.Errorf("%s: audit %+v", name, d.Audit)
						}
						if may && strings.Contains(replies(d), "permission.") {
							t.Errorf("%s: refused: %s", name, replies(d))
						}
					}
				}
			}
		}
	}
}

// TestReplies tells what each command says, and when it says nothing.
func TestReplies(t *testing.T) {
	t.Parallel()
	nothing := func(s Snapshot) Snapshot { return s }
	live := func(s Snapshot) Snapshot { return deployed(with(s, pullRequestEvent("opened"))) }
	then := func(body string) func(Snapshot) Snapshot {
		return func(s Snapshot) Snapshot { return with(live(s), commentEvent(body)) }
	}
	without := func(f func(*Snapshot)) func(Snapshot) Snapshot {
		return func(s Snapshot) Snapshot { f(&s); return s }
	}
	spec := func(more string) func(Snapshot) Snapshot {
		return without(func(s *Snapshot) { s.Spec = specAt(service + more) })
	}
	for _, c := range []struct {
		name     string
		before   func(Snapshot) Snapshot
		body     string
		reaction string
		reply    string // a part of it; "" for none
	}{
		{"preview", nothing, "/idp preview", "rocket", ""},
		{"preview again", live, "/idp preview", "rocket", "Nothing to do: the preview of `a1b2c3d` was asked for already."},
		{"preview of a closed one", without(func(s *Snapshot) { s.PR.Open = false }), "/idp preview", "confused", "This pull request is closed. Reopen it"},
		{"preview of a merged one", without(func(s *Snapshot) { s.PR.Open, s.PR.Merged = false, true }), "/idp preview", "confused", "is merged, so there is nothing to preview"},
		{"preview of a fork", without(func(s *Snapshot) { s.PR.Fork = true }), "/idp preview", "confused", "this pull request comes from a fork"},
		{"preview without a spec", without(func(s *Snapshot) { s.Spec = SpecAt{} }), "/idp preview", "confused", "There is no `.idp/deploy.yaml` at `a1b2c3d`"},
		{"preview of a bad spec", without(func(s *Snapshot) { s.Spec = specAt("service: {nmae: web, name: x}\n") }), "/idp preview", "confused", "`.idp/deploy.yaml` at `a1b2c3d` has 1 error; the check `idp / preview` lists them."},
		{"preview switched off", spec("preview: {enabled: false}\n"), "/idp preview", "confused", "preview.enabled is false"},
		{"preview of a draft", without(func(s *Snapshot) { s.PR.Draft = true; s.Spec = specAt(service + "preview: {drafts: false}\n") }), "/idp preview", "confused", "Mark the pull request ready for review first."},
		{"preview that a label forbids", without(func(s *Snapshot) {
			s.PR.Labels = []string{"wip"}
			s.Spec = specAt(service + "preview: {ignoreLabels: [\"wip\"]}\n")
		}), "/idp preview", "confused", `label "wip" keeps it from having a preview`},
		{"preview with trigger command", spec("preview: {trigger: command}\n"), "/idp preview", "rocket", ""},
		{"preview with trigger label", spec("preview: {trigger: label}\n"), "/idp preview", "rocket", ""},
		{"preview of a fork, please", without(func(s *Snapshot) { s.PR.Fork = true }), "/idp preview please", "confused", "`/idp preview` takes nothing after it. It was not run."},
		{"preview please", nothing, "/idp preview please", "confused", "`/idp preview` takes nothing after it. It was not run. Usage: `/idp preview`"},
		{"any case", nothing, "/IDP Preview", "rocket", ""},

		{"extend", live, "/idp extend 24h", "rocket", ""},
		{"extend to the maximum", live, "/idp extend 30d", "rocket", "Extended to the maximum: the preview expires Sat 28 Nov 18:00 UTC (in 7 days). At most 7d from now is allowed."},
		{"extend beyond the maximum", then("/idp extend 30d"), "/idp extend 1h", "confused", "already lives as long as is allowed, until Sat 28 Nov 18:00 UTC"},
		{"extend nothing", nothing, "/idp extend 24h", "confused", "There is no preview of this pull request to extend. `/idp preview` brings one up."},
		{"extend a pinned one", then("/idp pin"), "/idp extend 24h", "confused", "`/idp unpin` gives it"},
		{"extend how long", live, "/idp extend", "confused", "takes one duration, such as 24h or 3d"},
		{"extend by nonsense", live, "/idp extend soon", "confused", `"soon" is not a duration`},
		{"extend by words", live, "/idp extend 2days", "confused", `did you mean "2d"?`},
		{"extend by nothing", live, "/idp extend 0s", "confused", "longer than nothing"},
		{"extend on a closed one", without(func(s *Snapshot) { s.PR.Open = false }), "/idp extend 24h", "confused", "There is no preview of this pull request to extend."},

		{"pin", live, "/idp pin", "rocket", ""},
		{"pin twice", then("/idp pin"), "/idp pin", "rocket", "pinned already"},
		{"pin nothing", nothing, "/idp pin", "confused", "There is no preview of this pull request to pin."},
		{"unpin", then("/idp pin"), "/idp unpin", "rocket", ""},
		{"unpin what is not pinned", live, "/idp unpin", "rocket", "is not pinned; it expires Tue 24 Nov 18:00 UTC (in 3 days)."},

		{"destroy", live, "/idp destroy", "rocket", ""},
		{"destroy nothing", nothing, "/idp destroy", "confused", "There is no preview of this pull request to destroy."},
		{"destroy twice", then("/idp destroy"), "/idp destroy", "rocket", "is being removed already: destroyed by bob"},
		{"destroy what is closed", func(s Snapshot) Snapshot { s.PR.Open = false; return with(s, pullRequestEvent("closed")) }, "/idp destroy", "confused", "There is no preview of this pull request to destroy."},

		{"status", live, "/idp status", "rocket", "### 📦 Preview is committed"},
		{"status of nothing", spec("preview: {trigger: label}\n"), "/idp status", "rocket", `There is no preview: it does not have label "preview".`},
		{"status before the first event", nothing, "/idp status", "rocket", "There is no preview yet."},
		{"status of a fork", without(func(s *Snapshot) { s.PR.Fork = true }), "/idp status", "rocket", "There is no preview: this pull request comes from a fork"},
		{"help", nothing, "/idp help", "rocket", "| `/idp extend <duration>` |"},
		{"help about something", nothing, "/idp help pin", "rocket", "| `/idp pin` |"},
		{"bare", nothing, "/idp", "rocket", "| `/idp help` |"},

		{"misspelt", nothing, "/idp prevew", "confused", "There is no command `/idp prevew`. Did you mean `/idp preview`?"},
		{"begun", nothing, "/idp dest", "confused", "Did you mean `/idp destroy`?"},
		{"unknown", nothing, "/idp frobnicate", "confused", "`/idp help` lists them."},
		{"hostile", nothing, "/idp <b>@octocat`[x](y)", "confused", "There is no command ``/idp <b>@octocat`[x](y)``."},
		{"several", live, "/idp pin\n/idp unpin\n/idp extend 1h", "rocket", ""},
		{"one of several fails", live, "/idp pin\n/idp nope\n/idp unpin", "confused", "There is no command `/idp nope`"},
		{"too many", live, strings.Repeat("/idp pin\n/idp unpin\n", 6), "confused", "At most 10 commands are run at a time; the last 2 were left out."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := Decide(c.before(open(t)), commentEvent(c.body))
			got := replies(d)
			if reactions(d) != c.reaction || !strings.Contains(got, c.reply) || c.reply == "" && got != "" {
				t.Errorf("%s and %q, want %s and %q", reactions(d), got, c.reaction, c.reply)
			}
			if d.Effects[0].CommentID != 99 {
				t.Errorf("the reaction is put on comment %d", d.Effects[0].CommentID)
			}
			if again := Parse(got); len(again) > 0 {
				t.Errorf("the reply would be run: %v in %q", again, got)
			}
		})
	}
}

func TestCommandsChangeTheRow(t *testing.T) {
	t.Parallel()
	s := deployed(with(open(t), pullRequestEvent("opened")))
	generation := s.Environment.Generation
	if e := with(s, commentEvent("/idp extend 24h")).Environment; !e.ExpiresAt.Equal(now.Add(96*time.Hour)) || e.Generation != generation+1 {
		t.Errorf("extend: %+v", e)
	}
	if e := with(s, commentEvent("/idp pin")).Environment; !e.Pinned || !e.ExpiresAt.IsZero() {
		t.Errorf("pin: %+v", e)
	}
	if e := with(s, commentEvent("/idp pin\n/idp unpin")).Environment; e.Pinned || !e.ExpiresAt.Equal(now.Add(72*time.Hour)) {
		t.Errorf("pin and unpin: %+v", e)
	}
	if e := with(s, commentEvent("/idp destroy")).Environment; e.Wanted != previews.Absent || e.Removal.By != "bob" || e.Removal.Reason != previews.RemovedByCommand || e.Removal.Inferred {
		t.Errorf("destroy: %+v", e)
	}
	if e := with(s, commentEvent("/idp destroy\n/idp preview")).Environment; e.Wanted != previews.Present || e.Generation != generation+2 {
		t.Errorf("destroy and preview: %+v", e)
	}
	bad := s
	bad.Spec = specAt("service: {nmae: web}\n")
	bad.PR.HeadSHA = oldSHA
	if e := with(bad, commentEvent("/idp preview")).Environment; e.Problem == nil || e.Problem.SHA != oldSHA || e.SHA != newSHA {
		t.Errorf("preview of a bad spec: %+v", e)
	}
}

func TestAskedBy(t *testing.T) {
	t.Parallel()
	s := open(t)
	if e := with(s, commentEvent("/idp preview")).Environment; e.AskedBy != "" {
		t.Errorf("trigger auto needs nobody to ask, but %q is kept", e.AskedBy)
	}
	s.Spec = validSpec(t, service+"preview: {trigger: command}\n")
	s = with(s, commentEvent("/idp preview"))
	if s.Environment.AskedBy != "bob" {
		t.Errorf("asked by %q", s.Environment.AskedBy)
	}
	if e := with(s, commentEvent("/idp destroy")).Environment; e.AskedBy != "" {
		t.Errorf("destroyed, and still asked for by %q", e.AskedBy)
	}
}

// TestIgnoredComments get neither reaction nor reply, whatever they say.
func TestIgnoredComments(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Event){
		"by a bot":        func(e *Event) { e.Actor.Bot = true },
		"by our own App":  func(e *Event) { e.Comment.ViaApp = 7 },
		"by another App":  func(e *Event) { e.Comment.ViaApp = 8 },
		"without command": func(e *Event) { e.Comment.Body = "looks good, see `/idp help`" },
		"quoting":         func(e *Event) { e.Comment.Body = "> /idp destroy" },
		"without comment": func(e *Event) { e.Comment = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := commentEvent("/idp destroy")
			change(&e)
			if d := Decide(deployed(with(open(t), pullRequestEvent("opened"))), e); d.Environment != nil || len(d.Effects)+len(d.Audit) > 0 || len(d.Reasons) < 2 {
				t.Errorf("%+v", d)
			}
		})
	}
}
