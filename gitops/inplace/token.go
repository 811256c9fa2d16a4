package inplace

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// token returns where in a file the text of a scalar stands, quotes included. It is not ok
// where that is no single line of plain or quoted text.
func token(content []byte, n *yaml.Node) (start, end int, ok bool) {
	if start, ok = offset(content, n.Line, n.Column); !ok || start >= len(content) {
		return 0, 0, false
	}
	line := content[start:]
	if i := bytes.IndexAny(line, "\r\n\u0085\u2028\u2029"); i >= 0 {
		line = line[:i]
	}
	length := 0
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		length = quotedLength(line, '"', '\\')
	case n.Style&yaml.SingleQuotedStyle != 0:
		length = quotedLength(line, '\'', '\'')
	case n.Value != "" && bytes.HasPrefix(line, []byte(n.Value)):
		length = len(n.Value)
	}
	return start, start + length, length > 0
}

// offset returns the byte that a position stands for. Columns count characters.
func offset(content []byte, line, column int) (int, bool) {
	at := 0
	if bytes.HasPrefix(content, []byte("\ufeff")) {
		at = len("\ufeff")
	}
	for ; line > 1; line-- {
		next := lineEnd(content[at:])
		if next < 0 {
			return 0, false
		}
		at += next
	}
	for ; column > 1; column-- {
		if at >= len(content) {
			return 0, false
		}
		_, size := utf8.DecodeRune(content[at:])
		at += size
	}
	return at, true
}

// lineEnd returns where the next line begins, by what ends a line in YAML; -1 for none.
func lineEnd(content []byte) int {
	i := bytes.IndexAny(content, "\r\n\u0085\u2028\u2029")
	if i < 0 {
		return -1
	}
	if bytes.HasPrefix(content[i:], []byte("\r\n")) {
		return i + 2
	}
	_, size := utf8.DecodeRune(content[i:])
	return i + size
}

// quotedLength returns how long the quoted text is that a line begins with, 0 where it is
// not closed on it. An escape takes the character after it, and in single quotes it is a
// quote itself.
func quotedLength(line []byte, quote, escape byte) int {
	if len(line) == 0 || line[0] != quote {
		return 0
	}
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == escape && escape != quote:
			i++
		case line[i] == quote && escape == quote && i+1 < len(line) && line[i+1] == quote:
			i++
		case line[i] == quote:
			return i + 1
		}
	}
	return 0
}

// same says that documents are as they were, but for one node of before, which is value as
// text now.
func same(before, after []*yaml.Node, changed *yaml.Node, value string) bool {
	if len(before) != len(after) {
		return false
	}
	for i := range before {
		if !sameNode(before[i], after[i], changed, value) {
			return false
		}
	}
	return true
}

func sameNode(a, b, changed *yaml.Node, value string) bool {
	if a.Kind != b.Kind || a.Anchor != b.Anchor || a.Line != b.Line || len(a.Content) != len(b.Content) ||
		a.HeadComment != b.HeadComment || a.LineComment != b.LineComment || a.FootComment != b.FootComment {
		return false
	}
	if a == changed {
		return b.Value == value && b.ShortTag() == strTag
	}
	if a.Value != b.Value || a.Style != b.Style || a.ShortTag() != b.ShortTag() {
		return false
	}
	for i := range a.Content {
		if !sameNode(a.Content[i], b.Content[i], changed, value) {
			return false
		}
	}
	return true
}
