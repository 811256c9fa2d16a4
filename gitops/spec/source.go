package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	// maxSize and maxDepth bound what is parsed; a real spec is under 10 KiB and 8 deep.
	maxSize  = 64 << 10
	maxDepth = 20
)

// source is the text of a file and the mistakes found in it so far.
type source struct {
	name string
	// needs is what the file must have at least, "" where it may be empty.
	needs string
	lines []string
	errs  Errors
	// outlawed are nodes already reported, which decode leaves alone.
	outlawed map[*yaml.Node]bool
}

// load reads data as one document of the allowed subset of YAML and returns its
// root, nil when there is none to go on with; what is wrong is in s.errs.
func (s *source) load(data []byte) *yaml.Node {
	loader := s.open(data)
	if loader == nil {
		return nil
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF), err == nil && empty(&doc):
		if s.needs != "" {
			s.add(Error{Line: 1, Column: 1, Kind: KindMissing, Message: "the file is empty: expected at least " + s.needs})
		}
		return nil
	case err != nil:
		s.syntax(err)
		return nil
	}
	switch err := loader.Load(&second); {
	case err == nil:
		s.add(Error{Line: second.Line, Column: second.Column, Kind: KindSyntax,
			Message: "a second document starts here: expected one document, without a --- or ... line after its start"})
	case !errors.Is(err, io.EOF):
		s.syntax(err)
	}
	root := doc.Content[0]
	s.outlaw(root, 1)
	return root
}

// open returns what reads the documents of data, nil where that is too large or no text.
func (s *source) open(data []byte) *yaml.Loader {
	if len(data) > maxSize {
		s.add(Error{Line: 1, Column: 1, Kind: KindLimit,
			Message: fmt.Sprintf("the file is too large: expected at most %d bytes (64 KiB)", maxSize)})
		return nil
	}
	s.lines = splitLines(string(data))
	if !s.checkText() || !s.checkDirectives() {
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		s.syntax(err)
		return nil
	}
	return loader
}

func empty(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || doc.Content[0].Kind == yaml.ScalarNode && doc.Content[0].Tag == "!!null" && doc.Content[0].Value == ""
}

// add records an error, moving a position past the end of the file to its last line.
func (s *source) add(e Error) {
	e.Path = s.name
	last := max(len(s.lines), 1)
	e.Line = max(e.Line, 1)
	if e.Line > last {
		e.Line = last
		if len(s.lines) > 0 {
			e.Column = utf8.RuneCountInString(s.lines[last-1]) + 1
		}
	}
	e.Column = max(e.Column, 1)
	e.EndLine = min(max(e.EndLine, e.Line), last)
	s.errs = append(s.errs, e)
}

// splitLines splits at LF, CRLF and CR, as YAML does; no line follows the last break.
func splitLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// checkText refuses what is no text, and characters that readers take for
// different things or that hide what a line says.
func (s *source) checkText() bool {
	for i, line := range s.lines {
		column := 0
		for at, r := range line {
			column++
			msg := refusedRune(r, line[at:], i == 0 && at == 0)
			if msg == "" {
				continue
			}
			s.add(Error{Line: i + 1, Column: column, Kind: KindSyntax, Message: msg})
			if msg == isUTF16 {
				return false
			}
			break // one for each line is enough
		}
	}
	return len(s.errs) == 0
}

const isUTF16 = "the file is UTF-16: save it as UTF-8"

// refusedRune says what is wrong with r, the first rune of rest; "" for nothing.
func refusedRune(r rune, rest string, first bool) string {
	switch {
	case first && (strings.HasPrefix(rest, "\xff\xfe") || strings.HasPrefix(rest, "\xfe\xff")):
		return isUTF16
	case r == '\uFEFF' && first:
		return "the file starts with a byte order mark: save it as UTF-8 without one"
	case r == utf8.RuneError && !strings.HasPrefix(rest, "\uFFFD"):
		return fmt.Sprintf("byte 0x%02x is not valid UTF-8: save the file as UTF-8", rest[0])
	case r == 0:
		return "a NUL byte: expected text"
	case r < ' ' && r != '\t', r >= 0x7f && r <= 0x9f:
		return fmt.Sprintf("control character U+%04X is not allowed: write it as an escape in double quotes", r)
	case r == '\u2028', r == '\u2029', r == '\uFEFF':
		return fmt.Sprintf("character U+%04X is not allowed: YAML readers disagree on it", r)
	case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
		return fmt.Sprintf("character U+%04X is not allowed: it changes the direction of text and hides what a line says", r)
	}
	return ""
}

// checkDirectives refuses "%YAML" and "%TAG" lines before the document.
func (s *source) checkDirectives() bool {
	for i, line := range s.lines {
		switch {
		case strings.HasPrefix(line, "%"):
			s.add(Error{Line: i + 1, Column: 1, Kind: KindSyntax,
				Message: "directives are not allowed: remove the line"})
			return false
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(strings.TrimSpace(line), "#"):
			return true
		}
	}
	return true
}

func tooDeep() string { return fmt.Sprintf("nested too deep: expected at most %d levels", maxDepth) }

// outlaw reports what is YAML but not allowed below n: anchors, aliases, merge
// keys, tags, and too deep nesting.
func (s *source) outlaw(n *yaml.Node, depth int) {
	switch {
	case depth > maxDepth:
		s.ban(n, KindLimit, tooDeep())
		return
	case n.Kind == yaml.AliasNode:
		s.ban(n, KindSyntax, fmt.Sprintf("aliases are not allowed: write the value out, or put %s in quotes", quote("*"+n.Value)))
		return
	case n.Anchor != "":
		s.ban(n, KindSyntax, fmt.Sprintf("anchors are not allowed: remove &%s, or put the value in quotes", n.Anchor))
	case n.Style&yaml.TaggedStyle != 0 || !coreTag(n.Tag):
		s.ban(n, KindSyntax, "tags are not allowed: remove "+tagName(n.Tag)+", or put the value in quotes")
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Tag == "!!merge" {
			s.ban(child, KindSyntax, "merge keys are not allowed: write the values out")
			continue
		}
		s.outlaw(child, depth+1)
	}
}

func (s *source) ban(n *yaml.Node, kind ErrorKind, msg string) {
	s.outlawed[n] = true
	s.add(Error{Line: n.Line, Column: n.Column, EndLine: lastLine(n), Kind: kind, Message: msg})
}

func coreTag(tag string) bool {
	switch tag {
	case "!!map", "!!seq", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge":
		return true
	}
	return false
}

func tagName(tag string) string {
	if tag == "!" || tag == "" {
		return `"!"`
	}
	return quote(tag)
}

// lastLine returns the last line on which something below n starts.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, child := range n.Content {
		last = max(last, lastLine(child))
	}
	return last
}
