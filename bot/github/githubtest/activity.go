package githubtest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// noCommit stands for a branch that is not there, before or after.
const noCommit = "0000000000000000000000000000000000000000"

// activity is one change of a branch, and who made it.
type activity struct {
	kind, branch  string
	before, after string
	by            *account
	at            time.Time
}

// note records a change of a branch; SHAs are "" where there was or is none.
func (r *Repository) note(kind, branch, before, after string, by *account) {
	or := func(sha string) string {
		if sha == "" {
			return noCommit
		}
		return sha
	}
	if kind == "push" && before == "" {
		kind = "branch_creation"
	}
	r.activities = append(r.activities, activity{kind: kind, branch: branch, before: or(before), after: or(after), by: by, at: r.s.now()})
}

// listActivities answers with GitHub's "activity", the newest first. There is one page of
// them here; GitHub has cursors to more.
func listActivities(c *call) reply {
	branch := strings.TrimPrefix(c.query.Get("ref"), "refs/heads/")
	most := min(positive(c.query.Get("per_page"), 30), 100)
	out := []any{}
	for i, one := range slices.Backward(c.repo.activities) {
		if len(out) == most || branch != "" && one.branch != branch {
			continue
		}
		if kind := c.query.Get("activity_type"); kind != "" && kind != one.kind {
			continue
		}
		out = append(out, object{
			"id": i + 1, "node_id": "PSH_" + strconv.FormatInt(c.repo.id, 10) + "_" + strconv.Itoa(i), "before": one.before, "after": one.after,
			"ref": "refs/heads/" + one.branch, "timestamp": stamp(one.at), "activity_type": one.kind, "actor": c.s.userShape(one.by),
		})
	}
	return ok(out)
}
