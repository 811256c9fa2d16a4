// Package figure is how tests say what they have shown, in numbers.
//
// A test that stands for a promise tells its figure as an attribute of itself, which
// "go test -json" passes on and "go run ./cmd/threats" gathers. How much a test does is
// scaled by IDP_TEST_SCALE: 1 every day, 10 where there is time, which reaches every count
// that is asked for.
//
// Only tests import the package.
package figure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Key is the attribute's name.
const Key = "figure"

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
