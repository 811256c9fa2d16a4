package spec

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

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
		d.decodeStruct(field, n, v)
	case reflect.Slice:
		d.decodeList(field, n, v, tag)
	case reflect.Map:
		d.decodeMap(field, n, v)
	default:
		d.decodeScalar(field, n, v, tag)
	}
}

// expect reports a node that is not of the wanted kind.
func (d *decoder) expect(field string, n *yaml.Node, kind yaml.Kind, want string) bool {
	if n.Kind == kind {
		return true
	}
	d.fail(field, d.stands(field, n), problem{KindType, fmt.Sprintf("wrong type for %s: expected %s, got %s", fieldName(field), want, describe(n)), ""})
	return false
}

// stands returns where to point for the value n of a field: at its key when the
// value is nothing, which may stand on another line.
func (d *decoder) stands(field string, n *yaml.Node) *yaml.Node {
	if key := d.places[field].key; key != nil && n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Value == "" {
		return key
	}
	return n
}

func (d *decoder) decodeStruct(field string, n *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	if !d.expect(field, n, yaml.MappingNode, "a mapping with "+keysOf(v.Type())) {
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !d.usableKey(field, key, seen) {
			continue
		}
		index, known := fields[key.Value]
		if !known {
			d.unknownKey(field, key, value, v.Type())
			continue
		}
		child := join(field, key.Value)
		d.places[child] = place{key, value}
		d.decode(child, value, v.Field(index), keywordsOf(v.Type().Field(index)))
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		child := join(field, f.Tag.Get("json"))
		if _, given := d.places[child]; !given && keywordsOf(f).required {
			at := n
			if key := d.places[field].key; key != nil {
				at = key
			}
			d.fail(child, at, problem{KindMissing, fmt.Sprintf("%s is missing in %s", f.Tag.Get("json"), where(field)), ""})
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
// probably meant, or where the key does belong.
func (d *decoder) unknownKey(field string, key, value *yaml.Node, t reflect.Type) {
	msg := fmt.Sprintf("unknown key %s in %s", quote(key.Value), where(field))
	meant := near(key.Value, slices.Collect(keyNames(t)))
	switch home := homes[key.Value]; {
	case meant != "":
		msg += ": did you mean " + quote(meant) + "?"
	case home != "":
		msg += ": it belongs in " + home
	default:
		msg += ": expected " + keysOf(t)
	}
	d.add(Error{Line: key.Line, Column: key.Column, EndLine: lastLine(value), Kind: KindUnknownKey, Field: join(field, key.Value), Message: msg, Suggestion: meant})
}

func (d *decoder) decodeList(field string, n *yaml.Node, v reflect.Value, tag keywords) {
	want := "a list"
	if v.Type().Elem().Kind() == reflect.String {
		want = `a list such as ["a", "b"]`
	}
	if !d.expect(field, n, yaml.SequenceNode, want) {
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

func (d *decoder) decodeMap(field string, n *yaml.Node, v reflect.Value) {
	if !d.expect(field, n, yaml.MappingNode, "a mapping of names to values") {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
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
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(child, value, item, keywords{})
		if !d.bad[child] {
			v.SetMapIndex(reflect.ValueOf(key.Value), item)
		}
	}
}

// decodeScalar fills the leaves of the document.
func (d *decoder) decodeScalar(field string, n *yaml.Node, v reflect.Value, tag keywords) {
	p := scalarInto(n, v, fieldName(field), tag)
	if p == nil {
		return
	}
	if p.kind == KindType || p.kind == KindNotation {
		p.msg = "wrong type for " + fieldName(field) + ": " + p.msg
	}
	d.fail(field, d.stands(field, n), *p)
}

func scalarInto(n *yaml.Node, v reflect.Value, name string, tag keywords) *problem {
	if n.Kind != yaml.ScalarNode {
		return notScalar(n, v.Type())
	}
	switch v.Interface().(type) {
	case int32:
		return wholeInto(n, v, name, tag)
	case bool:
		b, p := readBool(n)
		v.SetBool(b)
		return p
	case span:
		return spanInto(n, v, name)
	case errorRate:
		return rateInto(n, v, name)
	case quantity:
		text, p := readText(n)
		v.SetString(text)
		return p
	case word:
		text, p := readText(n)
		v.SetString(text)
		return p
	}
	text, p := readString(n)
	if p == nil {
		p = checkString(text, name, tag)
	}
	v.SetString(text)
	return p
}

// notScalar explains a list or mapping where a scalar is wanted. "image: {sha}",
// which is a mapping to YAML, is what people mean as text.
func notScalar(n *yaml.Node, t reflect.Type) *problem {
	want := map[reflect.Type]string{
		reflect.TypeFor[int32](): "a whole number", reflect.TypeFor[bool](): "true or false",
		reflect.TypeFor[span](): "a duration such as 5m", reflect.TypeFor[errorRate](): `a percentage such as ">1%"`,
		reflect.TypeFor[quantity](): "a quantity",
	}[t]
	if want == "" {
		want = "a string"
	}
	p := &problem{KindType, "expected " + want + ", got " + describe(n), ""}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && slices.Contains(placeholders, n.Content[0].Value) {
		p.meant = quote("{" + n.Content[0].Value + "}")
		p.msg += ": put it in quotes: " + p.meant
	}
	return p
}

func wholeInto(n *yaml.Node, v reflect.Value, name string, tag keywords) *problem {
	digits, p := readWhole(n)
	if p != nil {
		return p
	}
	i, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || i < tag.minimum || i > tag.maximum {
		return &problem{KindRange, fmt.Sprintf("%s %s is out of range: expected %d to %d", name, digits, tag.minimum, tag.maximum), ""}
	}
	v.SetInt(i)
	return nil
}

func spanInto(n *yaml.Node, v reflect.Value, name string) *problem {
	if wholeNumber.MatchString(n.Value) && plain(n) {
		return &problem{KindType, fmt.Sprintf("expected a duration such as 30s, 5m or 7d, got the number %s: add a unit", n.Value), ""}
	}
	text, p := readString(n)
	if p != nil {
		return p
	}
	d, err := ParseDuration(text)
	if err != nil {
		p := &problem{KindFormat, name + ": " + err.Error(), ""}
		if s, ok := err.(*suggested); ok {
			p.meant = s.meant
		}
		return p
	}
	if d == 0 {
		return &problem{KindRange, fmt.Sprintf("%s must be longer than 0: leave the key out for none", name), ""}
	}
	v.SetInt(int64(time.Duration(d)))
	return nil
}

var errorRateForm = regexp.MustCompile(`^>\s*([0-9]{1,3}(?:\.[0-9]{1,4})?)\s*%$`)

func rateInto(n *yaml.Node, v reflect.Value, name string) *problem {
	text, p := readString(n)
	if p != nil {
		p.msg = strings.Replace(p.msg, "a string", `a percentage such as ">1%"`, 1)
		return &problem{KindType, fmt.Sprintf(`expected a percentage such as ">1%%", got %s`, describe(n)), ""}
	}
	m := errorRateForm.FindStringSubmatch(text)
	if m == nil {
		p := &problem{KindFormat, fmt.Sprintf(`%s %s: expected a percentage such as ">1%%"`, name, quote(text)), ""}
		if meant := ">" + strings.Trim(text, "<>=% ") + "%"; errorRateForm.MatchString(meant) {
			p.meant, p.msg = meant, fmt.Sprintf("%s: did you mean %s?", p.msg, quote(meant))
		}
		return p
	}
	f, err := strconv.ParseFloat(m[1], 64)
	if err != nil || f <= 0 || f >= 100 {
		return &problem{KindRange, fmt.Sprintf("%s %s is out of range: expected more than 0%% and less than 100%%", name, quote(text)), ""}
	}
	v.SetFloat(f)
	return nil
}

// checkString holds a string to its keywords.
func checkString(s, name string, tag keywords) *problem {
	switch size := utf8.RuneCountInString(s); {
	case len(tag.enum) > 0 && !slices.Contains(tag.enum, s):
		all := "(" + strings.Join(tag.enum, ", ") + ")"
		if meant := near(s, tag.enum); meant != "" {
			return &problem{KindChoice, fmt.Sprintf("unknown %s %s: did you mean %s? %s", name, quote(s), quote(meant), all), meant}
		}
		return &problem{KindChoice, fmt.Sprintf("unknown %s %s: expected one of %s", name, quote(s), all), ""}
	case s == "" && tag.minLength > 0:
		return &problem{KindFormat, name + " is empty: give it a value or remove the key", ""}
	case tag.maxLength > 0 && size > tag.maxLength:
		return &problem{KindRange, fmt.Sprintf("%s has %d characters: expected at most %d", name, size, tag.maxLength), ""}
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return &problem{KindFormat, fmt.Sprintf("%s %s: expected one line without control characters", name, quote(s)), ""}
	}
	return nil
}
