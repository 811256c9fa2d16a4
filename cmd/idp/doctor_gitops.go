package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/secret"
)

// The checks of a GitOps repository.
const (
	checkGitOps  = "GitOps repository"
	checkPush    = "GitOps push"
	checkRules   = "GitOps branch rules"
	checkWriters = "GitOps App"
)

// writerKeys are the keys of the Apps that write GitOps repositories.
var writerKeys = []string{"gitops_app_id", "gitops_private_key_file", "gitops_apps"}

// gitopsAt is one GitOps repository under examination.
type gitopsAt struct {
	url, branch string
	of          string // the class that names it, "" for the server's own
	proposes    bool   // changes come by pull requests
}

// check is the name of a check of it.
func (at gitopsAt) check(name string) string {
	if at.of == "" {
		return name
	}
	return name + " of class " + at.of
}

func (x *examination) gitops(ctx context.Context) {
	at := gitopsAt{url: x.cfg.GitOpsURL, branch: x.cfg.GitOpsBranch}
	if x.lacks(append([]string{"gitops_url", "gitops_branch", "gitops_token_file"}, writerKeys...), checkGitOps, checkPush, checkRules) {
		return
	}
	x.gitopsRepository(ctx, at)
}

// gitopsOfClasses checks the GitOps repositories and branches that classes name, each once.
func (x *examination) gitopsOfClasses(ctx context.Context) {
	if x.lacks(append([]string{"gitops_url", "gitops_branch", "gitops_token_file", "gitops_token_files"}, writerKeys...)) {
		return
	}
	seen := map[string]bool{x.cfg.GitOpsURL + " " + x.cfg.GitOpsBranch: true}
	for _, name := range slices.Sorted(maps.Keys(x.declared.Classes)) {
		class := x.declared.Classes[name]
		at := gitopsAt{url: cmp.Or(class.PushURL, x.cfg.GitOpsURL), branch: cmp.Or(class.Branch, x.cfg.GitOpsBranch), of: name, proposes: class.Mode == platform.ModePullRequest}
		if !seen[at.url+" "+at.branch] {
			seen[at.url+" "+at.branch] = true
			x.gitopsRepository(ctx, at)
		}
	}
}

func (x *examination) gitopsRepository(ctx context.Context, at gitopsAt) {
	checks := []string{at.check(checkGitOps), at.check(checkPush), at.check(checkRules)}
	if !x.known && x.pusher(at.url) == byOwnApp {
		for _, check := range checks {
			x.skip(check, "it is asked with a token of the App, which GitHub has to know first", "")
		}
		return
	}
	if !x.repository(ctx, at) {
		for _, check := range checks[1:] {
			x.skip(check, "the repository has to be readable first", "")
		}
		return
	}
	x.rules(ctx, at)
}

// pushing is what a GitOps repository is written with.
type pushing int

const (
	byOwnApp pushing = iota
	byWriterApp
	byToken
	bySSH // or a file's rights
)

func (x *examination) pusher(address string) pushing {
	_, ownFile := ownTokenFile(x.cfg, address)
	switch {
	case ownFile:
		return byToken
	case x.apps.has(address):
		return byWriterApp
	case x.cfg.GitOpsTokenFile != "" && sameHost(address, x.cfg.GitOpsURL):
		return byToken
	case !strings.HasPrefix(address, "http"):
		return bySSH
	case x.cfg.GitOpsAppID != 0:
		return byWriterApp
	}
	return byOwnApp
}

// repository asks in a clone of its own, which goes again: the server's is the server's
// alone.
func (x *examination) repository(ctx context.Context, at gitopsAt) (readable bool) {
	check, push := at.check(checkGitOps), at.check(checkPush)
	dir, err := os.MkdirTemp("", "idp-doctor-")
	if err != nil {
		x.fail(check, err.Error(), "let this user write the folder of temporary files")
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	r, err := repo.Open(ctx, repo.Options{URL: at.url, Branch: at.branch, Dir: dir, Credentials: gitCredentialsFor(x.cfg, x.apps, at.url), Now: x.now})
	if err != nil {
		x.fail(check, err.Error(), "check gitops_url and gitops_branch, and that git is installed")
		return false
	}
	defer func() { _ = r.Close() }() // nothing was written that counts
	tip, err := r.Remote(ctx)
	if err != nil {
		x.fail(check, err.Error(), x.fixOfGit(at, err, "read"))
		return false
	}
	if tip == "" {
		x.ok(check, "readable; branch %s is not there yet, and comes with idp's first commit", at.branch)
	} else {
		x.ok(check, "readable; branch %s is at %.7s", at.branch, tip)
	}
	if err := r.TryPush(ctx); err != nil {
		x.fail(push, err.Error(), x.fixOfGit(at, err, "write"))
		return true
	}
	x.ok(push, "the credentials may write there, by git push --dry-run; nothing was sent")
	return true
}

func (x *examination) fixOfGit(at gitopsAt, err error, what string) string {
	key := "gitops_url"
	if at.of != "" {
		key = "gitops_url of class " + at.of
	}
	refused := errors.Is(err, repo.ErrUnauthorized) || errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrNoAccess)
	if !refused {
		return "check " + key + " and this machine's way there: its DNS, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own"
	}
	switch x.pusher(at.url) {
	case byToken:
		return fmt.Sprintf("put a token into %s that may %s contents of that repository (Contents: read and write) and has not expired", x.tokenFileOf(at.url), what)
	case byWriterApp:
		return "install the App that writes it (gitops_app_id, gitops_apps) on that repository, with Contents: read and write"
	case byOwnApp:
		return fmt.Sprintf("install the App on that repository with Contents: read and write, or name a file with a token that may %s it in gitops_token_file", what)
	}
	return fmt.Sprintf("give the SSH key of this user leave to %s the repository", what)
}

// tokenFileOf is the file with the token for a repository that is written byToken.
func (x *examination) tokenFileOf(address string) string {
	file, ok := ownTokenFile(x.cfg, address)
	if !ok {
		file = x.cfg.GitOpsTokenFile
	}
	return file
}

// rules asks GitHub, where the repository is there, what it wants of a push.
func (x *examination) rules(ctx context.Context, at gitopsAt) {
	check := at.check(checkRules)
	if at.proposes {
		x.skip(check, "its changes come by pull requests, which people merge", "")
		return
	}
	api, err := url.Parse(x.cfg.GitHubAPIURL)
	if err == nil {
		_, _, err = github.OwnRepository(api, at.url)
	}
	by := x.pusher(at.url)
	if err != nil || !x.known && by != byWriterApp {
		x.skip(check, "GitHub is not asked about it, for it is not on the App's GitHub or the App is not known there; see what its host wants of a push to "+at.branch, "")
		return
	}
	var token secret.String
	if by == byToken {
		content, err := os.ReadFile(x.tokenFileOf(at.url))
		if err != nil {
			x.skip(check, reason(err), "")
			return
		}
		token = secret.New(strings.TrimSpace(string(content)))
	}
	rules, err := x.apps.of(at.url).BranchRules(ctx, at.url, at.branch, token)
	page := strings.TrimSuffix(at.url, ".git") + "/settings"
	if err != nil {
		x.skip(check, err.Error(), "open "+page+"/rules")
		return
	}
	for _, judged := range judgeRules(rules, at.branch, page) {
		judged.Check = check
		x.add(judged)
	}
}

// refusing are the types of rules that refuse a push of idp's, with why; harmless those
// that none of its pushes goes against.
var (
	refusing = map[string]string{
		"pull_request":           "changes have to come by pull requests",
		"update":                 "nobody may change it",
		"required_status_checks": "commits have to have passed checks",
		"required_deployments":   "commits have to have been deployed",
		"required_signatures":    "commits have to be signed, and idp's are not",
		"merge_queue":            "changes have to come by a merge queue",
		"workflows":              "commits have to have passed workflows",
		"code_scanning":          "commits have to have been scanned",
	}
	harmless = []string{"creation", "deletion", "non_fast_forward", "required_linear_history"}
)

// judgeRules names each rule that refuses idp's pushes.
func judgeRules(rules github.BranchRules, branch, page string) (out []diagnosis) {
	say := func(state verdict, seen, fix string) {
		out = append(out, diagnosis{Check: checkRules, State: state, Seen: seen, Fix: fix})
	}
	for _, rule := range rules.Rules {
		why, refuses := refusing[rule.Type]
		if rule.Type == "creation" && rules.Absent {
			why, refuses = "nobody may make it", true
		}
		past := rule.Bypass == "always" || rule.Bypass == "exempt"
		of := "a ruleset"
		if rule.Ruleset != "" {
			of = "ruleset " + rule.Ruleset
		}
		switch {
		case past || !refuses && slices.Contains(harmless, rule.Type):
		case refuses:
			say(verdictFailure, fmt.Sprintf("%s of %s refuses pushes to %s: %s", rule.Type, of, branch, why),
				fmt.Sprintf("put whoever pushes for idp on its bypass list on %s/rules, or let a class propose (gitops_mode: pull_request)", page))
		default:
			say(verdictWarning, fmt.Sprintf("%s of %s may refuse pushes to %s", rule.Type, of, branch), "see what it asks for on "+page+"/rules")
		}
	}
	switch {
	case len(out) > 0:
	case rules.Protected && len(rules.Rules) == 0:
		say(verdictWarning, "branch "+branch+" is protected, by what only administrators see", "see on "+page+"/branches that whoever pushes for idp may, without a pull request and without checks")
	case len(rules.Rules) > 0:
		say(verdictOK, "none that is in force refuses idp's pushes", "")
	default:
		say(verdictOK, "none is in force", "")
	}
	return out
}
