package bot

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// situation is one cell of the table: every fact that a rule looks at.
type situation struct {
	trigger, spec, path, pr, row                          string
	draft, drafts, label, ignored, bot, botPreviews, fork bool
}

// every calls f with each combination of values.
func every(f func(situation)) {
	both := []bool{false, true}
	var s situation
	for _, s.spec = range []string{"valid", "invalid", "missing", "disabled"} {
		for _, s.trigger = range []string{"auto", "label", "command"} {
			for _, s.path = range []string{"any", "hit", "miss"} {
				for _, s.pr = range []string{"open", "closed", "merged"} {
					for _, s.row = range []string{"none", "present", "asked", "destroyed", "expired", "refused"} {
						for bits := range 1 << 7 {
							s.draft, s.drafts, s.label = both[bits&1], both[bits>>1&1], both[bits>>2&1]
							s.ignored, s.bot, s.botPreviews, s.fork = both[bits>>3&1], both[bits>>4&1], both[bits>>5&1], both[bits>>6&1]
							f(s)
						}
					}
				}
			}
		}
	}
}

// snapshots builds a situation from parts that are made once.
type snapshots struct {
	base  Snapshot
	specs map[string]SpecAt
	rows  map[string]*previews.Environment
}

func newSnapshots(t *testing.T) *snapshots {
	t.Helper()
	b := &snapshots{base: open(t), specs: map[string]SpecAt{"invalid": specAt("service: {nmae: web}\n"), "missing": {}}}
	for _, trigger := range []string{"auto", "label", "command"} {
		for _, drafts := range []bool{false, true} {
			for _, path := range []string{"any", "hit", "miss"} {
				raw := service + fmt.Sprintf("preview:\n  trigger: %s\n  label: go\n  drafts: %v\n  ignoreLabels: [\"no\"]\n", trigger, drafts)
				if path != "any" {
					raw += "  paths: [\"services/web/**\"]\n"
				}
				b.specs[fmt.Sprint("valid", trigger, drafts, path)] = validSpec(t, raw)
				b.specs[fmt.Sprint("disabled", trigger, drafts, path)] = validSpec(t, raw+"  enabled: false\n")
			}
		}
	}
	present := deployed(with(pushedTo(b.base, oldSHA), pullRequestEvent("opened")))
	asked := *present.Environment
	asked.AskedBy = "bob"
	destroyed := with(present, commentEvent("/idp destroy")).Environment
	expired := *present.Environment
	expired.SeeHead(newSHA, "faster", now)
	expired.Remove(previews.Removal{Reason: previews.RemovedExpired}, now)
	invalid := b.base
	invalid.Spec = b.specs["invalid"]
	b.rows = map[string]*previews.Environment{
		"present": present.Environment, "asked": &asked, "destroyed": destroyed, "expired": &expired,
		"refused": with(pushedTo(invalid, oldSHA), pullRequestEvent("opened")).Environment,
	}
	return b
}

func (b *snapshots) of(c situation) Snapshot {
	s := b.base
	s.Now = now.Add(time.Hour)
	s.Environment = b.rows[c.row]
	key := c.spec
	if c.spec == "valid" || c.spec == "disabled" {
		key = fmt.Sprint(c.spec, c.trigger, c.drafts, c.path)
	}
	s.Spec = b.specs[key]
	s.Base = s.Spec // what counts where the head is in a fork
	if c.path == "hit" {
		s.ChangedFiles = []string{"README.md", "services/web/main.go"}
	} else {
		s.ChangedFiles = []string{"README.md"}
	}
	s.PR.Open, s.PR.Merged = c.pr == "open", c.pr == "merged"
	s.PR.Draft, s.PR.Fork, s.PR.Author.Bot, s.Class.BotPreviews = c.draft, c.fork, c.bot, c.botPreviews
	if c.label {
		s.PR.Labels = append(s.PR.Labels, "Go")
	}
	if c.ignored {
		s.PR.Labels = append(s.PR.Labels, "no")
	}
	return s
}

// expected says, in other words than the rules, what becomes of a situation:
// "head" runs the newest commit, "stays" runs what ran, "gone" runs nothing.
func (c situation) expected() string {
	hadOne := c.row == "present" || c.row == "asked"
	mayHave := c.pr == "open" && c.spec == "valid" && !c.ignored && (c.drafts || !c.draft)
	trigger := c.trigger
	if trigger == "auto" && c.bot && !c.botPreviews {
		trigger = "label"
	}
	triggered := c.path != "miss" && (trigger == "auto" || trigger == "label" && c.label)
	switch {
	case c.pr == "open" && c.spec == "invalid" && hadOne:
		return "stays"
	case mayHave && (triggered || c.row == "asked"):
		switch {
		case c.fork && hadOne:
			return "stays"
		case c.fork, c.row == "destroyed", c.row == "expired":
			return "gone"
		}
		return "head"
	}
	return "gone"
}

// TestEverySituation goes through the whole table, and through what holds in every
// cell of it.
func TestEverySituation(t *testing.T) {
	t.Parallel()
	build := newSnapshots(t)
	cells := 0
	every(func(c situation) {
		cells++
		s := build.of(c)
		d := Decide(s, pullRequestEvent("synchronize"))
		end := after(s, d)
		got := "gone"
		if presence(end) == previews.Present {
			if got = "stays"; end.Environment.SHA == newSHA {
				got = "head"
			}
		}
		if want := c.expected(); got != want {
			t.Fatalf("%+v: %s, want %s; %q", c, got, want, d.Reasons)
		}
		if again := Decide(end, pullRequestEvent("synchronize")); again.Environment != nil || len(again.Effects)+len(again.Audit) > 0 {
			t.Fatalf("%+v: deciding again changes something: %q", c, again.Reasons)
		}
		if len(d.Effects) > 0 || len(d.Reasons) < 2 {
			t.Fatalf("%+v: %d effects, reasons %q", c, len(d.Effects), d.Reasons)
		}
		silence := (c.spec == "missing" || c.spec == "disabled") && c.row == "none"
		if silence && d.Environment != nil {
			t.Fatalf("%+v: a row for a pull request that hears nothing", c)
		}
	})
	t.Logf("%d situations", cells)
}

// TestConverges decides a pull request's latest facts after every other situation:
// where nobody destroyed the preview and it did not expire, what was before does
// not matter.
func TestConverges(t *testing.T) {
	t.Parallel()
	build := newSnapshots(t)
	last := situation{spec: "valid", trigger: "auto", path: "any", pr: "open", drafts: true, row: "none"}
	want := with(build.of(last), pullRequestEvent("opened")).Environment
	every(func(c situation) {
		if c.row == "asked" || c.row == "destroyed" || c.row == "expired" {
			return
		}
		s := with(build.of(c), pullRequestEvent("edited"))
		row := s.Environment
		s = build.of(last)
		s.Environment = row
		got := with(s, pullRequestEvent("edited")).Environment
		if got.Wanted != want.Wanted || got.SHA != want.SHA || !reflect.DeepEqual(got.Spec, want.Spec) || got.Problem != nil || got.HeadSHA != newSHA {
			t.Fatalf("%+v leads to %+v", c, got)
		}
	})
}
