package spec

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

// place is where a value of the document stands. Key is nil in lists.
type place struct{ key, value *yaml.Node }

// decoder fills a document from nodes and remembers where everything stands, by
// field ("service.deploy.canary[0].weight").
type decoder struct {
	*source
	places map[string]place
	// bad are the fields with an error of their own, whose value means nothing.
	bad map[string]bool
	// homes says for each key of the document which block it belongs in; it is asked only
	// where one is out of place.
	homes func() map[string]string
}

// newDecoder fills what root points at from the document n; places and bad tell
// afterwards what stands where.
func newDecoder(s *source, n *yaml.Node, root reflect.Value) *decoder {
	d := &decoder{source: s, places: map[string]place{"": {value: n}}, bad: map[string]bool{}}
	d.homes = sync.OnceValue(func() map[string]string { return findHomes(root.Type()) })
	d.decode("", n, root, keywords{})
	return d
}

// fail records an error at n about a field.
func (d *decoder) fail(field string, n *yaml.Node, p problem) {
	d.bad[field] = true
	d.add(Error{Line: n.Line, Column: n.Column, EndLine: lastLine(n), Kind: p.kind, Field: field, Message: p.msg, Suggestion: p.meant})
}

// decode fills v, which must be settable, from n.
func (d *decoder) decode(field string, n *yaml.Node, v reflect.Value, tag keywords) {
	if d.outlawed[n] || n.Kind == yaml.AliasNode {
		d.bad[field] = true
		return
	}
	if v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		d.decode(field, n, target.Elem(), tag)
		if !d.bad[field] {
			v.Set(target)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(field, n, v, tag)
	case reflect.Slice:
		d.decodeList(field, n, v, tag)
	case reflect.Map:
		d.decodeMap(field, n, v)
	default:
		d.decodeScalar(field, n, v, tag)
	}
}

// expect reports a node that is not of the wanted kind. Meant is what to write
// instead, "" when that cannot be told.
func (d *decoder) expect(field string, n *yaml.Node, kind yaml.Kind, want, meant string) bool {
	if n.Kind == kind {
		return true
	}
	msg := fmt.Sprintf("wrong type for %s: expected %s, got %s", fieldName(field), want, describe(n))
	if meant != "" {
		msg += ": write " + meant
	}
	d.fail(field, d.stands(field, n), problem{KindType, msg, meant})
	return false
}

// emptyFor returns what an empty value is written as where nothing stands.
func emptyFor(n *yaml.Node, empty string) string {
	if plain(n) && n.Tag == "!!null" {
		return empty
	}
	return ""
}

// stands returns where to point for the value n of a field: at its key when the
// value is nothing, which may stand on another line.
func (d *decoder) stands(field string, n *yaml.Node) *yaml.Node {
	if key := d.places[field].key; key != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" {
		return key
	}
	return n
}

// decodeStruct fills a block, or leaves it empty where one of the words stands that its
// tag takes in its place.
func (d *decoder) decodeStruct(field string, n *yaml.Node, v reflect.Value, tag keywords) {
	fields, meant := fieldsOf(v.Type()), ""
	want := "a mapping with " + keysOf(v.Type())
	if words := strings.Join(tag.enum, ", "); words != "" {
		if n.Kind == yaml.ScalarNode && slices.Contains(tag.enum, n.Value) {
			return
		}
		want = words + " or " + want
	} else if !anyRequired(v.Type()) && field != "" {
		meant = emptyFor(n, "{}")
	}
	if !d.expect(field, n, yaml.MappingNode, want, meant) {
		return
	}
	seen, misspelt := map[string]int{}, map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.usableKey(field, key, seen) {
			continue
		}
		index, known := fields[key.Value]
		if !known {
			misspelt[d.unknownKey(field, key, value, v.Type())] = true
			continue
		}
		child := join(field, key.Value)
		d.places[child] = place{key, value}
		d.decode(child, value, v.Field(index), keywordsOf(v.Type().Field(index)))
	}
	d.missingKeys(field, n, v.Type(), misspelt)
}

// missingKeys reports what a block must have and does not, except for keys that
// were misspelt, which are reported as such.
func (d *decoder) missingKeys(field string, n *yaml.Node, t reflect.Type, misspelt map[string]bool) {
	at := n
	if key := d.places[field].key; key != nil {
		at = key
	}
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("json")
		child := join(field, key)
		if _, given := d.places[child]; !given && keywordsOf(t.Field(i)).required && !misspelt[key] {
			d.fail(child, at, problem{KindMissing, fmt.Sprintf("%s is missing in %s", key, where(field)), ""})
		}
	}
}

// usableKey reports whether a key is a single word that was not given before.
func (d *decoder) usableKey(field string, key *yaml.Node, seen map[string]int) bool {
	if d.outlawed[key] {
		return false
	}
	if key.Kind != yaml.ScalarNode {
		d.add(Error{Line: key.Line, Column: key.Column, EndLine: lastLine(key), Kind: KindSyntax, Field: field,
			Message: fmt.Sprintf("expected a name as key in %s, got %s", where(field), describe(key))})
		return false
	}
	if first, again := seen[key.Value]; again {
		d.add(Error{Line: key.Line, Column: key.Column, Kind: KindDuplicate, Field: join(field, key.Value),
			Message: fmt.Sprintf("key %s is given twice in %s, first on line %d", quote(key.Value), where(field), first)})
		return false
	}
	seen[key.Value] = key.Line
	return true
}

// unknownKey reports a key that the type does not have, with the one that was
// probably meant, which it returns, or where the key does belong.
func (d *decoder) unknownKey(field string, key, value *yaml.Node, t reflect.Type) (meant string) {
	msg := fmt.Sprintf("unknown key %s in %s", quote(key.Value), where(field))
	meant = near(key.Value, slices.Collect(keyNames(t)))
	switch home := d.homes()[key.Value]; {
	case meant != "":
		msg += ": did you mean " + quote(meant) + "?"
	case home != "":
		msg += ": it belongs in " + home
	default:
		msg += ": expected " + keysOf(t)
	}
	d.add(Error{Line: key.Line, Column: key.Column, EndLine: lastLine(value), Kind: KindUnknownKey, Field: join(field, key.Value), Message: msg, Suggestion: meant})
	return meant
}

func (d *decoder) decodeList(field string, n *yaml.Node, v reflect.Value, tag keywords) {
	if !d.expect(field, n, yaml.SequenceNode, "a list", listFor(n, v.Type().Elem(), tag)) {
		return
	}
	if len(n.Content) < tag.minItems {
		d.fail(field, n, problem{KindRange, fmt.Sprintf("%s is empty: expected at least %d", fieldName(field), tag.minItems), ""})
	}
	if tag.maxItems > 0 && len(n.Content) > tag.maxItems {
		d.fail(field, n, problem{KindLimit, fmt.Sprintf("%s has %d entries: expected at most %d", fieldName(field), len(n.Content), tag.maxItems), ""})
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		child := field + "[" + strconv.Itoa(i) + "]"
		d.places[child] = place{value: item}
		d.decode(child, item, list.Index(i), tag)
	}
	v.Set(list)
}

// listFor returns the list that a scalar was meant as, "" when that cannot be told.
func listFor(n *yaml.Node, elem reflect.Type, tag keywords) string {
	if tag.minItems == 0 && emptyFor(n, "[]") != "" {
		return "[]"
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || elem.Kind() != reflect.String {
		return ""
	}
	items := []string{n.Value}
	if elem == reflect.TypeFor[word]() {
		items = strings.Fields(n.Value)
		if strings.ContainsAny(n.Value, `"'$|&;<>()`+"`") {
			items = []string{"sh", "-c", n.Value}
		}
	}
	for i, item := range items {
		items[i] = strconv.Quote(item)
	}
	list := "[" + strings.Join(items, ", ") + "]"
	if len(list) > 80 {
		return ""
	}
	return list
}

func (d *decoder) decodeMap(field string, n *yaml.Node, v reflect.Value) {
	if !d.expect(field, n, yaml.MappingNode, "a mapping of names to values", emptyFor(n, "{}")) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for name, value := range d.named(field, n) {
		child, item := join(field, name), reflect.New(v.Type().Elem()).Elem()
		d.decode(child, value, item, keywords{})
		if !d.bad[child] {
			v.SetMapIndex(reflect.ValueOf(name), item)
		}
	}
}

// named yields the entries of a mapping whose names are good, notes where each stands, and
// fails the others.
func (d *decoder) named(field string, n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		seen := map[string]int{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if !d.usableKey(field, key, seen) {
				continue
			}
			child := join(field, key.Value)
			d.places[child] = place{key, value}
			if _, p := readString(key); p != nil {
				p.msg = "wrong type for a name in " + where(field) + ": " + p.msg
				d.fail(child, key, *p)
				continue
			}
			if !yield(key.Value, value) {
				return
			}
		}
	}
}
