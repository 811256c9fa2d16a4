package policy

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/figure"
)

// allocated is how much was taken from the heap until now, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// One call that would make more than there is room for is refused before it makes anything:
// the heap is only looked at between calls. s is 100,000 long. It is not parallel, for it
// counts what is allocated.
func TestCalls(t *testing.T) {
	const mebibyte, most = 1 << 20, 96
	cases := map[string]string{
		"concat":                           `concat(s, ["a" | some _ in numbers.range(1, 10000)])`,
		"replace":                          `replace(s, "0", s)`,
		"strings.replace_n":                `strings.replace_n({"1": "", "0": s}, s)`,
		"regex.replace":                    `regex.replace(s, "0", s)`,
		"regex.replace by reference":       `regex.replace(s, "(0*)", concat("", ["$1" | some _ in numbers.range(1, 10000)]))`,
		"regex.match":                      `[1 | regex.match("((0{30}){30}1)", s)]`,
		"regex.split":                      `regex.split("(0{500}|1){2}", concat("", [s, s]))`,
		"regex.find_n":                     `regex.find_n("(0{500}|1){2}", s, -1)`,
		"regex.find_all_string_submatch_n": `regex.find_all_string_submatch_n("()()()()()()()()()()()()()()()()()()()()()()", s, -1)`,
		"sprintf":                          `sprintf(concat("", ["%[1]s" | some _ in numbers.range(1, 10000)]), [s])`,
		"sprintf by its format":            `sprintf("%[1]999999d%[1]999999d%[1]999999d", [1])`,
		"sprintf by a width":               `sprintf("%*d%*d%*d", [999999, 1, 999999, 1, 999999, 1])`,
		"json.marshal":                     `json.marshal([s | some _ in numbers.range(1, 10000)])`,
		"json.marshal_with_options":        `json.marshal_with_options(numbers.range(1, 10000), {"indent": s})`,
		"yaml.marshal":                     `yaml.marshal([s | some _ in numbers.range(1, 10000)])`,
		"urlquery.encode_object":           `urlquery.encode_object({"a": [s | some _ in numbers.range(1, 10000)]})`,
		"json.patch":                       `json.patch({"a": s}, [{"op": "copy", "from": "/a", "path": sprintf("/%d", [i])} | some i in numbers.range(1, 1000)])`,
		"array.flatten":                    `array.flatten([[s] | some _ in numbers.range(1, 10000)])`,
		"net.cidr_contains_matches":        `net.cidr_contains_matches(["::/0" | some _ in numbers.range(1, 2000)], ["::1" | some _ in numbers.range(1, 2000)])`,
		"product":                          `[1 | product([99999999 | some _ in numbers.range(1, 10000)])]`,
		"units.parse":                      `[1 | units.parse(concat("", [s, "1"]))]`,
		"indexof_n":                        `indexof_n(concat("", [s, s]), "0")`,
		"internal.template_string":         `$"{[s | some _ in numbers.range(1, 10000)]}"`,
	}
	for name, call := range cases {
		t.Run(name, func(t *testing.T) {
			s := compiled(t, "a.rego", "package main\n\ndeny contains \"x\" if {\n\ts := concat(\"\", [\"0000000000\" | some _ in numbers.range(1, 10000)])\n\tcount("+call+") < 0\n\ts == \"\"\n}\n")
			before, from := allocated(), time.Now()
			v := s.Request(request(t, specText))
			function, _, _ := strings.Cut(name, " ")
			want := function + ": one call would take or make more than 2 MiB"
			if v.Broken == nil || !strings.Contains(v.Broken.Error(), want) {
				t.Errorf("broken: %v\nwant: %s", v.Broken, want)
			}
			if made := (allocated() - before) / mebibyte; made > most {
				t.Errorf("%d MiB were allocated in %s", made, time.Since(from))
			}
		})
	}
	figure.Tell(t, "%d functions called for too much: each refused, with less than %d MiB allocated", len(cases), most)
}

// An array that doubles ends while it fits: what is weighty has the heap looked at each time.
func TestDoubling(t *testing.T) {
	source := "package main\n\na0 := numbers.range(1, 10000)\n\n"
	for i := range 30 {
		source += fmt.Sprintf("a%d := array.concat(a%d, a%[2]d)\n\n", i+1, i)
	}
	s := compiled(t, "a.rego", source+"deny contains \"x\" if count(a30) < 0\n")
	before := allocated()
	v := s.Request(request(t, specText))
	if v.Broken == nil || !strings.Contains(v.Broken.Error(), "array.concat: one call would take or make more than 2 MiB") || allocated()-before > 256<<20 {
		t.Errorf("%d MiB were allocated; broken: %v", (allocated()-before)>>20, v.Broken)
	}
}

// A result that has one part at many places is not written out, and what policies do with
// texts of a common size passes.
func TestOrdinaryCalls(t *testing.T) {
	t.Parallel()
	s := compiled(t, "a.rego", `package main

deny contains {"msg": "x", "more": more} if {
	a := ["0123456789" | some _ in numbers.range(1, 1000)]
	b := [a | some _ in numbers.range(1, 1000)]
	more := [b | some _ in numbers.range(1, 1000)]
}
`)
	if v := s.Request(request(t, specText)); v.Broken == nil || !strings.Contains(v.Broken.Error(), "its result is larger than 2 MiB") {
		t.Errorf("broken: %v", v.Broken)
	}
	s = compiled(t, "a.rego", `package main

warn contains concat(" ", [replace("a-b", "-", "_"), regex.replace("web-42", "([a-z]+)-([0-9]+)", "$2 $1"), sprintf("%-5s|%03d", ["a", 7]), json.marshal({"a": [1, 2.5]}), format_int(255, 16)]) if {
	sum([x | some x in numbers.range(1, 5000)]) == 12502500
	count(json.marshal_with_options(input, {"indent": "  "})) > 100
	regex.match("^(ghcr|quay)\\.io/acme/[a-z0-9._/-]{1,200}:[0-9a-f]{40}$", concat("", ["ghcr.io/acme/", concat("", ["a" | some _ in numbers.range(1, 200)]), ":", "0123456789012345678901234567890123456789"]))
	count(replace(json.marshal(input), "\"", "")) > 100
}
`)
	v := s.Request(request(t, specText))
	if want := `main.warn: a_b 42 web a |007 {"a":[1,2.5]} ff`; v.Broken != nil || said(v.Warned) != want {
		t.Errorf("%s, want %s; broken: %v", said(v.Warned), want, v.Broken)
	}
}
