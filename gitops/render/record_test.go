package render

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
)

func TestParseRecordRefuses(t *testing.T) {
	t.Parallel()
	record := mustRender(t, web(t))["environment.yaml"]
	if _, err := ParseRecord([]byte(record)); err != nil {
		t.Fatal(err)
	}
	for name, replace := range map[string][2]string{
		"another version":       {"idp.dev/v1", "idp.dev/v2"},
		"another kind":          {"kind: Environment", "kind: Namespace"},
		"an unknown key":        {"id: pr-42", "id: pr-42\nextra: 1"},
		"a repeated key":        {"id: pr-42", "id: pr-42\nid: pr-42"},
		"another's namespace":   {"namespace: idp-", "namespace: kube-"},
		"another's application": {"application: idp-", "application: "},
		"a parent folder":       {"owner: acme", "owner: .."},
		"a short sha":           {testSHA + "\nspec", "a1b2c3d\nspec"},
		"another repository":    {"repositoryID: 4242", "repositoryID: 4243"},
		"a wrong type":          {"generation: 3", "generation: many"},
		"no image":              {"web: ghcr.io", "web: '' # "},
	} {
		broken := strings.Replace(record, replace[0], replace[1], 1)
		if broken == record {
			t.Fatalf("%s: nothing to replace", name)
		}
		if got, err := ParseRecord([]byte(broken)); err == nil {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
	built := web(t)
	built.ImagesOf = map[string]string{"web": "main@" + testSHA}
	record = mustRender(t, built)["environment.yaml"]
	if r, err := ParseRecord([]byte(record)); err != nil || r.ImagesOf["web"] != "main@"+testSHA {
		t.Fatalf("%+v (%v)", r, err)
	}
	for name, replace := range map[string][2]string{
		"an image of no commit":     {"web: main@" + testSHA, "web: main@HEAD"},
		"an image of a bare commit": {"web: main@" + testSHA, "web: " + testSHA},
		"a commit of no image":      {"web: main@", "jobs: main@"},
	} {
		broken := strings.Replace(record, replace[0], replace[1], 1)
		if got, err := ParseRecord([]byte(broken)); err == nil || broken == record {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
	in := staging(t)
	in.Ref.Service = "web"
	in.Source = &RecordedSource{Commit: testSHA, Branch: "main", From: []spec.SourceOf{{Service: "web", Source: spec.Source{Kind: spec.Helm, Path: "chart", ValuesFiles: []string{"values.yaml"}}}}, Pins: map[string]string{"redis:7": "sha256:" + strings.Repeat("0", 64)}}
	record = mustRender(t, in)["environment.yaml"]
	if r, err := ParseRecord([]byte(record)); err != nil || !reflect.DeepEqual(r.Source, in.Source) {
		t.Fatalf("%+v (%v)", r, err)
	}
	for name, replace := range map[string][2]string{
		"a source of no commit":       {"  commit: " + testSHA + "\n", ""},
		"a source at a short commit":  {"  commit: " + testSHA, "  commit: a1b2c3d"},
		"a source of no kind":         {"kind: helm", "kind: jsonnet"},
		"a source outside":            {"path: chart", "path: ../chart"},
		"values from outside":         {"- values.yaml", "- ../values.yaml"},
		"a digest of another length":  {"redis:7: sha256:0", "redis:7: sha256:"},
		"an unknown key of a source":  {"    path: chart", "    path: chart\n    repo: x"},
		"a source of what is shared":  {"service: web\nsha", "sha"},
		"a commit and nothing of it":  {"  from:\n  - kind: helm\n    path: chart\n    service: web\n    valuesFiles:\n    - values.yaml\n", ""},
		"a wrong type where it is of": {"  from:\n  - kind", "  from: 7 # kind"},
	} {
		broken := strings.Replace(record, replace[0], replace[1], 1)
		if got, err := ParseRecord([]byte(broken)); err == nil || broken == record {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
	in.Source = nil
	record = mustRender(t, in)["environment.yaml"]
	for name, replace := range map[string][2]string{
		"a service of no environment": {"environment: staging\n", ""},
		"another environment":         {"environment: staging", "environment: production"},
		"another service":             {"service: web\n", "service: jobs\n"},
		"a service with a dot":        {"service: web\n", "service: we.b\n"},
		"a service without a commit":  {"sha: " + testSHA + "\n", ""},
		"a namespace of others":       {"namespace: idp-", "namespace: kube-"},
		"a namespace without hash":    {"namespace: " + in.Ref.Namespace(), "namespace: idp-x"},
	} {
		broken := strings.Replace(record, replace[0], replace[1], 1)
		if broken == record {
			t.Fatalf("%s: nothing to replace", name)
		}
		if got, err := ParseRecord([]byte(broken)); err == nil {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
	if _, err := ParseRecord([]byte(strings.Repeat("#", maxRecord+1))); err == nil {
		t.Error("a record without end is read")
	}
}

// TestParseRecordCharts holds the charts of a record to what can have been used.
func TestParseRecordCharts(t *testing.T) {
	t.Parallel()
	charted := web(t)
	charted.Charts = &platform.UsedCharts{At: testSHA, Digests: map[string]string{"web": "h1:" + strings.Repeat("A", 43) + "="}}
	record := mustRender(t, charted)["environment.yaml"]
	if r, err := ParseRecord([]byte(record)); err != nil || !cmp.Equal(r.Charts, charted.Charts) {
		t.Fatalf("%+v (%v)", r, err)
	}
	for name, replace := range map[string][2]string{
		"a chart without a digest": {"web: h1:", "web: "},
		"a chart of no name":       {"web: h1:", "../web: h1:"},
		"charts of a short commit": {"at: " + testSHA, "at: " + testSHA[:7]},
		"no chart":                 {"digests:\n    web: ", "digests: {}\n  #    web: "},
	} {
		broken := strings.Replace(record, replace[0], replace[1], 1)
		if got, err := ParseRecord([]byte(broken)); err == nil || broken == record {
			t.Errorf("%s is taken: %+v", name, got)
		}
	}
}

// FuzzParseRecord: no bytes make the parser panic, and what it takes is written
// and read again as the same record.
func FuzzParseRecord(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range txtar.Parse(data).Files {
			if strings.HasSuffix(part.Name, "/environment.yaml") {
				f.Add(part.Data)
			}
		}
	}
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := ParseRecord(content)
		if err != nil {
			return
		}
		written, err := Marshal(r)
		if err != nil {
			t.Fatalf("write %+v: %v", r, err)
		}
		back, err := ParseRecord(written)
		if err != nil {
			t.Fatalf("read again: %v\n%s", err, written)
		}
		if diff := cmp.Diff(r, back); diff != "" {
			t.Fatalf("read back differently:\n%s", diff)
		}
	})
}

// FuzzRecordText: text that people choose comes back as it was, and changes nothing but the
// scalars that it is meant for: three of the record, and two of what the Namespace says.
func FuzzRecordText(f *testing.F) {
	f.Add("feature/x", "octocat", "service:\n  name: web\n")
	f.Add("{{ .name }}", "renovate[bot]", "\t- \"'\r\n\r\x00\u0085\u2028\ufeff---\n...\n")
	f.Add("x\n---\nkind: ClusterRole", "a\": {b}", "${x}\n")
	f.Add("", "", "")
	want := mustRender(f, web(f))
	f.Fuzz(func(t *testing.T, ref, author, raw string) {
		in := web(t)
		in.HeadRef, in.Author, in.SpecRaw = ref, author, []byte(raw)
		files, err := Environment(in)
		if err != nil {
			return // not UTF-8
		}
		// What is no UTF-8 is no text: each such byte comes back as U+FFFD, as in GitHub's JSON.
		ref, author = string([]rune(ref)), string([]rune(author))
		got := byName(in.Ref, files)
		if len(got) != len(want) {
			t.Fatalf("%d files, not %d", len(got), len(want))
		}
		for name, content := range want {
			switch name {
			case "environment.yaml":
				onlyTexts(t, content, got[name], ref, author, raw)
			case "manifests/namespace.yaml":
				onlyFacts(t, content, got[name], map[string]string{gitops.KeyHeadRef: ref, gitops.KeyOwner: author})
			default:
				if got[name] != content {
					t.Fatalf("%q %q %q change %s:\n%s", ref, author, raw, name, cmp.Diff(content, got[name]))
				}
			}
		}
	})
}

// onlyTexts holds that the record is a harmless one but for the three texts.
func onlyTexts(t *testing.T, harmless, got, ref, author, raw string) {
	t.Helper()
	want, err := ParseRecord([]byte(harmless))
	if err != nil {
		t.Fatal(err)
	}
	want.HeadRef, want.Author, want.Spec = ref, author, raw
	r, err := ParseRecord([]byte(got))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Fatalf("the record (-want +got):\n%s", diff)
	}
}

// onlyFacts holds that the Namespace is a harmless one but for the facts: annotations, and
// labels where Kubernetes takes them for some.
func onlyFacts(t *testing.T, harmless, got string, facts map[string]string) {
	t.Helper()
	var want, n corev1.Namespace
	for content, into := range map[string]*corev1.Namespace{harmless: &want, got: &n} {
		if err := yaml.UnmarshalStrict([]byte(content), into); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range facts {
		delete(want.Annotations, key)
		delete(want.Labels, key)
		if value == "" {
			continue
		}
		want.Annotations[key] = value
		if len(validation.IsValidLabelValue(value)) == 0 {
			want.Labels[key] = value
		}
	}
	if diff := cmp.Diff(want, n); diff != "" {
		t.Fatalf("the Namespace (-want +got):\n%s", diff)
	}
}
