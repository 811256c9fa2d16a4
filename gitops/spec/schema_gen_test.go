package spec

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/spec/schemagen"
	"github.com/invopop/jsonschema"
)

func generateSchema(t *testing.T) []byte {
	t.Helper()
	out, err := schemagen.Generate("document.go", Path, document{}, rules)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unclean is in paths that are not relative and clean.
const unclean = `(^|/)\.\.(/|$)|//|/$|\\|^\./|/\./|/\.$`

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
	path.Not = &jsonschema.Schema{Pattern: unclean}
	for _, block := range []string{"service", "migrate"} {
		command, _ := s.Definitions[block].Properties.Get("command")
		first := map[string]any{"not": map[string]any{"const": ""}}
		command.AllOf = []*jsonschema.Schema{{Extras: map[string]any{"items": []any{first}}}}
	}
	sourceRules(s)
	for _, block := range []string{"preview", "service"} {
		paths, _ := s.Definitions[block].Properties.Get("paths")
		paths.Items.Not = &jsonschema.Schema{Pattern: `^[!/]|/$`}
	}
}

// sourceRules holds a preview's source to one kind, and its paths to those of folders.
func sourceRules(s *jsonschema.Schema) {
	for _, kind := range []string{"helm", "kustomize", "manifests"} {
		s.Definitions["source"].OneOf = append(s.Definitions["source"].OneOf, &jsonschema.Schema{Required: []string{kind}})
		path, _ := s.Definitions[kind].Properties.Get("path")
		path.Not = &jsonschema.Schema{Pattern: unclean}
	}
	helm := s.Definitions["helm"]
	helm.OneOf = []*jsonschema.Schema{{Required: []string{"path"}}, {Required: []string{"chart"}}}
	chart, _ := helm.Properties.Get("chart")
	chart.Pattern = ChartName
	files, _ := helm.Properties.Get("valuesFiles")
	files.Items.Not = &jsonschema.Schema{Pattern: unclean}
	values, _ := helm.Properties.Get("values")
	values.PropertyNames = &jsonschema.Schema{Pattern: valueKey.String()}
	overridable, _ := helm.Properties.Get("overridable")
	overridable.Items.Pattern = valueKey.String()
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
