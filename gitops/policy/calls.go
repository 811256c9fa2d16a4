package policy

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

const (
	// maxCall is how many bytes of text, or elements, one call of a function may take and
	// make together. Functions take 64 bytes of memory at most for each of these, so that a
	// call adds less than 128 MiB to what the meter saw before it.
	maxCall = 2 << 20
	// weighty is the measure from which on the heap is looked at before a call.
	weighty = 16 << 10
	// maxDigits is how long the numbers of one calculation may be: it takes the square of that.
	maxDigits = 4000
	// maxMatching is the most steps of matching a regular expression, its instructions
	// times the text: a second of work.
	maxMatching = 1 << 26
)

// measure tells how much one call takes and makes, before it is made.
type measure func(operands []*ast.Term) int

// measures are those of the functions that make more of a byte or an element than a fixed
// amount; shallow is that of all others.
var measures = map[string]measure{
	"concat":            func(o []*ast.Term) int { return deep(o) + text(o, 0)*length(o[1]) },
	"replace":           func(o []*ast.Term) int { return shallow(o) + replaced(o[0], o[1], o[2]) },
	"strings.replace_n": replacedN,
	"indexof_n": func(o []*ast.Term) int { // counts its way from the start to each
		return shallow(o) + text(o, 0)*strings.Count(string(word(o[0])), string(word(o[1])))/8192
	},
	"sprintf":                   formatted,
	"regex.match":               func(o []*ast.Term) int { return matching(o[0], o[1], 0) },
	"re_match":                  func(o []*ast.Term) int { return matching(o[0], o[1], 0) },
	"regex.split":               func(o []*ast.Term) int { return matching(o[0], o[1], 1) },
	"regex.find_n":              func(o []*ast.Term) int { return matching(o[0], o[1], 1) },
	"regex.replace":             func(o []*ast.Term) int { return matching(o[1], o[0], 1+text(o, 2)) + references(o[2])*text(o, 0) },
	"json.patch":                func(o []*ast.Term) int { return deep(o) * max(length(o[1]), 1) },
	"array.flatten":             deep,
	"intersection":              deep,
	"json.filter":               deep,
	"json.marshal":              deep,
	"json.remove":               deep,
	"net.cidr_merge":            deep,
	"object.subset":             deep,
	"object.union":              deep,
	"object.union_n":            deep,
	"graph.reachable":           deep,
	"union":                     deep,
	"urlquery.encode_object":    deep,
	"yaml.marshal":              deep,
	"internal.template_string":  deep,
	"json.marshal_with_options": indented,
	"net.cidr_contains_matches": func(o []*ast.Term) int { return deep(o) + length(o[0])*length(o[1]) },
	"strings.any_prefix_match":  deep,
	"strings.any_suffix_match":  deep,
	"glob.match":                func(o []*ast.Term) int { return deep(o) + text(o, 0)*text(o, 2) },
	"regex.template_match":      func(o []*ast.Term) int { return matching(o[0], o[1], 0) },
	"regex.find_all_string_submatch_n": func(o []*ast.Term) int {
		return matching(o[0], o[1], 1+strings.Count(string(word(o[0])), "("))
	},
	"units.parse":       func(o []*ast.Term) int { return text(o, 0) * (maxCall / maxDigits) },
	"units.parse_bytes": func(o []*ast.Term) int { return text(o, 0) * (maxCall / maxDigits) },
	"product":           multiplied, "sum": digits,
	"plus": digits, "minus": digits, "mul": digits, "div": digits, "rem": digits, "abs": digits, "ceil": digits, "floor": digits, "round": digits,
	"bits.and": digits, "bits.or": digits, "bits.xor": digits, "bits.negate": digits, "bits.rsh": digits,
	"format_int": digits, "numbers.range": digits, "numbers.range_step": digits,
}

// boundCalls puts its measure before every function that policies may call. OPA knows its
// own functions for the whole process, which is why this is done once and, as only this
// package has OPA evaluate anything, before anything is evaluated.
var boundCalls = sync.OnceFunc(func() {
	for _, b := range allowed() {
		name, call := b.Name, topdown.GetBuiltin(b.Name)
		if call == nil {
			continue
		}
		of := measures[name]
		if of == nil {
			of = shallow
		}
		topdown.RegisterBuiltinFunc(name, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
			n := of(operands)
			if n > maxCall || n < 0 {
				return fmt.Errorf("one call would take or make more than %d MiB", maxCall>>20)
			}
			if m, ok := bctx.Cancel.(*meter); ok && n > weighty && m.look() {
				return topdown.Halt{Err: &topdown.Error{Code: topdown.CancelErr, Message: m.err().Error(), Location: bctx.Location}}
			}
			return call(bctx, operands, iter)
		})
	}
})

// result turns what a rule came to into what Go reads, where that is not too large: the
// same part at several places is written out at each.
func result(t *ast.Term, _ *rego.EvalContext) (any, error) {
	if deep([]*ast.Term{t}) > maxCall {
		return nil, fmt.Errorf("its result is larger than %d MiB", maxCall>>20)
	}
	return ast.JSON(t.Value)
}

// shallow counts the bytes of texts and the elements of collections.
func shallow(operands []*ast.Term) int {
	n := 0
	for _, o := range operands {
		n += length(o)
	}
	return n
}

// length is that of a text in bytes, or of a collection in elements; 1 of what has none.
func length(t *ast.Term) int {
	switch v := t.Value.(type) {
	case ast.String:
		return len(v)
	case ast.Number:
		return len(v)
	case interface{ Len() int }:
		return v.Len()
	}
	return 1
}

// deep counts what the operands would be as text, up to a little beyond maxCall.
func deep(operands []*ast.Term) int {
	n := 0
	for _, o := range operands {
		weigh(o, &n)
	}
	return n
}

func weigh(t *ast.Term, n *int) {
	if *n > maxCall {
		return
	}
	*n += 2
	switch v := t.Value.(type) {
	case ast.String:
		*n += len(v)
	case ast.Number:
		*n += len(v)
	case *ast.Array:
		v.Until(func(t *ast.Term) bool { weigh(t, n); return *n > maxCall })
	case ast.Set:
		v.Until(func(t *ast.Term) bool { weigh(t, n); return *n > maxCall })
	case ast.Object:
		v.Until(func(k, t *ast.Term) bool { weigh(k, n); weigh(t, n); return *n > maxCall })
	}
}

// word is a text, "" of what is none: the function itself says so.
func word(t *ast.Term) ast.String {
	s, _ := t.Value.(ast.String)
	return s
}

func text(operands []*ast.Term, i int) int { return len(word(operands[i])) }

// replaced is how much comes into s for what is old.
func replaced(s, old, new *ast.Term) int {
	return strings.Count(string(word(s)), string(word(old))) * len(word(new))
}

func replacedN(o []*ast.Term) int {
	n := deep(o)
	if patterns, ok := o[0].Value.(ast.Object); ok {
		patterns.Foreach(func(old, new *ast.Term) { n = min(n, maxCall+1) + replaced(o[1], old, new) })
	}
	return n
}

// matching is what a regular expression takes that makes some bytes or elements at each
// place of a text. One that takes too long measures as too much.
func matching(pattern, s *ast.Term, each int) int {
	n := (len(word(s)) + 1) * (each + 1)
	parsed, err := syntax.Parse(string(word(pattern)), syntax.Perl)
	if err != nil {
		return n // the function itself says so
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err == nil && len(program.Inst)*(len(word(s))+1) > maxMatching {
		return maxCall + 1
	}
	return n
}

// references counts those to what matched, each of which is at most the whole text.
func references(value *ast.Term) int { return strings.Count(string(word(value)), "$") }

var numerals = func(r rune) bool { return r < '0' || r > '9' }

// formatted is what sprintf makes: each verb the longest of the values, in its longest
// form, and as wide as the format or a value says.
func formatted(o []*ast.Term) int {
	wide, format := 0, string(word(o[0]))
	widths := strings.FieldsFunc(format, numerals)
	if values, ok := o[1].Value.(*ast.Array); ok && strings.Contains(format, "*") {
		values.Foreach(func(t *ast.Term) {
			if v, ok := t.Value.(ast.Number); ok {
				widths = append(widths, strings.TrimPrefix(string(v), "-"))
			}
		})
	}
	for _, w := range widths {
		if n, err := strconv.Atoi(w); err == nil {
			wide = max(wide, min(n, 1_000_000)) // fmt takes no wider
		}
	}
	const quoted = 6 // \u0000
	return len(format) + strings.Count(format, "%")*(wide+quoted*deep(o[1:]))
}

// indented is deep with each line's indentation, which is deeper by one for each bracket.
func indented(o []*ast.Term) int {
	n, options := deep(o[:1]), deep(o[1:])
	nested, lines := shape(o[0], 0, &n)
	return n + lines*(nested+1)*options
}

// shape is how deep and how many lines something is.
func shape(t *ast.Term, at int, n *int) (nested, lines int) {
	nested, lines = at, 2
	if *n > maxCall {
		return nested, lines
	}
	inner := func(t *ast.Term) {
		d, l := shape(t, at+1, n)
		nested, lines = max(nested, d), lines+l
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(inner)
	case ast.Set:
		v.Foreach(inner)
	case ast.Object:
		v.Foreach(func(_, t *ast.Term) { inner(t) })
	}
	return nested, lines
}

// digits measures numbers by the longest of them.
func digits(operands []*ast.Term) int {
	longest := 0
	for _, o := range operands {
		each(o, func(digits int) { longest = max(longest, digits) })
	}
	return shallow(operands) + longest*(maxCall/maxDigits)
}

// multiplied measures numbers by what they have together, as their product has.
func multiplied(operands []*ast.Term) int {
	total := 0
	each(operands[0], func(digits int) { total = min(total+digits, maxCall) })
	return total * (maxCall / maxDigits)
}

// each tells how many digits the numbers have: one, or those of an array or a set.
func each(t *ast.Term, tell func(digits int)) {
	one := func(t *ast.Term) {
		if v, ok := t.Value.(ast.Number); ok {
			tell(long(string(v)))
		}
	}
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(one)
	case ast.Set:
		v.Foreach(one)
	default:
		one(t)
	}
}

// long is how many digits a number has when it is written out.
func long(number string) int {
	n := len(number)
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(number[i+1:])
		if err != nil || exponent > maxDigits || exponent < -maxDigits {
			return maxCall
		}
		n += max(exponent, -exponent)
	}
	return min(n, maxCall)
}
