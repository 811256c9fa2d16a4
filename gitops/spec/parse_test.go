package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	k8syaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/figure"
)

func TestParseValid(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "valid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got, errs := Parse(Path, read(t, file))
			if err := errs.Err(); err != nil {
				t.Fatal(err)
			}
			out, err := json.MarshalIndent(got, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".json", append(out, '\n'))
		})
	}
}

func TestParseInvalid(t *testing.T) {
	t.Parallel()
	files := corpus(t, "invalid")
	if len(files) < 50 {
		t.Fatalf("%d documents, want at least 50", len(files))
	}
	figure.Tell(t, "%d hostile or mistaken documents: each refused with its reason", len(files))
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got, errs := Parse(Path, read(t, file))
			if got != nil || errs.Err() == nil {
				t.Fatal("no errors")
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", []byte(errs.Err().Error()+"\n"))
		})
	}
}

// Kubernetes and Argo CD must read what Parse read: no value may mean two things.
func TestKubernetesReadsTheSameValues(t *testing.T) {
	t.Parallel()
	for _, file := range corpus(t, "valid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			sameValues(t, read(t, file))
		})
	}
}

func sameValues(t *testing.T, data []byte) {
	t.Helper()
	var ours yaml.Node
	if err := yaml.Load(data, &ours); err != nil {
		t.Fatal(err)
	}
	asJSON, err := k8syaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	var theirs any
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	if err := decoder.Decode(&theirs); err != nil {
		t.Fatal(err)
	}
	same(t, "", ours.Content[0], theirs)
}

func same(t *testing.T, field string, ours *yaml.Node, theirs any) {
	t.Helper()
	switch theirs := theirs.(type) {
	case map[string]any:
		if len(ours.Content) != 2*len(theirs) {
			t.Errorf("%s: %d entries here, %d there", field, len(ours.Content)/2, len(theirs))
		}
		for i := 0; i+1 < len(ours.Content); i += 2 {
			same(t, join(field, ours.Content[i].Value), ours.Content[i+1], theirs[ours.Content[i].Value])
		}
	case []any:
		for i := range theirs {
			same(t, indexed(field, i), ours.Content[i], theirs[i])
		}
	case string:
		if ours.Value != theirs {
			t.Errorf("%s: %q here, %q there", field, ours.Value, theirs)
		}
	default:
		if text, _ := json.Marshal(theirs); !strings.EqualFold(string(text), ours.Value) {
			t.Errorf("%s: %s here, %s there", field, ours.Value, text)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	fits := "service:\n  name: api\n#" + strings.Repeat("x", maxSize)
	if _, errs := Parse(Path, []byte(fits[:maxSize])); errs.Err() != nil {
		t.Error(errs.Err())
	}
	_, errs := Parse(Path, []byte(fits[:maxSize+1]))
	if len(errs) != 1 || errs[0].Kind != KindLimit || errs[0].Line != 1 {
		t.Errorf("got %v", errs)
	}
}

func TestParseLimitsServices(t *testing.T) {
	t.Parallel()
	_, errs := Parse(Path, []byte("services: ["+strings.Repeat("{name: a},", 51)+"]"))
	if len(errs) != 1 || errs[0].Kind != KindLimit {
		t.Errorf("got %v", errs)
	}
}

// Files made to be slow or to fill the database: the first took 11 s, as each error
// read its line anew.
func TestParseBoundsHostileFiles(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"placeholders": `service: {name: a, env: {A: "` + strings.Repeat("{x}", 20000) + `"}}`,
		"args":         "service: {name: a, args: [" + strings.Repeat("y,", 32000) + "]}",
		"repeated":     "service:\n" + strings.Repeat("  aaaaaaaaaaa:\n", 4000),
		"flow":         strings.Repeat("[", 65000),
		"controls":     strings.Repeat("\x01\n", 32000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, errs := Parse(Path, []byte(data))
			if got != nil || len(errs) == 0 || len(errs) > maxErrors+1 {
				t.Errorf("%d errors", len(errs))
			}
			wellPlaced(t, []byte(data), errs)
		})
	}
}

func TestErrorsAreNoTypedNil(t *testing.T) {
	t.Parallel()
	_, errs := Parse(Path, []byte("service: {name: api}"))
	if err := errs.Err(); err != nil {
		t.Errorf("Err of no errors is %v", err)
	}
}

func TestErrorsAsJSON(t *testing.T) {
	t.Parallel()
	_, errs := Parse("x.yaml", []byte("service:\n  name: api\n  taem: a\n"))
	got, err := json.Marshal(errs)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"path":"x.yaml","line":3,"column":3,"endLine":3,"kind":"unknown-key","field":"service.taem",` +
		`"message":"unknown key \"taem\" in service: did you mean \"team\"?","suggestion":"team"}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, errs := Parse(Path, data)
		if (got == nil) == (len(errs) == 0) {
			t.Fatalf("spec %v with errors %v", got, errs)
		}
		if got == nil {
			wellPlaced(t, data, errs)
			return
		}
		again, errs := Parse(Path, data)
		first, _ := json.Marshal(got)
		second, _ := json.Marshal(again)
		if len(errs) > 0 || !bytes.Equal(first, second) {
			t.Fatalf("not the same twice: %s, %s, %v", first, second, errs)
		}
		sameValues(t, data)
		var doc any
		if err := k8syaml.Unmarshal(data, &doc); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Fatalf("Parse takes it, the schema does not: %v", err)
		}
	})
}

// wellPlaced holds errors to positions that exist, in order.
func wellPlaced(t *testing.T, data []byte, errs Errors) {
	t.Helper()
	lines := splitLines(string(data))
	if !slices.IsSortedFunc(errs, func(a, b Error) int {
		return slices.Compare([]int{a.Line, a.Column}, []int{b.Line, b.Column})
	}) {
		t.Errorf("not sorted: %v", errs)
	}
	for _, e := range errs {
		if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.EndLine < e.Line || e.EndLine > len(lines) {
			t.Errorf("%v, to line %d, is outside the %d lines", e, e.EndLine, len(lines))
			continue
		}
		if width := len([]rune(lines[e.Line-1])); e.Column > width+1 {
			t.Errorf("%v is right of its line's %d characters", e, width)
		}
		if e.Message == "" || strings.ContainsAny(e.Message, "\n\r") {
			t.Errorf("message %q is not one line", e.Message)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, file); !bytes.Equal(got, want) {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", file, got, want)
	}
}

// TestLimits holds the numbers that errors name to the limits that are kept.
func TestLimits(t *testing.T) {
	t.Parallel()
	var keys strings.Builder
	for i := range maxErrors + 100 {
		fmt.Fprintf(&keys, "x%d: 1\n", i)
	}
	for name, c := range map[string]struct {
		file  string
		count int
		last  string
	}{
		"deeper than the reader goes": {"a: " + strings.Repeat("[", 20000), 1, "nested too deep: expected at most 20 levels"},
		"larger than is read":         {strings.Repeat("#", maxSize+1), 1, "the file is too large: expected at most 65536 bytes (64 KiB)"},
		"as large as may be":          {"service: {name: a}\n" + strings.Repeat("#", maxSize-19), 0, ""},
		"more errors than are kept":   {"service: {name: a}\n" + keys.String(), maxErrors + 100, "100 more errors from here on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, errs := Parse(Path, []byte(c.file))
			if errs.Count() != c.count {
				t.Fatalf("%d errors, want %d: %v", errs.Count(), c.count, errs.Err())
			}
			if c.count > 0 && errs[len(errs)-1].Message != c.last {
				t.Errorf("ends with %q, want %q", errs[len(errs)-1].Message, c.last)
			}
		})
	}
}
