package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/webhooks/api"
)

// mountAPI serves idp's API, where people can sign in to it.
func (m *Main) mountAPI(mux *http.ServeMux) error {
	if m.cfg.GitHubClientID == "" {
		return nil
	}
	handler, err := api.New(api.Options{
		Store: m.store, GitHub: apiGitHub{m.cfg, m.github}, ClientID: m.cfg.GitHubClientID, Pages: htmlURL(m.cfg.GitHubAPIURL),
		Now: m.now, Log: m.log,
	})
	if err != nil {
		return err
	}
	mux.Handle(api.Root, handler)
	mux.Handle(api.Root+"/", handler)
	return nil
}

// apiGitHub is what the API asks of GitHub.
type apiGitHub struct {
	cfg *Config
	app *github.App
}

// Person asks whose a token is. The client secret is read each time, so that it may be
// rotated.
func (g apiGitHub) Person(ctx context.Context, token secret.String) (bot.Actor, error) {
	content, err := os.ReadFile(g.cfg.GitHubClientSecretFile)
	if err != nil {
		return bot.Actor{}, fmt.Errorf("read the App's client secret: %w", err)
	}
	with := github.SignIn{ClientID: g.cfg.GitHubClientID, Secret: secret.New(strings.TrimSpace(string(content)))}
	return g.app.Person(ctx, with, token)
}

// Repository finds a repository that the App is installed on, and what somebody may there.
func (g apiGitHub) Repository(ctx context.Context, owner, name, login string) (repo bot.RepositoryRef, installation int64, may access.Permission, err error) {
	if installation, err = g.app.FindInstallation(ctx, owner, name); err != nil {
		return repo, 0, access.None, err
	}
	client := g.app.Installation(installation)
	if repo, err = client.FindRepository(ctx, owner, name); err != nil {
		return repo, 0, access.None, err
	}
	may, err = client.Permission(ctx, repo, login)
	return repo, installation, may, err
}
