package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/webhooks"
	"github.com/idp-bot/idp/webhooks/api"
)

// mountAPI serves idp's API, where people can sign in to it.
func (m *Main) mountAPI(mux *http.ServeMux, sources *webhooks.Sources) error {
	if m.cfg.GitHubClientID == "" && m.cfg.PublicURL == "" {
		return nil
	}
	handler, err := api.New(api.Options{
		Store: m.store, GitHub: newAPIGitHub(m.cfg, m.github, m.now), ClientID: m.cfg.GitHubClientID, Pages: htmlURL(m.cfg.GitHubAPIURL), PublicURL: publicURL(m.cfg),
		Sources: sources, Note: m.apiNote, Now: m.now, Log: m.log,
	})
	if err != nil {
		return err
	}
	mux.Handle(api.Root, handler)
	mux.Handle(api.Root+"/", handler)
	return nil
}

// publicURL is the root of idp's URL, without a slash at its end.
func publicURL(cfg *Config) string { return strings.TrimRight(cfg.PublicURL, "/") }

// apiGitHub is what the API asks of GitHub.
type apiGitHub struct {
	cfg       *Config
	app       *github.App
	workflows *github.Workflows
}

func newAPIGitHub(cfg *Config, app *github.App, now func() time.Time) apiGitHub {
	return apiGitHub{cfg: cfg, app: app, workflows: github.NewWorkflows(cfg.GitHubAPIURL, publicURL(cfg), now)}
}

// Workflow asks which run of a workflow a token is of.
func (g apiGitHub) Workflow(ctx context.Context, token secret.String) (api.Workflow, error) {
	run, err := g.workflows.Workflow(ctx, token)
	return api.Workflow{RepositoryID: run.RepositoryID, SHA: run.SHA, OfPull: run.OfPull(), Actor: run.Actor, Run: run.Run}, err
}

// Built finds a repository that the App is installed on, and one of its commits.
func (g apiGitHub) Built(ctx context.Context, owner, name, sha string) (repo bot.RepositoryRef, installation int64, commit bot.Commit, err error) {
	if installation, err = g.app.FindInstallation(ctx, owner, name); err != nil {
		return repo, 0, commit, err
	}
	client := g.app.Installation(installation)
	if repo, err = client.FindRepository(ctx, owner, name); err != nil {
		return repo, 0, commit, err
	}
	commit, err = client.Commit(ctx, repo, sha)
	return repo, installation, commit, err
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

// Repository finds a repository that whose token it is may read, as GitHub tells them, and
// that the App is installed on.
func (g apiGitHub) Repository(ctx context.Context, owner, name string, token secret.String) (repo bot.RepositoryRef, installation int64, err error) {
	if repo, err = g.app.RepositoryAs(ctx, token, owner, name); err != nil {
		return repo, 0, err
	}
	installation, err = g.app.FindInstallation(ctx, repo.Owner, repo.Name)
	return repo, installation, err
}

// apiNote says why nothing comes of what is decided just now.
func (m *Main) apiNote(ctx context.Context) string {
	if m.cfg.observes() {
		return "idp only observes: what it decides is not done"
	}
	switch pause, err := m.store.Paused(ctx); {
	case err != nil:
		return "it is not known just now whether idp is paused"
	case pause.Paused && pause.Reason != "":
		return "idp is paused, so that nothing comes of it until it goes on: " + pause.Reason
	case pause.Paused:
		return "idp is paused, so that nothing comes of it until it goes on"
	}
	return ""
}
