package spec

import (
	"fmt"
	"strings"
)

// Error is one mistake in a file, at the place where it stands.
type Error struct {
	Path string `json:"path"`
	// Line and Column count from 1; EndLine is the last line concerned.
	Line    int `json:"line"`
	Column  int `json:"column"`
	EndLine int `json:"endLine,omitempty"`
	// Message says what is wrong, what was expected and what may have been meant.
	Message string `json:"message"`
}

// Error returns "PATH:LINE:COL: message".
func (e Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Message)
}

// Errors are all the mistakes of a file, in the order of their places.
type Errors []Error

// Error returns one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns e as an error, nil when there are no mistakes.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
