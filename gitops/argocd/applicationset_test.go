package argocd

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/applicationset/utils"
	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const repositoryID = 4242

func class() platform.Class {
	c := platform.Default()
	c.RepoURL = "https://git.example.com/acme/gitops.git"
	return c
}

func element(pr int) Element {
	return Element{
		Ref: gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: "acme", Repo: "payments-api", ID: gitops.PreviewID(pr)},
		URL: "https://github.com/acme/payments-api/pull/" + strings.TrimPrefix(gitops.PreviewID(pr), "pr-"),
	}
}

// applications gives the set to Argo CD's own renderer, with the parameters that
// its list generator makes of the elements, and returns what would be created.
func applications(t *testing.T, file gitops.File) []*v1alpha1.Application {
	t.Helper()
	return applicationsOf(t, file.Content)
}

// applicationsOf is applications of one document.
func applicationsOf(t *testing.T, document []byte) []*v1alpha1.Application {
	t.Helper()
	var set v1alpha1.ApplicationSet
	if err := yaml.UnmarshalStrict(document, &set); err != nil {
		t.Fatal(err)
	}
	if len(set.Spec.Generators) != 1 || set.Spec.Generators[0].List == nil || set.Spec.Generators[0].List.Elements == nil {
		t.Fatalf("generators: %+v", set.Spec.Generators)
	}
	template := &v1alpha1.Application{
		ObjectMeta: metav1.ObjectMeta{
			Name: set.Spec.Template.Name, Namespace: set.Namespace,
			Labels: set.Spec.Template.Labels, Annotations: set.Spec.Template.Annotations,
		},
		Spec: set.Spec.Template.Spec,
	}
	var out []*v1alpha1.Application
	for _, element := range set.Spec.Generators[0].List.Elements {
		var params map[string]any
		if err := json.Unmarshal(element.Raw, &params); err != nil {
			t.Fatal(err)
		}
		renderer := &utils.Render{}
		app, err := renderer.RenderTemplateParams(template, set.Spec.SyncPolicy, params, set.Spec.GoTemplate, set.Spec.GoTemplateOptions)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, app)
	}
	return out
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, elements := range map[string][]Element{
		"none": nil,
		"one":  {element(42)},
		"some": {element(10), element(9), element(100), {Ref: element(2).Ref}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := ApplicationSet(repositoryID, "payments-api", class(), elements)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Files: []txtar.File{{Name: file.Path, Data: file.Content}}}
			for _, app := range applications(t, file) {
				data, err := yaml.Marshal(app)
				if err != nil {
					t.Fatal(err)
				}
				got.Files = append(got.Files, txtar.File{Name: "Application " + app.Name, Data: data})
			}
			golden(t, name, got)
		})
	}
}

// golden compares with a file of testdata/golden.
func golden(t *testing.T, name string, got *txtar.Archive) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name+".txtar")
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
		t.Errorf("run with -update to accept (-want +got):\n%s", diff)
	}
}

// TestApplicationIsMeant says in code what the goldens show: which fields of the
// Application an element decides, and which the class does.
func TestApplicationIsMeant(t *testing.T) {
	t.Parallel()
	file, err := ApplicationSet(repositoryID, "payments-api", class(), []Element{element(42)})
	if err != nil {
		t.Fatal(err)
	}
	app, ref := applications(t, file)[0], element(42).Ref
	for _, field := range []struct{ what, got, want string }{
		{"name", app.Name, ref.Name()},
		{"namespace", app.Namespace, "argocd"},
		{"path", app.Spec.Source.Path, ref.ManifestsDir()},
		{"repository", app.Spec.Source.RepoURL, class().RepoURL},
		{"branch", app.Spec.Source.TargetRevision, "main"},
		{"project", app.Spec.Project, "idp-previews"},
		{"server", app.Spec.Destination.Server, "https://kubernetes.default.svc"},
		{"destination", app.Spec.Destination.Namespace, ref.Name()},
		{"finalizers", strings.Join(app.Finalizers, ","), "resources-finalizer.argocd.argoproj.io"},
	} {
		if field.got != field.want {
			t.Errorf("%s is %q, want %q", field.what, field.got, field.want)
		}
	}
	if kind, err := app.Spec.Source.ExplicitType(); err != nil || kind == nil || *kind != v1alpha1.ApplicationSourceTypeDirectory {
		t.Errorf("source is %v, %v: want plain files", kind, err)
	}
	if app.Spec.Source.Directory.IsZero() {
		t.Error("argo cd drops a directory source that is zero, and would look for Kustomize and Helm again")
	}
	if p := app.Spec.SyncPolicy; !p.Automated.Prune || !p.Automated.SelfHeal || p.SyncOptions.HasOption("PruneLast=true") || !p.SyncOptions.HasOption("FailOnSharedResource=true") {
		t.Errorf("sync policy %+v", p)
	}
}

func TestOrderOfElementsDoesNotMatter(t *testing.T) {
	t.Parallel()
	a, err := ApplicationSet(repositoryID, "payments-api", class(), []Element{element(2), element(10), element(1)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := ApplicationSet(repositoryID, "payments-api", class(), []Element{element(10), element(1), element(2)})
	if err != nil || string(a.Content) != string(b.Content) || a.Path != b.Path {
		t.Errorf("another order gives another file, %v", err)
	}
	if path, _ := gitops.PreviewsApplicationSet(repositoryID, "payments-api"); a.Path != path {
		t.Errorf("path %s, want %s", a.Path, path)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	with := func(change func(*Element)) []Element {
		e := element(42)
		change(&e)
		return []Element{e}
	}
	for name, test := range map[string]struct {
		class    func(*platform.Class)
		elements []Element
	}{
		"listed twice":           {elements: []Element{element(1), element(1)}},
		"another repository":     {elements: with(func(e *Element) { e.Ref.RepositoryID = 1 })},
		"no preview":             {elements: with(func(e *Element) { e.Ref.ID = "staging" })},
		"number with zeros":      {elements: with(func(e *Element) { e.Ref.ID = "pr-042" })},
		"template in a name":     {elements: with(func(e *Element) { e.Ref.Repo = "{{.x}}" })},
		"parent folder":          {elements: with(func(e *Element) { e.Ref.Repo = ".." })},
		"script as a link":       {elements: with(func(e *Element) { e.URL = "javascript:alert(1)" })},
		"template in a link":     {elements: with(func(e *Element) { e.URL = "https://x.example/{{ .name }}" })},
		"password in a link":     {elements: with(func(e *Element) { e.URL = "https://a:b@x.example/" })},
		"template in the branch": {class: func(c *platform.Class) { c.Branch = "{{ .name }}" }},
		"no repository":          {class: func(c *platform.Class) { c.RepoURL = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := class()
			if test.class != nil {
				test.class(&c)
			}
			if file, err := ApplicationSet(repositoryID, "payments-api", c, test.elements); err == nil {
				t.Errorf("taken:\n%s", file.Content)
			}
		})
	}
}

// FuzzNames: whatever a repository is called, it is refused or the Application
// is the one that its ref names.
func FuzzNames(f *testing.F) {
	f.Add("acme", "payments-api", 42)
	f.Add("{{ .name }}", "a/../b", 1)
	f.Add("o", "a: b\n- c", 7)
	f.Fuzz(func(t *testing.T, owner, repo string, pr int) {
		ref := gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: owner, Repo: repo, ID: gitops.PreviewID(pr)}
		file, err := ApplicationSet(repositoryID, repo, class(), []Element{{Ref: ref}})
		if err != nil {
			return
		}
		apps := applications(t, file)
		if len(apps) != 1 || apps[0].Name != ref.Name() || apps[0].Spec.Source.Path != ref.ManifestsDir() ||
			apps[0].Spec.Project != class().Project || apps[0].Spec.Destination.Namespace != ref.Name() {
			t.Fatalf("%+v", apps)
		}
	})
}

// TestRenderedEnvironments ties the two halves together: for every preview among
// the goldens of the manifests, Argo CD's renderer gives the Application that
// syncs just that folder into just the namespace that is in it.
func TestRenderedEnvironments(t *testing.T) {
	t.Parallel()
	goldens, err := filepath.Glob("../render/testdata/golden/*.txtar")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	for _, golden := range goldens {
		archive, err := txtar.ParseFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		var record *render.Record
		for _, f := range archive.Files {
			files[f.Name] = f.Data
			if strings.HasSuffix(f.Name, "/environment.yaml") {
				if record, err = render.ParseRecord(f.Data); err != nil {
					t.Fatal(err)
				}
			}
		}
		if record.PullRequest == 0 {
			continue
		}
		set, err := ApplicationSet(record.RepositoryID, record.Repo, class(), []Element{{Ref: record.Ref()}})
		if err != nil {
			t.Fatal(err)
		}
		app := applications(t, set)[0]
		var namespace metav1.PartialObjectMetadata
		if err := yaml.Unmarshal(files[app.Spec.Source.Path+"/namespace.yaml"], &namespace); err != nil {
			t.Fatal(err)
		}
		if namespace.Name != app.Spec.Destination.Namespace || app.Name != record.Application {
			t.Errorf("%s: application %s syncs into %s, its folder holds namespace %q", golden, app.Name, app.Spec.Destination.Namespace, namespace.Name)
		}
	}
}
