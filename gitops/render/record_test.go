package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
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
	in := staging(t)
	in.Ref.Service = "web"
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

// FuzzRecordText: text that people choose comes back as it was.
func FuzzRecordText(f *testing.F) {
	f.Add("feature/x", "octocat", "service:\n  name: web\n")
	f.Add("{{ .name }}", "renovate[bot]", "\t- \"'\r\n\r\x00\u0085\u2028\ufeff---\n...\n")
	f.Fuzz(func(t *testing.T, ref, author, raw string) {
		in := web(t)
		in.HeadRef, in.Author, in.SpecRaw = ref, author, []byte(raw)
		files, err := Environment(in)
		if err != nil {
			return // not UTF-8
		}
		r, err := ParseRecord([]byte(byName(in.Ref, files)["environment.yaml"]))
		if err != nil {
			t.Fatal(err)
		}
		// What is no UTF-8 is no text: each such byte comes back as U+FFFD, as in GitHub's JSON.
		ref, author = string([]rune(ref)), string([]rune(author))
		if r.HeadRef != ref || r.Author != author || r.Spec != raw {
			t.Fatalf("%q %q %q came back as %q %q %q", ref, author, raw, r.HeadRef, r.Author, r.Spec)
		}
	})
}
