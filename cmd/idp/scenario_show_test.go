package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// show prints one thing that people see, with what differs between two runs
// replaced.
func (p *play) show(ts *testscript.TestScript, args []string) {
	var out string
	switch what := args[0]; what {
	case "tree":
		out = strings.Join(p.tree(ts), "\n")
	case "file":
		content, err := p.world.gitops.Content(p.ctx, p.tip(ts), args[1])
		ts.Check(err)
		out = content
	case "commits":
		messages, err := p.world.gitops.Messages(p.ctx, p.tip(ts))
		ts.Check(err)
		for _, message := range messages {
			subject, _, _ := strings.Cut(message, "\n")
			out += subject + "\n"
		}
	case "requests":
		out = p.requests()
	case "check":
		out = showCheckRun(p.idpCheck(ts, p.pull(ts, args[1])))
	case "checks":
		out = p.checks(ts, p.pull(ts, args[1]))
	case "comment", "comments":
		out = p.comments(p.pull(ts, args[1]), what == "comment")
	case "deployments":
		out = p.deployments(p.pull(ts, args[1]))
	default:
		ts.Fatalf("nothing to show: %s", what)
	}
	fmt.Fprint(ts.Stdout(), p.plain(strings.TrimRight(out, "\n")+"\n"))
}

func (p *play) tip(ts *testscript.TestScript) string {
	tip, err := p.world.gitops.Tip(p.ctx, branch)
	ts.Check(err)
	return tip
}

// tree lists the GitOps repository's files.
func (p *play) tree(ts *testscript.TestScript) []string {
	tip := p.tip(ts)
	if tip == "" {
		return []string{"(empty)"}
	}
	lines, err := p.world.gitops.List(p.ctx, tip)
	ts.Check(err)
	for i, line := range lines {
		lines[i] = strings.SplitN(line, " ", 3)[2]
	}
	return lines
}

// requests counts what the bot asked GitHub, by method and route.
func (p *play) requests() string {
	counts := map[string]int{}
	for _, r := range p.world.github.Requests() {
		counts[fmt.Sprintf("%s %s %d", r.Method, r.Route, r.Status)]++
	}
	lines := make([]string, 0, len(counts))
	for line, n := range counts {
		lines = append(lines, fmt.Sprintf("%s ×%d", line, n))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func (p *play) idpCheck(ts *testscript.TestScript, pr *githubtest.PullRequest) githubtest.CheckRun {
	var found githubtest.CheckRun
	for _, run := range pr.CheckRuns() {
		if run.HeadSHA == pr.HeadSHA() && run.App == "idp" {
			found = run
		}
	}
	if found.ID == 0 {
		p.fatal(ts, "idp has no check on the head of #%d", pr.Number())
	}
	return found
}

func showCheckRun(run githubtest.CheckRun) string {
	state := run.Status
	if run.Conclusion != "" {
		state += " " + run.Conclusion
	}
	out := fmt.Sprintf("%s: %s\ntitle: %s\n\n%s\n", run.Name, state, run.Title, run.Summary)
	if run.Text != "" {
		out += "\n" + run.Text + "\n"
	}
	for _, a := range run.Annotations {
		out += fmt.Sprintf("%s %s:%d: %s\n", a.Level, a.Path, a.StartLine, a.Message)
	}
	return out
}

// checks lists idp's checks on every commit of the pull request that the script
// knows of, a line each.
func (p *play) checks(ts *testscript.TestScript, pr *githubtest.PullRequest) string {
	var lines []string
	for _, r := range p.repos {
		for _, run := range r.CheckRuns() {
			if _, known := p.known[run.HeadSHA]; known && run.App == "idp" {
				lines = append(lines, fmt.Sprintf("%s %s %s %s", run.HeadSHA, run.Status, run.Conclusion, run.Title))
			}
		}
	}
	if len(lines) == 0 {
		lines = []string{"(none)"}
	}
	return strings.Join(lines, "\n")
}

// comments prints idp's sticky comment alone, or every comment with its author
// and reactions.
func (p *play) comments(pr *githubtest.PullRequest, sticky bool) string {
	var out strings.Builder
	for _, c := range pr.Comments() {
		isSticky := c.App == "idp" && strings.HasPrefix(c.Body, "<!-- idp:preview")
		if sticky {
			if isSticky {
				out.WriteString(c.Body + "\n")
			}
			continue
		}
		var reactions []string
		for _, r := range c.Reactions {
			reactions = append(reactions, r.User+":"+r.Content)
		}
		fmt.Fprintf(&out, "── %s [%s]\n%s\n", c.User, strings.Join(reactions, " "), visible(c.Body))
	}
	if out.Len() == 0 {
		return "(none)"
	}
	return out.String()
}

func (p *play) deployments(pr *githubtest.PullRequest) string {
	var lines []string
	for _, r := range p.repos {
		for _, d := range r.Deployments() {
			line := fmt.Sprintf("%s %s %s", d.SHA, d.Environment, d.State())
			if n := len(d.Statuses); n > 0 && d.Statuses[n-1].EnvironmentURL != "" {
				line += " " + d.Statuses[n-1].EnvironmentURL
			}
			if _, known := p.known[d.SHA]; known {
				lines = append(lines, line)
			}
		}
	}
	if len(lines) == 0 {
		return "(none)"
	}
	return strings.Join(lines, "\n")
}
