package load

import (
	_ "embed"
	"fmt"
	"os"
	"strings"
	"time"
)

// notes is what was learnt from profiles: it is written by hand.
//
//go:embed notes.md
var notes string

// Write writes the report to a file, as Markdown.
func (r *Report) Write(path string) error {
	if err := os.WriteFile(path, []byte(r.Markdown()), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Markdown is the report with what stands around it.
func (r *Report) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance\n\n"+
		"`go run ./cmd/loadtest --write .github/PERFORMANCE.md` measured this and wrote it, on %s, in %s: the whole of idp as a process, on loopback, beside a stand-in GitHub, git over HTTP and SQLite with every\n"+
		"commit on the disk. Seconds are the machine's; what counts is the ratio to a floor, which is measured in the same run, by turns, by the libraries or git alone. Every git process, idp's and the floor's, has the\n"+
		"same variables for malloc. idp's paces, pushes and requests a minute, are off, and so are the policies' limits on how many previews there are. What is not met says so.\n\n", r.Began.UTC().Format("2 January 2006"), r.Took.Round(time.Second))
	fmt.Fprintf(&b, "The machine: %s.\n\n", r.Machine)
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat(" --- |", len(header)))
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	b.WriteString("\n" + notes)
	return b.String()
}
