package repo

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// A ref is asked for with one request of git's protocol, and its credentials.
func TestAskRef(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	server.RequireToken("x-access-token", "secret")
	r := open(t, remote, func(o *Options) {
		o.Credentials = func(context.Context) (Credentials, error) { return Credentials{Password: "secret"}, nil }
	})
	if sha, err := r.askRef(t.Context(), r.branchRef()); err != nil || sha != "" {
		t.Errorf("of an empty repository: %q, %v", sha, err)
	}
	tip := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-1", "v0").Files})
	if err := remote.Point(t.Context(), "main-2", tip); err != nil {
		t.Fatal(err)
	}
	next := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-1", "v1").Files})
	sha, err := r.askRef(t.Context(), r.branchRef())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tip", sha, next)
	if sha, err := r.askRef(t.Context(), "refs/heads/mai"); err != nil || sha != "" {
		t.Errorf("of a name that others begin with: %q, %v", sha, err)
	}
}

// Whatever does not answer so is asked with git, and what never will is not asked again.
func TestAskRefElsewhere(t *testing.T) {
	t.Parallel()
	flush := "0000"
	for name, c := range map[string]struct {
		status  int
		answer  string
		forever bool
	}{
		"moved":             {http.StatusMovedPermanently, "", true},
		"no such place":     {http.StatusNotFound, "", true},
		"not now":           {http.StatusServiceUnavailable, "", false},
		"not you":           {http.StatusUnauthorized, "", false},
		"a page":            {http.StatusOK, "<html>", true},
		"an older protocol": {http.StatusOK, packet("NAK\n"), true},
		"half an answer":    {http.StatusOK, packet(strings.Repeat("a", 40) + " refs/heads/main\n"), true},
		"a part of a line":  {http.StatusOK, "00ffabc" + flush, true},
		"a delimiter":       {http.StatusOK, "0001" + flush, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				asked++
				if req.Header.Get("Git-Protocol") != "version=2" || req.URL.Path != "/acme/gitops.git/git-upload-pack" {
					t.Errorf("asked for %s with %v", req.URL, req.Header)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.answer))
			}))
			defer elsewhere.Close()
			r := open(t, &gittest.Repository{URL: elsewhere.URL + "/acme/gitops.git"})
			for range 2 {
				if sha, err := r.askRef(t.Context(), r.branchRef()); err == nil {
					t.Errorf("answered %q", sha)
				}
			}
			want := 2
			if c.forever {
				want = 1
			}
			equal(t, "requests", asked, want)
		})
	}
}

// A remote that does not know version 2 is asked with git itself.
func TestRemoteOfAnOlderServer(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	tip := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-1", "v0").Files})
	r.unanswered.Store(true)
	sha, err := r.Remote(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tip", sha, tip)
}
