// Package fault is the one error type whose text is meant for users.
//
// Everything that a person reads, in a pull request, in a check run or in a
// terminal, and that says that something could not be done comes from an Error:
// its Code decides how the edges react (exit status, HTTP status, whether to try
// again), its Message says what is wrong and its Hint what to do about it. The
// chain below it, reached with errors.Unwrap, is for operators' logs alone and
// never shown to users, because it may name internal hosts and paths.
//
// An Error is a value that nothing changes once made, so it may be shared
// between goroutines. The package imports nothing of idp's.
package fault

import (
	"errors"
	"fmt"
)

// Code says what kind of fault an Error is. The set is closed: edges switch on it.
type Code string

// The codes. Failure is what an error without a code counts as.
const (
	// Failure is anything that went wrong without the user's doing.
	Failure Code = "failure"
	// Usage is a command that was called the wrong way.
	Usage Code = "usage"
	// Invalid is input that was read and refused: a spec, a configuration, a payload.
	Invalid Code = "invalid"
	// Denied is something that this person, or this program, may not do.
	Denied Code = "denied"
	// Timeout is something that did not happen in the time it had.
	Timeout Code = "timeout"
	// NotFound is something that was named and does not exist.
	NotFound Code = "not_found"
	// Conflict is something that cannot be done as things stand now, such as a
	// name or a host that is taken, or a quota that is used up.
	Conflict Code = "conflict"
)

// Error is a fault as a user sees it.
type Error struct {
	Code Code
	// Message says what is wrong in one sentence: lower case, no full stop, no
	// secrets, nothing internal.
	Message string
	// Hint is the next step, a command where there is one; "" when there is none.
	Hint string
	// cause is the chain that operators see.
	cause error
}

// New returns an Error without a cause. Both texts go out as they are; use
// Newf where the message is put together.
func New(code Code, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint}
}

// Newf returns an Error whose message is formatted as by fmt.Sprintf. It has no
// hint; add one with WithHint. Use Wrap, not %w, to keep a cause.
func Newf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an Error that shows message and hint to users and keeps cause
// for operators.
func Wrap(cause error, code Code, message, hint string) *Error {
	return &Error{Code: code, Message: message, Hint: hint, cause: cause}
}

// WithHint returns a copy of e with the given hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	out := *e
	out.Hint = fmt.Sprintf(format, args...)
	return &out
}

// Error returns the message and the cause, for logs. What users are shown is
// Message and Hint alone.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.cause.Error()
}

// Unwrap returns the cause, nil when there is none.
func (e *Error) Unwrap() error { return e.cause }

// CodeOf returns the code of the first Error in err's chain, Failure when there
// is none, and "" when err is nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Failure
}
