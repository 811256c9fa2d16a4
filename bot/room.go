package bot

import (
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// taking is another pull request's preview that policies let go, with what they said.
type taking struct {
	store.Taken
	// because are the denials that its going takes away.
	because []policy.Finding
	// idle is for how long nobody did anything about it.
	idle time.Duration
	// sure says that what it goes for is wanted now.
	sure bool
}

// makeRoom says whether everything that speaks against a new preview goes away with
// previews that policies name and that may be taken, and keeps them in mind. A pull
// request that has its preview already takes nobody's.
func (d *deciding) makeRoom(v policy.Verdict) bool {
	if v.Broken != nil || d.env != nil && d.env.Wanted == previews.Present {
		return false
	}
	byRow := map[int64]*taking{}
	var all []*taking
	for _, f := range v.Denied {
		scope, live, ok := d.takeable(f.Take)
		if !ok {
			return false
		}
		t := byRow[live.Idle.RowID]
		if t == nil {
			row := *live.Idle
			if !row.Take(d.removalFor(row, f), d.Now) {
				return false
			}
			t = &taking{Taken: store.Taken{Environment: &row, Full: map[store.Scope]int{}}, idle: d.Now.Sub(live.Idle.IdleSince())}
			byRow[row.RowID], all = t, append(all, t)
		}
		t.Full[scope] = live.Count
		t.because = append(t.because, f)
	}
	d.taking = all
	return true
}

// takeable is the scope that a policy calls full, and what was counted there; only what
// was found there to be takeable may be taken for it.
func (d *deciding) takeable(t *policy.Take) (store.Scope, store.Live, bool) {
	if t == nil {
		return "", store.Live{}, false
	}
	live := d.Live[store.Scope(t.Scope)]
	ok := live.Idle != nil && live.Idle.Ref.RepositoryID == t.RepositoryID && live.Idle.Ref.ID == t.Environment
	return store.Scope(t.Scope), live, ok
}

// removalFor says in a preview's own pull request what it went for. What this repository
// is called is not told in another one where it is private, nor what the policy said here.
func (d *deciding) removalFor(taken previews.Environment, f policy.Finding) previews.Removal {
	if d.PR.Repository.Private && taken.Ref.RepositoryID != d.PR.Repository.ID {
		return previews.Removal{Detail: f.Policy}
	}
	return previews.Removal{For: d.name(), Detail: f.String()}
}

func (d *deciding) name() string {
	return fmt.Sprintf("%s/%s#%d", d.PR.Repository.Owner, d.PR.Repository.Name, d.PR.Number)
}

// comes notes that the preview is wanted that others go for, and what went, for its own
// pull request.
func (d *deciding) comes() {
	for _, t := range d.taking {
		t.sure = true
		d.env.Warnings = append(d.env.Warnings, d.went(t))
		d.because("the preview %s makes room: %s", t.Environment.Ref, t.because[0])
	}
}

// went says what was taken, in words for the pull request that it was taken for.
func (d *deciding) went(t *taking) string {
	what := "a preview of another repository was removed"
	if p := d.nameable(t.Environment); p != nil {
		what = fmt.Sprintf("the preview of %s#%d was removed", p.Repository, p.PullRequest)
	}
	return fmt.Sprintf("to make room %s, idle for %s, as policy %q has it", what, spec.FormatDuration(t.idle.Truncate(time.Minute)), t.because[0].Policy)
}

// roomMade words for a reply what was taken; "" where nothing was.
func (d *deciding) roomMade() string {
	var lines []string
	for _, t := range d.taking {
		if t.sure {
			lines = append(lines, capitalised(report.Text(d.went(t)))+".")
		}
	}
	return strings.Join(lines, "\n\n")
}

// take lets the others go, unless what they would go for is not wanted in the end.
func (d *deciding) take() {
	for _, t := range d.taking {
		if !t.sure || d.env == nil || d.env.Wanted != previews.Present {
			continue
		}
		var rules []string
		for _, f := range t.because {
			rules = append(rules, fmt.Sprintf("policy %s (%s)", f.Rule, f))
		}
		d.out.Taken = append(d.out.Taken, t.Taken)
		d.rulebook = policy.Verdict{Denied: t.because}.Rules()
		d.auditOf(t.Environment.Ref, "take", t.Environment.HeadSHA, true, fmt.Sprintf("to make room for %s: %s", d.name(), strings.Join(rules, "; ")))
	}
}

// keepRoom says how many others a preview that comes may find there: with what policies let
// pass when they were asked, two that come at once would both come. Where others go for it
// the scope has to be as it was, which is the store's to see to.
func (d *deciding) keepRoom() {
	before := d.Environment
	if !d.counted || d.env == nil || d.env.Wanted != previews.Present || before != nil && before.Wanted == previews.Present {
		return
	}
	room, made := d.Guard.Room(), map[store.Scope]bool{}
	for _, t := range d.out.Taken {
		for scope := range t.Full {
			made[scope] = true
		}
	}
	d.out.Room = map[store.Scope]int{}
	for scope, live := range d.Live {
		most, bound := room.Most[string(scope)]
		switch {
		case made[scope]:
		case room.Counted:
			d.out.Room[scope] = live.Count
		case bound:
			d.out.Room[scope] = max(most-1, live.Count)
		}
	}
}
