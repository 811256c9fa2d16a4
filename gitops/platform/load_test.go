package platform_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files and the schemas")

// TestLoad runs the folders of testdata/load: what Load makes of the files is in
// the last one, "want", which is either the platform or the errors.
func TestLoad(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d cases, %v", len(names), err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := inputs(archive)
			got, errs := platform.Load(files, class())
			text := whatLoaded(t, got, errs)
			want := archive.Files[len(archive.Files)-1]
			if *update {
				archive.Files = append(archive.Files[:len(files)], txtar.File{Name: "want", Data: []byte(text)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want.Data), text); diff != "" {
				t.Errorf("run with -update to accept (-want +got):\n%s", diff)
			}
		})
	}
}

// inputs are the files of a case, without its last one.
func inputs(archive *txtar.Archive) []gitops.File {
	var files []gitops.File
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, gitops.File{Path: f.Name, Content: f.Data})
		}
	}
	return files
}

// whatLoaded writes out a platform, its classes as they differ from the server's, or
// errors.
func whatLoaded(t *testing.T, got platform.Platform, errs spec.Errors) string {
	t.Helper()
	if err := errs.Err(); err != nil {
		if got.Classes != nil || got.Environments != nil {
			t.Errorf("with errors there is a platform: %+v", got)
		}
		return err.Error() + "\n"
	}
	base := fields(t, class())
	classes := map[string]map[string]any{}
	for name, c := range got.Classes {
		if err := c.Validate(); err != nil {
			t.Errorf("class %s was taken: %v", name, err)
		}
		differs := fields(t, c)
		for key, value := range differs {
			if cmp.Equal(value, base[key]) {
				delete(differs, key)
			}
		}
		classes[name] = differs
	}
	loaded := map[string]any{"classes": classes, "environments": got.Environments}
	if !cmp.Equal(got.Previews, platform.Access{}) {
		loaded["previews"] = got.Previews
	}
	if len(got.Charts) > 0 {
		loaded["charts"] = got.Charts
	}
	if !cmp.Equal(got.Teams, platform.Teams{}) {
		loaded["teams"] = got.Teams
	}
	out, err := json.MarshalIndent(loaded, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + "\n"
}

func fields(t *testing.T, c platform.Class) map[string]any {
	t.Helper()
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLookups(t *testing.T) {
	t.Parallel()
	p, errs := platform.Load([]gitops.File{
		{Path: "platform/environments.yaml", Content: []byte("environments:\n  staging: {class: durable}\n  qa: {}\n")},
		{Path: "platform/classes/durable.yaml", Content: []byte("domain: apps.example.com\n")},
	}, class())
	if err := errs.Err(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"qa", "staging"}, p.Names()); diff != "" {
		t.Error(diff)
	}
	for environment, zone := range map[string]string{"staging": "apps.example.com", "qa": class().Zone} {
		if c, ok := p.ClassOf(environment); !ok || c.Zone != zone {
			t.Errorf("%s has zone %q, %v: want %s", environment, c.Zone, ok, zone)
		}
	}
	if _, ok := p.ClassOf("production"); ok {
		t.Error("an environment that is not declared has a class")
	}
	if e, ok := p.Environment("qa"); !ok || e.Permission != platform.PermissionWrite || e.Logs != platform.ShowPrivate || e.Class != "preview" {
		t.Errorf("defaults of %+v", e)
	}
	if _, ok := (platform.Platform{}).Environment("qa"); ok || len(platform.Platform{}.Names()) > 0 {
		t.Error("the zero value declares something")
	}
}

// TestNamespaces: whatever a repository is called, a pattern that Load takes gives a
// valid name inside the fence with the whole hash in it.
func TestNamespaces(t *testing.T) {
	t.Parallel()
	patterns := []string{"", "idp-{hash}", "idp-{repo}-{env}-{hash}", "idp-{owner}-{repo}-{env}-{hash}", "idp-{hash}-{repo}"}
	var text strings.Builder
	text.WriteString("environments:\n")
	for i, pattern := range patterns[1:] {
		text.WriteString("  e" + string(rune('a'+i)) + ": {namespace: '" + pattern + "'}\n")
	}
	if _, errs := platform.Load([]gitops.File{{Path: platform.EnvironmentsPath, Content: []byte(text.String())}}, class()); len(errs) > 0 {
		t.Fatal(errs.Err())
	}
	rapid.Check(t, func(t *rapid.T) {
		ref := gitops.EnvironmentRef{
			RepositoryID: rapid.Int64Range(1, 1<<53).Draw(t, "id"),
			Owner:        rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,38}`).Draw(t, "owner"),
			Repo:         rapid.StringMatching(`[a-z0-9._-]{1,100}`).Draw(t, "repo"),
			ID:           rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?`).Draw(t, "environment"),
		}
		e := platform.Environment{Namespace: rapid.SampledFrom(patterns).Draw(t, "pattern")}
		name := e.NamespaceOf(ref)
		if errs := validation.IsDNS1123Label(name); len(errs) > 0 || !strings.HasPrefix(name, "idp-") || !strings.Contains(name, ref.Hash()) {
			t.Fatalf("%q gives %s for %s: %v", e.Namespace, name, ref, errs)
		}
		if other := e.NamespaceOf(ref.Of("web")); other != name {
			t.Fatalf("the service has namespace %s, its environment %s", other, name)
		}
	})
}

// FuzzLoad: no bytes make Load panic; what it takes is valid, and what it does not
// take it places in the file.
func FuzzLoad(f *testing.F) {
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range inputs(archive) {
			f.Add(file.Content, file.Content)
		}
	}
	f.Fuzz(func(t *testing.T, environments, classFile []byte) {
		got, errs := platform.Load([]gitops.File{
			{Path: platform.EnvironmentsPath, Content: environments}, {Path: platform.ClassesDir + "/durable.yaml", Content: classFile},
		}, class())
		for _, e := range errs {
			if e.Line < 1 || e.Column < 1 || e.Message == "" || e.Path == "" {
				t.Errorf("%+v stands nowhere", e)
			}
		}
		if len(errs) > 0 {
			return
		}
		for name, c := range got.Classes {
			if err := c.Validate(); err != nil {
				t.Errorf("class %s was taken: %v", name, err)
			}
		}
		for _, e := range got.Environments {
			if _, ok := got.Class(e.Class); !ok {
				t.Errorf("environment %s has no class", e.Name)
			}
		}
	})
}

// FuzzObjects: no bytes make the reader of base objects panic; what it takes has a kind of
// the list, a name and no namespace, and what it does not take it places in the file.
func FuzzObjects(f *testing.F) {
	names, err := filepath.Glob("testdata/load/objects*.txtar")
	if err != nil || len(names) == 0 {
		f.Fatal(len(names), err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range inputs(archive) {
			f.Add(file.Content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, errs := platform.Load([]gitops.File{
			{Path: platform.ObjectsDir + "/fuzzed.yaml", Content: content},
			{Path: platform.ClassesDir + "/preview.yaml", Content: []byte("objects: [{file: platform/objects/fuzzed.yaml, for: [bot, fork]}]\n")},
		}, class())
		for _, e := range errs {
			if e.Line < 1 || e.Column < 1 || e.Message == "" || e.Path == "" {
				t.Errorf("%+v stands nowhere", e)
			}
		}
		for _, entry := range got.Classes["preview"].Objects {
			if entry.Secret() {
				t.Errorf("a fork gets a secret:\n%s", content)
			}
			for _, o := range entry.Objects {
				var object struct {
					Kind     string
					Metadata struct{ Name, Namespace string }
				}
				if err := json.Unmarshal(o.Content, &object); err != nil || object.Metadata.Namespace != "" || object.Metadata.Name != o.Name || o.Name == "" || object.Kind == "Secret" {
					t.Errorf("%v: %s", err, o.Content)
				}
			}
		}
	})
}
