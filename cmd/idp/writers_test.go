package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// A second App writes the GitOps repository, and one of its own that of a class; the App that
// reads code writes neither. Each push has a token for its repository alone, which can write
// contents and nothing else.
func TestWriterApps(t *testing.T) {
	t.Parallel()
	key, file, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	path := secrettest.Given(filepath.Join(secrettest.Dir(t), "key.pem"))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	hub := githubtest.New(githubtest.Options{})
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Close() })
	server, err := gittest.Start(t.Context(), filepath.Join(secrettest.Dir(t), "git"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	used := map[string]string{} // the token of the last request for a repository
	server.RequireAuth(func(name, user, password string, push bool) bool {
		used[name] = password
		level := map[bool]string{true: "write", false: "read"}[push]
		return user == tokenUser && hub.TokenAllows(password, name, "contents", level)
	})
	urls := map[string]string{}
	for _, name := range []string{"gitops", "production", "other"} {
		made, err := server.Create(t.Context(), "acme/"+name)
		if err != nil {
			t.Fatal(err)
		}
		hub.AddRepository("acme/"+name, githubtest.RepositoryOptions{})
		urls[name] = made.URL
	}
	install := func(slug string, permissions map[string]string, on ...string) int64 {
		app := hub.AddApp(githubtest.AppOptions{Slug: slug, Key: &key.PublicKey, Permissions: permissions})
		app.Install("acme", githubtest.InstallOptions{Repositories: on})
		return app.ID()
	}
	writes := map[string]string{"metadata": "read", "contents": "write", "pull_requests": "write"}
	cfg := &Config{}
	cfg.GitHubAPIURL, cfg.GitHubPrivateKeyFile, cfg.GitOpsURL, cfg.GitOpsPrivateKeyFile = hub.URL(), path, urls["gitops"], path
	cfg.GitHubAppID = install("idp", map[string]string{"metadata": "read", "contents": "read"})
	cfg.GitOpsAppID = install("previews-writer", writes, "gitops", "other")
	cfg.GitOpsApps = []string{fmt.Sprintf("%s=%d=%s", urls["production"], install("production-writer", writes, "production"), path)}
	own, err := githubApp(cfg, github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	apps, err := newWriters(cfg, own, github.Options{})
	if err != nil {
		t.Fatal(err)
	}
	pushes := func(name string, apps writers) error {
		r, err := repo.Open(t.Context(), repo.Options{URL: urls[name], Branch: "main", Dir: secrettest.Dir(t), Credentials: gitCredentialsFor(cfg, apps, urls[name])})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		return r.TryPush(t.Context())
	}
	for _, name := range []string{"gitops", "production"} {
		if err := pushes(name, apps); err != nil {
			t.Errorf("it does not write %s: %v", name, err)
		}
		if err := pushes(name, writers{own: own}); err == nil {
			t.Errorf("the App that reads code writes %s", name)
		}
	}
	if err := pushes("gitops", apps); err != nil {
		t.Fatal(err)
	}
	token := used["acme/gitops"]
	for what, may := range map[string]bool{
		"acme/gitops contents write": true, "acme/gitops pull_requests write": false, "acme/gitops pull_requests read": false,
		"acme/other contents read": false, "acme/production contents read": false,
	} {
		words := strings.Fields(what)
		if got := hub.TokenAllows(token, words[0], words[1], words[2]); got != may {
			t.Errorf("%s: %v, want %v", what, got, may)
		}
	}
	hub.ForgetRequests()
	if found, _, err := apps.of(urls["gitops"]).GitRepository(t.Context(), urls["gitops"]); err != nil || found.Name != "gitops" {
		t.Errorf("for proposals it is %v (%v)", found, err)
	}
	production := writers{own: own, second: apps.beside[0].app}
	cfg.GitOpsApps = nil
	if err := pushes("gitops", production); err == nil || errors.Is(err, repo.ErrConflict) {
		t.Errorf("the App of production writes the previews' repository: %v", err)
	}
}
