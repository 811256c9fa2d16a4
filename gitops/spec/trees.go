package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v4"
)

// Tree is one document of any shape, read by the same strict rules as a deploy.yaml.
type Tree struct {
	*Document
	// Value is made of maps, lists, strings, json.Number, booleans and nil, each as every
	// reader of YAML at hand understands it.
	Value any
}

// Trees reads data, which errors call name, as any number of documents. The Document
// beside them tells what is wrong with any of the file.
func Trees(name string, data []byte) ([]Tree, *Document) {
	src := &source{name: name, outlawed: map[*yaml.Node]bool{}}
	file := &Document{checker: checker{&decoder{source: src, places: map[string]place{}, bad: map[string]bool{}}}}
	var out []Tree
	for _, root := range src.loadAll(data) {
		d := &decoder{source: src, places: map[string]place{"": {value: root}}, bad: map[string]bool{}}
		out = append(out, Tree{Document: &Document{checker: checker{d}}, Value: d.tree("", root)})
	}
	return out, file
}

// loadAll reads the documents that are not empty, as far as they are YAML.
func (s *source) loadAll(data []byte) []*yaml.Node {
	loader := s.open(data)
	if loader == nil {
		return nil
	}
	var roots []*yaml.Node
	for {
		var doc yaml.Node
		switch err := loader.Load(&doc); {
		case errors.Is(err, io.EOF):
			return roots
		case err != nil:
			s.syntax(err)
			return roots
		case !empty(&doc):
			s.outlaw(doc.Content[0], 1)
			roots = append(roots, doc.Content[0])
		}
	}
}

// tree is the value of a node of any kind.
func (d *decoder) tree(field string, n *yaml.Node) any {
	if d.outlawed[n] {
		d.bad[field] = true
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.treeOfMap(field, n)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			child := field + "[" + strconv.Itoa(i) + "]"
			d.places[child] = place{value: item}
			list[i] = d.tree(child, item)
		}
		return list
	}
	switch reading(n) {
	case aString:
		return n.Value
	case aNumber:
		return json.Number(n.Value)
	case aBoolean:
		return n.Value[0] == 't' || n.Value[0] == 'T'
	case aNull:
		return nil
	}
	d.fail(field, n, problem{KindNotation, fmt.Sprintf("YAML readers disagree on %s: put it in quotes or, if it is a number, write it in plain decimal", n.Value), ""})
	return nil
}

func (d *decoder) treeOfMap(field string, n *yaml.Node) any {
	out := map[string]any{}
	for name, value := range d.named(field, n) {
		out[name] = d.tree(join(field, name), value)
	}
	return out
}
