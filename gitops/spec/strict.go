package spec

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// The types of values that Decode knows beside string, bool, int32, int64, lists, blocks
// and mappings of names to blocks; all may be pointers.
type (
	// Span is a duration such as "90m" or "7d", longer than 0.
	Span = span
	// Quantity is a Kubernetes quantity as it was written; whether it is one is for
	// the caller to check.
	Quantity = quantity
	// Word is text of any number of lines, which may be empty.
	Word = word
)

// Duration returns the length of the span, 0 for nil.
func (s *span) Duration() time.Duration {
	if s == nil {
		return 0
	}
	return time.Duration(*s)
}

// Document is a file of YAML other than a deploy.yaml that was read by the same
// strict rules, and what is wrong with it so far. Its methods name fields like
// Error.Field does.
type Document struct {
	checker checker
	data    []byte
	root    *yaml.Node
}

// Decode reads data, which errors call name, into the struct that into points at.
// Each field of it has a "json" tag with its key and may have a "jsonschema" tag with
// the keywords that keywordsOf knows; enum of a block are words that may stand in its
// place, which Word returns. A file without content leaves into as it is.
func Decode(name string, data []byte, into any) *Document {
	src := &source{name: name, outlawed: map[*yaml.Node]bool{}}
	v := reflect.ValueOf(into).Elem()
	root := src.load(data)
	if root == nil {
		return &Document{checker: checker{&decoder{source: src, places: map[string]place{}, bad: map[string]bool{}}}}
	}
	return &Document{checker: checker{newDecoder(src, root, v)}, data: data, root: root}
}

// Given reports whether a field stands in the file, right or wrong.
func (d *Document) Given(field string) bool { return d.checker.given(field) }

// OK reports whether a field stands in the file and has no error of its own.
func (d *Document) OK(field string) bool { return d.checker.ok(field) }

// Word returns the word that stands in a field, "" where that is a list, a block or nothing.
func (d *Document) Word(field string) string {
	if at := d.checker.places[field].value; at != nil && at.Kind == yaml.ScalarNode {
		return at.Value
	}
	return ""
}

// Line returns the line that a field's value begins on, 0 for one that does not stand in
// the file.
func (d *Document) Line(field string) int {
	if at := d.checker.places[field].value; at != nil {
		return at.Line
	}
	return 0
}

// Report records an error at a field's value, or where its nearest block stands
// when the field does not.
func (d *Document) Report(field string, kind ErrorKind, format string, args ...any) {
	d.Suggest(field, kind, "", format, args...)
}

// Suggest is Report with what was probably meant, which it appends to the message.
func (d *Document) Suggest(field string, kind ErrorKind, meant, format string, args ...any) {
	at := field
	for at != "" && !d.Given(at) {
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	if d.Given(at) {
		d.checker.reportMeant(at, kind, meant, format, args...)
		return
	}
	d.checker.add(Error{Line: 1, Column: 1, Kind: kind, Field: field, Message: fmt.Sprintf(format, args...), Suggestion: meant})
}

// ReportKey records an error at a field's key: for names, and for what should not
// be there.
func (d *Document) ReportKey(field string, kind ErrorKind, format string, args ...any) {
	d.checker.reportKey(field, kind, format, args...)
}

// Errors returns everything that is wrong, by position.
func (d *Document) Errors() Errors {
	if d.root != nil && len(d.checker.errs) == 0 {
		d.checker.agree(d.data, d.root)
	}
	return d.checker.errs.sorted()
}

// Join returns the field of a key of a block.
func Join(field, key string) string { return join(field, key) }

// Index returns the field of an item of a list.
func Index(field string, i int) string { return indexed(field, i) }

// Near returns the candidate that a misspelt word most likely stands for, "" when
// none is near.
func Near(word string, candidates []string) string { return near(word, candidates) }

// CheckEnvironment says what is wrong with the name of a declared environment, in
// words that follow "environment name …"; "" for nothing.
func CheckEnvironment(name string) string {
	switch {
	case name == "preview" || previewID.MatchString(name):
		return "is taken by previews: choose another"
	case !dnsLabel.MatchString(name) || len(name) > maxName:
		return fmt.Sprintf(`is not valid: expected at most %d lower-case letters, digits and "-", with a letter or digit at both ends`, maxName)
	}
	return ""
}
