package github

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret"
)

// Every token that idp makes asks for what the list has, and what the list has is asked
// for by a token or is what an event needs.
func TestPermissionsAreThoseOfTokens(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	for _, c := range []struct {
		list []Permission
		uses []use
	}{
		{Permissions(), []use{useRead, useReport, useStatus, useTeams, useAttest, useActions, useList}},
		{WriterPermissions(), []use{useGit, usePropose, useList}},
	} {
		granted := Grants{}
		for _, p := range c.list {
			granted[p.Name] = p.Access
		}
		for _, u := range c.uses {
			raw, err := json.Marshal(u.permissions())
			if err != nil {
				t.Fatal(err)
			}
			var wants Grants
			if err := json.Unmarshal(raw, &wants); err != nil {
				t.Fatal(err)
			}
			for name, access := range wants {
				asked[name+access] = true
				if !granted.Holds(Permission{Name: name, Access: access}) {
					t.Errorf("a token to %s asks for %s: %s, which the App is not given", u, name, access)
				}
			}
		}
	}
	for _, s := range Subscriptions() {
		asked[s.Needs+"read"] = true
	}
	for _, p := range slices.Concat(Permissions(), WriterPermissions()) {
		if !asked[p.Name+p.Access] {
			t.Errorf("nothing asks for %s: %s", p.Name, p.Access)
		}
	}
}

// The stand-in's App is registered as the list has it.
func TestStandInHasThePermissions(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for _, p := range Permissions() {
		want[p.Name] = p.Access
	}
	if diff := cmp.Diff(want, githubtest.DefaultPermissions()); diff != "" {
		t.Errorf("(-list +stand-in):\n%s", diff)
	}
	for _, s := range Subscriptions() {
		if !slices.Contains(githubtest.DefaultEvents(), s.Name) || !slices.Contains(Events(), s.Name) {
			t.Errorf("no event %s", s.Name)
		}
		if want[s.Needs] == "" {
			t.Errorf("%s needs %s, which the App is not given", s.Name, s.Needs)
		}
	}
}

func TestGrants(t *testing.T) {
	t.Parallel()
	wanted := []Permission{{Name: "checks", Access: "write"}, {Name: "issues", Access: "read"}, {Name: "contents", Access: "read"}}
	given := Grants{"checks": "read", "contents": "admin", "administration": "read"}
	missing := given.Missing(wanted)
	if len(missing) != 2 || missing[0].Name != "checks" || missing[1].Name != "issues" {
		t.Errorf("missing %v", missing)
	}
	want := []string{"administration: read is not needed", "contents: admin, and read is enough"}
	if diff := cmp.Diff(want, given.Excess(wanted)); diff != "" {
		t.Error(diff)
	}
}

// What the App is asked about itself.
func TestInspect(t *testing.T) {
	t.Parallel()
	w := setup(t)
	found, err := w.app.Registration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.ID != w.app.ID() || found.Slug != "idp" || !maps.Equal(found.Grants, Grants(githubtest.DefaultPermissions())) || len(found.Events) == 0 {
		t.Errorf("%+v", found)
	}
	if hook, err := w.app.Hook(t.Context()); err != nil || hook != (Hook{ContentType: "json"}) {
		t.Errorf("%+v, %v", hook, err)
	}
	w.server.SetWebhook("http://127.0.0.1:1/", "secret")
	if hook, err := w.app.Hook(t.Context()); err != nil || hook != (Hook{URL: "http://127.0.0.1:1/", ContentType: "json", Secret: true}) {
		t.Errorf("%+v, %v", hook, err)
	}
	w.server.AddRepository("acme/api", githubtest.RepositoryOptions{})
	if err := w.server.WaitDeliveries(t.Context()); err != nil {
		t.Fatal(err)
	}
	attempts, err := w.app.Attempts(t.Context())
	if err != nil || len(attempts) != 1 || attempts[0].Event != "repository" || attempts[0].OK() || attempts[0].Status == "" {
		t.Errorf("%+v, %v", attempts, err)
	}
	w.install.Suspend()
	list, err := w.app.Installed(t.Context())
	if err != nil || len(list) != 1 || list[0].Account != "acme" || !list[0].Suspended || list[0].Grants["checks"] != "write" {
		t.Errorf("%+v, %v", list, err)
	}
}

// The rules of a branch are told to an App and to a token, with who may pass them.
func TestBranchRules(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.web.AddRuleset(githubtest.Ruleset{Name: "reviewed", Branch: "main", Rules: []string{"pull_request", "deletion"}, Bypass: "never"})
	token := secret.New(w.install.Token())
	got, err := w.app.BranchRules(t.Context(), w.server.HTMLURL()+"/acme/web.git", "main", token)
	want := BranchRules{Protected: true, Rules: []Rule{{"deletion", "reviewed", "never"}, {"pull_request", "reviewed", "never"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err = w.app.BranchRules(t.Context(), w.server.HTMLURL()+"/acme/web.git", "release/1", token); err != nil || !got.Absent || len(got.Rules) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	// The App was not given contents: write, and is told so.
	if _, err := w.app.BranchRules(t.Context(), w.server.HTMLURL()+"/acme/web.git", "main", secret.String{}); err == nil || bot.ErrNotFound == err {
		t.Errorf("got %v", err)
	}
}
