package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// folder reads a folder of the script's archive; $REGISTRY in a file is the image
// registry's address.
func (p *play) folder(ts *testscript.TestScript, name string) map[string]string {
	root, files := ts.MkAbs(name), map[string]string{}
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		content = p.withRegistry(content)
		files[filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))] = string(content)
		return err
	}))
	return files
}

// withRegistry is what a file says with the registry's address in the place of $REGISTRY.
func (p *play) withRegistry(content []byte) []byte {
	return bytes.ReplaceAll(content, []byte("$REGISTRY"), []byte(p.world.registryAddr))
}

// options splits "key=value" and bare words off the arguments.
func options(args []string) map[string][]string {
	out := map[string][]string{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		out[key] = append(out[key], value)
	}
	return out
}

// option is the first value of a key, otherwise where there is none.
func option(o map[string][]string, key, otherwise string) string {
	if values := o[key]; len(values) > 0 {
		return values[0]
	}
	return otherwise
}

func (p *play) pull(ts *testscript.TestScript, alias string) *githubtest.PullRequest {
	alias, _, _ = strings.Cut(alias, "/")
	pr, ok := p.pulls[alias]
	if !ok {
		ts.Fatalf("no pull request %q", alias)
	}
	return pr
}

// environment is the row of a pull request's preview, or, by ALIAS/KEY such as
// "pr/staging.web", of a part of a declared environment of its repository.
func (p *play) environment(ts *testscript.TestScript, alias string) (previews.Environment, error) {
	pr := p.pull(ts, alias)
	_, key, declared := strings.Cut(alias, "/")
	if !declared {
		key = gitops.PreviewID(pr.Number())
	}
	return p.world.main.store.Environment(p.ctx, p.home(ts, pr).ID(), key)
}

func (p *play) repository(ts *testscript.TestScript, name string) *githubtest.Repository {
	r, ok := p.repos[name]
	if !ok {
		ts.Fatalf("no repository %q", name)
	}
	return r
}

func (p *play) repo(ts *testscript.TestScript, args []string) {
	files := map[string]string{"README.md": "a repository\n"}
	private := true
	for _, arg := range args[1:] {
		if arg == "public" {
			private = false
			continue
		}
		files = p.folder(ts, arg)
	}
	r := p.world.github.AddRepository(args[0], githubtest.RepositoryOptions{Private: private, Files: files})
	for login, permission := range map[string]string{"alice": "write", "bob": "read"} {
		p.world.github.AddUser(login)
		r.Grant(login, permission)
	}
	p.repos[args[0]] = r
}

func (p *play) grant(ts *testscript.TestScript, args []string) {
	p.world.github.AddUser(args[1])
	p.repository(ts, args[0]).Grant(args[1], args[2])
}

func (p *play) team(_ *testscript.TestScript, args []string) {
	p.world.github.AddTeam(args[0])
	for _, arg := range args[1:] {
		login, left := strings.CutPrefix(arg, "-")
		is := githubtest.ActiveMember
		if left {
			is = githubtest.NoMember
		}
		p.world.github.SetMember(args[0], login, is)
	}
}

func (p *play) open(ts *testscript.TestScript, args []string) {
	alias, r, branch, o := args[0], p.repository(ts, args[1]), args[2], options(args[4:])
	_, draft := o["draft"]
	request := githubtest.PullRequestOptions{
		Author: option(o, "by", "alice"), Title: option(o, "title", "Change "+alias), Head: branch, Draft: draft, Labels: o["label"],
	}
	head := r
	if fork := option(o, "fork", ""); fork != "" {
		p.world.github.AddUser(fork)
		head = r.Fork(fork)
		request.HeadRepository, request.Author = head, fork
	}
	sha := p.pushTo(ts, head, request.Author, branch, p.folder(ts, args[3]))
	p.build(ts, o, r, sha)
	pr, err := r.OpenPullRequest(request)
	ts.Check(err)
	p.pulls[alias], p.branches[alias] = pr, branch
	p.remember(alias, pr.HeadSHA())
}

// build pushes the image of a commit that is pushed "built": CI was faster than
// whoever tells of the commit. "built=NAME" names the image; it may be repeated.
func (p *play) build(ts *testscript.TestScript, o map[string][]string, r *githubtest.Repository, sha string) {
	for _, name := range o["built"] {
		if name == "" {
			name = strings.ToLower(r.FullName())
		}
		ts.Check(p.world.pushImage(p.ctx, name, sha))
	}
}

// whileHeld moves a pull request's head, and builds it, before its webhooks leave.
func (p *play) whileHeld(ts *testscript.TestScript, args []string, move func() string) {
	if !p.holding {
		p.world.github.HoldDeliveries()
		defer p.world.github.StopHolding()
	}
	sha := move()
	p.remember(args[0], sha)
	p.build(ts, options(args[2:]), p.home(ts, p.pull(ts, args[0])), sha)
}

func (p *play) push(ts *testscript.TestScript, args []string) {
	pr, files := p.pull(ts, args[0]), map[string]string{}
	if path, removed := strings.CutPrefix(args[1], "-"); removed {
		files[path] = ""
	} else {
		files = p.folder(ts, args[1])
	}
	p.whileHeld(ts, args, func() string { return pr.Push(option(options(args[2:]), "by", "alice"), files) })
}

func (p *play) forcePush(ts *testscript.TestScript, args []string) {
	p.whileHeld(ts, args, func() string { return p.pull(ts, args[0]).ForcePush("alice", p.folder(ts, args[1])) })
}

func (p *play) act(ts *testscript.TestScript, args []string) {
	pr, by, word := p.pull(ts, args[0]), "alice", ""
	for _, arg := range args[2:] {
		if login, ok := strings.CutPrefix(arg, "by="); ok {
			by = login
			continue
		}
		word = arg
	}
	switch args[1] {
	case "close":
		pr.Close(by)
	case "merge", "squash":
		if args[1] == "merge" {
			ts.Check(pr.Merge(by))
		} else {
			ts.Check(pr.Squash(by))
		}
		p.known[pr.MergeSHA()] = args[0] + "@merged"
	case "reopen":
		pr.Reopen(by)
	case "draft":
		pr.ConvertToDraft(by)
	case "ready":
		pr.ReadyForReview(by)
	case "label":
		pr.Label(by, word)
	case "unlabel":
		pr.Unlabel(by, word)
	case "edit":
		pr.Edit(by, word, "")
	default:
		ts.Fatalf("no such act: %s", args[1])
	}
}

func (p *play) comment(ts *testscript.TestScript, args []string) {
	p.world.github.AddUser(args[1])
	text := strings.ReplaceAll(strings.Join(args[2:], " "), `\n`, "\n")
	_, err := p.pull(ts, args[0]).Comment(args[1], namedCommit.ReplaceAllStringFunc(text, func(name string) string { return p.sha(ts, name) }))
	ts.Check(err)
}

// ask gives a command through the API, with the program that people do it with.
func (p *play) ask(ts *testscript.TestScript, args []string) {
	p.world.github.AddUser(args[1])
	pr := p.pull(ts, args[0])
	words := strings.Fields(namedCommit.ReplaceAllStringFunc(strings.Join(args[2:], " "), func(name string) string { return p.sha(ts, name) }))
	var stdout, stderr bytes.Buffer
	status := searchedRun(p.ctx, ts, append([]string{"run", fmt.Sprintf("%s#%d", p.home(ts, pr).FullName(), pr.Number())}, words...), strings.NewReader(""), &stdout, &stderr, []string{
		serverVariable + "=http://" + p.world.main.Addr(), tokenVariable + "=" + p.world.app.UserToken(args[1]),
	})
	_, err := fmt.Fprintf(ts.Stdout(), "%s%sstatus %d\n", p.plain(stdout.String()), p.plain(stderr.String()), status)
	ts.Check(err)
}

func (p *play) editComment(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	ts.Check(p.home(ts, pr).EditComment(args[1], newestComment(pr).ID, strings.Join(args[2:], " ")))
}

func (p *play) deleteComment(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	var gone githubtest.Comment
	switch {
	case len(args) == 2:
		gone = p.stickyComment(ts, pr)
	case args[2] == "newest":
		gone = newestComment(pr)
	default:
		ts.Fatalf("no such comment: %s", args[2])
	}
	ts.Check(p.home(ts, pr).DeleteComment(args[1], gone.ID))
}

func newestComment(pr *githubtest.PullRequest) githubtest.Comment {
	return slices.MaxFunc(pr.Comments(), func(a, b githubtest.Comment) int { return int(a.ID - b.ID) })
}

// copyComment leaves what a crash between writing the comment and remembering it
// would have left before comments were found again.
func (p *play) copyComment(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	r := p.home(ts, pr)
	owner, name, _ := strings.Cut(r.FullName(), "/")
	_, err := p.world.main.github.Installation(p.world.installation.ID()).CreateComment(p.ctx,
		bot.RepositoryRef{ID: r.ID(), Owner: owner, Name: name}, pr.Number(), p.stickyComment(ts, pr).Body)
	ts.Check(err)
}

func (p *play) stickyComment(ts *testscript.TestScript, pr *githubtest.PullRequest) githubtest.Comment {
	for _, c := range pr.Comments() {
		if isSticky(c) {
			return c
		}
	}
	p.fatal(ts, "idp has no comment on #%d", pr.Number())
	return githubtest.Comment{}
}

// home is the repository that a pull request is in.
func (p *play) home(ts *testscript.TestScript, pr *githubtest.PullRequest) *githubtest.Repository {
	for _, r := range p.repos {
		if slices.Contains(r.PullRequests(), pr) {
			return r
		}
	}
	ts.Fatalf("#%d is in no repository of the scenario", pr.Number())
	return nil
}

func (p *play) rename(ts *testscript.TestScript, args []string) {
	ts.Check(p.repository(ts, args[0]).Rename("alice", args[1]))
}

func (p *play) transfer(ts *testscript.TestScript, args []string) {
	ts.Check(p.repository(ts, args[0]).Transfer("alice", args[1]))
}

func (p *play) protect(ts *testscript.TestScript, args []string) {
	of := branch
	if len(args) > 1 {
		of = args[1]
	}
	p.repository(ts, args[0]).Protect(of)
}

// deleteRepository is what an owner cannot undo.
func (p *play) archive(ts *testscript.TestScript, args []string) {
	p.repository(ts, args[0]).Archive("alice", len(args) < 2)
}

func (p *play) deleteRepository(ts *testscript.TestScript, args []string) {
	p.repository(ts, args[0]).Delete("alice")
}

// installation gives the App access to an owner's repositories, or takes it away.
func (p *play) installation(ts *testscript.TestScript, args []string) {
	if args[1] == "create" {
		p.world.app.Install(args[0], githubtest.InstallOptions{})
		return
	}
	i := p.world.app.Installation(args[0])
	if i == nil {
		ts.Fatalf("the App is not installed on %s", args[0])
	}
	switch args[1] {
	case "suspend":
		i.Suspend()
	case "unsuspend":
		i.Unsuspend()
	case "delete":
		i.Uninstall()
	default:
		ts.Fatalf("no such thing: installation %s", args[1])
	}
}

// rerun is of the newest check or, with "first", of the first commit's.
func (p *play) rerun(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	home := p.home(ts, pr)
	switch {
	case len(args) == 1:
		ts.Check(home.RerequestCheck("alice", p.idpCheck(ts, args[0]).ID))
	case args[1] == "suite":
		ts.Check(home.RerequestSuite("alice", p.world.app, pr.HeadSHA()))
	default:
		ts.Check(home.RerequestCheck("alice", p.checkOf(ts, args[0]+"@1").ID))
	}
}

// press presses a button by its label, of the newest check or of that of the N-th commit.
func (p *play) press(ts *testscript.TestScript, args []string) {
	home := p.home(ts, p.pull(ts, args[0]))
	p.world.github.AddUser(args[2])
	var run githubtest.CheckRun
	if len(args) > 3 {
		run = p.checkOf(ts, args[0]+"@"+args[3])
	} else {
		run = p.idpCheck(ts, args[0])
	}
	for _, b := range run.Actions {
		if b.Label == args[1] {
			ts.Check(home.PressAction(args[2], run.ID, b.Identifier))
			return
		}
	}
	p.fatal(ts, "%q has no button %s", run.Title, args[1])
}

// checkOf is the check of a pull request's commit, ALIAS@N.
func (p *play) checkOf(ts *testscript.TestScript, commit string) githubtest.CheckRun {
	alias, _, _ := strings.Cut(commit, "@")
	for _, run := range p.home(ts, p.pull(ts, alias)).CheckRuns() {
		if p.known[run.HeadSHA] == commit {
			return run
		}
	}
	ts.Fatalf("%s has no check", commit)
	return githubtest.CheckRun{}
}

func (p *play) workflow(ts *testscript.TestScript, args []string) {
	r, branch, name := p.home(ts, p.pull(ts, args[0])), p.branches[args[0]], "build"
	if len(args) > 2 {
		name = args[2]
	}
	if args[1] == "queued" || args[1] == "running" {
		ts.Check(r.StartWorkflow("alice", name, branch, args[1] == "queued"))
		return
	}
	ts.Check(r.FinishWorkflow("alice", name, branch, args[1]))
}

func (p *play) ran(ts *testscript.TestScript, args []string) {
	for _, arg := range args[2:] {
		took, err := time.ParseDuration(arg)
		ts.Check(err)
		ts.Check(p.repository(ts, args[0]).RanWorkflow("alice", args[1], took))
	}
}

func (p *play) ponder(ts *testscript.TestScript, args []string) {
	p.pull(ts, args[0]).Ponder(len(args) == 1)
}
