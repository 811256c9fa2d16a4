package spec

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v4"
)

// syntax records why data is not YAML, in terms of what to do about it. The
// reader's own words ("while scanning a block scalar") help nobody who wrote
// "on_error_rate: >1%".
func (s *source) syntax(err error) {
	e := Error{Line: 1, Column: 1, Kind: KindSyntax}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		e.Message = "not valid YAML: " + err.Error()
		s.add(e)
		return
	}
	at, opened := load.Mark, load.ContextMark
	switch context := load.ContextMsg; {
	case strings.Contains(load.Message, "exceeded max depth"):
		e.Kind, e.Message = KindLimit, tooDeep()
	case strings.Contains(context, "alias"), strings.Contains(load.Message, "unknown anchor"):
		e.Message = `a value cannot start with "*": put it in quotes`
		if opened.Line > 0 {
			at = opened
		}
	case strings.Contains(context, "anchor"):
		e.Message, at = `a value cannot start with "&": put it in quotes`, opened
	case strings.Contains(context, "tag"):
		e.Message, at = `a value cannot start with "!": put it in quotes`, opened
	case strings.Contains(context, "block scalar"):
		e.Message, at = `a value cannot start with ">" or "|" unless a block of text follows: put it in quotes`, opened
	case strings.Contains(context, "quoted scalar") && strings.Contains(load.Message, "end of stream"):
		e.Message, at = "this quote is never closed", opened
	case strings.Contains(context, "quoted scalar") && strings.Contains(load.Message, "escape"):
		e.Message = `unknown escape: write \\ for a backslash, or use single quotes`
	case strings.Contains(load.Message, "',' or ']'"):
		e.Message, at = `this list is not closed: expected "," between its items and "]" at its end`, opened
	case strings.Contains(load.Message, "',' or '}'"):
		e.Message, at = `this mapping is not closed: expected "," between its entries and "}" at its end`, opened
	case strings.Contains(load.Message, "cannot start any token"):
		e.Message = s.badStart(at)
	case strings.Contains(load.Message, "mapping values are not allowed"):
		e.Message = `unexpected ":": put a value that holds ": " in quotes, or check the indentation`
	case strings.Contains(load.Message, "did not find expected key"), strings.Contains(load.Message, "expected ':'"):
		e.Message = `expected a key and ":" here: check the indentation of this line and the one above`
	default:
		e.Message = "not valid YAML: " + load.Message
	}
	e.Line, e.Column = at.Line, at.Column
	s.add(e)
}

// badStart explains a character that no value starts with.
func (s *source) badStart(at yaml.Mark) string {
	if at.Line >= 1 && at.Line <= len(s.lines) {
		if line := []rune(s.lines[at.Line-1]); at.Column >= 1 && at.Column <= len(line) {
			if c := line[at.Column-1]; c != '\t' {
				return "a value cannot start with " + quote(string(c)) + ": put it in quotes"
			}
			return "a tab: YAML is indented with spaces"
		}
	}
	return "not valid YAML: check the indentation"
}
