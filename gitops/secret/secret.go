// Package secret holds values that must never be seen: webhook secrets, tokens,
// passwords, connection strings with a password in them.
//
// A String prints as "[redacted]" through every way of printing that Go has: fmt
// with any verb, JSON, YAML and text encodings, and slog. Only Reveal gives the
// value, so that every place where a secret leaves the program is found by
// searching for that one name. Values are immutable and safe to share; the
// package keeps no copy of its own.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what is printed in place of every value.
const Redacted = "[redacted]"

// String is a secret text. Its zero value is the absent secret, which prints as
// "" so that a missing one can be told from a hidden one.
type String struct {
	// A pointer keeps the value out of %v of unexported struct fields, where fmt
	// cannot call methods and would print the text itself.
	value *string
}

// New returns s as a secret; "" gives the absent secret.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{value: &s}
}

// Reveal returns the value itself. Hand it straight to what needs it.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no secret. Encoders with omitzero use it.
func (s String) IsZero() bool { return s.value == nil }

// Equal compares in a time that depends on the lengths alone.
func (s String) Equal(other String) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String returns Redacted, or "" for the absent secret.
func (s String) String() string {
	if s.value == nil {
		return ""
	}
	return Redacted
}

// GoString redacts %#v.
func (s String) GoString() string { return "secret.String(" + s.String() + ")" }

// Format redacts every verb, %x and %q among them.
func (s String) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'v' && f.Flag('#') {
		text = s.GoString()
	}
	// A failed write is the writer's to report; Format has no way to.
	_, _ = io.WriteString(f, text)
}

// MarshalText redacts JSON keys, YAML, XML and everything else built on text.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON redacts JSON values.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue redacts slog attributes.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Set makes *String a flag.Value and a pflag.Value: what a flag shows as its
// default is redacted as well.
func (s *String) Set(text string) error {
	*s = New(text)
	return nil
}

// Type is the name of the flag's type in help.
func (s *String) Type() string { return "secret" }
