package inplace

import (
	"bytes"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
	k8syaml "sigs.k8s.io/yaml"
)

// Error is why a value cannot be read or replaced, in words for who owns the file.
type Error struct {
	File string
	// Line and Column are where, counted from 1; 0 where it is the whole file.
	Line, Column int
	// Message says what is wrong and Hint what to do about it.
	Message, Hint string
}

// Error returns "file:line:column: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Read returns what a field of a file holds. Its errors are Errors.
func Read(content []byte, f Field) (string, error) {
	_, found, err := open(content, f)
	if err != nil {
		return "", err
	}
	return found.Value, nil
}

// Edit returns the file with the value in its place; content itself where it holds that
// already. Nothing but the scalar's own bytes differs. Its errors are Errors.
func Edit(content []byte, w Write) ([]byte, error) {
	docs, found, err := open(content, w.Field)
	if err != nil {
		return nil, err
	}
	if !safe.MatchString(w.Value) || len(w.Value) > maxValue {
		return nil, fail(w.Field, found, "it cannot hold the value that idp would write", "")
	}
	if found.Value == w.Value && found.ShortTag() == strTag {
		return content, nil
	}
	start, end, ok := token(content, found)
	if !ok {
		return nil, fail(w.Field, found, w.Field.Field+" is written in a way that idp does not replace",
			`write it on one line, as plain text or in quotes, such as "v1"`)
	}
	for _, text := range written(content[start], w.Value) {
		edited := bytes.Join([][]byte{content[:start], content[end:]}, []byte(text))
		if after, err := documents(edited, w.File); err == nil && same(docs, after, found, w.Value) {
			return edited, nil
		}
	}
	return nil, fail(w.Field, found, "replacing "+w.Field.Field+" would change more than that",
		"look for what is unusual about how the file is written there, such as a comment in the middle of a value")
}

const strTag = "!!str"

// written are the ways to write a value, where the one before began with a byte: as it was,
// or in quotes where some reader would take plain text for a number, a boolean or nothing.
func written(first byte, value string) []string {
	quoted := `"` + value + `"`
	switch {
	case first == '\'':
		return []string{"'" + value + "'"}
	case first == '"' || !isText(value):
		return []string{quoted}
	}
	return []string{value, quoted}
}

// isText says that readers of YAML 1.1, as Kubernetes' and Helm's are, and of 1.2 take
// plain text for text.
func isText(value string) bool {
	var node yaml.Node
	var old any
	if yaml.Load([]byte(value), &node) != nil || k8syaml.Unmarshal([]byte(value), &old) != nil || len(node.Content) != 1 {
		return false
	}
	text, ok := old.(string)
	scalar := node.Content[0]
	return ok && text == value && scalar.Kind == yaml.ScalarNode && scalar.ShortTag() == strTag && scalar.Value == value && !sexagesimal(value)
}

// sexagesimal says that some readers of YAML 1.1 take it for a number or a time: 190:20:30.
func sexagesimal(value string) bool {
	return strings.Trim(value, "0123456789:._+-") == ""
}

func fail(f Field, at *yaml.Node, message, hint string) *Error {
	e := &Error{File: f.File, Message: message, Hint: hint}
	if at != nil {
		e.Line, e.Column = at.Line, at.Column
	}
	return e
}
