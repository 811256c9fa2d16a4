// Package schemagen writes JSON Schemas of the files that spec.Decode reads, from the
// types that they are decoded into: keywords from the tags, descriptions from the
// comments. Only tests import it, which hold the committed schemas to their types.
package schemagen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Generate returns the JSON Schema (draft-07) of the document type root, which is
// declared in file with the types of its blocks. Rules, which may be nil, adds what the
// tags cannot say.
func Generate(file, title string, root any, rules func(*jsonschema.Schema)) ([]byte, error) {
	comments, err := commentsOf(file)
	if err != nil {
		return nil, err
	}
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
	s := reflector.Reflect(root)
	s.Version = "http://json-schema.org/draft-07/schema#"
	s.Title = title
	if rules != nil {
		rules(s)
	}
	unrefSiblings(s)
	noControls(s)
	for _, def := range s.Definitions {
		unrefSiblings(def)
		noControls(def)
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("marshal schema of %s: %w", title, err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, out, "", "  "); err != nil {
		return nil, fmt.Errorf("indent schema of %s: %w", title, err)
	}
	// Draft-07 keeps definitions under another name than the library's draft 2020-12.
	text := strings.NewReplacer(`"$defs"`, `"definitions"`, `#/$defs/`, `#/definitions/`).Replace(indented.String())
	return []byte(text + "\n"), nil
}

// specPackage declares the types of leaves.
const specPackage = "github.com/idp-bot/idp/gitops/spec"

// leaf returns the schema of the types that are scalars in the file.
func leaf(t reflect.Type) *jsonschema.Schema {
	if t.PkgPath() != specPackage {
		return nil
	}
	switch t.Name() {
	case "word":
		return &jsonschema.Schema{Not: &jsonschema.Schema{Type: "string", Pattern: `\x00`}, Extras: map[string]any{"type": []string{"string", "number", "boolean"}}}
	case "quantity":
		return &jsonschema.Schema{Pattern: `^[+]?([0-9]+\.?[0-9]*|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$`,
			Not:    &jsonschema.Schema{Type: "string", Pattern: `^[+]?[0.]+([a-zA-Z]|$)`}, // no zero
			Extras: map[string]any{"type": []string{"string", "number"}, "exclusiveMinimum": 0}}
	case "span":
		return &jsonschema.Schema{Type: "string", MinLength: new(uint64(2)), Pattern: `^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$`,
			Not: &jsonschema.Schema{Pattern: `^[0dhms]*$`}} // no zero
	case "errorRate":
		return &jsonschema.Schema{Type: "string", Pattern: `^>\s*(0|[1-9][0-9]?)(\.[0-9]{1,4})?\s*%$`,
			Not: &jsonschema.Schema{Pattern: `^>\s*0(\.0*)?\s*%$`}} // no zero
	}
	return nil
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
func commentsOf(file string) (map[string]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("read the comments of %s: %w", file, err)
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
	return out, nil
}

func oneLine(group *ast.CommentGroup) string {
	return strings.Join(strings.Fields(group.Text()), " ")
}
