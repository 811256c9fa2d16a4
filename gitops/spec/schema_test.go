package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	k8syaml "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the generated schema and the golden files")

func TestSchemaIsGenerated(t *testing.T) {
	t.Parallel()
	want := generateSchema(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(Schema(), want) {
		t.Error("schema.json is not what the types say: run go generate ./gitops/spec")
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	t.Parallel()
	var root any
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if got := root.(map[string]any)["$schema"]; got != "http://json-schema.org/draft-07/schema#" {
		t.Errorf("$schema is %v", got)
	}
	for _, block := range append([]any{root}, values(root.(map[string]any)["definitions"])...) {
		for key, property := range block.(map[string]any)["properties"].(map[string]any) {
			if property.(map[string]any)["description"] == nil {
				t.Errorf("key %q has no description", key)
			}
		}
	}
}

func values(m any) []any {
	var out []any
	for _, v := range m.(map[string]any) {
		out = append(out, v)
	}
	return out
}

// beyondSchema are the kinds of error that JSON Schema cannot say, or cannot say
// wholly: a file whose errors are all of these may be valid against the schema.
var beyondSchema = []ErrorKind{
	KindSyntax,      // anchors, tags, second documents: gone before a schema sees the values
	KindDuplicate,   // repeated keys likewise; names unique across a list's items
	KindNotation,    // 012 and 10 are one number to it
	KindPlaceholder, // would need look-ahead, which not all regular expressions have
	KindConflict,    // weights that rise to 100, requests against limits
	KindLimit,       // size and depth
}

// beyondFormat are the messages of the kinds format and range that need more than a pattern.
var beyondFormat = []string{
	"schedule",         // values of cron fields, dates that exist
	"glob",             // brackets and braces that close
	"image",            // the grammar of references
	"mountPath",        // clean paths
	"less than 1Mi",    // quantities compared across units
	"at least 1m",      //
	"expected at most", // durations likewise
}

func TestSchemaAgreesWithParse(t *testing.T) {
	t.Parallel()
	schema := compileSchema(t)
	for _, file := range corpus(t, "*") {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, errs := Parse(Path, data)
			var doc any
			readErr := k8syaml.Unmarshal(data, &doc)
			invalid := readErr != nil
			if readErr == nil {
				readErr = schema.Validate(doc)
				invalid = readErr != nil
			}
			switch {
			case len(errs) == 0 && invalid:
				t.Errorf("Parse takes it, the schema does not: %v", readErr)
			case slices.ContainsFunc(errs, sayable) && !invalid:
				t.Errorf("the schema takes it, Parse does not: %v", errs.Err())
			}
		})
	}
}

// sayable reports whether JSON Schema can say what an error says.
func sayable(e Error) bool {
	if slices.Contains(beyondSchema, e.Kind) {
		return e.Kind == KindConflict && (strings.Contains(e.Message, " suit") || strings.Contains(e.Message, "cannot both"))
	}
	return !slices.ContainsFunc(beyondFormat, func(part string) bool {
		return (e.Kind == KindFormat || e.Kind == KindRange) && strings.Contains(e.Message, part)
	})
}

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// corpus returns the example files of a folder of testdata.
func corpus(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in %s: %v", folder, err)
	}
	return files
}
