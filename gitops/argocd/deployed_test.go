package argocd

import (
	"bytes"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// deployed is an element of the class called like the environment.
func deployed(environment, service string) DeployedElement {
	c := class()
	c.Name, c.Project = environment, "idp-"+environment
	ref := gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: "acme", Repo: "payments-api", ID: environment, Service: service}
	return DeployedElement{Ref: ref, Class: c, URL: "https://github.com/acme/payments-api"}
}

// documents are those of a file that are not empty.
func documents(file gitops.File) [][]byte {
	var out [][]byte
	for _, d := range bytes.Split(file.Content, []byte("---\n")) {
		if !bytes.HasPrefix(d, []byte("#")) {
			out = append(out, d)
		}
	}
	return out
}

func TestDeployedGolden(t *testing.T) {
	t.Parallel()
	pattern := deployed("production", "")
	pattern.Namespace, pattern.URL = "idp-acme-"+pattern.Ref.Hash(), ""
	web := deployed("production", "web")
	web.Namespace = pattern.Namespace
	for name, elements := range map[string][]DeployedElement{
		"deployed-none": nil,
		"deployed":      {deployed("staging", "web"), web, deployed("staging", "jobs"), pattern, deployed("staging", "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := DeployedApplicationSet(repositoryID, "payments-api", elements)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Files: []txtar.File{{Name: file.Path, Data: file.Content}}}
			for _, document := range documents(file) {
				for _, app := range applicationsOf(t, document) {
					data, err := yaml.Marshal(app)
					if err != nil {
						t.Fatal(err)
					}
					got.Files = append(got.Files, txtar.File{Name: "Application " + app.Name, Data: data})
				}
			}
			golden(t, name, got)
		})
	}
}

// TestDeployedIsMeant says in code what the golden shows: nothing about a list makes
// an Application go, and none takes its objects with it.
func TestDeployedIsMeant(t *testing.T) {
	t.Parallel()
	element := deployed("staging", "web")
	file, err := DeployedApplicationSet(repositoryID, "payments-api", []DeployedElement{element})
	if err != nil {
		t.Fatal(err)
	}
	var set v1alpha1.ApplicationSet
	if err := yaml.UnmarshalStrict(documents(file)[0], &set); err != nil {
		t.Fatal(err)
	}
	if p := set.Spec.SyncPolicy; !p.PreserveResourcesOnDeletion || *p.ApplicationsSync != v1alpha1.ApplicationsSyncPolicyCreateUpdate {
		t.Errorf("sync policy of the list: %+v", p)
	}
	app := applicationsOf(t, documents(file)[0])[0]
	for _, field := range []struct{ what, got, want string }{
		{"name", app.Name, element.Ref.Name()},
		{"path", app.Spec.Source.Path, element.Ref.ManifestsDir()},
		{"repository", app.Spec.Source.RepoURL, class().RepoURL},
		{"branch", app.Spec.Source.TargetRevision, "main"},
		{"project", app.Spec.Project, "idp-staging"},
		{"server", app.Spec.Destination.Server, "https://kubernetes.default.svc"},
		{"destination", app.Spec.Destination.Namespace, element.Ref.Shared().Name()},
		{"finalizers", strings.Join(app.Finalizers, ","), ""},
	} {
		if field.got != field.want {
			t.Errorf("%s is %q, want %q", field.what, field.got, field.want)
		}
	}
	if r := app.Spec.SyncPolicy.Retry; r.Limit < 1 || r.Backoff.Duration != "2s" {
		t.Errorf("a service whose namespace is not there yet is synced again after %s, %d times", r.Backoff.Duration, r.Limit)
	}
}

func TestDeployedOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	elements := []DeployedElement{deployed("staging", ""), deployed("staging", "web"), deployed("qa", "web"), deployed("qa", "")}
	a, err := DeployedApplicationSet(repositoryID, "payments-api", elements)
	if err != nil {
		t.Fatal(err)
	}
	b, err := DeployedApplicationSet(repositoryID, "payments-api", []DeployedElement{elements[2], elements[1], elements[3], elements[0]})
	if err != nil || string(a.Content) != string(b.Content) {
		t.Errorf("another order gives another file, %v", err)
	}
	if path, _ := gitops.DeployedApplicationSet(repositoryID, "payments-api"); a.Path != path {
		t.Errorf("path %s, want %s", a.Path, path)
	}
}

func TestDeployedRefusals(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*DeployedElement){
		"another repository":     func(e *DeployedElement) { e.Ref.RepositoryID = 1 },
		"a preview":              func(e *DeployedElement) { e.Ref.ID = "pr-7" },
		"template in a service":  func(e *DeployedElement) { e.Ref.Service = "{{.x}}" },
		"dot in a service":       func(e *DeployedElement) { e.Ref.Service = "a.b" },
		"parent folder":          func(e *DeployedElement) { e.Ref.Repo = ".." },
		"namespace of others":    func(e *DeployedElement) { e.Namespace = "kube-system" },
		"template in a name":     func(e *DeployedElement) { e.Namespace = "idp-{{ .name }}" },
		"script as a link":       func(e *DeployedElement) { e.URL = "javascript:alert(1)" },
		"template in the branch": func(e *DeployedElement) { e.Class.Branch = "{{ .name }}" },
		"template in the class":  func(e *DeployedElement) { e.Class.Name = "{{ .name }}" },
		"no repository":          func(e *DeployedElement) { e.Class.RepoURL = "" },
	} {
		e := deployed("staging", "web")
		change(&e)
		if file, err := DeployedApplicationSet(repositoryID, "payments-api", []DeployedElement{e}); err == nil {
			t.Errorf("%s is taken:\n%s", name, file.Content)
		}
	}
	twice := []DeployedElement{deployed("staging", "web"), deployed("staging", "web")}
	twice[1].Class = deployed("production", "").Class
	for name, elements := range map[string][]DeployedElement{
		"one class with two meanings": {deployed("staging", "web"), {Ref: deployed("staging", "jobs").Ref, Class: platform.Class{Name: "staging"}}},
		"listed by two classes":       twice,
		"listed twice":                {deployed("staging", ""), deployed("staging", "")},
	} {
		if file, err := DeployedApplicationSet(repositoryID, "payments-api", elements); err == nil {
			t.Errorf("%s is taken:\n%s", name, file.Content)
		}
	}
}

// TestRenderedDeployments ties the two halves together: for every part of a declared
// environment among the goldens of the manifests, Argo CD's renderer gives the
// Application that syncs just that folder into just the namespace that its objects
// name.
func TestRenderedDeployments(t *testing.T) {
	t.Parallel()
	goldens, err := filepath.Glob("../render/testdata/golden/*.txtar")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	checked := 0
	for _, golden := range goldens {
		archive, err := txtar.ParseFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if path.Base(f.Name) != "environment.yaml" {
				continue
			}
			record, err := render.ParseRecord(f.Data)
			if err != nil {
				t.Fatal(err)
			}
			if record.Environment == "" {
				continue
			}
			checked++
			set, err := DeployedApplicationSet(record.RepositoryID, record.Repo, []DeployedElement{{Ref: record.Ref(), Class: class(), Namespace: record.Namespace}})
			if err != nil {
				t.Fatal(err)
			}
			app := applicationsOf(t, documents(set)[0])[0]
			if app.Name != record.Application || app.Spec.Source.Path != path.Join(path.Dir(f.Name), "manifests") {
				t.Errorf("%s: application %s syncs %s", f.Name, app.Name, app.Spec.Source.Path)
			}
			sameNamespace(t, archive, app)
		}
	}
	if checked < 10 {
		t.Errorf("%d parts were checked", checked)
	}
}

func sameNamespace(t *testing.T, archive *txtar.Archive, app *v1alpha1.Application) {
	t.Helper()
	objects := 0
	for _, f := range archive.Files {
		if path.Dir(f.Name) != app.Spec.Source.Path {
			continue
		}
		objects++
		var object metav1.PartialObjectMetadata
		if err := yaml.Unmarshal(f.Data, &object); err != nil {
			t.Fatal(err)
		}
		namespace := object.Namespace
		if object.Kind == "Namespace" {
			namespace = object.Name
		}
		if namespace != app.Spec.Destination.Namespace {
			t.Errorf("%s is in namespace %q, its Application syncs into %q", f.Name, namespace, app.Spec.Destination.Namespace)
		}
	}
	if objects == 0 {
		t.Errorf("%s syncs nothing", app.Name)
	}
}
