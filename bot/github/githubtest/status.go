package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// statusStates are what a commit status may say.
var statusStates = []string{"error", "failure", "pending", "success"}

// commitStatus is what somebody said of a commit under a context, the older way: no App
// is known of it.
type commitStatus struct {
	id             int64
	sha            string
	context, state string
	at             time.Time
}

// SetStatus says under a context how a commit stands, by its whole SHA, a short one or a
// branch.
func (r *Repository) SetStatus(ref, context, state string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	at := r.resolve(ref)
	switch {
	case at == nil:
		return fmt.Errorf("set status %s: %s has no commit %s", context, r.fullName(), ref)
	case !slices.Contains(statusStates, state):
		return fmt.Errorf("set status %s: there is no state %q", context, state)
	}
	r.statuses = append(r.statuses, &commitStatus{id: r.s.nextID(), sha: at.sha, context: context, state: state, at: r.s.now()})
	return nil
}

// statusesOn returns the newest status of each context at a commit.
func (r *Repository) statusesOn(sha string) []*commitStatus {
	var out []*commitStatus
	for _, one := range slices.Backward(r.statuses) {
		if one.sha == sha && !slices.ContainsFunc(out, func(newer *commitStatus) bool { return newer.context == one.context }) {
			out = append(out, one)
		}
	}
	return out
}

// getCombinedStatus answers with GitHub's "combined-commit-status".
func getCombinedStatus(c *call) reply {
	at := c.repo.resolve(c.params["ref"])
	if at == nil {
		return *refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	all := c.repo.statusesOn(at.sha)
	api := c.repo.api("/commits/" + at.sha)
	out := counted(c, "statuses", all, func(one *commitStatus) any {
		return object{
			"url": c.repo.api("/statuses/" + at.sha), "id": one.id, "node_id": nodeID("SC", one.id), "state": one.state, "context": one.context,
			"description": nil, "target_url": nil, "avatar_url": nil, "created_at": stamp(one.at), "updated_at": stamp(one.at),
		}
	})
	out.body = merged(out.body.(object), object{
		"state": combinedState(all), "sha": at.sha, "repository": c.s.minimalShape(c.repo), "commit_url": api, "url": api + "/status",
	})
	return out
}

// combinedState is the worst of the states, and pending where there is none.
func combinedState(all []*commitStatus) string {
	has := func(states ...string) bool {
		return slices.ContainsFunc(all, func(one *commitStatus) bool { return slices.Contains(states, one.state) })
	}
	switch {
	case has("error", "failure"):
		return "failure"
	case len(all) == 0 || has("pending"):
		return "pending"
	}
	return "success"
}
