package bot

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

const (
	// prefix is what a command's line starts with.
	prefix = "/idp"
	// maxComment is how long a comment may be to be read for commands, in bytes.
	// Reading Markdown takes time quadratic in the length of what is made to take it:
	// 64 KiB of "*_" take seconds, and anybody may comment on a public repository.
	maxComment = 16 << 10
	// maxIndent is how far a command may be indented: four blanks make code.
	maxIndent = 3
)

// Invocation is a command as somebody wrote it.
type Invocation struct {
	// Name is the word after "/idp" in lower case, "" where there is none.
	Name string
	// Args are the words after it, as they were written.
	Args []string
}

// String returns the invocation as one line, for the audit.
func (i Invocation) String() string {
	return strings.Join(append([]string{i.Name}, i.Args...), " ")
}

// Parse returns the commands in a comment, in their order. A command stands at
// the start of a line of its own, as in "/idp extend 24h", indented by at most
// three blanks; what GitHub would show as a quote, as code of any kind, as a
// table, or not at all (HTML) is no command. The word "/idp" and the command may
// be written in any case. A comment of more than 16 KiB has none.
func Parse(body string) []Invocation {
	if len(body) > maxComment {
		return nil
	}
	body = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\uFFFD").Replace(body)
	if !slices.ContainsFunc(strings.Split(body, "\n"), looksLikeCommand) {
		return nil
	}
	source := []byte(body)
	document := goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough)).
		Parser().Parse(text.NewReader(source))
	var found []Invocation
	// The function returns no error, so neither does Walk.
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n.Kind() {
		case ast.KindBlockquote, ast.KindCodeBlock, ast.KindFencedCodeBlock, ast.KindHTMLBlock:
			return ast.WalkSkipChildren, nil
		case ast.KindParagraph, ast.KindTextBlock, ast.KindHeading:
			found = append(found, inBlock(n, source)...)
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return found
}

// looksLikeCommand is a cheap first look at a line, before its context is known.
func looksLikeCommand(line string) bool {
	_, ok := parseLine(line)
	return ok
}

// inBlock returns the commands among a block's lines. Only text directly in the
// block counts: a line that starts inside inline code, a link or a tag does not.
func inBlock(block ast.Node, source []byte) []Invocation {
	var found []Invocation
	for n := block.FirstChild(); n != nil; n = n.NextSibling() {
		t, ok := n.(*ast.Text)
		if !ok {
			continue
		}
		if line, ok := lineFrom(source, t.Segment.Start); ok {
			if invocation, ok := parseLine(line); ok {
				found = append(found, invocation)
			}
		}
	}
	return found
}

// lineFrom returns the line that start is in, where nothing but a few blanks stand
// before it.
func lineFrom(source []byte, start int) (string, bool) {
	begin := bytes.LastIndexByte(source[:start], '\n') + 1
	if start-begin > maxIndent || len(bytes.Trim(source[begin:start], " ")) > 0 {
		return "", false
	}
	line, _, _ := bytes.Cut(source[begin:], []byte("\n"))
	return string(line), true
}

// parseLine reads one line that may be a command: after a few blanks, and no other white
// space, which shows as who knows what.
func parseLine(line string) (Invocation, bool) {
	rest := strings.TrimLeft(line, " ")
	words := strings.FieldsFunc(rest, unicode.IsSpace)
	if len(line)-len(rest) > maxIndent || len(words) == 0 || !strings.EqualFold(words[0], prefix) || !strings.HasPrefix(rest, words[0]) {
		return Invocation{}, false
	}
	if len(words) == 1 {
		return Invocation{}, true
	}
	return Invocation{Name: strings.ToLower(words[1]), Args: words[2:]}, true
}
