package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ErrorKind groups errors by what is wrong, for metrics and for tools; people read
// the message.
type ErrorKind string

// The kinds of error.
const (
	// KindSyntax: not YAML, or YAML outside the subset that every reader reads alike.
	KindSyntax ErrorKind = "syntax"
	// KindLimit: too large, too deep or too many.
	KindLimit ErrorKind = "limit"
	// KindDuplicate: a key, name or path given twice.
	KindDuplicate ErrorKind = "duplicate"
	// KindUnknownKey: a key that means nothing where it stands.
	KindUnknownKey ErrorKind = "unknown-key"
	// KindMissing: a key that must be there.
	KindMissing ErrorKind = "missing"
	// KindType: a string where a number is wanted, and the like.
	KindType ErrorKind = "type"
	// KindNotation: the right type in a notation that YAML readers disagree on.
	KindNotation ErrorKind = "notation"
	// KindChoice: not one of the words that are allowed.
	KindChoice ErrorKind = "choice"
	// KindRange: a number, duration or quantity too small or too large.
	KindRange ErrorKind = "range"
	// KindFormat: a string that is not what its key asks for.
	KindFormat ErrorKind = "format"
	// KindPlaceholder: a placeholder that does not exist or is not replaced here.
	KindPlaceholder ErrorKind = "placeholder"
	// KindConflict: values that are right alone but not together.
	KindConflict ErrorKind = "conflict"
)

// Error is one mistake and where it stands.
type Error struct {
	// Path is the name that was given to Parse.
	Path string `json:"path"`
	// Line and Column count from 1; Column counts characters, not bytes.
	Line   int `json:"line"`
	Column int `json:"column"`
	// EndLine is the last line of what is wrong, never before Line: what a check
	// run's annotation asks for.
	EndLine int `json:"endLine"`
	// Kind is what is wrong.
	Kind ErrorKind `json:"kind"`
	// Field is the value's place in the document, such as
	// "service.deploy.canary[0].weight"; "" for the document itself.
	Field string `json:"field,omitempty"`
	// More is how many further errors this one stands for, where they are too many
	// to list.
	More int `json:"more,omitempty"`
	// Message says what is wrong and what was expected.
	Message string `json:"message"`
	// Suggestion is what was probably meant, ready to replace what stands there;
	// the message has it too.
	Suggestion string `json:"suggestion,omitempty"`
}

// Error returns "PATH:LINE:COLUMN: message".
func (e Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Path, e.Line, e.Column, e.Message)
}

// Errors are all mistakes of a file by position, the first 200 with a last one
// that counts the rest. It is deliberately no error
// itself, so that an empty list cannot become a non-nil error; see Err.
type Errors []Error

// Err returns nil when the list is empty and an *InvalidError otherwise.
func (es Errors) Err() error {
	if len(es) == 0 {
		return nil
	}
	return &InvalidError{Errors: es}
}

// InvalidError says that a file is not a valid spec. It has at least one Error.
type InvalidError struct{ Errors Errors }

// Error returns one line for each mistake.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Errors))
	for i, one := range e.Errors {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Error.
func (e *InvalidError) Unwrap() []error {
	out := make([]error, len(e.Errors))
	for i, one := range e.Errors {
		out[i] = one
	}
	return out
}

// maxErrors bounds what a hostile file can make others store and show.
const maxErrors = 200

// sorted returns the errors by position, each once; of more than maxErrors it
// keeps the first and says how many follow.
func (es Errors) sorted() Errors {
	slices.SortStableFunc(es, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	es = slices.Compact(es)
	if more := len(es) - maxErrors; more > 0 {
		next := es[maxErrors]
		es = append(es[:maxErrors:maxErrors], Error{Path: next.Path, Line: next.Line, Column: next.Column, EndLine: next.EndLine,
			Kind: KindLimit, More: more - 1, Message: fmt.Sprintf("%d more errors from here on", more)})
	}
	return es
}

// Count is how many errors there are, those that are not listed included.
func (es Errors) Count() int {
	n := len(es)
	for _, e := range es {
		n += e.More
	}
	return n
}
