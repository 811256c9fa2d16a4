package spec

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

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
	case int32, int64:
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
		if plain(n) && n.Tag == "!!null" {
			return &problem{KindType, "expected a quantity, got nothing: give it a value or remove the key", ""}
		}
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
		reflect.TypeFor[int32](): "a whole number", reflect.TypeFor[int64](): "a whole number", reflect.TypeFor[bool](): "true or false",
		reflect.TypeFor[span](): "a duration such as 5m", reflect.TypeFor[errorRate](): `a percentage such as ">1%"`,
		reflect.TypeFor[quantity](): "a quantity",
	}[t]
	if want == "" {
		want = "a string"
	}
	p := &problem{KindType, "expected " + want + ", got " + describe(n), ""}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && slices.Contains(imagePlaceholders, n.Content[0].Value) {
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
	i, err := strconv.ParseInt(digits, 10, v.Type().Bits())
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
		var s *suggested
		if errors.As(err, &s) {
			p.meant = s.meant
		}
		return p
	}
	if d == 0 {
		return &problem{KindRange, fmt.Sprintf("%s must be longer than 0: leave the key out for none", name), ""}
	}
	v.SetInt(int64(d))
	return nil
}

var errorRateForm = regexp.MustCompile(`^>\s*((?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,4})?)\s*%$`)

func rateInto(n *yaml.Node, v reflect.Value, name string) *problem {
	text, p := readString(n)
	if p != nil {
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
