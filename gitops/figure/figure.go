// Package figure is how tests say what they have shown, in numbers.
//
// A test that stands for a promise tells its figure as an attribute of itself, which
// "go test -json" passes on and "go run ./cmd/threats" gathers. How much a test does is
// scaled by IDP_TEST_SCALE: 1 every day, 10 where there is time, which reaches every count
// that is asked for.
//
// A promise about time is told with its bound (Bound). The test does not fail by it, since
// a machine that does something else as well would fail it: "go run ./cmd/threats" does.
//
// Only tests, and what gathers their figures, import the package.
package figure

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Key is the name of a figure's attribute, and BoundKey that of a bound's.
const (
	Key      = "figure"
	BoundKey = "bound"
)

// ScaleVariable is the environment variable that counts are multiplied by.
const ScaleVariable = "IDP_TEST_SCALE"

// Scaled returns n times the scale, a whole number above 0. One that is none fails the
// test.
func Scaled(t testing.TB, n int) int {
	t.Helper()
	text := os.Getenv(ScaleVariable)
	if text == "" {
		return n
	}
	scale, err := strconv.Atoi(text)
	if err != nil || scale < 1 {
		t.Fatalf("%s is %q: expected a number above 0", ScaleVariable, text)
	}
	return n * scale
}

// Count returns everyday times the scale, and full at the least where the scale is 10 or
// more: for a count that is asked for and is more than ten times what there is time for
// every day.
func Count(t testing.TB, everyday, full int) int {
	t.Helper()
	scaled := Scaled(t, everyday)
	if scaled < 10*everyday {
		return scaled
	}
	return max(scaled, full)
}

// Tell says what the test has shown, at its end: "100000 forged requests: 0 accepted".
func Tell(t testing.TB, format string, args ...any) {
	t.Helper()
	t.Attr(Key, strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " "))
}

// Measured is a time that a test took, and the longest that is promised.
type Measured struct {
	What      string
	Took, Max time.Duration
}

// Bound says how long something took that is promised to take max at the most. It may be
// called several times, each for something else.
func Bound(t testing.TB, what string, took, max time.Duration) {
	t.Helper()
	text, _ := json.Marshal(Measured{what, took, max}) // a text and two numbers always are
	t.Attr(BoundKey, string(text))
}

// ParseBound reads the value of an attribute of the name BoundKey.
func ParseBound(value string) (m Measured, err error) {
	if err := json.Unmarshal([]byte(value), &m); err != nil {
		return m, fmt.Errorf("a bound that reads %q: %w", value, err)
	}
	return m, nil
}

// Missed says that it took longer than is promised.
func (m Measured) Missed() bool { return m.Took > m.Max }

// String tells it with its bound: "p99 of /healthz took 9ms, of 100ms at the most".
func (m Measured) String() string {
	return fmt.Sprintf("%s took %s, of %s at the most", m.What, m.Took.Round(time.Millisecond), m.Max)
}
