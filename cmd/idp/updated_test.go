package main

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// TestUpdateOf: what the platform folder says when a commit is made decides, whatever it said
// when the deployment was asked for.
func TestUpdateOf(t *testing.T) {
	t.Parallel()
	field := inplace.Field{File: "apps/web.yaml", Field: "image", Set: inplace.Image}
	listed := map[int64]map[string]platform.Update{7: {"web": {Application: "web", Fields: []inplace.Field{field}}}}
	for _, c := range []struct {
		name       string
		repository int64
		service    string
		update     *previews.Update
		tree       string
		listed     map[int64]map[string]platform.Update
		fields     int
		want       string
	}{
		{"rendered as ever", 7, "web", nil, "7ree", nil, -1, ""},
		{"listed", 7, "web", &previews.Update{}, "", listed, 1, ""},
		{"listed by now", 7, "web", nil, "", listed, 1, ""},
		{"the shared part", 7, "", &previews.Update{}, "7ree", listed, 0, ""},
		{"a service that is not listed", 7, "api", &previews.Update{}, "", listed, -1, "names no file of service api for staging"},
		{"another repository", 8, "web", nil, "", listed, -1, ""},
		{"of another repository's files", 8, "web", &previews.Update{}, "7ree", listed, -1, "does not let acme/web change files for staging any more"},
		{"taken back", 7, "web", &previews.Update{}, "7ree", nil, -1, "does not let acme/web change files for staging any more"},
		{"rendered until now", 7, "web", nil, "7ree", listed, -1, "idp has rendered it there until now"},
	} {
		declared := platform.Platform{Environments: []platform.Environment{{Name: "staging", Updates: c.listed}}}
		env := previews.Environment{
			Ref: gitops.EnvironmentRef{RepositoryID: c.repository, Owner: "acme", Repo: "web", ID: "staging", Service: c.service}, Owner: "acme", Repo: "web",
			Tree: c.tree, Update: c.update, Deployed: &previews.Deployed{},
		}
		got, err := updateOf(declared, env)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || fault.CodeOf(err) != fault.Denied) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if fields := -1; err == nil {
			if got != nil {
				fields = len(got.Fields)
			}
			if fields != c.fields {
				t.Errorf("%s: %d fields, want %d", c.name, fields, c.fields)
			}
		}
	}
}
