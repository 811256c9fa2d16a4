package bot_test

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/previews"
)

const (
	namesCorpus = "../testdata/hostile/names/names.txt"
	namesGolden = "../testdata/hostile/names/branches.golden"
)

// TestHostileBranches renders the preview of a branch of each name: the name stands, as it
// is, in one field of the record and in one annotation of the Namespace (and its label, where
// Kubernetes takes it for one), nothing else of the tree is another for it, and the comment
// and the check do not tell it. The golden file has the lines as they are written. That a title is nowhere is TestTitlesAreNotRead of webhooks.
func TestHostileBranches(t *testing.T) {
	t.Parallel()
	names := hostileNames(t)
	harmless := row(t, baseSpec)
	harmless.HeadRef = "topic"
	want := rendered(t, harmless)
	var text strings.Builder
	for _, name := range names {
		e := *harmless
		e.HeadRef = name
		got := rendered(t, &e)
		if len(got) != len(want) {
			t.Errorf("%q: %d files, not %d", name, len(got), len(want))
		}
		for path, content := range want {
			switch {
			case path == e.Ref.RecordPath():
				sameRecord(t, name, content, got[path])
			case strings.HasSuffix(path, "/namespace.yaml"):
				sameNamespace(t, name, content, got[path])
				fmt.Fprintf(&text, "%q\n", name)
				for _, line := range added(content, got[path]) {
					fmt.Fprintf(&text, "  %s\n", line)
				}
			case got[path] != content:
				t.Errorf("%q: %s:\n%s", name, path, cmp.Diff(content, got[path]))
			}
		}
		sameReports(t, name, *harmless, e)
	}
	if updating() {
		if err := os.WriteFile(namesGolden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, err := os.ReadFile(namesGolden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(known), text.String()); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites):\n%s", namesGolden, diff)
	}
	figure.Tell(t, "%d names of branches: each in one field of the record and one annotation, and nowhere else", len(names))
}

// hostileNames reads the corpus: a Go string a line.
func hostileNames(t *testing.T) []string {
	t.Helper()
	file, err := os.Open(namesCorpus)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var names []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, err := strconv.Unquote(lines.Text())
		if err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		names = append(names, name)
	}
	if len(names) < 100 {
		t.Fatalf("%d names, want at least 100", len(names))
	}
	return names
}

func sameRecord(t *testing.T, name, want, got string) {
	t.Helper()
	before, err := render.ParseRecord([]byte(want))
	if err != nil {
		t.Fatal(err)
	}
	after, err := render.ParseRecord([]byte(got))
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if diff := cmp.Diff(before, after, cmpopts.IgnoreFields(render.Record{}, "HeadRef")); diff != "" || after.HeadRef != name {
		t.Errorf("%q: the record has %q, and:\n%s", name, after.HeadRef, diff)
	}
}

func sameNamespace(t *testing.T, name, want, got string) {
	t.Helper()
	var before, after corev1.Namespace
	for content, into := range map[string]*corev1.Namespace{want: &before, got: &after} {
		if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	if said, ok := after.Annotations[gitops.KeyHeadRef]; said != name || ok != (name != "") {
		t.Errorf("%q is annotated as %q", name, said)
	}
	if said, ok := after.Labels[gitops.KeyHeadRef]; ok && (said != name || len(validation.IsValidLabelValue(said)) > 0) {
		t.Errorf("%q is labelled %q", name, said)
	}
	for _, n := range []*corev1.Namespace{&before, &after} {
		delete(n.Annotations, gitops.KeyHeadRef)
		delete(n.Labels, gitops.KeyHeadRef)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%q: the namespace:\n%s", name, diff)
	}
}

// sameReports holds what is told of the two previews to be the same.
func sameReports(t *testing.T, name string, want, got previews.Environment) {
	t.Helper()
	before, after := report.Input{Environment: want, Now: want.CreatedAt}, report.Input{Environment: got, Now: got.CreatedAt}
	if diff := cmp.Diff(report.Comment(before), report.Comment(after)); diff != "" {
		t.Errorf("%q: the comment:\n%s", name, diff)
	}
	if diff := cmp.Diff(report.CheckOf(before), report.CheckOf(after)); diff != "" {
		t.Errorf("%q: the check:\n%s", name, diff)
	}
}

// added is the lines of got that are not lines of want.
func added(want, got string) []string {
	known := map[string]bool{}
	for line := range strings.Lines(want) {
		known[line] = true
	}
	var out []string
	for line := range strings.Lines(got) {
		if !known[line] {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}
