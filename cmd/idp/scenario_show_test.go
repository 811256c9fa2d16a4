package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// show prints one thing that people see, with what differs between two runs
// replaced.
func (p *play) show(ts *testscript.TestScript, args []string) {
	var out string
	switch what := args[0]; what {
	case "tree":
		out = strings.Join(p.tree(ts, p.gitopsNamed(ts, args[1:])), "\n")
	case "file":
		in := p.gitopsNamed(ts, args[2:])
		content, err := in.Content(p.ctx, p.tip(ts, in), args[1])
		ts.Check(err)
		out = content
	case "commits":
		out = p.commits(ts, p.gitopsNamed(ts, args[1:]))
	case "requests":
		out = p.requests()
	case "check":
		out = showCheckRun(p.idpCheck(ts, args[1]))
	case "buttons":
		for _, b := range p.idpCheck(ts, args[1]).Actions {
			out += fmt.Sprintf("[%s] %s\n", b.Label, b.Description)
		}
		out = cmp.Or(out, "(none)")
	case "checks", "deployments", "pulls":
		out = p.listed(ts, what, args[1])
	case "comment", "comments":
		out = p.comments(ts, args[1], what == "comment")
	case "env":
		env, err := p.environment(ts, args[1])
		if errors.Is(err, previews.ErrNotFound) {
			out = "(none)"
			break
		}
		ts.Check(err)
		out = showEnvironment(env)
	case "envs":
		envs, err := p.world.main.store.Environments(p.ctx, store.Filter{})
		ts.Check(err)
		for _, env := range envs {
			out += showEnvironment(env) + "\n"
		}
	case "held":
		for i, held := range p.world.github.HeldDeliveries() {
			out += fmt.Sprintf("%d %s %s\n", i, held.Event, held.Action)
		}
	case "audit":
		entries, err := p.world.main.store.AuditLog(p.ctx, store.AuditFilter{Limit: 100})
		ts.Check(err)
		for _, e := range slices.Backward(entries) {
			out += fmt.Sprintf("%s %s %s allowed=%t: %s\n", e.Actor, e.Action, e.Environment, e.Allowed, e.Reason)
		}
	case "log":
		out = p.log.String()
	default:
		ts.Fatalf("nothing to show: %s", what)
	}
	fmt.Fprint(ts.Stdout(), p.plain(strings.TrimRight(out, "\n")+"\n"))
}

// gitopsNamed is the GitOps repository of a name, the first for none.
func (p *play) gitopsNamed(ts *testscript.TestScript, args []string) *gittest.Repository {
	if len(args) == 0 {
		return p.world.gitops
	}
	served, ok := p.served[args[0]]
	if !ok {
		p.fatal(ts, "%s is no GitOps repository", args[0])
	}
	return served
}

func (p *play) tip(ts *testscript.TestScript, in *gittest.Repository) string {
	tip, err := in.Tip(p.ctx, branch)
	ts.Check(err)
	return tip
}

// commits lists the subjects in a GitOps repository, newest first.
func (p *play) commits(ts *testscript.TestScript, in *gittest.Repository) (out string) {
	tip := p.tip(ts, in)
	if tip == "" {
		return "(none)"
	}
	messages, err := in.Messages(p.ctx, tip)
	ts.Check(err)
	for _, message := range messages {
		subject, _, _ := strings.Cut(message, "\n")
		out += subject + "\n"
	}
	return out
}

// tree lists a GitOps repository's files.
func (p *play) tree(ts *testscript.TestScript, in *gittest.Repository) []string {
	tip := p.tip(ts, in)
	if tip == "" {
		return []string{"(empty)"}
	}
	lines, err := in.List(p.ctx, tip)
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

// idpCheck is the check of a pull request's preview, or, by ALIAS/ENVIRONMENT, of its
// newest commit in a declared environment.
func (p *play) idpCheck(ts *testscript.TestScript, alias string) githubtest.CheckRun {
	pr, name := p.pull(ts, alias), report.CheckName
	if _, declared, ok := strings.Cut(alias, "/"); ok {
		name = report.CheckPrefix + declared
	}
	var found githubtest.CheckRun
	for _, run := range pr.CheckRuns() {
		if run.HeadSHA == pr.HeadSHA() && run.App == "idp" && run.Name == name {
			found = run // the last one counts
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
func (p *play) checks(alias string, r *githubtest.Repository) string {
	var lines []string
	for _, run := range r.CheckRuns() {
		if p.of(alias, run.HeadSHA) && run.App == "idp" {
			lines = append(lines, fmt.Sprintf("%s %s %s %s", run.HeadSHA, run.Status, run.Conclusion, run.Title))
		}
	}
	if len(lines) == 0 {
		lines = []string{"(none)"}
	}
	return strings.Join(lines, "\n")
}

// comments prints idp's sticky comment alone, or every comment with its author
// and reactions.
func (p *play) comments(ts *testscript.TestScript, alias string, sticky bool) string {
	pr, marker := p.pull(ts, alias), report.Marker
	if _, _, declared := strings.Cut(alias, "/"); declared {
		env, err := p.environment(ts, alias)
		ts.Check(err)
		marker = report.MarkerOf(&env)
	}
	var out strings.Builder
	for _, c := range pr.Comments() {
		if sticky {
			if c.App == "idp" && strings.HasPrefix(c.Body, marker) {
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

func isSticky(c githubtest.Comment) bool {
	return c.App == "idp" && strings.HasPrefix(c.Body, report.Marker)
}

// deployments lists those of the pull request's commits, a line each.
func (p *play) deployments(alias string, r *githubtest.Repository) string {
	var lines []string
	for _, d := range r.Deployments() {
		if !p.of(alias, d.SHA) {
			continue
		}
		lines = append(lines, showDeployment(d))
	}
	if len(lines) == 0 {
		return "(none)"
	}
	return strings.Join(lines, "\n")
}

// of says that a commit is one of the pull request's.
func (p *play) of(alias, sha string) bool { return strings.HasPrefix(p.known[sha], alias+"@") }

// showEnvironment is a row in a line.
func showEnvironment(e previews.Environment) string {
	line := fmt.Sprintf("%s %s generation %d applied %d", e.Ref, e.State(), e.Generation, e.AppliedGeneration)
	switch {
	case e.Wanted == previews.Absent:
		line += " " + strings.TrimSpace(string(e.Removal.Reason)+" "+e.Removal.By)
	case e.Pinned:
		line += " pinned"
	case e.Declared():
		line += " at " + e.SHA
	default:
		line += " expires " + e.ExpiresAt.UTC().Format("Mon 15:04:05")
	}
	if e.Problem != nil {
		line += " problem " + string(e.Problem.Kind)
	}
	return strings.TrimSpace(line)
}
