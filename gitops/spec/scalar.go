package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
	k8syaml "sigs.k8s.io/yaml"
)

// YAML readers disagree on unquoted scalars: "no", "012" and "1e3" are strings to
// some and false, 10 and 1000 to others (Kubernetes and Argo CD read YAML 1.1).
// So a scalar has a meaning here only where both readers at hand agree on it:
//
//   - A string is quoted, or one that both take for a string.
//   - A number is in plain decimal, so that both print it back as it was written;
//     a boolean is true or false.
//   - Text that may be unquoted (type word) is any of these: 8080 is "8080", but
//     1.10, which reads back as 1.1, must be quoted.

// readingKind is what both readers take a scalar for.
type readingKind int

const (
	disputed readingKind = iota // they disagree, or print it differently
	aString
	aNumber
	aBoolean
	aNull
)

// reading returns what a scalar node is.
func reading(n *yaml.Node) readingKind {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return aString
	}
	if strings.Contains(n.Value, "\n") {
		return aString // only strings span lines
	}
	seen := kubernetesReading(n.Value)
	switch n.Tag {
	case "!!str", "!!timestamp":
		var text string
		if json.Unmarshal(seen, &text) == nil && text == n.Value && seen[0] == '"' {
			return aString
		}
	case "!!int", "!!float":
		if string(seen) == n.Value {
			return aNumber
		}
	case "!!bool":
		if string(seen) == strings.ToLower(n.Value) {
			return aBoolean
		}
	case "!!null":
		if string(seen) == "null" {
			return aNull
		}
	}
	return disputed
}

// kubernetesReading returns the JSON that Kubernetes' reader makes of a plain
// scalar, nil when it makes none.
func kubernetesReading(text string) []byte {
	out, err := k8syaml.YAMLToJSON([]byte("v: " + text))
	if err != nil {
		return nil
	}
	return bytes.TrimSuffix(bytes.TrimPrefix(out, []byte(`{"v":`)), []byte("}"))
}

// readText returns a scalar as text: strings, and numbers and booleans that read
// back as they were written.
func readText(n *yaml.Node) (string, *problem) {
	switch reading(n) {
	case aString:
		return n.Value, nil
	case aNumber:
		return n.Value, nil
	case aBoolean:
		if n.Value == strings.ToLower(n.Value) {
			return n.Value, nil
		}
	case aNull:
		return "", &problem{KindType, `expected text, got nothing: write "" for empty text`, `""`}
	}
	return "", notText(n)
}

// readString returns a scalar that must be a string.
func readString(n *yaml.Node) (string, *problem) {
	quoted := quote(n.Value)
	switch reading(n) {
	case aString:
		return n.Value, nil
	case aNumber, aBoolean:
		return "", &problem{KindType, fmt.Sprintf("expected a string, got %s: put it in quotes: %s", describe(n), quoted), quoted}
	case aNull:
		return "", &problem{KindType, "expected a string, got nothing: give it a value or remove the key", ""}
	}
	return "", notText(n)
}

// notText explains an unquoted scalar that is text in one reader only.
func notText(n *yaml.Node) *problem {
	quoted := quote(n.Value)
	taken := "something else"
	if seen := string(kubernetesReading(n.Value)); seen != "" && seen != quoted {
		taken = seen
	}
	return &problem{KindNotation, fmt.Sprintf("expected text, but without quotes %s reads as %s: write %s", n.Value, cut(taken), quoted), quoted}
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// readWhole returns the digits of a scalar that must be a whole number.
func readWhole(n *yaml.Node) (string, *problem) {
	kind := reading(n)
	switch {
	case plain(n) && wholeNumber.MatchString(n.Value):
		return n.Value, nil // too many digits for one reader are too many for any use here
	case kind == aString && !plain(n) && wholeNumber.MatchString(n.Value):
		return "", &problem{KindType, fmt.Sprintf("expected a whole number, got %s: remove the quotes", describe(n)), n.Value}
	case kind == disputed && plain(n) && (n.Tag == "!!int" || n.Tag == "!!float"):
		return "", &problem{KindNotation, fmt.Sprintf("expected a whole number in plain decimal, got %s", n.Value), ""}
	}
	return "", &problem{KindType, "expected a whole number, got " + describe(n), ""}
}

// readBool returns a scalar that must be a boolean.
func readBool(n *yaml.Node) (bool, *problem) {
	if reading(n) == aBoolean {
		return strings.EqualFold(n.Value, "true"), nil
	}
	meant := ""
	switch strings.ToLower(n.Value) {
	case "yes", "on", "y", "true":
		meant = "true"
	case "no", "off", "n", "false":
		meant = "false"
	}
	p := &problem{KindType, "expected true or false, got " + describe(n), meant}
	if meant != "" {
		without := ""
		if !plain(n) {
			without = " without quotes"
		}
		p.msg += ": did you mean " + meant + without + "?"
	}
	return false, p
}

func plain(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Style == 0 }

// describe names a node for "got …".
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	if plain(n) {
		switch n.Tag {
		case "!!int", "!!float":
			return "the number " + n.Value
		case "!!bool":
			return "the boolean " + n.Value
		case "!!null":
			return "nothing"
		}
	}
	return quote(n.Value)
}

// problem is what is wrong with a value, before its place is known.
type problem struct {
	kind  ErrorKind
	msg   string
	meant string
}
