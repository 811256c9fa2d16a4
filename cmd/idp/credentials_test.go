package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// Who writes previews cannot write production, nor the platform folder: each repository is
// asked with the credential that is for it, and a git server that takes no other refuses
// every other combination.
func TestWritersAreSeparate(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	server, err := gittest.Start(t.Context(), filepath.Join(dir, "git"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	tokens := map[string]string{"acme/previews": "p-token", "acme/production": "d-token", "acme/platform": "r-token"}
	server.RequireAuth(func(name, user, password string, push bool) bool {
		return user == tokenUser && tokens[name] == password && !(push && name == "acme/platform")
	})
	cfg := &Config{}
	urls, files := map[string]string{}, map[string]string{}
	for name, token := range tokens {
		created, err := server.Create(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		urls[name], files[name] = created.URL, secrettest.Given(filepath.Join(dir, filepath.Base(name)+"-token"))
		if err := os.WriteFile(files[name], []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.GitOpsURL, cfg.GitOpsTokenFile = urls["acme/previews"], files["acme/previews"]
	cfg.GitOpsTokenFiles = []string{urls["acme/production"] + "=" + files["acme/production"]}
	cfg.PlatformURL, cfg.PlatformTokenFile = urls["acme/platform"], files["acme/platform"]

	try := func(url string, credentials func(context.Context) (repo.Credentials, error)) (read, push error) {
		t.Helper()
		r, err := repo.Open(t.Context(), repo.Options{URL: url, Branch: "main", Dir: secrettest.Dir(t), Credentials: credentials})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		_, read = r.Remote(t.Context())
		return read, r.TryPush(t.Context())
	}
	writers := map[string]func(context.Context) (repo.Credentials, error){
		"acme/previews": gitCredentials(cfg, nil), "acme/production": gitCredentialsFor(cfg, nil, urls["acme/production"]), "acme/platform": platformCredentials(cfg, nil),
	}
	refused := 0
	for of, credentials := range writers {
		for name, url := range urls {
			read, push := try(url, credentials)
			mayRead, mayPush := of == name, of == name && name != "acme/platform"
			for what, err := range map[string]error{"read": read, "push to": push} {
				may := mayRead
				if what == "push to" {
					may = mayPush
				}
				if may != (err == nil) || err != nil && !errors.Is(err, repo.ErrUnauthorized) {
					t.Errorf("with the credential of %s, to %s %s: %v", of, what, name, err)
				}
				if err != nil {
					refused++
				}
			}
		}
	}
	figure.Tell(t, "%d of %d other combinations of credential and repository refused", refused, 13)
}
