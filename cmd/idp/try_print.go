package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
)

// tried is what "idp try" prints; its JSON names are a contract.
type tried struct {
	// Subject is the pull request, SHA its newest commit.
	Subject string `json:"subject"`
	SHA     string `json:"sha"`
	// Unknown is what a running idp would know and this could not.
	Unknown []string `json:"unknown"`
	// Reasons say in order how the decision came about.
	Reasons []string `json:"reasons"`
	// Comment, Check and Files are absent where there would be none.
	Comment string      `json:"comment,omitempty"`
	Check   *triedCheck `json:"check,omitempty"`
	Files   []triedFile `json:"files,omitempty"`
}

type triedCheck struct {
	replayedCheck
	// Text is the check's details, the manifests' diff among them.
	Text string `json:"text,omitempty"`
}

type triedFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// text is the rehearsal for people; the files' contents are left out where they were written
// to a folder.
func (t *tried) text(style style, folder string) string {
	var b strings.Builder
	section := func(title string, lines ...string) {
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(style.bold(title) + "\n")
		for _, line := range strings.Split(strings.TrimRight(strings.Join(lines, "\n"), "\n"), "\n") {
			b.WriteString(strings.TrimRight("  "+line, " ") + "\n")
		}
	}
	section("PULL REQUEST", fmt.Sprintf("%s at %.7s", t.Subject, t.SHA))
	section("NOT KNOWN HERE", t.Unknown...)
	section("DECIDED", t.Reasons...)
	if t.Comment == "" {
		section("COMMENT", "none")
	} else {
		section("COMMENT", t.Comment)
	}
	if t.Check == nil {
		section("CHECK", "none")
	} else {
		section("CHECK", append(t.Check.lines(), "", t.Check.Summary)...)
	}
	switch {
	case len(t.Files) == 0:
		section("MANIFESTS", "none")
	case folder != "":
		lines := []string{"in " + folder}
		for _, file := range t.Files {
			lines = append(lines, file.Path)
		}
		section("MANIFESTS", lines...)
	default:
		b.WriteString("\n" + style.bold("MANIFESTS") + "\n")
		for _, file := range t.Files {
			fmt.Fprintf(&b, "---\n# %s\n%s", file.Path, file.Content)
		}
	}
	return b.String()
}

// write writes the files below a folder.
func (t *tried) write(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return notWritten(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return notWritten(dir, err)
	}
	defer root.Close()
	for _, file := range t.Files {
		if err := root.MkdirAll(filepath.Dir(file.Path), 0o750); err != nil {
			return notWritten(dir, err)
		}
		if err := root.WriteFile(file.Path, []byte(file.Content), 0o640); err != nil {
			return notWritten(dir, err)
		}
	}
	return nil
}

func notWritten(dir string, err error) error {
	return fault.Wrap(err, fault.Failure, fmt.Sprintf("cannot write to %s: %s", dir, reason(err)), "")
}
