package argocd

import (
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
)

// What is written is read back, and what is no list of ours is an error.
func TestElements(t *testing.T) {
	t.Parallel()
	class := platform.Class{Name: "preview", RepoURL: "https://git.example.com/x.git", Branch: "main", ArgoCDNamespace: "argocd", Project: "p", DestinationServer: "https://k"}
	ref := gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: "pr-1"}
	other := ref
	other.ID = "pr-2"
	previews, err := ApplicationSet(7, "web", class, []Element{{Ref: ref}, {Ref: other}})
	if err != nil {
		t.Fatal(err)
	}
	staging := gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: "staging"}
	second := class
	second.Name = "second"
	production := staging
	production.ID = "production"
	deployed, err := DeployedApplicationSet(7, "web", []DeployedElement{{Ref: staging, Class: class}, {Ref: staging.Of("web"), Class: class}, {Ref: production, Class: second}})
	if err != nil {
		t.Fatal(err)
	}
	none, err := DeployedApplicationSet(7, "web", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file gitops.File
		want []string
	}{
		{previews, []string{ref.Name(), other.Name()}},
		{deployed, []string{staging.Name(), staging.Of("web").Name(), production.Name()}},
		{none, nil},
	} {
		if got, err := Elements(c.file); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.file.Path, got, err, c.want)
		}
	}
	for name, content := range map[string]string{
		"no YAML":           "a: [",
		"another generator": "spec: {generators: [{git: {repoURL: x}}]}",
		"a nameless one":    strings.Replace(string(previews.Content), "name: "+ref.Name(), `name: ""`, 1),
	} {
		if got, err := Elements(gitops.File{Path: "x", Content: []byte(content)}); err == nil {
			t.Errorf("%s is read as %v", name, got)
		}
	}
}
