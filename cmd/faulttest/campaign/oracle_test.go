package campaign

import (
	"slices"
	"strings"
	"testing"
)

const (
	first, second, third = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222", "3333333333333333333333333333333333333333"
	open, closed         = "environments/acme/web/pr-1", "environments/acme/web/pr-2"
)

// sound is a round after which everything holds: one pull request is open at its second
// commit, one was closed, a replica took over from another, and a webhook was poison.
func sound() Facts {
	return Facts{
		Sent: []Sent{{GUID: "a"}, {GUID: "b", Poisoned: true}},
		Kept: map[string]Kept{"a": {State: "done"}, "b": {State: "dead", Error: "decode"}, "sweep-1": {State: "done"}},
		Pulls: []Pull{
			{
				Folder: open, Key: "7/pr-1", Open: true, Heads: []string{first, second}, Comments: 1,
				Commands:    []Command{{ID: 5, Verb: "status", Done: 1, Replies: 1}, {ID: 6, Verb: "destroy", Sorry: 1}},
				Checks:      []Check{{first, "completed", "cancelled", "Superseded"}, {second, "completed", "neutral", "Committed · web"}},
				Deployments: map[string]int{first: 1, second: 1},
			},
			{
				Folder: closed, Key: "7/pr-2", Heads: []string{third}, Comments: 1,
				Checks: []Check{{third, "completed", "success", "Ready"}}, Deployments: map[string]int{third: 1},
			},
		},
		Commits: []Commit{
			{SHA: "c1", Paths: []string{"README.md"}},
			{SHA: "c2", By: "one", Paths: []string{open + "/environment.yaml"}, Changes: []Change{{"7/pr-1@1", "7/pr-1", 1, first}, {"7/pr-2@1", "7/pr-2", 1, third}}},
			{SHA: "c3", By: "two", Epoch: "lease-2"},
			{SHA: "c4", By: "two", Paths: []string{"applicationsets/web.yaml"}, Changes: []Change{{"7/pr-1@3", "7/pr-1", 3, second}, {"7/pr-2@2", "7/pr-2", 2, ""}}},
		},
		Environments: map[string]Environment{open: {SHA: second}},
		Lists:        []string{open},
		Foreign:      map[string]string{"README.md": "theirs"},
		Files:        map[string]string{"README.md": "theirs"},
	}
}

// TestOracle: the oracle finds nothing where everything holds, and each invariant where it
// is broken, and nothing else there.
func TestOracle(t *testing.T) {
	t.Parallel()
	if found := Judge(sound()); len(found) > 0 {
		t.Fatalf("in a round that held it found:\n%s", summary(found))
	}
	tried := map[string]bool{}
	for name, breakIt := range map[string]func(*Facts){
		"acked: not on disk":                        func(f *Facts) { delete(f.Kept, "a") },
		"handled: still pending":                    func(f *Facts) { f.Kept["a"] = Kept{State: "pending"} },
		"handled: given up":                         func(f *Facts) { f.Kept["a"] = Kept{State: "dead"} },
		"handled: poison is done":                   func(f *Facts) { f.Kept["b"] = Kept{State: "done"} },
		"handled: idp's own given up":               func(f *Facts) { f.Kept["sweep-1"] = Kept{State: "dead"} },
		"check: committed, and followed no further": func(f *Facts) { f.Followed, f.Applications = true, []string{"web"} },
		"cluster: left in Argo CD": func(f *Facts) {
			f.Followed, f.Applications = true, []string{"web", "gone"}
			f.Pulls[0].Checks[1] = Check{second, "completed", "success", "Ready"}
		},
		"tree: open and not there": func(f *Facts) { f.Environments, f.Lists = nil, nil },
		"tree: at an older head":   func(f *Facts) { f.Environments[open] = Environment{SHA: first} },
		"tree: closed and there":   func(f *Facts) { f.Environments[closed] = Environment{SHA: third}; f.Lists = append(f.Lists, closed) },
		"tree: of nobody": func(f *Facts) {
			f.Environments["environments/x/y/pr-9"] = Environment{}
			f.Lists = append(f.Lists, "environments/x/y/pr-9")
		},
		"tree: pinned by nobody":    func(f *Facts) { f.Environments[open] = Environment{SHA: second, Pinned: true} },
		"tree: destroyed and there": func(f *Facts) { f.Pulls[0].Commands[1] = Command{ID: 6, Verb: "destroy", Done: 1} },
		"list: not listed":          func(f *Facts) { f.Lists = nil },
		"list: listed twice":        func(f *Facts) { f.Lists = []string{open, open} },
		"list: listed and gone":     func(f *Facts) { f.Lists = append(f.Lists, closed) },
		"inside: a file of others":  func(f *Facts) { f.Commits[1].Paths = append(f.Commits[1].Paths, "platform/teams.yaml") },
		"foreign: overwritten":      func(f *Facts) { f.Files["README.md"] = "" },
		"foreign: forced":           func(f *Facts) { f.Lost = []string{"c0"} },
		"once: the same change in two commits": func(f *Facts) {
			f.Commits = append(f.Commits, Commit{SHA: "c5", By: "two", Changes: []Change{{"7/pr-1@3", "7/pr-1", 4, second}}})
		},
		"order: back to an older revision": func(f *Facts) {
			f.Commits = append(f.Commits, Commit{SHA: "c5", By: "two", Changes: []Change{{"7/pr-1@4", "7/pr-1", 4, first}}})
		},
		"order: an older generation": func(f *Facts) {
			f.Commits = append(f.Commits, Commit{SHA: "c5", By: "two", Changes: []Change{{"7/pr-1@2", "7/pr-1", 2, second}}})
		},
		"order: a revision of nobody": func(f *Facts) { f.Commits[1].Changes[1].Revision = "4" + third[1:]; f.Pulls[1].Checks = nil },
		"fence: a late push":          func(f *Facts) { f.Commits = append(f.Commits, Commit{SHA: "c5", By: "one"}) },
		"check: success of what never was": func(f *Facts) {
			f.Pulls[1].Checks = append(f.Pulls[1].Checks, Check{first, "completed", "success", "Ready"})
		},
		"check: none on the head":           func(f *Facts) { f.Pulls[0].Checks = f.Pulls[0].Checks[:1] },
		"check: under way":                  func(f *Facts) { f.Pulls[0].Checks[1] = Check{second, "in_progress", "", "Committing"} },
		"check: failure on the head":        func(f *Facts) { f.Pulls[0].Checks[1] = Check{second, "completed", "failure", "Refused"} },
		"check: two on one commit":          func(f *Facts) { f.Pulls[0].Checks = append(f.Pulls[0].Checks, f.Pulls[0].Checks[1]) },
		"said: two comments":                func(f *Facts) { f.Pulls[0].Comments = 2 },
		"said: no comment":                  func(f *Facts) { f.Pulls[0].Comments = 0 },
		"said: two deployments":             func(f *Facts) { f.Pulls[0].Deployments[second] = 2 },
		"said: a command without an answer": func(f *Facts) { f.Pulls[0].Commands[0] = Command{ID: 5, Verb: "status"} },
		"said: a command with two answers":  func(f *Facts) { f.Pulls[0].Commands[0].Sorry = 1 },
		"said: a reply written twice":       func(f *Facts) { f.Pulls[0].Commands[0].Replies = 2 },
		"secrets: told":                     func(f *Facts) { f.Told = []string{"the log tells a secret"} },
		"audit: altered":                    func(f *Facts) { f.Audit = "entry 3 was altered" },
	} {
		f := sound()
		breakIt(&f)
		invariant, _, _ := strings.Cut(name, ":")
		tried[invariant] = true
		found := Judge(f)
		if len(found) == 0 || slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant != invariant }) {
			t.Errorf("%s: found %q", name, summary(found))
		}
	}
	for _, i := range invariants {
		if !tried[i.Name] {
			t.Errorf("nothing was broken to see whether %s is found", i.Name)
		}
	}
}

// Who took the branch over may be taken over from, and come back after saying so.
func TestFenceOfThoseWhoComeBack(t *testing.T) {
	t.Parallel()
	f := Facts{Commits: []Commit{
		{SHA: "c1", By: "one"}, {SHA: "c2", By: "two", Epoch: "lease-2"}, {SHA: "c3", By: "two"}, {SHA: "c4"},
		{SHA: "c5", By: "one", Epoch: "lease-3"}, {SHA: "c6", By: "one"},
	}}
	if found := Judge(f); len(found) > 0 {
		t.Error(summary(found))
	}
	f.Commits = append(f.Commits, Commit{SHA: "c7", By: "two"})
	if found := Judge(f); len(found) != 1 || found[0].Invariant != "fence" {
		t.Errorf("found %q", summary(found))
	}
}

// TestCommits reads what git log writes.
func TestCommits(t *testing.T) {
	t.Parallel()
	out := "\x01" + first + "\x02Begin\n\x02\n\x00\x01" + second + "\x02Change 2 environments\n\n- Deploy a\n\nIdp-Change: 7/pr-1@4\nIdp-Actor: alice\nIdp-Revision: " + third +
		"\nIdp-Change: 7/pr-2@1\n\x02\n\x00environments/a\x00applicationsets/b\x00\x00\x01" + third + "\x02Take over writing\n\nIdp-Epoch: lease-2\n\x02\x00"
	commits := parseCommits(out, map[string]string{second: "one", third: "two"})
	if len(commits) != 3 || commits[0].By != "" || commits[2].Epoch != "lease-2" || commits[2].By != "two" {
		t.Fatalf("read %+v", commits)
	}
	c := commits[1]
	want := []Change{{"7/pr-1@4", "7/pr-1", 4, third}, {"7/pr-2@1", "7/pr-2", 1, ""}}
	if !slices.Equal(c.Changes, want) || !slices.Equal(c.Paths, []string{"environments/a", "applicationsets/b"}) {
		t.Errorf("read %+v", c)
	}
}

// TestOffered reads the commands of a push.
func TestOffered(t *testing.T) {
	t.Parallel()
	line := first + " " + second + " refs/heads/main\x00 report-status"
	body := "00" + pktLength(len(line)+4) + line + "0000PACK…"
	if got := offered([]byte(body)); !slices.Equal(got, []string{second}) {
		t.Errorf("offered %q", got)
	}
	if got := offered([]byte("0000")); len(got) != 0 {
		t.Errorf("offered %q by an empty push", got)
	}
}

func pktLength(n int) string {
	return string("0123456789abcdef"[n/16]) + string("0123456789abcdef"[n%16])
}

// A round is the same for its seed, and a run of some length has every fault on every
// database that it can be played on.
func TestPlan(t *testing.T) {
	t.Parallel()
	c := &campaign{Options: Options{Databases: []Database{SQLite, Postgres}, Kills: 3}}
	played := map[string]bool{}
	for seed := range uint64(40) {
		p, again := c.plan(seed), c.plan(seed)
		if !slices.Equal(p.names(), again.names()) || p.database != again.database || p.replicas != again.replicas {
			t.Fatalf("seed %d is %v, then %v", seed, p, again)
		}
		for i, f := range p.faults {
			if f.only != "" && f.only != p.database || f.impossible != "" || i > 0 && p.faults[0].alone {
				t.Errorf("seed %d has %s on %s, with %v", seed, f.name, p.database, p.names())
			}
		}
		played[p.faults[0].name+" "+string(p.database)] = true
	}
	for _, f := range faults {
		for _, d := range databasesOf(f, c.Databases) {
			if f.impossible == "" && !played[f.name+" "+string(d)] {
				t.Errorf("%s is never what a round on %s is about", f.name, d)
			}
		}
	}
	if err := (Options{Rounds: 1, AtOnce: 1, Kills: 1, Faults: []string{"clock"}}).Check(); err == nil || !strings.Contains(err.Error(), "no process has a clock of its own") {
		t.Errorf("what cannot be played: %v", err)
	}
}
