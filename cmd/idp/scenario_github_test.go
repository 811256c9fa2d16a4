package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// pushTo pushes files to a branch: by git, where git serves the repository.
func (p *play) pushTo(ts *testscript.TestScript, r *githubtest.Repository, by, name string, files map[string]string) string {
	if r != p.repos[gitopsRepository] {
		return r.PushAs(by, name, "Change "+name, files)
	}
	edit := gittest.Edit{Message: "Change " + name, Author: by}
	for path, content := range files {
		edit.Put = append(edit.Put, gitops.File{Path: path, Content: []byte(content)})
	}
	heads, err := p.world.gitops.Heads(p.ctx)
	ts.Check(err)
	if heads[name] == "" && heads[branch] != "" {
		ts.Check(p.world.gitops.Point(p.ctx, name, heads[branch]))
	}
	sha, err := p.world.gitops.Commit(p.ctx, name, edit)
	ts.Check(err)
	return sha
}

// commit pushes to a branch that need not be a pull request's.
func (p *play) commit(ts *testscript.TestScript, args []string) {
	r := p.repository(ts, args[0])
	times, err := strconv.Atoi(option(options(args[3:]), "times", "1"))
	ts.Check(err)
	for range times {
		sha := p.pushTo(ts, r, "alice", args[1], p.folder(ts, args[2]))
		p.remember(args[1], sha)
		p.build(ts, options(args[3:]), r, sha)
	}
}

// adopt names a pull request that no scenario opened.
func (p *play) adopt(ts *testscript.TestScript, args []string) {
	for _, pr := range p.repository(ts, args[1]).PullRequests() {
		if strconv.Itoa(pr.Number()) == args[2] {
			p.pulls[args[0]], p.branches[args[0]] = pr, pr.Head()
			p.remember(args[0], pr.HeadSHA())
			return
		}
	}
	p.fatal(ts, "%s has no pull request #%s", args[1], args[2])
}

// namedCommit is {ALIAS@N} or {ALIAS@N:DIGITS}.
var namedCommit = regexp.MustCompile(`\{([^{}@]+@\w+)(?::(\d+))?\}`)

// sha returns the commit that a script names so, or its beginning.
func (p *play) sha(ts *testscript.TestScript, name string) string {
	p.rememberMerges()
	parts := namedCommit.FindStringSubmatch(name)
	for sha, known := range p.known {
		if known != parts[1] {
			continue
		}
		if digits, err := strconv.Atoi(parts[2]); err == nil && digits < len(sha) {
			return sha[:digits]
		}
		return sha
	}
	p.fatal(ts, "no commit is called %s", parts[1])
	return ""
}

// ci lets a CI say how a check stands.
func (p *play) ci(ts *testscript.TestScript, args []string) {
	more := options(args[3:])
	name := option(more, "by", "ci")
	if p.cis[name] == nil {
		p.cis[name] = p.world.github.AddCI(name)
	}
	conclusion := args[2]
	if conclusion == "running" {
		conclusion = ""
	}
	where, ref, _ := strings.Cut(args[0], "@")
	r, whole := p.repos[where]
	switch {
	case !whole && ref != "":
		r, ref = p.home(ts, p.pull(ts, where)), p.sha(ts, "{"+args[0]+"}")
	case !whole:
		r, ref = p.home(ts, p.pull(ts, where)), p.pull(ts, where).HeadSHA()
	case ref == "":
		ref = r.DefaultBranch()
	}
	if option(more, "as", "") == "status" {
		ts.Check(r.SetStatus(ref, args[1], cmp.Or(conclusion, "pending")))
		return
	}
	_, err := p.cis[name].Check(r, ref, args[1], conclusion)
	ts.Check(err)
}

// listed prints what there is several of: of a repository's, or of a pull request's
// commits.
func (p *play) listed(ts *testscript.TestScript, what, subject string) string {
	var lines []string
	r, whole := p.repos[subject]
	if !whole {
		r = p.home(ts, p.pull(ts, subject))
	}
	switch {
	case what == "checks" && whole:
		for _, run := range r.CheckRuns() {
			lines = append(lines, fmt.Sprintf("%s %s: %s %s %s %s", run.App, run.Name, run.HeadSHA, run.Status, run.Conclusion, run.Title))
		}
	case what == "checks":
		return p.checks(subject, r)
	case what == "deployments" && whole:
		for _, d := range r.Deployments() {
			if !d.Transient {
				lines = append(lines, showDeployment(d))
			}
		}
	case what == "deployments":
		return p.deployments(subject, r)
	case whole:
		for _, pr := range r.PullRequests() {
			lines = append(lines, fmt.Sprintf("── #%d %s: %s into %s\n%s\n\n%s", pr.Number(), pr.State(), pr.Head(), pr.Base(), pr.Title(), visible(pr.Body())))
		}
	default:
		ts.Fatalf("a pull request has no %s", what)
	}
	if len(lines) == 0 {
		return "(none)"
	}
	return strings.Join(lines, "\n")
}

// showDeployment is a deployment in a line.
func showDeployment(d githubtest.Deployment) string {
	line := fmt.Sprintf("%s %s %s", d.SHA, d.Environment, d.State())
	if n := len(d.Statuses); n > 0 && d.Statuses[n-1].EnvironmentURL != "" {
		line += " " + d.Statuses[n-1].EnvironmentURL
	}
	return line
}
