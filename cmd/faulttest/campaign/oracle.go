package campaign

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Invariant is something that holds after every round, whatever happened in it.
type Invariant struct {
	Name, Says string
	// Final says that nothing mends it once it is broken: it need not be waited for.
	Final bool
	// broken returns where it does not hold, one line each.
	broken func(Facts) []string
}

// invariants are all that the oracle knows. To add one, add a row, and a broken state to
// TestOracle.
var invariants = []Invariant{
	{"acked", "what was answered with 2xx is on disk", true, lostDeliveries},
	{"handled", "what was answered with 2xx is done; dead only where it cannot be handled", false, unhandled},
	{"tree", "each open pull request has one environment, at its head, and nothing else has any", false, wrongTree},
	{"list", "the ApplicationSets list what there is", false, wrongLists},
	{"cluster", "Argo CD has what the lists have", false, leftovers},
	{"inside", "nothing is written beside applicationsets/ and environments/", true, strayWrites},
	{"foreign", "what others committed stays", true, foreignLost},
	{"once", "one commit for each state that was wanted", true, twice},
	{"order", "what is deployed never goes back", true, regressions},
	{"fence", "who lost the writer's place writes nothing more", true, staleWrites},
	{"check", "a check that says deployed is of a commit that was; the head has one", false, wrongChecks},
	{"said", "one comment and one deployment, one answer to a command", false, wrongWords},
	{"audit", "the audit log's chain is whole", false, brokenChain},
	{"secrets", "no secret is told: in the database, Git, logs, metrics, requests, answers", true, func(f Facts) []string { return f.Told }},
}

// Violation is an invariant that does not hold.
type Violation struct {
	Invariant string `json:"invariant"`
	Where     string `json:"where"`
	final     bool
}

// Judge returns what does not hold.
func Judge(f Facts) []Violation {
	var out []Violation
	for _, i := range invariants {
		for _, where := range i.broken(f) {
			out = append(out, Violation{i.Name, where, i.Final})
		}
	}
	return out
}

func lostDeliveries(f Facts) (out []string) {
	for _, s := range f.Sent {
		if _, kept := f.Kept[s.GUID]; !kept {
			out = append(out, fmt.Sprintf("delivery %s was answered with 2xx and is not in the database", s.GUID))
		}
	}
	return out
}

func unhandled(f Facts) (out []string) {
	poison := map[string]bool{}
	for _, s := range f.Sent {
		poison[s.GUID] = s.Poisoned
	}
	for _, guid := range slices.Sorted(maps.Keys(f.Kept)) {
		kept, want := f.Kept[guid], "done"
		if poison[guid] {
			want = "dead"
		}
		if kept.State != want {
			out = append(out, fmt.Sprintf("delivery %s is %s, expected %s: %s", guid, kept.State, want, kept.Error))
		}
	}
	return out
}

// wanted says whether a pull request is to have an environment: not once it is closed,
// and not after idp has said that it was destroyed.
func (p Pull) wanted() bool {
	return p.Open && !slices.ContainsFunc(p.Commands, func(c Command) bool { return c.Verb == "destroy" && c.Done > 0 })
}

func (p Pull) pinned() bool {
	return slices.ContainsFunc(p.Commands, func(c Command) bool { return c.Verb == "pin" && c.Done > 0 })
}

func wrongTree(f Facts) (out []string) {
	known := map[string]bool{}
	for _, p := range f.Pulls {
		known[p.Folder] = true
		e, is := f.Environments[p.Folder]
		switch {
		case is != p.wanted():
			out = append(out, fmt.Sprintf("%s: in Git %t, expected %t", p.Folder, is, p.wanted()))
		case is && e.SHA != p.Head():
			out = append(out, fmt.Sprintf("%s: deploys %.7s, the head is %.7s", p.Folder, e.SHA, p.Head()))
		case is && e.Pinned != p.pinned():
			out = append(out, fmt.Sprintf("%s: pinned %t, expected %t", p.Folder, e.Pinned, p.pinned()))
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(f.Environments)) {
		if !known[folder] {
			out = append(out, folder+": is of no pull request")
		}
	}
	return out
}

func wrongLists(f Facts) (out []string) {
	listed := map[string]int{}
	for _, folder := range f.Lists {
		listed[folder]++
	}
	for folder := range f.Environments {
		if listed[folder] != 1 {
			out = append(out, fmt.Sprintf("%s: listed %d times", folder, listed[folder]))
		}
		delete(listed, folder)
	}
	for folder := range listed {
		out = append(out, folder+": listed, and not there")
	}
	slices.Sort(out)
	return out
}

func strayWrites(f Facts) (out []string) {
	for _, c := range f.Commits {
		for _, path := range c.Paths {
			if c.By != "" && !strings.HasPrefix(path, "applicationsets/") && !strings.HasPrefix(path, "environments/") {
				out = append(out, fmt.Sprintf("commit %.7s of %s writes %s", c.SHA, c.By, path))
			}
		}
	}
	return out
}

func foreignLost(f Facts) (out []string) {
	for _, sha := range f.Lost {
		out = append(out, fmt.Sprintf("the branch stood at %.7s and does not reach it any more", sha))
	}
	for _, path := range slices.Sorted(maps.Keys(f.Foreign)) {
		if f.Files[path] != f.Foreign[path] {
			out = append(out, fmt.Sprintf("%s holds %q, others wrote %q", path, f.Files[path], f.Foreign[path]))
		}
	}
	return out
}

func twice(f Facts) (out []string) {
	in := map[string]string{}
	for _, c := range f.Commits {
		for _, change := range c.Changes {
			if first, is := in[change.Key]; is {
				out = append(out, fmt.Sprintf("%s stands in commits %.7s and %.7s", change.Key, first, c.SHA))
			}
			in[change.Key] = c.SHA
		}
	}
	return out
}

// regressions holds that the revisions of an environment follow one another as its heads
// did, with some left out, and its generations rise.
func regressions(f Facts) (out []string) {
	heads := map[string][]string{}
	for _, p := range f.Pulls {
		heads[p.Key] = p.Heads
	}
	at, generation := map[string]int{}, map[string]int64{}
	for _, c := range f.Commits {
		for _, change := range c.Changes {
			env := change.Environment
			if last, is := generation[env]; is && change.Generation <= last {
				out = append(out, fmt.Sprintf("%s: commit %.7s brings generation %d after %d", env, c.SHA, change.Generation, last))
			}
			generation[env] = change.Generation
			if change.Revision == "" {
				continue
			}
			next := slices.Index(heads[env][min(at[env], len(heads[env])):], change.Revision)
			if next < 0 {
				out = append(out, fmt.Sprintf("%s: commit %.7s deploys %.7s, which is none of the heads since the one before", env, c.SHA, change.Revision))
				continue
			}
			at[env] += next
		}
	}
	return out
}

// staleWrites holds that after somebody took the branch over, none of those who wrote
// before writes again, unless it says first that it has taken it over itself.
func staleWrites(f Facts) (out []string) {
	wrote, fenced := map[string]bool{}, map[string]string{}
	for _, c := range f.Commits {
		switch {
		case c.By == "":
			continue
		case c.Epoch != "":
			for other := range wrote {
				fenced[other] = c.SHA
			}
			delete(fenced, c.By)
		case fenced[c.By] != "":
			out = append(out, fmt.Sprintf("commit %.7s of %s came after it had lost the branch by %.7s", c.SHA, c.By, fenced[c.By]))
		}
		wrote[c.By] = true
	}
	return out
}

// deployed says that a check tells people that its commit is deployed, as far as idp sees:
// where there is no Argo CD to ask, it is committed.
func (c Check) deployed(followed bool) bool {
	return c.Conclusion == "success" || !followed && c.Conclusion == "neutral" && strings.HasPrefix(c.Title, "Committed")
}

func wrongChecks(f Facts) (out []string) {
	deployed := map[string]bool{}
	for _, c := range f.Commits {
		for _, change := range c.Changes {
			deployed[change.Environment+" "+change.Revision] = true
		}
	}
	for _, p := range f.Pulls {
		runs := map[string]int{}
		for _, check := range p.Checks {
			runs[check.SHA]++
			switch {
			case check.deployed(f.Followed) && !deployed[p.Key+" "+check.SHA]:
				out = append(out, fmt.Sprintf("%s: the check of %.7s says that it is deployed, and it never was", p.Folder, check.SHA))
			case check.Status != "completed":
				out = append(out, fmt.Sprintf("%s: the check of %.7s is %s: %s", p.Folder, check.SHA, check.Status, check.Title))
			case p.wanted() && check.SHA == p.Head() && !check.deployed(f.Followed):
				out = append(out, fmt.Sprintf("%s: the check of its head %.7s is %s: %s", p.Folder, check.SHA, check.Conclusion, check.Title))
			}
		}
		if p.wanted() && runs[p.Head()] == 0 {
			out = append(out, fmt.Sprintf("%s: no check on its head %.7s", p.Folder, p.Head()))
		}
		for sha, n := range runs {
			if n > 1 && !p.Reopened {
				out = append(out, fmt.Sprintf("%s: %d checks on %.7s", p.Folder, n, sha))
			}
		}
	}
	return out
}

func wrongWords(f Facts) (out []string) {
	for _, p := range f.Pulls {
		if p.Comments > 1 || p.wanted() && p.Comments != 1 {
			out = append(out, fmt.Sprintf("%s: %d comments", p.Folder, p.Comments))
		}
		for sha, n := range p.Deployments {
			if n > 1 && !p.Reopened {
				out = append(out, fmt.Sprintf("%s: %d deployments of %.7s", p.Folder, n, sha))
			}
		}
		for _, c := range p.Commands {
			if c.Done+c.Sorry != 1 || c.Replies > 1 {
				out = append(out, fmt.Sprintf("%s: /idp %s in comment %d got %d reactions and %d replies", p.Folder, c.Verb, c.ID, c.Done+c.Sorry, c.Replies))
			}
		}
	}
	return out
}

func brokenChain(f Facts) []string {
	if f.Audit == "" {
		return nil
	}
	return []string{f.Audit}
}

// summary is the violations in a text, those of one invariant together.
func summary(all []Violation) string {
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Compare(a.Invariant, b.Invariant) })
	var lines []string
	for _, v := range all {
		lines = append(lines, v.Invariant+": "+v.Where)
	}
	return strings.Join(lines, "\n")
}
