package main

import (
	"context"
	"fmt"

	"github.com/idp-bot/idp/bot/github"
)

// writerApps asks GitHub for each App that writes a GitOps repository and is for nothing
// else: whether it knows it, what it may do, and whether it is installed there.
func (x *examination) writerApps(ctx context.Context) {
	if x.cfg.GitOpsAppID == 0 && len(x.cfg.GitOpsApps) == 0 || x.lacks(append([]string{"github_api_url"}, writerKeys...), checkWriters) {
		return
	}
	if x.apps.second != nil {
		x.writerApp(ctx, x.apps.second, x.cfg.GitOpsURL, x.cfg.GitOpsPrivateKeyFile)
	}
	for i, of := range x.apps.beside {
		item, _ := cutWriterApp(x.cfg.GitOpsApps[i])
		x.writerApp(ctx, of.app, of.address, item.file)
	}
}

func (x *examination) writerApp(ctx context.Context, app *github.App, address, key string) {
	registered, err := app.Registration(ctx)
	if err == nil && registered.ID != app.ID() {
		err = fmt.Errorf("GitHub answered as App %d", registered.ID)
	}
	if err != nil {
		x.fail(checkWriters, fmt.Sprintf("App %d: %v", app.ID(), err), fmt.Sprintf("see that %s holds a private key of that App: its settings generate new ones", key))
		return
	}
	pages := htmlURL(x.cfg.GitHubAPIURL)
	wrong := judgePermissions(registered.Grants, github.WriterPermissions(), pages+registered.Settings())
	for _, judged := range wrong {
		if judged.State != verdictOK {
			judged.Check, judged.Seen = checkWriters, registered.Slug+": "+judged.Seen
			x.add(judged)
		}
	}
	if _, _, err := app.GitRepository(ctx, address); err != nil {
		x.fail(checkWriters, fmt.Sprintf("%s does not reach %s: %v", registered.Slug, address, err), fmt.Sprintf("install it there: %s/apps/%s/installations/new", pages, registered.Slug))
		return
	}
	if token, err := app.GitToken(ctx, address); err != nil || token.IsZero() {
		x.fail(checkWriters, fmt.Sprintf("%s gets no token for %s: %v", registered.Slug, address, err), "accept its permissions where it is installed: "+pages+registered.Settings()+"/installations")
		return
	}
	x.ok(checkWriters, "%s, App %d: GitHub makes tokens for %s alone, to write contents and nothing else", registered.Slug, registered.ID, address)
}
