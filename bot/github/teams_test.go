package github

import (
	"errors"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
)

func TestMember(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddTeam("acme/release-managers", "ann")
	w.server.SetMember("acme/release-managers", "bob", githubtest.PendingMember)
	w.server.AddTeam("other/release-managers", "carol")
	for login, want := range map[string]bool{"ann": true, "Ann": true, "bob": false, "carol": false, "nobody": false} {
		if got, err := w.client.Member(t.Context(), w.ref(), "release-managers", login); err != nil || got != want {
			t.Errorf("%s: %v, %v", login, got, err)
		}
	}
	if got, err := w.client.Member(t.Context(), w.ref(), "no-such-team", "ann"); err != nil || got {
		t.Errorf("of a team that there is not: %v, %v", got, err)
	}
	// It is asked each time: an answer may not be what it was.
	w.server.SetMember("acme/release-managers", "ann", githubtest.NoMember)
	if got, err := w.client.Member(t.Context(), w.ref(), "release-managers", "ann"); err != nil || got {
		t.Errorf("who left: %v, %v", got, err)
	}
	w.server.Inject(githubtest.Fault{Path: "/orgs/**", Status: 403})
	if got, err := w.client.Member(t.Context(), w.ref(), "release-managers", "bob"); err == nil || got || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("forbidden: %v, %v", got, err)
	}
}

// An App that was not given the permission says so, and no more than that.
func TestMembersNotPermitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.server.AddTeam("acme/web", "ann")
	if got, err := w.without(t, "members").Member(t.Context(), w.ref(), "web", "ann"); !errors.Is(err, bot.ErrNoAccess) || errors.Is(err, bot.ErrNotFound) || got {
		t.Errorf("%v, %v", got, err)
	}
}
