package spec

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
)

// generateSchema returns the JSON Schema of document: keywords from the tags,
// descriptions from the comments, and the rules between values from rules.
func generateSchema(t *testing.T) []byte {
	t.Helper()
	comments := commentsOf(t, "document.go")
	reflector := &jsonschema.Reflector{
		RequiredFromJSONSchemaTags: true,
		ExpandedStruct:             true,
		Anonymous:                  true,
		Mapper:                     leaf,
		Namer:                      func(t reflect.Type) string { return strings.TrimSuffix(t.Name(), "Block") },
		LookupComment: func(t reflect.Type, field string) string {
			return comments[strings.TrimSuffix(t.Name()+"."+field, ".")]
		},
	}
	s := reflector.Reflect(document{})
	s.Version = "http://json-schema.org/draft-07/schema#"
	s.Title = Path
	rules(s)
	unrefSiblings(s)
	noControls(s)
	for _, def := range s.Definitions {
		unrefSiblings(def)
		noControls(def)
	}
	out, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, out, "", "  "); err != nil {
		t.Fatal(err)
	}
	// Draft-07 keeps definitions under another name than the library's draft 2020-12.
	text := strings.NewReplacer(`"$defs"`, `"definitions"`, `#/$defs/`, `#/definitions/`).Replace(indented.String())
	return []byte(text + "\n")
}

// leaf returns the schema of the types that are scalars in the file.
func leaf(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[word]():
		return &jsonschema.Schema{Not: &jsonschema.Schema{Type: "string", Pattern: `\x00`}, Extras: map[string]any{"type": []string{"string", "number", "boolean"}}}
	case reflect.TypeFor[quantity]():
		return &jsonschema.Schema{Pattern: `^[+]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`,
			Not:    &jsonschema.Schema{Type: "string", Pattern: `^[+]?[0.]+([a-zA-Z]|$)`}, // no zero
			Extras: map[string]any{"type": []string{"string", "number"}, "exclusiveMinimum": 0}}
	case reflect.TypeFor[span]():
		return &jsonschema.Schema{Type: "string", MinLength: new(uint64(2)), Pattern: `^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`,
			Not: &jsonschema.Schema{Pattern: `^[0dhms]*$`}} // no zero
	case reflect.TypeFor[errorRate]():
		return &jsonschema.Schema{Type: "string", Pattern: `^>\s*(0|[1-9][0-9]?)(\.[0-9]{1,4})?\s*%$`,
			Not: &jsonschema.Schema{Pattern: `^>\s*0(\.0*)?\s*%$`}} // no zero
	}
	return nil
}

// rules adds what JSON Schema can say about values together.
func rules(s *jsonschema.Schema) {
	s.OneOf = []*jsonschema.Schema{{Required: []string{"service"}}, {Required: []string{"services"}}}
	service := s.Definitions["service"]
	for _, kind := range []string{"web", "worker", "cron"} {
		is := has("kind", constants(kind))
		// In the single form the blocks at the top are the service's own.
		s.AllOf = append(s.AllOf, unsuitable(kind, has("service", is), false)...)
		service.AllOf = append(service.AllOf, unsuitable(kind, is, true)...)
	}
	// Without a kind a service is web, which has no schedule either.
	service.AllOf = append(service.AllOf, &jsonschema.Schema{If: has("kind", constants("cron")),
		Then: &jsonschema.Schema{Required: []string{"schedule"}}, Else: without("schedule")})
	s.Definitions["deploy"].AllOf = []*jsonschema.Schema{{If: has("strategy", constants("canary")),
		Then: &jsonschema.Schema{Required: []string{"canary"}}, Else: without("canary")}}

	names(s, "environments", &jsonschema.Schema{Pattern: `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, MaxLength: new(uint64(maxName)),
		Not: &jsonschema.Schema{Pattern: `^(preview|pr-[0-9]+)$`}})
	names(s, "env", &jsonschema.Schema{Pattern: `^([-_a-zA-Z][-._a-zA-Z0-9]*|\.[-_a-zA-Z0-9][-._a-zA-Z0-9]*)$`})
	path, _ := service.Properties.Get("path")
	path.Not = &jsonschema.Schema{Pattern: `(^|/)\.\.(/|$)|//|/$|\\|^\./|/\./|/\.$`}
	for _, block := range []string{"service", "migrate"} {
		command, _ := s.Definitions[block].Properties.Get("command")
		first := map[string]any{"not": map[string]any{"const": ""}}
		command.AllOf = []*jsonschema.Schema{{Extras: map[string]any{"items": []any{first}}}}
	}
	paths, _ := s.Definitions["preview"].Properties.Get("paths")
	paths.Items.Not = &jsonschema.Schema{Pattern: `^[!/]|/$`}
}

// unsuitable is the table of keys that a kind has no use for, as conditions.
func unsuitable(kind string, condition *jsonschema.Schema, inService bool) []*jsonschema.Schema {
	var out []*jsonschema.Schema
	when := func(then *jsonschema.Schema) {
		out = append(out, &jsonschema.Schema{If: condition, Then: then})
	}
	for _, no := range unsuited[Kind(kind)] {
		block, key, nested := strings.Cut(no.key, ".")
		switch {
		case nested:
			when(optional(block, without(key)))
		case inService || no.shared:
			when(without(block))
		}
	}
	switch kind {
	case "worker":
		when(optional("deploy", optional("strategy", constants("rolling", "canary"))))
	case "cron":
		when(optional("environments", &jsonschema.Schema{AdditionalProperties: without("replicas")}))
	}
	return out
}

// noControls keeps control characters out of every text that is not a leaf's own.
func noControls(s *jsonschema.Schema) {
	const control = `[\x00-\x1f\x7f]`
	for property := s.Properties.Oldest(); property != nil; property = property.Next() {
		text := property.Value
		if text.Type == "array" && text.Items != nil {
			text = text.Items
		}
		switch {
		case text.Type != "string" || text.Not != nil && strings.HasPrefix(text.Not.Pattern, "^"):
		case text.Not != nil:
			text.Not.Pattern += "|" + control
		default:
			text.Not = &jsonschema.Schema{Pattern: control}
		}
	}
}

// names holds the names of a mapping to a schema wherever it stands.
func names(s *jsonschema.Schema, key string, schema *jsonschema.Schema) {
	for _, block := range []*jsonschema.Schema{s, s.Definitions["service"], s.Definitions["environment"]} {
		if property, ok := block.Properties.Get(key); ok {
			property.PropertyNames = schema
		}
	}
}

func constants(values ...any) *jsonschema.Schema { return &jsonschema.Schema{Enum: values} }

// has is a schema of objects that have the key, with such a value.
func has(key string, value *jsonschema.Schema) *jsonschema.Schema {
	s := optional(key, value)
	s.Required = []string{key}
	return s
}

// optional is a schema of objects that have such a value at the key, if they have it.
func optional(key string, value *jsonschema.Schema) *jsonschema.Schema {
	s := &jsonschema.Schema{Properties: jsonschema.NewProperties()}
	s.Properties.Set(key, value)
	return s
}

func without(keys ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Properties: jsonschema.NewProperties()}
	for _, key := range keys {
		s.Properties.Set(key, jsonschema.FalseSchema)
	}
	return s
}

// unrefSiblings wraps references that have a description beside them: draft-07
// ignores everything beside $ref.
func unrefSiblings(s *jsonschema.Schema) {
	if s.Properties == nil {
		return
	}
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		if p := pair.Value; p.Ref != "" && p.Description != "" {
			p.AllOf, p.Ref = []*jsonschema.Schema{{Ref: p.Ref}}, ""
		}
	}
}

// commentsOf returns the comments of a file's types and their fields on one line,
// "name" and "name.Field", a type's without its own name in front.
func commentsOf(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, decl := range f.Decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok || general.Tok != token.TYPE {
			continue
		}
		spec := general.Specs[0].(*ast.TypeSpec)
		name := spec.Name.Name
		text := strings.TrimPrefix(oneLine(general.Doc), name+" is ")
		out[name] = strings.ToUpper(text[:1]) + text[1:]
		block, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range block.Fields.List {
			out[name+"."+field.Names[0].Name] = oneLine(field.Doc)
		}
	}
	return out
}

func oneLine(group *ast.CommentGroup) string {
	return strings.Join(strings.Fields(group.Text()), " ")
}
