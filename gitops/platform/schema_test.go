package platform

import (
	"bytes"
	"flag"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/gitops/spec/schemagen"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	k8syaml "sigs.k8s.io/yaml"

	invopop "github.com/invopop/jsonschema"
)

func TestSchemasAreGenerated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, title string
		root        any
		rules       func(*invopop.Schema)
		got         []byte
	}{
		{"environments.schema.json", EnvironmentsPath, environmentsFile{}, environmentNames, EnvironmentsSchema()},
		{"class.schema.json", ClassesDir + "/*.yaml", classFile{}, orPublic, ClassSchema()},
		{"teams.schema.json", TeamsPath, teamsFile{}, teamNames, TeamsSchema()},
		{"charts.schema.json", ChartsPath, chartsFile{}, chartNames, ChartsSchema()},
	} {
		want, err := schemagen.Generate("files.go", test.title, test.root, test.rules)
		if err != nil {
			t.Fatal(err)
		}
		if flag.Lookup("update").Value.String() == "true" {
			if err := os.WriteFile(test.file, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(test.got, want) {
			t.Errorf("%s is not what the types say: run go generate ./gitops/platform", test.file)
		}
	}
}

// environmentNames are the names that spec.CheckEnvironment takes.
func environmentNames(s *invopop.Schema) {
	environments, _ := s.Properties.Get("environments")
	environments.PropertyNames = &invopop.Schema{Pattern: `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, MaxLength: new(uint64(40)),
		Not: &invopop.Schema{Pattern: `^(preview|pr-[0-9]+)$`}}
}

// orPublic lets the word stand in the place of the block, and bounds its annotations.
func orPublic(s *invopop.Schema) {
	access, _ := s.Properties.Get("access")
	access.OneOf, access.Ref, access.Enum = []*invopop.Schema{{Enum: []any{public}}, {Ref: access.Ref}}, "", nil
	s.Definitions["access"].MinProperties = new(uint64(1))
	annotations, _ := s.Definitions["access"].Properties.Get("annotations")
	annotations.MaxProperties = new(uint64(maxAnnotations))
}

// teamNames are the names that a deploy.yaml may give as its team.
func teamNames(s *invopop.Schema) {
	teams, _ := s.Properties.Get("teams")
	teams.PropertyNames = &invopop.Schema{Pattern: teamName.String(), MaxLength: new(uint64(maxTeamName))}
}

// chartNames are the names that a deploy.yaml may give as its chart, each of which is pinned.
func chartNames(s *invopop.Schema) {
	charts, _ := s.Properties.Get("charts")
	charts.PropertyNames = &invopop.Schema{Pattern: spec.ChartName, MaxLength: new(uint64(spec.MaxChartName))}
	s.Definitions["chart"].Required = []string{"digest"}
	path, _ := s.Definitions["chart"].Properties.Get("path")
	path.Pattern = chartPathPattern
}

// TestSchemasAgreeWithLoad: what Load takes is valid against the schemas, and what it
// does not take for a reason that a schema can say is not.
func TestSchemasAgreeWithLoad(t *testing.T) {
	t.Parallel()
	schemas := map[string]*jsonschema.Schema{EnvironmentsPath: compile(t, EnvironmentsSchema()), ClassesDir: compile(t, ClassSchema()), TeamsPath: compile(t, TeamsSchema()), ChartsPath: compile(t, ChartsSchema())}
	sayable := []spec.ErrorKind{spec.KindUnknownKey, spec.KindMissing, spec.KindType, spec.KindChoice}
	names, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("%d cases, %v", len(names), err)
	}
	base := Default()
	base.RepoURL = "https://git.example.com/acme/gitops.git"
	checked := 0
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			schema := schemas[f.Name]
			if path.Dir(f.Name) == ClassesDir {
				schema = schemas[ClassesDir]
			}
			if schema == nil || len(bytes.TrimSpace(f.Data)) == 0 || !strings.HasSuffix(f.Name, ".yaml") {
				continue
			}
			checked++
			_, errs := Load([]gitops.File{{Path: f.Name, Content: f.Data}}, base)
			var doc any
			readErr := k8syaml.Unmarshal(f.Data, &doc)
			if readErr == nil && doc != nil {
				readErr = schema.Validate(doc)
			}
			said := slices.ContainsFunc(errs, func(e spec.Error) bool {
				return slices.Contains(sayable, e.Kind) && !strings.Contains(e.Message, "there is no class")
			})
			switch {
			case len(errs) == 0 && readErr != nil:
				t.Errorf("%s of %s: Load takes it, the schema does not: %v", f.Name, name, readErr)
			case said && readErr == nil:
				t.Errorf("%s of %s: the schema takes it, Load does not: %v", f.Name, name, errs.Err())
			}
		}
	}
	if checked < 5 {
		t.Errorf("%d files were checked", checked)
	}
}

func compile(t *testing.T, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}
