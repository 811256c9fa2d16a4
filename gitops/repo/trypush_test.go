package repo

import (
	"context"
	"errors"
	"testing"

	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// Trying to push leaves nothing behind, in a repository that is empty and in one that is not.
func TestTryPush(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	for range 2 {
		before, err := r.Remote(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.TryPush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after, err := r.Remote(t.Context()); err != nil || after != before || remote.Pushes() != 0 {
			t.Fatalf("the tip was %q and is %q after %d pushes (%v)", before, after, remote.Pushes(), err)
		}
		if _, err := remote.Commit(t.Context(), "main", gittest.Edit{Message: "By hand"}); err != nil {
			t.Fatal(err)
		}
	}
}

// Credentials that only read may not push.
func TestTryPushUnauthorized(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	server.RequireToken("x-access-token", secrettest.New("right"))
	server.OpenReads()
	r := open(t, remote, func(o *Options) {
		o.Credentials = func(context.Context) (Credentials, error) { return Credentials{Password: "wrong"}, nil }
	})
	if err := r.Ping(t.Context()); err != nil {
		t.Fatalf("cannot even read: %v", err)
	}
	if err := r.TryPush(t.Context()); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("got %v", err)
	}
}
