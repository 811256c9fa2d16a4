package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/register"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// onboardBranch is the branch that a repository's first deploy.yaml is proposed from.
	onboardBranch = "idp"
	onboardTitle  = "Deploy with idp"
)

// onboardFlags are the flags of "idp init" about the pull request.
type onboardFlags struct {
	open              bool
	tokenFile, github string
}

// confirms asks a question at a terminal; elsewhere, and for any answer but y or yes, it is
// no.
func (p *program) confirms(question string) bool {
	in, ok := p.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return false
	}
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		return false
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}

// onboarding is a pull request that adds a repository's first deploy.yaml. What it commits
// is made of objects alone: the checkout's index, files, branches and hooks are not touched.
type onboarding struct {
	dir, remote string
	owner, name string
	api         string
	token       secret.String
	client      *github.Client
	repo        bot.RepositoryRef
	base        string            // the default branch
	blobs       map[string]string // the ids of the files to add, by path
	body        string
}

// onboard opens the pull request, or tells the one that is open. first is nil where the
// deploy.yaml was there already.
func (p *program) onboard(ctx context.Context, dir string, f onboardFlags, first *firstSpec) error {
	o := &onboarding{dir: dir, body: onboardBody(first)}
	if err := o.locate(ctx, f.github); err != nil {
		return err
	}
	var err error
	if o.token, err = p.personalToken(o.api, f.tokenFile, "open a pull request at %s with", ""); err != nil {
		return err
	}
	told, err := o.open(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, told)
	return wrapOutput(err)
}

// onboardBody is what the pull request says.
func onboardBody(first *firstSpec) string {
	var b strings.Builder
	b.WriteString("With `.idp/deploy.yaml` on the default branch, each pull request here gets a preview environment.\n")
	if first == nil {
		return b.String()
	}
	if len(first.found.Notes) > 0 {
		b.WriteString("\nTo look at, as the file says, too:\n\n")
	}
	for _, note := range first.found.Notes {
		fmt.Fprintf(&b, "- [ ] %s\n", printable(oneLine(note)))
	}
	if len(first.outcome.Notes) > 0 {
		fmt.Fprintf(&b, "\nA preview is rendered from `%s`; dropped or changed of it:\n\n", strings.Join(first.sourcePaths(), "`, `"))
	}
	for _, note := range first.outcome.Notes {
		fmt.Fprintf(&b, "- %s\n", printable(oneLine(note)))
	}
	return b.String()
}

// locate finds the repository at its GitHub by the remote of the checkout.
func (o *onboarding) locate(ctx context.Context, pages string) error {
	prefix, err := o.git(ctx, nil, "", "rev-parse", "--show-prefix")
	if err != nil {
		return fault.Wrap(err, fault.Invalid, o.dir+" is no checkout of a repository", "git init, and push it to GitHub first")
	}
	if prefix != "" {
		return fault.Newf(fault.Invalid, "%s is not the root of the repository, which .idp belongs into", o.dir).WithHint("run it at the root")
	}
	if o.remote, err = o.git(ctx, nil, "", "remote", "get-url", "--push", "origin"); err != nil {
		return fault.Wrap(err, fault.Invalid, "the checkout has no remote origin", "git remote add origin URL")
	}
	at, why := parseGitURL(o.remote)
	found := originURL.FindStringSubmatch(o.remote)
	if why != "" || found == nil || at.Host == "" {
		return fault.New(fault.Invalid, "the remote origin is no repository of a GitHub", "git remote set-url origin https://github.com/OWNER/NAME.git")
	}
	o.owner, o.name = found[1], found[2]
	if pages == "" {
		pages = "https://" + strings.TrimPrefix(at.Hostname(), "ssh.")
	}
	site, err := register.NewSite(pages)
	if err != nil {
		return fault.Newf(fault.Usage, "--github-url %s: %s", pages, err)
	}
	o.api = site.API
	return nil
}

// open looks at how things stand before each step, so that running it again goes on from
// where it was interrupted.
func (o *onboarding) open(ctx context.Context) (told string, err error) {
	if err := o.meet(ctx); err != nil {
		return "", err
	}
	tips, err := o.tips(ctx)
	if err != nil {
		return "", err
	}
	if tips[o.base] == "" {
		return "", fault.Newf(fault.Invalid, "%s/%s has no branch %s yet to propose anything for", o.owner, o.name, o.base).WithHint("push it first")
	}
	if same, err := o.holds(ctx, tips[o.base]); err != nil || same {
		return fmt.Sprintf("Branch %s of %s/%s has it already.", o.base, o.owner, o.name), err
	}
	same := false
	if tip := tips[onboardBranch]; tip != "" {
		if same, err = o.holds(ctx, tip); err != nil {
			return "", err
		}
	}
	number, err := o.client.FindChange(ctx, o.repo, onboardBranch, o.base)
	switch {
	case err != nil:
		return "", o.refused(err)
	case number != 0 && !same:
		return fmt.Sprintf("%s is open already, with another deploy.yaml than is here; nothing was pushed.", o.page(number)), nil
	case number != 0:
		return o.page(number) + " is open already.", nil
	case tips[onboardBranch] != "" && !same:
		return "", fault.Newf(fault.Conflict, "%s/%s has a branch %s with something else; nothing was pushed", o.owner, o.name, onboardBranch).
			WithHint("delete it there (git push origin --delete %s), or propose what is on it by hand", onboardBranch)
	case !same:
		if err := o.push(ctx, tips[o.base]); err != nil {
			return "", err
		}
	}
	number, err = o.client.ProposeChange(ctx, o.repo, bot.Change{Branch: onboardBranch, Base: o.base, Title: onboardTitle, Body: o.body})
	if err != nil {
		return "", o.refused(err)
	}
	return "Opened " + o.page(number) + ".", nil
}

func (o *onboarding) page(number int) string {
	return fmt.Sprintf("%s/%s/%s/pull/%d", strings.TrimRight(htmlURL(o.api), "/"), o.owner, o.name, number)
}

// refused says what to do about what GitHub refuses.
func (o *onboarding) refused(err error) error {
	return fault.Wrap(err, fault.Failure, fmt.Sprintf("%s does not let the token propose anything for %s/%s: %v", htmlURL(o.api), o.owner, o.name, err),
		"a fine-grained token needs Contents and Pull requests: write, on that repository; run it again then, and it goes on from here")
}

// meet asks GitHub for the repository and stores the files that are to be added.
func (o *onboarding) meet(ctx context.Context) error {
	app, err := github.AsProposer(github.Options{APIURL: o.api, Now: time.Now}, o.token)
	if err != nil {
		return err
	}
	o.client = app.Installation(0)
	if o.repo, err = o.client.FindRepository(ctx, o.owner, o.name); err != nil {
		return o.refused(err)
	}
	if o.base, err = o.client.DefaultBranch(ctx, o.repo); err != nil {
		return o.refused(err)
	}
	o.blobs = map[string]string{}
	for _, name := range []string{spec.Path, path.Join(path.Dir(spec.Path), schemaFile)} {
		content, err := os.ReadFile(filepath.Join(o.dir, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) && name != spec.Path {
			continue // it is for editors alone
		}
		if err != nil {
			return fault.Newf(fault.Invalid, "cannot read %s: %s", name, reason(err))
		}
		if name == spec.Path {
			if _, errs := spec.Parse(name, content); len(errs) > 0 {
				return fault.Newf(fault.Invalid, "%s has %s; nothing was pushed", name, plural(errs.Count(), "mistake")).WithHint(`"idp validate" shows them`)
			}
		}
		if o.blobs[name], err = o.git(ctx, content, "", "hash-object", "-w", "--stdin"); err != nil {
			return err
		}
	}
	return nil
}

// tips are the commits of the two branches at the remote, "" of one that is not there.
func (o *onboarding) tips(ctx context.Context) (map[string]string, error) {
	out, err := o.git(ctx, nil, "", "ls-remote", "--heads", o.remote, "refs/heads/"+o.base, "refs/heads/"+onboardBranch)
	if err != nil {
		return nil, o.unreachable(err)
	}
	tips := map[string]string{}
	for line := range strings.Lines(out) {
		if sha, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok {
			tips[strings.TrimPrefix(ref, "refs/heads/")] = sha
		}
	}
	return tips, nil
}

func (o *onboarding) unreachable(err error) error {
	return fault.Wrap(err, fault.Failure, fmt.Sprintf("the remote origin does not let anybody in: %v", err), "see that git fetch origin and git push origin work, or use its https URL with a token that may write contents")
}

// holds says whether a commit of the remote has the files as they are to be.
func (o *onboarding) holds(ctx context.Context, tip string) (bool, error) {
	if _, err := o.git(ctx, nil, "", "cat-file", "-e", tip+"^{tree}"); err != nil {
		if _, err := o.git(ctx, nil, "", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", o.remote, tip); err != nil {
			return false, o.unreachable(err)
		}
	}
	for name, blob := range o.blobs {
		out, err := o.git(ctx, nil, "", "ls-tree", "--format=%(objectname)", tip, "--", name)
		if err != nil || out != blob {
			return false, err
		}
	}
	return true, nil
}

// push commits the files on top of a commit, in an index of its own, and pushes that as a
// branch that is not there yet.
func (o *onboarding) push(ctx context.Context, onto string) error {
	dir, err := os.MkdirTemp("", "idp-init-")
	if err != nil {
		return fault.Wrap(err, fault.Failure, "there is no place for an index: "+reason(err), "set TMPDIR to a folder that can be written to")
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	index := filepath.Join(dir, "index")
	if _, err := o.git(ctx, nil, index, "read-tree", onto); err != nil {
		return err
	}
	for name, blob := range o.blobs {
		if _, err := o.git(ctx, nil, index, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name); err != nil {
			return err
		}
	}
	tree, err := o.git(ctx, nil, index, "write-tree")
	if err != nil {
		return err
	}
	commit, err := o.git(ctx, []byte(onboardTitle+"\n"), "", "commit-tree", tree, "-p", onto)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, fmt.Sprintf("nothing can be committed: %v", err), "git config user.name and git config user.email say who commits")
	}
	ref := "refs/heads/" + onboardBranch
	if _, err := o.git(ctx, nil, "", "push", "--quiet", "--no-verify", "--force-with-lease="+ref+":", o.remote, commit+":"+ref); err != nil {
		return o.unreachable(err)
	}
	return nil
}

// git runs one command of git's without hooks and without questions. The token goes to the
// remote's host where that is the GitHub it is for, and is never in the arguments.
func (o *onboarding) git(ctx context.Context, stdin []byte, index string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", o.dir, "-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), gitVariable), "GIT_TERMINAL_PROMPT=0")
	if index != "" {
		cmd.Env = append(cmd.Env, "GIT_INDEX_FILE="+index)
	}
	cmd.Env = append(cmd.Env, o.signed()...)
	var wrong bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &wrong
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %.300s", args[0], err, oneLine(wrong.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// signed has git send the token, where the remote is at the token's GitHub; one that is
// reached by ssh brings its own keys.
func (o *onboarding) signed() []string {
	api, err := url.Parse(o.api)
	if err != nil || o.token.IsZero() || !strings.HasPrefix(o.remote, "http") {
		return nil
	}
	if _, _, err := github.OwnRepository(api, o.remote); err != nil {
		return nil
	}
	at, err := url.Parse(o.remote)
	if err != nil {
		return nil
	}
	basic := base64.StdEncoding.EncodeToString([]byte(tokenUser + ":" + o.token.Reveal()))
	return []string{"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http." + at.Scheme + "://" + at.Host + "/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic " + basic}
}
