package bot

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParse(t *testing.T) {
	t.Parallel()
	one := func(name string, args ...string) []Invocation { return []Invocation{{Name: name, Args: args}} }
	for _, c := range []struct {
		name, body string
		want       []Invocation
	}{
		{"alone", "/idp preview", one("preview")},
		{"with an argument", "/idp extend 24h", one("extend", "24h")},
		{"bare", "/idp", one("")},
		{"any case", "/IDP Extend 24H", one("extend", "24H")},
		{"tabs and blanks", "/idp \t extend   24h  ", one("extend", "24h")},
		{"CRLF", "Please:\r\n/idp pin\r\nthanks\r\n", one("pin")},
		{"old Mac line ends", "Please:\r/idp pin\rthanks", one("pin")},
		{"NUL", "/idp pin\x00", one("pin\uFFFD")},
		{"no newline before a paragraph", "hello\n/idp pin", one("pin")},
		{"three blanks", "   /idp pin", one("pin")},
		{"three blanks in a paragraph", "hello\n   /idp pin", one("pin")},
		{"several in order", "/idp preview\n/idp extend 7d\n\n/idp pin\n",
			[]Invocation{{Name: "preview"}, {Name: "extend", Args: []string{"7d"}}, {Name: "pin"}}},
		{"above a rule", "/idp pin\n---\nbest, ann", one("pin")},
		{"below a heading", "## Plan\n/idp pin", one("pin")},
		{"below a list without a blank line", "- a\n- b\n/idp pin", one("pin")},
		{"after a code block", "```\nx\n```\n/idp pin", one("pin")},
		{"after a quote", "> what now?\n\n/idp pin", one("pin")},
		{"inside details", "<details>\n\n/idp pin\n\n</details>", one("pin")},
		{"backticks in an argument", "/idp pin `x`", one("pin", "`x`")},
		{"with markup behind", "/idp pin *now*", one("pin", "*now*")},
		{"unknown", "/idp frobnicate", one("frobnicate")},

		{"nothing", "", nil},
		{"mid-line", "try /idp pin", nil},
		{"another word", "/idpx pin", nil},
		{"a path", "/idp/pin", nil},
		{"escaped", `\/idp pin`, nil},
		{"list item", "- /idp pin", nil},
		{"heading", "# /idp pin", nil},
		{"quote", "> /idp pin", nil},
		{"quote without a blank", ">/idp pin", nil},
		{"quote in a quote", "> > /idp pin", nil},
		{"shown as part of a quote", "> what now?\n/idp pin", nil},
		{"quote in a list", "- > x\n  > /idp pin", nil},
		{"fenced", "```\n/idp pin\n```", nil},
		{"fenced with tildes", "~~~sh\n/idp pin\n~~~", nil},
		{"fence that is never closed", "```\n/idp pin", nil},
		{"longer fence", "````\n```\n/idp pin\n````", nil},
		{"fenced in a list", "- x\n  ```\n  /idp pin\n  ```", nil},
		{"indented", "    /idp pin", nil},
		{"indented by a tab", "\t/idp pin", nil},
		{"indented by a vertical tab", "hello\n \v/idp pin", nil},
		{"indented by a no-break space", "hello\n\u00a0/idp pin", nil},
		{"four blanks in a paragraph", "hello\n    /idp pin", nil},
		{"inline code", "`/idp pin`", nil},
		{"inline code over lines", "run `\n/idp pin\n` now", nil},
		{"HTML comment", "<!--\n/idp pin\n-->", nil},
		{"HTML comment in a paragraph", "hello <!--\n/idp pin\n--> there", nil},
		{"HTML block", "<div>\n/idp pin\n</div>", nil},
		{"pre", "<pre>\n\n/idp pin\n\n</pre>", nil},
		{"link text", "[x\n/idp pin](https://example.com)", nil},
		{"emphasis", "*x\n/idp pin*", nil},
		{"table", "| a |\n|---|\n/idp pin |", nil},
		{"very long", strings.Repeat("x\n", maxComment/2) + "/idp pin", nil},
		{"look-alike slash", "∕idp pin", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Parse(c.body), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", c.body, diff)
			}
		})
	}
}

// FuzzParse holds what is true of every comment: a command comes from a line that
// starts with it, and quoting or fencing the whole comment leaves none.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"/idp preview", "a\n/idp extend 1d\r\n> /idp pin", "```\n/idp x\n```", "`\n/idp\n`", "- a\n/idp b", "<!-- \n/idp c\n-->\n/idp d", "[a]: /b\n/idp e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		lines := strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' })
		starting := 0
		for _, line := range lines {
			if trimmed := strings.TrimLeft(line, " "); len(line)-len(trimmed) <= maxIndent && len(trimmed) >= len(prefix) && strings.EqualFold(trimmed[:len(prefix)], prefix) {
				starting++
			}
		}
		if got := len(Parse(body)); got > starting {
			t.Fatalf("%d commands from %d lines that start with one: %q", got, starting, body)
		}
		var quoted strings.Builder
		for _, line := range strings.FieldsFunc(body, func(r rune) bool { return r == '\n' || r == '\r' }) {
			quoted.WriteString("> " + line + "\n")
		}
		if got := Parse(quoted.String()); len(got) > 0 {
			t.Fatalf("commands %v in a quote: %q", got, quoted.String())
		}
		fence := strings.Repeat("`", 3+strings.Count(body, "`"))
		if got := Parse(fence + "\n" + body + "\n" + fence); len(got) > 0 {
			t.Fatalf("commands %v in a code block: %q", got, body)
		}
	})
}
