package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/idp-bot/idp/gitops/spec"
)

// schemaPart is what the README tells of a part of the spec's JSON Schema. The
// parts that are nodes keep the schema's order, or are not always of one type.
type schemaPart struct {
	Ref                        string `yaml:"$ref"`
	Description                string
	Properties, Items, Default yaml.Node
	AdditionalProperties       yaml.Node `yaml:"additionalProperties"`
	Required, Enum             []string
	AllOf                      []schemaPart `yaml:"allOf"`
	Definitions                map[string]schemaPart
}

// ref is the definition that a part refers to, and how a key below it is written:
// of an item of a list, or of whatever has a name of its own.
func (p schemaPart) ref(t *testing.T) (name, below string) {
	t.Helper()
	for _, nested := range []struct {
		below string
		node  yaml.Node
	}{{"[]", p.Items}, {".NAME", p.AdditionalProperties}} {
		if nested.node.Kind == yaml.MappingNode {
			if name, _ := decodePart(t, nested.node).ref(t); name != "" {
				return name, nested.below
			}
		}
	}
	if p.Ref == "" && len(p.AllOf) > 0 {
		p.Ref = p.AllOf[0].Ref
	}
	return strings.TrimPrefix(p.Ref, "#/definitions/"), ""
}

func decodePart(t *testing.T, node yaml.Node) (p schemaPart) {
	t.Helper()
	if err := node.Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

// specReference is the README's part on .idp/deploy.yaml: the demo's, and a table
// of the keys for each block that stands at the top of the file.
func specReference(t *testing.T) string {
	t.Helper()
	var schema schemaPart
	if err := yaml.Unmarshal(spec.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	var blocks []string // definitions that have a table of their own
	schema.each(t, func(_ string, p schemaPart) {
		name, _ := p.ref(t)
		blocks = append(blocks, name)
	})
	var b strings.Builder
	fmt.Fprintf(&b, "```yaml\n%s```\n", exampleSpec)
	schema.each(t, func(key string, p schemaPart) {
		name, below := p.ref(t)
		if name == "service" && below == "" {
			return // services has the same
		}
		title := "`" + key + below + "`"
		if name == "service" {
			title = "`service`, or each of `services`"
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n| key | default | what it is |\n| --- | --- | --- |\n", title, p.Description)
		schema.rows(t, &b, "", name, blocks)
	})
	return b.String()
}

// each calls do for every property, in the schema's order.
func (p schemaPart) each(t *testing.T, do func(key string, p schemaPart)) {
	t.Helper()
	for i := 0; i+1 < len(p.Properties.Content); i += 2 {
		do(p.Properties.Content[i].Value, decodePart(t, *p.Properties.Content[i+1]))
	}
}

// rows writes the keys of a definition and of those within it, without the blocks.
func (p schemaPart) rows(t *testing.T, b *strings.Builder, prefix, definition string, blocks []string) {
	t.Helper()
	d := p.Definitions[definition]
	d.each(t, func(key string, property schemaPart) {
		value := ""
		if slices.Contains(d.Required, key) {
			value = "**required**"
		} else if property.Default.Value != "" {
			value = "`" + property.Default.Value + "`"
		}
		help := property.Description
		if property.Enum != nil {
			help += " One of `" + strings.Join(property.Enum, "`, `") + "`."
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", prefix+key, value, strings.ReplaceAll(help, "|", `\|`))
		if name, below := property.ref(t); name != "" && !slices.Contains(blocks, name) {
			p.rows(t, b, prefix+key+below+".", name, blocks)
		}
	})
}
