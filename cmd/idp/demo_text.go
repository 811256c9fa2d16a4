package main

import (
	"regexp"
	"strings"

	"github.com/mitchellh/go-wordwrap"
)

// textWidth is where prose is wrapped, in characters; tables, code and links are
// never broken.
const textWidth = 96

var (
	hidden  = regexp.MustCompile(`(?s)<!--.*?-->\n*`)
	summary = regexp.MustCompile(`<details><summary>(.*?)</summary>`)
	closing = regexp.MustCompile(`</details>\n*`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)]*)\)`)
	rows    = regexp.MustCompile(`(?m)(?:^\|.*\n)+`)
)

// visible is Markdown without what a page does not show.
func visible(markdown string) string { return strings.TrimSpace(hidden.ReplaceAllString(markdown, "")) }

// readable is Markdown, of the kind that idp writes, for a terminal: tables
// aligned, links as their addresses, prose wrapped.
func readable(markdown string, style style) string {
	text := link.ReplaceAllString(visible(markdown), "$1")
	text = summary.ReplaceAllString(text, "▾ $1")
	text = closing.ReplaceAllString(text, "")
	text = wordwrap.WrapString(rows.ReplaceAllStringFunc(text+"\n", func(rows string) string {
		return unbroken.Replace(alignedTable(rows, style))
	}), textWidth)
	text = heading.ReplaceAllStringFunc(text, func(line string) string {
		return style.bold(strings.TrimLeft(line, "# "))
	})
	return strings.TrimSpace(strings.ReplaceAll(text, "\u00a0", " "))
}

// unbroken keeps a table's lines from being wrapped.
var unbroken = strings.NewReplacer(" ", "\u00a0")

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
