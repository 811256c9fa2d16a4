package main

import (
	"regexp"
	"strings"

	"github.com/mitchellh/go-wordwrap"
)

// textWidth is where prose is wrapped, in characters; words, and so links, and
// tables are never broken.
const textWidth = 100

var (
	hidden  = regexp.MustCompile(`(?s)<!--.*?-->\n*`)
	summary = regexp.MustCompile(`<details><summary>(.*?)</summary>`)
	closing = regexp.MustCompile(`</details>\n*`)
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)]*)\)`)
	rows    = regexp.MustCompile(`(?m)(?:^\|.*\n)+`)
)

// visible is Markdown without what a page does not show.
func visible(markdown string) string { return strings.TrimSpace(hidden.ReplaceAllString(markdown, "")) }

// readable is Markdown, of the kind that idp writes, for a terminal: tables
// aligned, links as their addresses, prose wrapped.
func readable(markdown string, style style) string {
	text := link.ReplaceAllString(visible(markdown), "$1") + "\n"
	text = summary.ReplaceAllString(text, "▾ $1")
	text = closing.ReplaceAllString(text, "")
	var out strings.Builder
	for {
		at := rows.FindStringIndex(text)
		if at == nil {
			return strings.TrimSpace(out.String() + prose(text, style))
		}
		out.WriteString(prose(text[:at[0]], style) + alignedTable(text[at[0]:at[1]], style))
		text = text[at[1]:]
	}
}

// prose is text wrapped, with what continues a list's item below it.
func prose(text string, style style) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		title := strings.TrimLeft(line, "#")
		line = wordwrap.WrapString(line, textWidth)
		switch {
		case strings.HasPrefix(line, "#"):
			line = style.bold(strings.TrimSpace(title)) + "\n"
		case strings.HasPrefix(line, "- "):
			line = strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\n", "\n  ") + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

// alignedTable lays a Markdown table out in columns.
func alignedTable(markdown string, style style) string {
	var out table
	for line := range strings.Lines(markdown) {
		cells := strings.Split(strings.Trim(line, "|\n"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case out.header == nil:
			out.header = cells
		case strings.Trim(line, "|-:\n ") != "":
			out.rows = append(out.rows, cells)
		}
	}
	return out.render(style)
}
