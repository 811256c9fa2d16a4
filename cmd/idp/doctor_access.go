package main

import (
	"context"
	"os"
	"strings"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo"
)

const (
	checkAccess   = "preview access"
	checkPolicies = "policies"
)

// previewAccess asks whether anything stands in front of previews, by what the platform
// folder says of their class, and what its policies let pass. Whether the gateway obeys
// cannot be seen from here.
func (x *examination) previewAccess(ctx context.Context, app *github.App) {
	o, byApp := x.platformRepository(app)
	keys := []string{"gitops_url", "gitops_branch", "gitops_token_file", "gitops_app_id", "gitops_private_key_file", "platform_url", "platform_branch", "platform_token_file"}
	if x.lacks(keys, checkAccess) {
		return
	}
	if byApp && !x.known {
		x.skip(checkAccess, "the platform folder is asked for with a token of the App, which GitHub has to know first", "")
		return
	}
	files, err := readFolder(ctx, o)
	if err != nil {
		x.skip(checkAccess, "the platform folder has to be readable first", "")
		return
	}
	x.findings = append(x.findings, judgePolicies(policy.Compile(ctx, files)))
	declared, errs := platform.Load(files, x.cfg.Class())
	if len(errs) > 0 {
		x.fail(checkAccess, plural(errs.Count(), "mistake")+" in the platform folder, so idp keeps to what it read before, if anything: "+errs[0].Error(),
			`mend it: "idp validate --platform DIR" shows every mistake`)
		return
	}
	x.declared = declared
	x.findings = append(x.findings, judgeAccess(declared.OfPreviews(x.cfg.Class())))
}

// platformRepository is where the platform folder is, and whether the App's token reads it.
func (x *examination) platformRepository(app *github.App) (o repo.Options, byApp bool) {
	o = repo.Options{URL: x.cfg.GitOpsURL, Branch: x.cfg.GitOpsBranch, Credentials: gitCredentials(x.cfg, x.apps), Now: x.now}
	if x.cfg.PlatformURL == "" {
		return o, x.appPushes()
	}
	o.URL, o.Branch, o.Credentials = x.cfg.PlatformURL, x.cfg.PlatformBranch, platformCredentials(x.cfg, app)
	return o, x.cfg.PlatformTokenFile == ""
}

// readFolder reads the platform folder in a clone of its own, which goes again.
func readFolder(ctx context.Context, o repo.Options) (files []gitops.File, err error) {
	if o.Dir, err = os.MkdirTemp("", "idp-doctor-"); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(o.Dir) }() // the system clears what stays
	_, err = asked(ctx, o, func(r *repo.Repo, ctx context.Context) (string, error) {
		tip, err := r.Tip(ctx)
		if err == nil && tip != "" {
			files, err = r.FilesBut(ctx, tip, platform.Dir, platform.ChartsDir)
		}
		return tip, err
	})
	return files, err
}

// judgeAccess says what stands in front of previews of a class.
func judgeAccess(class platform.Class) diagnosis {
	out := diagnosis{Check: checkAccess, State: verdictOK, Seen: "previews are behind what " + class.File() + " declares"}
	switch {
	case class.Closed():
		out.State, out.Seen, out.Fix = verdictWarning, "previews get no address: "+platform.WhyClosed, class.HowToOpen()
	case class.Gate != nil && class.Gate.Public:
		out.Seen = "previews are for everybody, as " + class.File() + " or preview_access says"
	}
	return out
}

// judgePolicies says what the platform team's policies leave open that only it can close.
func judgePolicies(set *policy.Set) diagnosis {
	if err := set.Err(); err != nil {
		return diagnosis{Check: checkPolicies, State: verdictFailure, Seen: "nothing new is deployed until they can be asked: " + err.Error(),
			Fix: `mend it: "idp policy test DIR" shows every mistake`}
	}
	registries := set.Registries()
	if len(registries) == 0 {
		return diagnosis{Check: checkPolicies, State: verdictWarning, Seen: "previews run images of any registry, and production is refused until somebody says which it may run", Fix: "list those that may be used as registries in " + policy.SettingsPath}
	}
	return diagnosis{Check: checkPolicies, State: verdictOK, Seen: "images come from " + strings.Join(registries, ", ")}
}
