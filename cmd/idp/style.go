package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// style colours text for one writer, or leaves it alone.
type style bool

// styled says how to print to w: in colour when w is a terminal that can, and
// neither NO_COLOR (https://no-color.org: set to anything but "") nor TERM=dumb
// says otherwise.
func (p *program) styled(w io.Writer) style {
	if p.env["NO_COLOR"] != "" || p.env["TERM"] == "dumb" {
		return false
	}
	return style(isTerminal(w))
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s style) wrap(code, text string) string {
	if !s {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string { return s.wrap("1", text) }
func (s style) dim(text string) string  { return s.wrap("2", text) }
func (s style) bad(text string) string  { return s.wrap("1;31", text) }
