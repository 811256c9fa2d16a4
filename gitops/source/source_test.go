package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/source/hostiletest"
	"github.com/idp-bot/idp/gitops/spec"
)

// tries is the command of a child that confines itself and then tries to get out.
const tries = "try-to-get-out"

// TestMain makes of the test's own binary the child that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Command {
		os.Exit(Child(os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) == 3 && os.Args[1] == tries {
		tryToGetOut(os.Args[2])
		return
	}
	os.Exit(secrettest.Main(m))
}

func renderer(t *testing.T) *Renderer {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, missing, err := New(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("missing here: %q", missing)
	return r
}

// tryToGetOut prints what came of each attempt, in the words of the system.
func tryToGetOut(file string) {
	missing := confine()
	_, read := os.ReadFile(file)
	write := os.WriteFile(filepath.Join(filepath.Dir(file), "written"), []byte("x"), 0o600)
	_, dial := net.Dial("tcp", "127.0.0.1:1")
	_, listen := net.ListenPacket("udp", "127.0.0.1:0")
	run := exec.Command("/bin/true").Run()
	for name, err := range map[string]error{"read": read, "write": write, "dial": dial, "listen": listen, "run": run} {
		fmt.Printf("%s: allowed=%v %v\n", name, !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.EACCES), err)
	}
	fmt.Printf("missing: %q\n", missing)
}

// TestNothingGetsOut runs a child that tries, with whatever this kernel has against it.
func TestNothingGetsOut(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(secrettest.Dir(t), "secret")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), binary, tries, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	held := []string{"dial", "listen", "run"}
	if !strings.Contains(string(out), `"landlock"`) {
		held = append(held, "read", "write")
	}
	for _, one := range held {
		if !strings.Contains(string(out), one+": allowed=false") {
			t.Errorf("%s is not refused:\n%s", one, out)
		}
	}
}

const environment = "idp-shop-pr-7-0123456789"

// TestHostile renders what means harm: what comes of it has nothing of it, and it is said
// why.
func TestHostile(t *testing.T) {
	t.Parallel()
	sources, err := hostiletest.Sources("testdata/hostile")
	if err != nil || len(sources) < 30 {
		t.Fatalf("%d hostile sources, %v", len(sources), err)
	}
	figure.Tell(t, "%d hostile charts, overlays and manifests: none did anything, each was told why", len(sources))
	r := renderer(t)
	for _, s := range sources {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			said, objects := outcome(t, r, Request{Source: s.Source, Release: "shop", Namespace: environment, Files: s.Files})
			if !strings.Contains(said, s.Says) {
				t.Errorf("it is not said that %q:\n%s", s.Says, said)
			}
			if strings.Contains(objects, "STOLEN") {
				t.Errorf("it came through:\n%s", objects)
			}
		})
	}
}

// outcome is what is said of a source, and what of it would be committed.
func outcome(t *testing.T, r *Renderer, req Request) (said, objects string) {
	t.Helper()
	got, err := r.Render(t.Context(), req)
	if err != nil {
		if fault.CodeOf(err) != fault.Invalid {
			t.Fatalf("it is nobody's fault: %v", err)
		}
		return err.Error(), ""
	}
	var documents [][]byte
	for _, d := range got.Documents {
		documents = append(documents, []byte(d))
	}
	class := platform.Default()
	class.Gate = &platform.Gate{Public: true} // so that routes come through
	adopted, err := adopt.Objects(documents, adopt.Input{Environment: environment, Namespace: environment, Class: class})
	if err != nil {
		return strings.Join(append(got.Notes, err.Error()), "\n"), ""
	}
	for _, n := range adopted.Notes {
		got.Notes = append(got.Notes, n.String())
	}
	for _, o := range adopted.Objects {
		objects += "---\n" + string(o.Content)
	}
	return strings.Join(got.Notes, "\n"), objects
}

// TestRender renders one of each kind.
func TestRender(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	chart := map[string][]byte{
		"deploy/Chart.yaml":                        []byte("apiVersion: v2\nname: shop\nversion: 1.0.0\ndependencies: [{name: store, version: 1.0.0, condition: store.enabled}]\n"),
		"deploy/values.yaml":                       []byte("greeting: hello\nsize: 1\n"),
		"deploy/charts/store/Chart.yaml":           []byte("apiVersion: v2\nname: store\nversion: 1.0.0\n"),
		"deploy/charts/store/templates/store.yaml": []byte("store: {{ .Release.Name }}\n"),
		"deploy/templates/NOTES.txt":               []byte("notes"),
		"deploy/templates/_helpers.tpl":            []byte(`{{ define "name" }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}`),
		"deploy/templates/a.yaml":                  []byte("name: {{ include \"name\" . }}\n---\n{{- if semverCompare \">=1.25-0\" .Capabilities.KubeVersion.Version }}says: {{ .Values.greeting }} {{ .Values.size }} {{ .Values.on }} {{ kindOf .Values.on }}{{ end }}\n"),
		"preview.yaml":                             []byte("greeting: of a file\nsize: 2\n"),
	}
	overlay := map[string][]byte{
		"base/kustomization.yaml":    []byte("resources: [x.yaml]\n"),
		"base/x.yaml":                []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n"),
		"overlay/kustomization.yaml": []byte("resources: [../base]\nnamePrefix: pre-\ntransformers: [labels.yaml]\n"),
		"overlay/labels.yaml":        []byte("apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: l}\nlabels: {env: dev}\nfieldSpecs: [{path: metadata/labels, create: true}]\n"),
		"overlay/a screenshot+.png":  []byte("nobody asks for it"),
	}
	for name, c := range map[string]struct {
		source spec.Source
		files  map[string][]byte
		want   []string
	}{
		"helm": {
			spec.Source{Kind: spec.Helm, Path: "deploy", ValuesFiles: []string{"preview.yaml"}, Values: []spec.Value{{Key: "on", Text: "true"}, {Key: "size", Text: "3"}, {Key: "store.enabled", Text: "false"}}},
			chart, []string{"name: rel-shop", "says: of a file 3 true bool"},
		},
		"helm with a dependency": {
			spec.Source{Kind: spec.Helm, Path: "deploy"}, chart, []string{"store: rel", "name: rel-shop", "says: hello 1  invalid"},
		},
		"kustomize": {
			spec.Source{Kind: spec.Kustomize, Path: "overlay"}, overlay,
			[]string{"apiVersion: v1\ndata:\n  a: b\nkind: ConfigMap\nmetadata:\n  labels:\n    env: dev\n  name: pre-x"},
		},
		"manifests": {spec.Source{Kind: spec.Manifests}, map[string][]byte{"b.yml": []byte("b: 1\n"), "a/a.yaml": []byte("---\na: 1\n--- # more\na: 2\n"), "c.txt": []byte("no")}, []string{"a: 1", "# more\na: 2", "b: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := r.Render(t.Context(), Request{Source: c.source, Release: "rel", Namespace: "ns", Files: c.files})
			if err != nil {
				t.Fatal(err)
			}
			for i := range got.Documents {
				got.Documents[i] = strings.TrimSpace(got.Documents[i])
			}
			if !slices.Equal(got.Documents, c.want) {
				t.Errorf("got  %q\nwant %q", got.Documents, c.want)
			}
		})
	}
}

// TestMistakes are of people who mean no harm.
func TestMistakes(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	chart := map[string][]byte{
		"c/Chart.yaml": []byte("apiVersion: v2\nname: c\nversion: 1.0.0\n"), "c/templates/a.yaml": []byte("{{ fail \"no database\" }}\n"),
		"new/Chart.yaml":       []byte("apiVersion: v2\nname: new\nversion: 1.0.0\nkubeVersion: '>= 1.99'\n"),
		"o/kustomization.yaml": []byte("resources: ['my file.yaml']\n"),
		"o/my file.yaml":       []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"),
	}
	for name, c := range map[string]struct {
		source spec.Source
		want   string
	}{
		"no chart":       {spec.Source{Kind: spec.Helm, Path: "d"}, "no Chart.yaml in d"},
		"no values":      {spec.Source{Kind: spec.Helm, Path: "c", ValuesFiles: []string{"v.yaml"}}, "no values file v.yaml"},
		"a chart's word": {spec.Source{Kind: spec.Helm, Path: "c"}, "no database"},
		"no overlay":     {spec.Source{Kind: spec.Kustomize, Path: "c"}, "no kustomization.yaml in c"},
		"no manifests":   {spec.Source{Kind: spec.Manifests, Path: "c/x"}, "no manifest below c/x"},
		"a newer chart":  {spec.Source{Kind: spec.Helm, Path: "new"}, "the chart is for Kubernetes >= 1.99, and rendered for v1.34.0"},
		"a space":        {spec.Source{Kind: spec.Kustomize, Path: "o"}, "files such as o/my file.yaml are not there for Kustomize"},
		"a value in two": {spec.Source{Kind: spec.Helm, Path: "c", Values: []spec.Value{{Key: "a", Text: "1"}, {Key: "a.b", Text: "2"}}}, "a is no table"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.Render(t.Context(), Request{Source: c.source, Files: chart})
			if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestStopped ends with its caller, and that is no fault of the source.
func TestStopped(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Render(ctx, Request{Source: spec.Source{Kind: spec.Manifests}}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, err := New(t.Context(), "/nonexistent"); err == nil {
		t.Error("a child that does not start is taken for one")
	}
}

// TestWithoutNamespaces renders where the kernel gives a child none of its own.
func TestWithoutNamespaces(t *testing.T) {
	t.Parallel()
	r := renderer(t)
	r.apart = false
	req := Request{Source: spec.Source{Kind: spec.Manifests}, Files: map[string][]byte{"a.yaml": []byte("a: 1\n")}}
	if got, err := r.Render(t.Context(), req); err != nil || !slices.Equal(got.Documents, []string{"a: 1\n"}) {
		t.Errorf("got %q, %v", got.Documents, err)
	}
	r.limit = time.Nanosecond
	if _, err := r.Render(t.Context(), req); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "takes longer than 1ns") {
		t.Errorf("out of time: %v", err)
	}
}
