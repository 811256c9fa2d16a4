package inplace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// open reads a file and finds the scalar that a field names.
func open(content []byte, f Field) (docs []*yaml.Node, found *yaml.Node, err error) {
	steps, err := ParsePath(f.Field)
	if err != nil {
		return nil, nil, fail(f, nil, fmt.Sprintf("field %q is no path: %v", f.Field, err), "")
	}
	if docs, err = documents(content, f.File); err != nil {
		return nil, nil, err
	}
	at, err := document(docs, f)
	if err != nil {
		return nil, nil, err
	}
	for i, s := range steps {
		if at, err = follow(f, at, s, prefix(steps[:i])); err != nil {
			return nil, nil, err
		}
	}
	return docs, at, scalar(f, at)
}

// documents reads every document of a file.
func documents(content []byte, file string) ([]*yaml.Node, error) {
	whole := Field{File: file}
	switch {
	case len(content) > MaxFile:
		return nil, fail(whole, nil, fmt.Sprintf("it has %d bytes, and files of up to %d are edited", len(content), MaxFile), "")
	case !utf8.Valid(content):
		return nil, fail(whole, nil, "it is not UTF-8 text", "")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(content))
	if err != nil {
		return nil, fail(whole, nil, "it cannot be read: "+err.Error(), "")
	}
	var docs []*yaml.Node
	for {
		var doc yaml.Node
		err := loader.Load(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, syntax(file, err)
		}
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			docs = append(docs, &doc)
		}
	}
}

// syntax is why a file is no YAML.
func syntax(file string, err error) error {
	e := &Error{File: file, Message: "it is not valid YAML: " + err.Error(), Hint: "mend the file, or restore it from its history"}
	if load, ok := errors.AsType[*yaml.LoadError](err); ok {
		e.Line, e.Column, e.Message = load.Mark.Line, load.Mark.Column, "it is not valid YAML: "+load.Message
	}
	return e
}

// document is the root of the document that a field is in.
func document(docs []*yaml.Node, f Field) (*yaml.Node, error) {
	var roots []*yaml.Node
	for _, doc := range docs {
		if root := doc.Content[0]; root.Kind != yaml.ScalarNode || root.ShortTag() != "!!null" {
			roots = append(roots, root)
		}
	}
	if f.Object == "" {
		switch len(roots) {
		case 0:
			return nil, fail(f, nil, "it is empty", "")
		case 1:
			return roots[0], nil
		}
		return nil, fail(f, nil, fmt.Sprintf("it has %d documents, and nothing says which is meant", len(roots)), "name it with object, such as Deployment/web")
	}
	var found []*yaml.Node
	var names []string
	for _, root := range roots {
		name := nameOf(root)
		if names = append(names, name); name == f.Object {
			found = append(found, root)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail(f, nil, fmt.Sprintf("it has no object %s: it has %s", f.Object, some(names)), "")
	case 1:
		return found[0], nil
	}
	return nil, fail(f, found[1], "object "+f.Object+" stands twice", "")
}

// nameOf is the "Kind/name" of an object, "/" of what is none.
func nameOf(root *yaml.Node) string {
	kind, _ := lookup(root, "kind")
	metadata, _ := lookup(root, "metadata")
	name, _ := lookup(metadata, "name")
	return text(kind) + "/" + text(name)
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// lookup returns the value of a mapping's key, and how often the key stands in it.
func lookup(n *yaml.Node, key string) (value *yaml.Node, times int) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, 0
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == key {
			value = n.Content[i+1]
			times++
		}
	}
	return value, times
}

// follow goes one step down from a node, which before names.
func follow(f Field, at *yaml.Node, s step, before string) (*yaml.Node, error) {
	if err := own(f, at, before); err != nil {
		return nil, err
	}
	if s.where != "" {
		return item(f, at, s, before)
	}
	if at.Kind != yaml.MappingNode {
		return nil, fail(f, at, fmt.Sprintf("%s is %s, and has no key %q", before, describe(at), s.key), "")
	}
	value, times := lookup(at, s.key)
	switch {
	case times > 1:
		return nil, fail(f, at, fmt.Sprintf("key %q stands twice in %s", s.key, before), "remove one: readers of YAML differ in which they take")
	case times == 0:
		return nil, fail(f, at, fmt.Sprintf("%s has no key %q: it has %s", before, s.key, some(keys(at))), "write the key once by hand, with any value: idp adds none")
	}
	return value, nil
}

// item is the item of a list in which a key has a value.
func item(f Field, at *yaml.Node, s step, before string) (*yaml.Node, error) {
	if at.Kind != yaml.SequenceNode {
		return nil, fail(f, at, fmt.Sprintf("%s is %s, and has no items", before, describe(at)), "")
	}
	var found []*yaml.Node
	var values []string
	for _, n := range at.Content {
		value, _ := lookup(n, s.where)
		if values = append(values, text(value)); text(value) == s.is && value != nil {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return nil, fail(f, at, fmt.Sprintf("%s has no item with %s %q: it has %s", before, s.where, s.is, some(values)), "")
	case 1:
		return found[0], nil
	}
	return nil, fail(f, found[1], fmt.Sprintf("%s has two items with %s %q", before, s.where, s.is), "")
}

// own refuses what is not written where it stands, or in other places too.
func own(f Field, at *yaml.Node, name string) error {
	switch {
	case at.Kind == yaml.AliasNode:
		return fail(f, at, fmt.Sprintf("%s is an alias: *%s stands somewhere else, for others too", name, at.Value), "write it out there, or name the field where it stands")
	case at.Anchor != "":
		return fail(f, at, fmt.Sprintf("%s is anchored: every *%s would change with it", name, at.Anchor), "take the anchor &"+at.Anchor+" away")
	}
	return nil
}

// scalar refuses what is no plain value.
func scalar(f Field, at *yaml.Node) error {
	if err := own(f, at, f.Field); err != nil {
		return err
	}
	switch {
	case at.Kind != yaml.ScalarNode:
		return fail(f, at, fmt.Sprintf("%s is %s, and no value", f.Field, describe(at)), "")
	case at.Value == "" && at.ShortTag() == "!!null":
		return fail(f, at, f.Field+" is empty", `write it once by hand, such as ""`)
	case at.Style&yaml.TaggedStyle != 0:
		return fail(f, at, f.Field+" has a tag of its own", "take the tag away")
	case at.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return fail(f, at, f.Field+" is a block of text", `write it on one line, such as "v1"`)
	}
	return nil
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	return "a single value"
}

// prefix names the node that steps lead to.
func prefix(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		if b.Len() > 0 && s.where == "" {
			b.WriteByte('.')
		}
		b.WriteString(s.String())
	}
	if b.Len() == 0 {
		return "the document"
	}
	return b.String()
}

func keys(n *yaml.Node) []string {
	var out []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		out = append(out, text(n.Content[i]))
	}
	return out
}

// some names the first few.
func some(names []string) string {
	const most = 8
	if len(names) == 0 {
		return "none"
	}
	shown := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		shown = append(shown, fmt.Sprintf("%.60s", name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
