package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/text/width"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/fault"
)

// format is how a command that prints data prints it: the value of -o.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

var formats = []string{string(formatTable), string(formatJSON), string(formatYAML)}

// Set, String and Type make *format a pflag.Value that refuses other words
// before the command runs.
func (f *format) Set(text string) error {
	for _, known := range formats {
		if text == known {
			*f = format(text)
			return nil
		}
	}
	return fmt.Errorf("expected %s", strings.Join(formats, ", "))
}

func (f *format) String() string { return string(*f) }

// Type names the choices in the help.
func (f *format) Type() string { return strings.Join(formats, "|") }

// addOutputFlag gives cmd "-o table|json|yaml".
func addOutputFlag(cmd *cobra.Command) *format {
	f := formatTable
	cmd.Flags().VarP(&f, "output", "o", "how to print the data")
	// The flag was just defined: the only error there is cannot be.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

// table is data for people: a header and rows of as many cells.
type table struct {
	header []string
	rows   [][]string
}

// print writes data in the format asked for: rows as an aligned table, or the
// value, whose JSON field names are the contract for both JSON and YAML. The
// JSON encoding of value must not depend on map order or on the clock.
func (f format) print(w io.Writer, style style, value any, rows table) error {
	switch f {
	case formatJSON:
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return wrapOutput(enc.Encode(value))
	case formatYAML:
		b, err := sigsyaml.Marshal(value)
		if err != nil {
			return wrapOutput(err)
		}
		_, err = w.Write(b)
		return wrapOutput(err)
	case formatTable:
		_, err := io.WriteString(w, rows.render(style))
		return wrapOutput(err)
	}
	return fault.Newf(fault.Usage, "unknown output format %q", string(f))
}

func wrapOutput(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("print the result: %w", err)
}

// cells is how many cells of a terminal text takes: two for a wide character,
// such as an emoji, one for any other.
func cells(text string) (n int) {
	for _, r := range text {
		n++
		if width.LookupRune(r).Kind() == width.EastAsianWide {
			n++
		}
	}
	return n
}

// render lays the table out with three spaces between columns. Widths count
// cells, not bytes, and are taken before colouring, which tabwriter cannot
// do; nothing trails at a line's end.
func (t table) render(style style) string {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	var b strings.Builder
	b.WriteString(style.bold(renderRow(t.header, widths)) + "\n")
	for _, row := range t.rows {
		b.WriteString(renderRow(row, widths) + "\n")
	}
	return b.String()
}

func renderRow(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		b.WriteString(cell)
		b.WriteString(strings.Repeat(" ", widths[i]-cells(cell)+3))
	}
	return strings.TrimRight(b.String(), " ")
}

// plural returns "1 mistake", "2 mistakes".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
