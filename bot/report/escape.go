package report

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxInline is how many characters of one foreign text are shown inline.
	maxInline = 400
	// breaker is a zero-width space. GitHub looks for mentions, references and
	// bare links after Markdown is rendered, so escaping alone does not stop them.
	breaker = "\u200b"
)

// plain makes s one line of printable characters, at most limit of them: what
// goes where there is no Markdown, such as the title of a check run. Control and
// bidirectional-override characters are dropped, whitespace becomes one blank.
func plain(s string, limit int) string {
	s = strings.Join(strings.Fields(strings.Map(printable, strings.ToValidUTF8(s, "\uFFFD"))), " ")
	if utf8.RuneCountInString(s) > limit {
		s = string([]rune(s)[:limit-1]) + "…"
	}
	return s
}

func printable(r rune) rune {
	switch {
	case r > ' ' && r < 0x7f:
		return r
	case unicode.IsSpace(r):
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		return -1
	}
	return r
}

var textEscapes = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;", "$", "&#36;",
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "!", `\!`,
	"@", "@"+breaker, "#", `\#`+breaker, "://", ":"+breaker+"//",
)

// Text returns s as Markdown that shows exactly s on one line: no formatting,
// HTML, link, mention, issue reference or mathematics comes of it. It is meant
// for the middle of a line; at a line's start a number or a dash would still
// begin a list.
func Text(s string) string { return breakWWW(textEscapes.Replace(plain(s, maxInline))) }

// paragraph is Text for the start of a line, where what is not a letter could begin
// a list, a heading or a command.
func paragraph(s string) string {
	s = Text(s)
	if r, _ := utf8.DecodeRuneInString(s); s != "" && !unicode.IsLetter(r) {
		return breaker + s
	}
	return s
}

// commandIn finds the commands that a hint of ours names.
var commandIn = regexp.MustCompile(`/idp [a-z]+( [0-9]+[dhm]| [0-9a-f]{40})?`)

// Hint is text for the next step, with the commands in it as code.
func Hint(s string) string {
	return commandIn.ReplaceAllString(paragraph(s), "`$0`")
}

// breakWWW keeps "www." and "GH-1" from becoming links.
func breakWWW(s string) string {
	for _, word := range []string{"www.", "gh-"} {
		for i := 0; i < len(s); {
			at := indexFold(s[i:], word)
			if at < 0 {
				break
			}
			at += i + len(word) - 1
			s = s[:at] + breaker + s[at:]
			i = at + len(breaker)
		}
	}
	return s
}

// indexFold is strings.Index for a lower-case ASCII word in any case.
func indexFold(s, word string) int {
	for i := 0; i+len(word) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}

// Code returns s as inline code, with delimiters longer than any run of
// backticks in it; "–" when nothing is left to show. GitHub links nothing in code.
func Code(s string) string {
	s = plain(s, maxInline)
	if s == "" {
		return "–"
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// cellCode is Code for a table's cell. A pipe ends a cell even in code, and GFM
// leaves it open what a backslash before it does: neither is let through.
func cellCode(s string) string {
	return Code(strings.NewReplacer("|", "¦", `\`, "∖").Replace(s))
}

// fence returns text as a fenced code block, with a fence longer than any run of
// backticks in it. Other characters than tab and newline that do not print go.
func fence(language, text string) string {
	ticks := strings.Repeat("`", max(3, longestRun(text, '`')+1))
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return printable(r)
	}, strings.ToValidUTF8(text, "\uFFFD"))
	return ticks + language + "\n" + strings.TrimRight(text, "\n") + "\n" + ticks
}

// hostPattern is what a link may lead to: a DNS name or an IPv4 address, and a port.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?$`)

// link returns a link whose label is Markdown, or just the label where target is
// not an absolute http or https URL of a plain host without user information.
func link(label, target string) string {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !hostPattern.MatchString(u.Host) || u.User != nil {
		return label
	}
	return "[" + label + "](" + escapeTarget(u.String()) + ")"
}

// escapeTarget percent-encodes whatever could end a link's target or mean something
// in Markdown.
func escapeTarget(target string) string {
	var b strings.Builder
	for _, c := range []byte(target) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._/:?=&%+,;", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func longestRun(s string, of rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r == of {
			run++
			longest = max(longest, run)
			continue
		}
		run = 0
	}
	return longest
}
