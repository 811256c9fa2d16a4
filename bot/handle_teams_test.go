package bot_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// declares lets the platform team declare.
func (w *world) declares(environments string) {
	w.Helper()
	loaded, errs := platform.Load([]gitops.File{{Path: platform.EnvironmentsPath, Content: []byte(environments)}}, w.handler.Class)
	if len(errs) > 0 {
		w.Fatal(errs.Err())
	}
	w.handler.Platform = func(context.Context) (platform.Platform, error) { return loaded, nil }
}

// memberships are the requests for them since the first so many requests, as
// "team login", and how many requests there are now.
func (w *world) memberships(since int) (asked string, now int) {
	var teams []string
	requests := w.github.Requests()
	for _, r := range requests[since:] {
		if parts := strings.Split(r.Path, "/"); strings.HasPrefix(r.Route, "/orgs/{org}/teams/") {
			teams = append(teams, parts[len(parts)-3]+" "+parts[len(parts)-1])
		}
	}
	return strings.Join(teams, ", "), len(requests)
}

// Memberships are asked for where a command needs them, of the teams that its rule names
// until one is found, and of nobody who may not anyway or is named themselves.
func TestHandleTeams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declares(`
previews: {actions: {pin: {teams: [pinners]}}}
environments:
  staging: {teams: [web, api, ops], users: [erin], actions: {status: {permission: read}}}
  open: {}
`)
	w.handle(w.event("opened"))
	asked, before := w.memberships(0)
	w.equal("teams asked for by a pull request", asked, "")
	for _, login := range []string{"carol", "erin"} {
		w.repo.Grant(login, "write")
	}
	w.repo.Grant("bob", "read")
	w.github.AddTeam("acme/api", "alice")
	for i, c := range []struct{ by, body, asked, reply string }{
		{"alice", "/idp lock staging", "web alice, api alice", "Locked `staging`"},
		{"alice", "/idp unlock staging\n/idp lock staging", "web alice, api alice", "Locked `staging`"},
		{"alice", "/idp lock open", "", "Locked `open`"},
		{"alice", "/idp status staging\n/idp help", "", "Commands stand"},
		{"alice", "/idp pin", "pinners alice", "Members of team pinners, with write permission can run it"},
		{"bob", "/idp lock staging", "", "yours is read"},
		{"bob", "/idp status staging", "", "Nothing was deployed to `staging`"},
		{"carol", "/idp lock staging", "web carol, api carol, ops carol", "it is for some people only"},
		{"erin", "/idp unlock staging", "", ""},
		{"alice", "no command", "", ""},
	} {
		id := w.comment(c.by, c.body)
		w.handle(w.event("said "+strconv.Itoa(i), func(e *bot.Event) {
			e.Kind, e.Name, e.Action, e.Comment = bot.EventComment, "issue_comment", "created", &bot.Comment{ID: id, Body: c.body}
			e.Actor = w.person(c.by)
		}))
		asked, before = w.memberships(before)
		w.equal(c.by+": "+c.body+": asked", asked, c.asked)
		w.speak()
		comments := w.pr.Comments()
		if last := comments[len(comments)-1]; !strings.Contains(last.Body, c.reply) || (last.App == "") != (c.reply == "") {
			t.Errorf("%s: %s: %q, want %q", c.by, c.body, last.Body, c.reply)
		}
	}
}

// "Re-run" tries again only for whom the rules let bring a preview up.
func TestHandleRerunAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declares("previews: {permission: maintain}\n")
	w.handle(w.event("opened"))
	w.handle(w.event("again", func(e *bot.Event) { e.Kind, e.Action = bot.EventRerequest, "rerequested" }))
	audit, err := w.store.AuditLog(t.Context(), store.AuditFilter{Limit: 10})
	if err != nil || len(audit) == 0 {
		t.Fatalf("%v, %v", audit, err)
	}
	refused := slices.ContainsFunc(audit, func(a previews.Audit) bool {
		return a.Action == "re-run check" && !a.Allowed && strings.Contains(a.Reason, "it needs maintain permission on this repository, and yours is write")
	})
	if !refused {
		t.Errorf("%+v", audit)
	}
}

// Where it is only not idp's turn to ask, the command waits: nobody is told no.
func TestHandleTeamsLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.declares("environments: {staging: {teams: [web]}}\n")
	w.handle(w.event("opened"))
	w.github.AddTeam("acme/web", "alice")
	w.github.Inject(githubtest.Fault{Path: "/orgs/**", Status: 429, RetryAfter: time.Hour, Times: 1})
	event := w.said("lock", "/idp lock staging")
	err := w.handler.Handle(t.Context(), event)
	var later interface{ RetryAt() time.Time }
	if !errors.As(err, &later) || w.result("lock") != "" {
		t.Errorf("%v, %q", err, w.result("lock"))
	}
}
