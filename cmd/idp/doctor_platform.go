package main

import (
	"context"
	"os"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/repo"
)

// platformFolder asks for what the platform team declares, and whether idp could write it
// with what it writes GitOps repositories with. Nothing is sent.
func (x *examination) platformFolder(ctx context.Context, app *github.App) {
	const check = "platform folder"
	if x.cfg.PlatformURL == "" {
		x.ok(check, "read from the GitOps repository; idp does not write it there, though its credential could: platform_url keeps it in a repository of its own")
		return
	}
	if x.lacks([]string{"platform_url", "platform_branch", "platform_token_file"}, check) {
		return
	}
	if app == nil || !x.known && x.cfg.PlatformTokenFile == "" {
		x.skip(check, "it is asked with a token of the App, which GitHub has to know first", "")
		return
	}
	dir, err := os.MkdirTemp("", "idp-doctor-")
	if err != nil {
		x.fail(check, err.Error(), "let this user write the folder of temporary files")
		return
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears what stays
	options := repo.Options{URL: x.cfg.PlatformURL, Branch: x.cfg.PlatformBranch, Dir: dir, Credentials: platformCredentials(x.cfg, app), Now: x.now}
	tip, err := asked(ctx, options, (*repo.Repo).Remote)
	if err != nil {
		x.fail(check, err.Error(), "let the App, or the token of platform_token_file, read contents of that repository")
		return
	}
	if tip == "" {
		x.fail(check, "there is no branch "+x.cfg.PlatformBranch, "push it, or name another in platform_branch")
		return
	}
	options.Credentials = gitCredentialsFor(x.cfg, x.apps, x.cfg.PlatformURL)
	_, err = asked(ctx, options, func(r *repo.Repo, ctx context.Context) (string, error) { return "", r.TryPush(ctx) })
	if err == nil {
		x.fail(check, "what idp writes GitOps repositories with may write it too, by git push --dry-run; nothing was sent",
			"give idp no more than Contents: read there: a token file for the GitOps repository (gitops_token_file), or an App of its own that is installed there alone (gitops_app_id)")
		return
	}
	x.ok(check, "readable at %.7s, and idp's credentials cannot write it", tip)
}

// asked opens a repository for one question.
func asked(ctx context.Context, o repo.Options, ask func(*repo.Repo, context.Context) (string, error)) (string, error) {
	r, err := repo.Open(ctx, o)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Close() }() // nothing was written that counts
	return ask(r, ctx)
}
