package spec

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Places says where the values of a deploy.yaml stand, for what is wrong with them that
// Parse cannot know. The zero value knows no place but the file's beginning.
type Places struct {
	name   string
	places map[string]place
}

// Locate returns the places of a file that Parse takes; of another those that can be told.
func Locate(name string, data []byte) Places {
	src := &source{name: name, outlawed: map[*yaml.Node]bool{}}
	root := src.load(data)
	if root == nil {
		return Places{name: name}
	}
	var doc document
	return Places{name: name, places: newDecoder(src, root, reflect.ValueOf(&doc).Elem()).places}
}

// At returns the place of a field such as "service.deploy.canary[0].weight" as an error
// without its message: that of the nearest block around it where the field does not stand
// in the file.
func (p Places) At(field string) Error {
	at := field
	for _, known := p.places[at]; at != "" && !known; _, known = p.places[at] {
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	out := Error{Path: p.name, Line: 1, Column: 1, EndLine: 1, Field: field}
	where, known := p.places[at]
	if !known || at == "" {
		return out
	}
	n := where.value
	if where.key != nil && n.Kind != yaml.ScalarNode || n.Line == 0 {
		n = where.key // a block is where its name is
	}
	out.Line, out.Column, out.EndLine = n.Line, n.Column, n.Line
	return out
}

// Each calls yield with each field that stands in the file, in no order.
func (p Places) Each(yield func(field string, at Error) bool) {
	for field := range p.places {
		if field != "" && !yield(field, p.At(field)) {
			return
		}
	}
}

// Has says whether a field stands in the file.
func (p Places) Has(field string) bool { _, ok := p.places[field]; return ok }
