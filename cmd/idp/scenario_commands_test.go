package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/spec"
)

// playCommand is one command of the scenarios' language: how it is written, and
// what it does. A new one is a row in the table below; the language's README is
// made from it.
type playCommand struct {
	name, usage, help string
	// least is how many arguments it takes at the least.
	least int
	run   func(*play, *testscript.TestScript, []string)
}

// playTable is the language.
func playTable() []playCommand {
	return []playCommand{
		{"start", "start [IDP_KEY=VALUE…]", "start GitHub, git, the registry and the bot; $REGISTRY is the registry's address", 0, (*play).start},
		{"repo", "repo OWNER/NAME [FOLDER] [public]", "make a private repository with the folder's files; alice may write it, bob read", 1, (*play).repo},
		{"grant", "grant OWNER/NAME LOGIN PERMISSION", "give somebody a permission", 3, (*play).grant},
		{"open", "open ALIAS OWNER/NAME BRANCH FOLDER [by=LOGIN] [draft] [label=L] [fork=LOGIN]", "push the folder to a branch and open a pull request", 4, (*play).open},
		{"push", "push ALIAS FOLDER", "push the folder's files on top of the pull request's head; \"-PATH\" instead of a folder removes a file", 2, (*play).push},
		{"forcepush", "forcepush ALIAS FOLDER", "replace the pull request's branch", 2, (*play).forcePush},
		{"act", "act ALIAS close|merge|reopen|draft|ready|label L|unlabel L|edit TITLE [by=LOGIN]", "do something to the pull request", 2, (*play).act},
		{"comment", "comment ALIAS LOGIN TEXT", "comment on it; \\n in TEXT is a line break", 3, (*play).comment},
		{"editcomment", "editcomment ALIAS LOGIN TEXT", "edit the newest comment", 3, (*play).editComment},
		{"rename", "rename OWNER/NAME NAME", "rename the repository", 2, (*play).rename},
		{"rerun", "rerun ALIAS", "press \"Re-run\" on idp's check", 1, (*play).rerun},
		{"image", "image ALIAS [NAME]", "push the image of the head, as OWNER/REPO or as NAME", 1, (*play).image},
		{"hold", "hold", "hold GitHub's webhooks back", 0, func(p *play, _ *testscript.TestScript, _ []string) { p.world.github.HoldDeliveries() }},
		{"release", "release [INDEX…]", "deliver what is held, in this order (twice, lost), or all of it, and hold no more", 0, (*play).release},
		{"fault", "fault STATUS|drop|html METHOD PATH TIMES [RETRY-AFTER]", "let GitHub's API fail", 4, (*play).fault},
		{"gitops", "gitops put PATH FILE | remove PATH | refuse N MESSAGE | drop N", "let somebody else write to the GitOps repository, or pushes fail", 2, (*play).gitops},
		{"advance", "advance DURATION", "move the clock", 1, (*play).advance},
		{"settle", "settle", "wait until everything is done and said", 0, func(p *play, ts *testscript.TestScript, _ []string) { p.settle(ts) }},
		{"reap", "reap", "let the reaper run", 0, (*play).reap},
		{"sweep", "sweep", "let the sweep run", 0, (*play).sweep},
		{"halt", "halt", "stop the bot", 0, func(p *play, ts *testscript.TestScript, _ []string) { ts.Check(p.world.stopBot()) }},
		{"resume", "resume", "start the bot again", 0, func(p *play, ts *testscript.TestScript, _ []string) { ts.Check(p.world.start(p.ctx)) }},
		{"show", "show check|checks|comment|comments|deployments ALIAS | tree | file PATH | commits | requests", "print it, to be looked at with stdout and cmp", 1, (*play).show},
	}
}

func playCommands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, c := range playTable() {
		commands[c.name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < c.least {
				ts.Fatalf("usage: %s", c.usage)
			}
			c.run(ts.Value(playKey{}).(*play), ts, args)
		}
	}
	return commands
}

// folder reads a folder of the script's archive.
func folder(ts *testscript.TestScript, name string) map[string]string {
	root, files := ts.MkAbs(name), map[string]string{}
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))] = string(content)
		return err
	}))
	return files
}

// options splits "key=value" and bare words off the arguments.
func options(args []string) map[string]string {
	out := map[string]string{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		out[key] = value
	}
	return out
}

func (p *play) pull(ts *testscript.TestScript, alias string) *githubtest.PullRequest {
	pr, ok := p.pulls[alias]
	if !ok {
		ts.Fatalf("no pull request %q", alias)
	}
	return pr
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
		files = folder(ts, arg)
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

func (p *play) open(ts *testscript.TestScript, args []string) {
	alias, r, branch, o := args[0], p.repository(ts, args[1]), args[2], options(args[4:])
	by := o["by"]
	if by == "" {
		by = "alice"
	}
	_, draft := o["draft"]
	request := githubtest.PullRequestOptions{Author: by, Title: "Change " + alias, Head: branch, Draft: draft}
	if label := o["label"]; label != "" {
		request.Labels = []string{label}
	}
	head := r
	if fork := o["fork"]; fork != "" {
		p.world.github.AddUser(fork)
		head = r.Fork(fork)
		request.HeadRepository, request.Author = head, fork
	}
	head.PushAs(request.Author, branch, "Change", folder(ts, args[3]))
	pr, err := r.OpenPullRequest(request)
	ts.Check(err)
	p.pulls[alias] = pr
	p.remember(alias, pr.HeadSHA())
}

func (p *play) push(ts *testscript.TestScript, args []string) {
	pr, files := p.pull(ts, args[0]), map[string]string{}
	if path, removed := strings.CutPrefix(args[1], "-"); removed {
		files[path] = ""
	} else {
		files = folder(ts, args[1])
	}
	p.remember(args[0], pr.Push("alice", files))
}

func (p *play) forcePush(ts *testscript.TestScript, args []string) {
	p.remember(args[0], p.pull(ts, args[0]).ForcePush("alice", folder(ts, args[1])))
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
	case "merge":
		ts.Check(pr.Merge(by))
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
	_, err := p.pull(ts, args[0]).Comment(args[1], strings.ReplaceAll(strings.Join(args[2:], " "), `\n`, "\n"))
	ts.Check(err)
}

func (p *play) editComment(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	comments := pr.Comments()
	newest := slices.MaxFunc(comments, func(a, b githubtest.Comment) int { return int(a.ID - b.ID) })
	for _, r := range p.repos {
		if slices.Contains(r.PullRequests(), pr) {
			ts.Check(r.EditComment(args[1], newest.ID, strings.Join(args[2:], " ")))
		}
	}
}

func (p *play) rename(ts *testscript.TestScript, args []string) {
	ts.Check(p.repository(ts, args[0]).Rename("alice", args[1]))
}

func (p *play) rerun(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	for _, r := range p.repos {
		if slices.Contains(r.PullRequests(), pr) {
			ts.Check(r.RerequestCheck("alice", p.idpCheck(ts, pr).ID))
		}
	}
}

func (p *play) image(ts *testscript.TestScript, args []string) {
	pr := p.pull(ts, args[0])
	name := ""
	for _, r := range p.repos {
		if slices.Contains(r.PullRequests(), pr) {
			name = strings.ToLower(r.FullName())
		}
	}
	if len(args) > 1 {
		name = args[1]
	}
	ts.Check(p.world.pushImage(p.ctx, name, pr.HeadSHA()))
}

func (p *play) release(ts *testscript.TestScript, args []string) {
	if len(args) == 0 {
		p.world.github.StopHolding()
		return
	}
	var order []int
	for _, arg := range args {
		i, err := strconv.Atoi(arg)
		ts.Check(err)
		order = append(order, i)
	}
	p.world.github.Release(order...)
	p.world.github.StopHolding()
}

func (p *play) fault(ts *testscript.TestScript, args []string) {
	times, err := strconv.Atoi(args[3])
	ts.Check(err)
	f := githubtest.Fault{Method: strings.ReplaceAll(args[1], "*", ""), Path: args[2], Times: times}
	switch args[0] {
	case "drop":
		f.Drop, f.AfterEffect = true, true
	case "html":
		f.HTML, f.Status = true, 502
	default:
		f.Status, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	if len(args) > 4 {
		f.RetryAfter, err = time.ParseDuration(args[4])
		ts.Check(err)
	}
	p.world.github.Inject(f)
}

func (p *play) gitops(ts *testscript.TestScript, args []string) {
	var edit gittest.Edit
	switch args[0] {
	case "put":
		edit = gittest.Edit{Message: "Change by hand", Put: []gitops.File{{Path: args[1], Content: []byte(ts.ReadFile(args[2]))}}}
	case "remove":
		edit = gittest.Edit{Message: "Remove by hand", Remove: []string{args[1]}}
	case "refuse", "drop":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if args[0] == "drop" {
			p.world.gitops.DropPushAnswers(n)
			return
		}
		p.world.gitops.RefusePushes(n, strings.Join(args[2:], " "))
		return
	default:
		ts.Fatalf("no such thing: gitops %s", args[0])
	}
	_, err := p.world.gitops.Commit(p.ctx, branch, edit)
	ts.Check(err)
}

func (p *play) advance(ts *testscript.TestScript, args []string) {
	d, err := spec.ParseDuration(args[0])
	ts.Check(err)
	p.clock.advance(d)
	if p.world.main != nil {
		p.world.main.wake.all()
	}
}

func (p *play) reap(ts *testscript.TestScript, _ []string) {
	_, err := p.world.main.reaper.Sweep(p.ctx)
	ts.Check(err)
	p.settle(ts)
}

func (p *play) sweep(ts *testscript.TestScript, _ []string) {
	ts.Check(p.world.main.sweeper.Sweep(p.ctx))
	p.settle(ts)
}
