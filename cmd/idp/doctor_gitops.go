package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/secret"
)

// The checks of the GitOps repository.
const (
	checkGitOps = "GitOps repository"
	checkPush   = "GitOps push"
	checkRules  = "GitOps branch rules"
)

func (x *examination) gitops(ctx context.Context, app *github.App) {
	checks := []string{checkGitOps, checkPush, checkRules}
	if x.lacks([]string{"gitops_url", "gitops_branch", "gitops_token_file"}, checks...) {
		return
	}
	if !x.known && x.appPushes() {
		for _, check := range checks {
			x.skip(check, "it is asked with a token of the App, which GitHub has to know first", "")
		}
		return
	}
	if !x.repository(ctx, app) {
		for _, check := range checks[1:] {
			x.skip(check, "the repository has to be readable first", "")
		}
		return
	}
	x.rules(ctx, app)
}

// repository asks in a clone of its own, which goes again: the server's is the server's
// alone.
func (x *examination) repository(ctx context.Context, app *github.App) (readable bool) {
	dir, err := os.MkdirTemp("", "idp-doctor-")
	if err != nil {
		x.fail(checkGitOps, err.Error(), "let this user write the folder of temporary files")
		return false
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	r, err := repo.Open(ctx, repo.Options{URL: x.cfg.GitOpsURL, Branch: x.cfg.GitOpsBranch, Dir: dir, Credentials: gitCredentials(x.cfg, app), Now: x.now})
	if err != nil {
		x.fail(checkGitOps, err.Error(), "check gitops_url and gitops_branch, and that git is installed")
		return false
	}
	defer func() { _ = r.Close() }() // nothing was written that counts
	tip, err := r.Remote(ctx)
	if err != nil {
		x.fail(checkGitOps, err.Error(), x.fixOfGit(err, "read"))
		return false
	}
	if tip == "" {
		x.ok(checkGitOps, "readable; branch %s is not there yet, and comes with idp's first commit", x.cfg.GitOpsBranch)
	} else {
		x.ok(checkGitOps, "readable; branch %s is at %.7s", x.cfg.GitOpsBranch, tip)
	}
	if err := r.TryPush(ctx); err != nil {
		x.fail(checkPush, err.Error(), x.fixOfGit(err, "write"))
		return true
	}
	x.ok(checkPush, "the credentials may write there, by git push --dry-run; nothing was sent")
	return true
}

func (x *examination) fixOfGit(err error, what string) string {
	refused := errors.Is(err, repo.ErrUnauthorized) || errors.Is(err, bot.ErrNotFound) || errors.Is(err, bot.ErrNoAccess)
	switch {
	case !refused:
		return "check gitops_url and this machine's way there: its DNS, HTTPS_PROXY, and SSL_CERT_FILE for an authority of your own"
	case x.cfg.GitOpsTokenFile != "":
		return fmt.Sprintf("put a token into %s that may %s contents of that repository (Contents: read and write) and has not expired", x.cfg.GitOpsTokenFile, what)
	case x.appPushes():
		return fmt.Sprintf("install the App on that repository with Contents: read and write, or name a file with a token that may %s it in gitops_token_file", what)
	}
	return fmt.Sprintf("give the SSH key of this user leave to %s the repository", what)
}

// rules asks GitHub, where the repository is there, what it wants of a push.
func (x *examination) rules(ctx context.Context, app *github.App) {
	api, err := url.Parse(x.cfg.GitHubAPIURL)
	if err == nil {
		_, _, err = github.OwnRepository(api, x.cfg.GitOpsURL)
	}
	if err != nil || !x.known {
		x.skip(checkRules, "GitHub is not asked about it, for it is not on the App's GitHub or the App is not known there; see what its host wants of a push to "+x.cfg.GitOpsBranch, "")
		return
	}
	var token secret.String
	if x.cfg.GitOpsTokenFile != "" {
		content, err := os.ReadFile(x.cfg.GitOpsTokenFile)
		if err != nil {
			x.skip(checkRules, reason(err), "")
			return
		}
		token = secret.New(strings.TrimSpace(string(content)))
	}
	rules, err := app.BranchRules(ctx, x.cfg.GitOpsURL, x.cfg.GitOpsBranch, token)
	page := strings.TrimSuffix(x.cfg.GitOpsURL, ".git") + "/settings"
	if err != nil {
		x.skip(checkRules, err.Error(), "open "+page+"/rules")
		return
	}
	x.findings = append(x.findings, judgeRules(rules, x.cfg.GitOpsBranch, page)...)
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
