package bot

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/report"
)

// help lists the commands. Words after it are let through: who asks for help is
// not to be told off.
func help(*run) answer { return said("told", helpText()) }

// helpText is the command table in Markdown.
func helpText() string {
	var b strings.Builder
	b.WriteString("Commands stand at the start of a line in a comment; several in one comment run in order.\n\n")
	b.WriteString(CommandTable())
	return strings.TrimRight(b.String(), "\n")
}

// CommandTable returns the table of commands in Markdown, for help and the README.
func CommandTable() string {
	var b strings.Builder
	b.WriteString("| command | what it does | who may |\n|---|---|---|\n")
	for _, c := range Commands() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", report.Code(c.Usage), c.Summary, c.Needs())
	}
	return b.String()
}
