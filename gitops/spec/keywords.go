package spec

import (
	"iter"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// keywords are the JSON Schema keywords of a field's "jsonschema" tag that decode
// holds its value to.
type keywords struct {
	required             bool
	minItems, maxItems   int
	minLength, maxLength int
	minimum, maximum     int64
	enum                 []string
}

func keywordsOf(f reflect.StructField) keywords {
	var k keywords
	for part := range strings.SplitSeq(f.Tag.Get("jsonschema"), ",") {
		key, value, _ := strings.Cut(part, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "required":
			k.required = true
		case "minItems":
			k.minItems = n
		case "maxItems":
			k.maxItems = n
		case "minLength":
			k.minLength = n
		case "maxLength":
			k.maxLength = n
		case "minimum":
			k.minimum = int64(n)
		case "maximum":
			k.maximum = int64(n)
		case "enum":
			k.enum = append(k.enum, value)
		}
	}
	return k
}

func anyRequired(t reflect.Type) bool {
	for i := range t.NumField() {
		if keywordsOf(t.Field(i)).required {
			return true
		}
	}
	return false
}

// fieldsOf returns the index of each key that a block has.
func fieldsOf(t reflect.Type) map[string]int {
	out := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		out[t.Field(i).Tag.Get("json")] = i
	}
	return out
}

// keyNames yields the keys of a block in the order of its type.
func keyNames(t reflect.Type) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i).Tag.Get("json")) {
				return
			}
		}
	}
}

// keysOf returns "name, team, …" for "expected …".
func keysOf(t reflect.Type) string {
	var names []string
	for name := range keyNames(t) {
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// findHomes says for each key which block it belongs in, the outermost if several, for
// keys that are right but in the wrong place.
func findHomes(root reflect.Type) map[string]string {
	out, visited := map[string]string{}, map[reflect.Type]bool{}
	var visit func(reflect.Type, string)
	visit = func(t reflect.Type, at string) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || visited[t] {
			return
		}
		visited[t] = true
		for i := range t.NumField() {
			key := t.Field(i).Tag.Get("json")
			if _, known := out[key]; !known {
				out[key] = where(at)
			}
		}
		for i := range t.NumField() {
			visit(t.Field(i).Type, join(at, t.Field(i).Tag.Get("json")))
		}
	}
	visit(root, "")
	return out
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join returns the field of a key of a block.
func join(field, key string) string {
	switch {
	case !simpleKey.MatchString(key):
		return field + "[" + strconv.Quote(key) + "]"
	case field == "":
		return key
	}
	return field + "." + key
}

// where names a block for "in …".
func where(field string) string {
	if field == "" {
		return "the document"
	}
	return cut(field)
}

// fieldName returns the last key of a field, with the index of a list's item:
// "weight" of "deploy.canary[0].weight", "args[1]" of "service.args[1]".
func fieldName(field string) string {
	if i := strings.LastIndexByte(field, '.'); i >= 0 && !strings.HasSuffix(field, `"]`) {
		field = field[i+1:]
	}
	return where(field)
}
