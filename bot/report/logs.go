package report

import "strings"

// Logs words the last lines that a service wrote, or why they are not shown, and links
// to where all of it is.
func Logs(where string, lines []string, missing, url string) string {
	text := ""
	switch {
	case len(lines) > 0:
		shown := make([]string, len(lines))
		for i, line := range lines {
			shown[i] = cut(line, maxLogLine)
		}
		text = "The last that " + Text(where) + " wrote:\n\n" + fence("text", strings.Join(shown, "\n"))
	case missing != "":
		text = sentence(missing)
	default:
		text = Text(capital(where)) + " has written nothing."
	}
	if url != "" {
		text = join(maxComment, text, link("All of it in Argo CD", url))
	}
	return text
}
