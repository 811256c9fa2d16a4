package measure

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// count reports what was asked of GitHub for so many pull requests.
func (m *measuring) count(who string, repositories int, asked Requests) {
	asked.Who, asked.Repositories, asked.PRs = who, repositories, m.o.PRs
	m.report.Requests = append(m.report.Requests, asked)
	m.tell("%s: %s reads and %s writes of GitHub for each pull request", who, asked.each(asked.Reads), asked.each(asked.Writes))
	for _, route := range slices.Sorted(maps.Keys(asked.Routes)) {
		m.tell("  %s %s", asked.each(asked.Routes[route]), route)
	}
}

// countRequests sorts what an App asked for, by itself and by its installation.
func countRequests(all []githubtest.Request, app *githubtest.App, installation *githubtest.Installation) (q Requests) {
	credentials := []string{fmt.Sprintf("app:%d", app.ID()), fmt.Sprintf("installation:%d", installation.ID())}
	q.Routes = map[string]int{}
	for _, r := range all {
		if !slices.Contains(credentials, r.Credential) {
			continue
		}
		q.Routes[r.Method+" "+r.Route]++
		switch {
		case r.Route == "/app/installations/{installation_id}/access_tokens":
			q.Tokens++
		case r.Method != http.MethodGet:
			q.Writes++
		default:
			q.Reads++
			if r.Status == http.StatusNotModified {
				q.Unchanged++
			}
		}
	}
	return q
}
