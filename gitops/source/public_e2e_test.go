//go:build e2e

package source

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/adopt/adopttest"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/source/publictest"
	"github.com/idp-bot/idp/gitops/spec"
)

// TestPublic renders charts and overlays that nobody here wrote, each as its own program
// does: "helm template" and "kustomize build", built from the modules that idp has.
func TestPublic(t *testing.T) {
	t.Parallel()
	tools := build(t, "tool")
	r := renderer(t)
	for _, s := range publictest.Sources() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			dir, err := s.Fetch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			files, err := s.Files(dir)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Render(t.Context(), Request{Source: s.Source, Release: "shop", Namespace: environment, Files: files})
			if s.Refused != "" {
				if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), s.Refused) {
					t.Errorf("expected it to be refused with %q: %v", s.Refused, err)
				}
				if _, err := itself(t.Context(), s, tools, dir); err == nil && !s.Alone {
					t.Errorf("%s renders it", s.Kind)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want, err := itself(t.Context(), s, tools, dir)
			if err != nil {
				t.Fatal(err)
			}
			theirs := documents(want)
			if s.Kind == spec.Helm {
				theirs = split(want)
			}
			expected := objects(t, s, theirs)
			if len(expected) == 0 {
				t.Fatalf("%s renders nothing", s.Kind)
			}
			// Helm sorts by what depends on what, which nothing here needs: in any order.
			if diff := cmp.Diff(expected, objects(t, s, got.Documents)); diff != "" {
				t.Errorf("%s and idp render otherwise (-%s +idp):\n%s", s.Kind, s.Kind, diff)
			}
			letThrough(t, got.Documents)
		})
	}
}

// TestHelmItself holds what testdata/charts say to Helm's own program.
func TestHelmItself(t *testing.T) {
	t.Parallel()
	tools := build(t, "helm.sh/helm/v3/cmd/helm")
	for _, c := range chartsOfOurs(t) {
		if c.alone {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := secrettest.Dir(t)
			for file, content := range c.files {
				at := filepath.Join(dir, filepath.FromSlash(file))
				if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := publictest.Source{Source: spec.Source{Kind: spec.Helm, Path: "chart"}}
			got, err := itself(t.Context(), s, tools, dir)
			if c.refused != "" {
				if err == nil {
					t.Errorf("Helm renders it:\n%s", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(objects(t, s, documents(c.want)), objects(t, s, split(got))); diff != "" {
				t.Errorf("Helm renders otherwise (-want +Helm):\n%s", diff)
			}
		})
	}
}

// build builds programs of testdata/charts' module, and returns the folder that they are in.
// They are not searched for secrets: Helm's holds the words that private keys begin with.
func build(t *testing.T, programs string) string {
	t.Helper()
	dir := secrettest.Given(secrettest.Dir(t))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-C", "../../testdata/charts", "-o", dir, programs)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// letThrough says what becomes of a source as a preview; nothing of it may stop the rest.
func letThrough(t *testing.T, documents []string) {
	t.Helper()
	raw := make([][]byte, len(documents))
	for i, d := range documents {
		raw[i] = []byte(d)
	}
	class := platform.Default()
	class.Gate = &platform.Gate{Public: true} // so that routes come through
	adopted, err := adopt.Objects(raw, adopt.Input{Environment: environment, Namespace: environment, Class: class})
	if err != nil {
		t.Fatal(err)
	}
	untold, err := adopttest.Untold(raw, adopted)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range untold {
		t.Errorf("not told: %s", one)
	}
	t.Logf("%d documents, %d objects let through, %d notes", len(documents), len(adopted.Objects), len(adopted.Notes))
}

// itself is what a source's own program renders it to.
func itself(ctx context.Context, s publictest.Source, tools, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(tools, "kustomize"), "build", filepath.Join(dir, s.Path))
	if s.Kind == spec.Helm {
		args := []string{"template", "shop", filepath.Join(dir, s.Path), "--namespace", environment, "--include-crds", "--kube-version", KubernetesVersion}
		for _, file := range s.ValuesFiles {
			args = append(args, "--values", filepath.Join(dir, file))
		}
		for _, v := range s.Values {
			args = append(args, "--set", v.Key+"="+v.Text)
		}
		cmd = exec.CommandContext(ctx, filepath.Join(tools, "helm"), args...)
	}
	out, err := cmd.Output()
	return string(out), err
}

// objects are the documents that are any, by what they are. A second one of a name counts
// apart.
func objects(t *testing.T, s publictest.Source, documents []string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, d := range documents {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(d), &object); err != nil {
			t.Fatalf("%v in\n%.2000s", err, d)
		}
		if object == nil {
			continue
		}
		if s.Chance {
			hide(object)
		}
		metadata, _ := object["metadata"].(map[string]any)
		key := fmt.Sprintf("%v %v %v/%v", object["apiVersion"], object["kind"], metadata["namespace"], metadata["name"])
		for out[key] != nil {
			key += " again"
		}
		out[key] = object
	}
	return out
}

// randomName is the name of a chart's test, which ends in characters of chance.
var randomName = regexp.MustCompile(`(-test-)[a-z0-9]{5}$`)

// hide takes what is of chance out of an object: what secrets hold, certificates, hashes of
// both, labels that have pods start anew, and the ends of names of tests.
func hide(object map[string]any) {
	if object["kind"] == "Secret" {
		for _, field := range []string{"data", "stringData"} {
			values, _ := object[field].(map[string]any)
			for key := range values {
				values[key] = "by chance"
			}
		}
	}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, one := range value {
				walk(one)
			}
		case map[string]any:
			for key, one := range value {
				text, _ := one.(string)
				switch {
				case key == "caBundle" || strings.HasPrefix(key, "checksum/") || key == "rollme" || key == "helm-rollout-restarter":
					value[key] = "by chance"
				case key == "name":
					value[key] = randomName.ReplaceAllString(text, "$1")
				}
				walk(one)
			}
		}
	}
	walk(object)
}
