package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/previews"
)

const (
	// maxLogLine is how many characters of a line of logs are shown.
	maxLogLine = 300
	// maxEventText is how many characters of an event are shown.
	maxEventText = 240
)

// faultTitle says in a line what is wrong: "web: its process crashes (exit 1, 3
// restarts)". It is "" where no cause is known.
func faultTitle(f *previews.Fault) string {
	if f == nil || f.Short == "" {
		return ""
	}
	if f.Service == "" {
		return capital(plain(f.Short, 160))
	}
	return plain(f.Service+": "+f.Short, 160)
}

// faultText explains a fault: the likely cause, the object in its own words, what its
// container wrote, and what was noted about it.
func faultText(in Input, f *previews.Fault) string {
	return join(maxComment/2, sentence(f.Cause), objectLine(f), logText(in, f), eventText(f))
}

// objectLine is the object at fault with its message.
func objectLine(f *previews.Fault) string {
	switch {
	case f.Object == "":
		return sentence(f.Message)
	case f.Message == "":
		return Code(f.Object)
	}
	return Code(f.Object) + ": " + Text(f.Message)
}

// logText shows the last lines of the logs, where whoever reads this may read them.
func logText(in Input, f *previews.Fault) string {
	if !f.Ran {
		return ""
	}
	switch shown := in.Class.ShowsLogs(in.Environment.Private); {
	case !shown && in.Environment.Private:
		return "" // nobody expects them
	case !shown:
		return "What it wrote is not shown, since everybody can read this repository. Argo CD shows it."
	case len(f.Logs) > 0:
		lines := make([]string, len(f.Logs))
		for i, line := range f.Logs {
			lines[i] = cut(line, maxLogLine)
		}
		return "The last it wrote:\n\n" + fence("text", strings.Join(lines, "\n"))
	case f.LogsMissing != "":
		return sentence(f.LogsMissing)
	}
	return ""
}

// eventText lists the last events, closed until somebody wants to know.
func eventText(f *previews.Fault) string {
	if len(f.Events) == 0 {
		return ""
	}
	var b strings.Builder
	for _, e := range f.Events {
		fmt.Fprintf(&b, "%s %s", e.At.UTC().Format("15:04:05"), plain(e.Reason, 60))
		if e.Count > 1 {
			fmt.Fprintf(&b, " ×%d", e.Count)
		}
		b.WriteString(" " + plain(e.Message, maxEventText) + "\n")
	}
	return "<details><summary>Last events (UTC)</summary>\n\n" + fence("text", b.String()) + "\n\n</details>"
}

// cut shortens a line, and keeps its blanks.
func cut(line string, limit int) string {
	line = strings.TrimRight(strings.ReplaceAll(strings.ReplaceAll(line, "\r", ""), "\n", " "), " ")
	if r := []rune(strings.ToValidUTF8(line, "\uFFFD")); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return line
}

// retreat is the command that brings back what ran before; "" of a preview, which has
// nothing to go back to.
func retreat(e *previews.Environment) string {
	if !e.Declared() {
		return ""
	}
	return Code("/idp rollback "+e.Ref.ID) + " brings back what ran before."
}

// progressTitle says how far a rollout has come: "Canary 10% · step 1 of 5 · 4m left".
func progressTitle(p *previews.Progress) string {
	if p == nil {
		return ""
	}
	if !p.Canary {
		return strings.TrimSuffix("Blue-green · "+plain(p.Message, 80), " · ")
	}
	if p.Steps == 0 {
		return ""
	}
	parts := []string{fmt.Sprintf("Canary %d%%", p.Weight), fmt.Sprintf("step %d of %d", p.Step, p.Steps)}
	switch {
	case p.Message != "":
		parts = append(parts, plain(p.Message, 80))
	case p.Waits && p.Left == 0:
		parts = append(parts, "waits to be promoted")
	case p.Left > 0:
		parts = append(parts, Elapsed(p.Left)+" left")
	}
	return strings.Join(parts, " · ")
}

// driftText tells of a change by hand; "" of none.
func driftText(in Input) string {
	d := (*previews.Drift)(nil)
	if o := in.Environment.Observed; o != nil {
		d = o.Drift
	}
	if d == nil || in.Environment.Wanted != previews.Present {
		return ""
	}
	return paragraph(d.Objects) + " was changed on the cluster, not in Git, " + Instant(d.At, in.Now) + ". Argo CD puts back what is in Git."
}
