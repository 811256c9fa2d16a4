package main

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

// TestRerenderRefuses: what is wrong with the flags, and an idp that only observes.
func TestRerenderRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		env    map[string]string
		status int
		says   string
	}{
		{[]string{"--repo", "web"}, nil, exitUsage, `--repo "web" is not OWNER/NAME`},
		{[]string{"--class", "A"}, nil, exitUsage, `--class "A" is not the name`},
		{[]string{"--at-most", "0"}, nil, exitUsage, "--at-most 0: at least one"},
		{nil, map[string]string{"IDP_GITOPS_URL": ""}, exitInvalid, "gitops_url (not set): it is required"},
		{nil, map[string]string{"IDP_MODE": "observe"}, exitFailure, "this configuration only observes"},
		{nil, nil, exitFailure, "idp.db"},
	} {
		var env []string
		for key, value := range complete(t, c.env) {
			env = append(env, key+"="+value)
		}
		env = append(env, "IDP_DATABASE_URL=sqlite://"+secrettest.Dir(t)+"/idp.db")
		var out, told strings.Builder
		status := searchedRun(t.Context(), t, append([]string{"rerender"}, c.args...), nil, &out, &told, env)
		if status != c.status || !strings.Contains(told.String(), c.says) || out.Len() > 0 {
			t.Errorf("%v ended with %d, want %d and %q in: %s", c.args, status, c.status, c.says, told.String())
		}
	}
}

// TestRerenderBounds: diffs are bounded, of one environment and of all; what changes is named
// all the same.
func TestRerenderBounds(t *testing.T) {
	t.Parallel()
	long := manifests.Difference{Verb: manifests.Changed, Object: "ConfigMap long", Diff: strings.Repeat("+\n", maxRerenderDiff-1)}
	facts := &rerenderFacts{}
	row := func(id string) previews.Environment {
		return previews.Environment{Ref: gitops.EnvironmentRef{Owner: "acme", Repo: "web", ID: id}}
	}
	facts.note(row("pr-1"), []manifests.Difference{long, long}, true)
	if one := facts.Changed[0]; !one.Cut || one.Objects[0].Diff == "" || one.Objects[1].Diff != "" || len(one.Objects) != 2 {
		t.Errorf("of one environment: %+v", one)
	}
	for range 2 * maxRerenderDiffs / maxRerenderDiff {
		facts.note(row("pr-2"), []manifests.Difference{long}, true)
	}
	if last := facts.Changed[len(facts.Changed)-1]; facts.shown > maxRerenderDiffs || !last.Cut || last.Objects[0].Object != long.Object {
		t.Errorf("of all: %d lines, %+v", facts.shown, last)
	}
	facts.note(row("pr-3"), []manifests.Difference{long}, false)
	if last := facts.Changed[len(facts.Changed)-1]; last.Cut || last.Objects[0].Diff != "" {
		t.Errorf("a summary: %+v", last)
	}
}

// TestRerenderWants: previews are of class preview, others of their own.
func TestRerenderWants(t *testing.T) {
	t.Parallel()
	preview := previews.Environment{Owner: "Acme", Repo: "Web", Class: "other"}
	deployed := previews.Environment{Owner: "acme", Repo: "web", Class: "durable", Deployed: &previews.Deployed{}}
	for _, c := range []struct {
		flags             rerenderFlags
		preview, deployed bool
	}{
		{rerenderFlags{}, true, true},
		{rerenderFlags{repo: "acme/web"}, true, true},
		{rerenderFlags{repo: "acme/api"}, false, false},
		{rerenderFlags{class: "preview"}, true, false},
		{rerenderFlags{class: "durable"}, false, true},
		{rerenderFlags{class: "other"}, false, false},
	} {
		if c.flags.wants(preview) != c.preview || c.flags.wants(deployed) != c.deployed {
			t.Errorf("%+v: %v, %v", c.flags, c.flags.wants(preview), c.flags.wants(deployed))
		}
	}
}
