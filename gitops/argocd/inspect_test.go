package argocd_test

import (
	"errors"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// What an account is, and what it may do.
func TestInspect(t *testing.T) {
	t.Parallel()
	git, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = git.Close() })
	repository, err := git.Create(t.Context(), "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	server, err := argocdtest.Start(argocdtest.Options{Token: token, Root: "root", Repository: repository, Branch: "main", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	client := func(token string) *argocd.Client {
		c, err := argocd.New(argocd.Options{URL: server.URL(), Token: secret.New(token)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if who, err := client("other").Who(t.Context()); err != nil || who != "" {
		t.Errorf("an unknown token is %q's (%v)", who, err)
	}
	c := client(token)
	if who, err := c.Who(t.Context()); err != nil || who != argocdtest.Account {
		t.Errorf("the token is %q's (%v)", who, err)
	}
	server.Grant("applications sync")
	for right, want := range map[argocd.Right]bool{argocd.Needed: true, argocd.Logged: false, {Resource: "applications", Action: "sync"}: true} {
		if got, err := c.May(t.Context(), right, "idp-previews/idp-root"); err != nil || got != want {
			t.Errorf("may %s: %v (%v)", right, got, err)
		}
	}
	if err := c.HasProject(t.Context(), "idp-previews"); !errors.Is(err, argocd.ErrNotFound) {
		t.Errorf("a project that may not be seen: %v", err)
	}
	server.Grant("projects get")
	if err := c.HasProject(t.Context(), "idp-previews"); err != nil {
		t.Error(err)
	}
}

func TestSupported(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"v2.14.21+abc": true, "v3.0.0": true, "v3.5.7+abc1234": true, "v2.13.9": false, "v2.1.14": false, "v30.1.0": false, "": false,
	} {
		if argocd.Supported(version) != want {
			t.Errorf("%q: %v", version, !want)
		}
	}
}
