package github

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret"
)

// A token says who somebody is to the App that it was given to, for as long as it is good.
func TestPerson(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ours := w.server.App("idp")
	with := SignIn{ClientID: ours.ClientID(), Secret: secret.New(ours.ClientSecret())}
	ann := secret.New(ours.UserToken("ann"))
	who, err := w.app.Person(t.Context(), with, ann)
	if err != nil || who.Login != "ann" || who.ID <= 0 || who.Bot {
		t.Fatalf("%+v, %v", who, err)
	}
	if robot, err := w.app.Person(t.Context(), with, secret.New(ours.UserToken("robot[bot]"))); err != nil || !robot.Bot {
		t.Errorf("a bot: %+v, %v", robot, err)
	}
	other := w.server.AddApp(githubtest.AppOptions{Slug: "other"})
	for name, token := range map[string]string{
		"made up": "ghu_" + strings.Repeat("0", 36), "given to another App": other.UserToken("ann"),
	} {
		if who, err := w.app.Person(t.Context(), with, secret.New(token)); !errors.Is(err, bot.ErrNotFound) || who != (bot.Actor{}) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if who, err := w.app.Person(t.Context(), SignIn{ClientID: with.ClientID, Secret: secret.New("wrong")}, ann); err == nil || errors.Is(err, bot.ErrNotFound) || strings.Contains(err.Error(), ann.Reveal()) {
		t.Errorf("with a wrong secret: %+v, %v", who, err)
	}
	w.server.Inject(githubtest.Fault{Path: "/applications/**", Status: 502, Times: retryTries})
	if who, err := w.app.Person(t.Context(), with, ann); err == nil || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("while GitHub is ill: %+v, %v", who, err)
	}
	w.server.Inject(githubtest.Fault{Path: "/applications/**", Status: 200, Body: `{"app":{"client_id":"Iv1.other"},"user":{"id":1,"login":"ann","type":"User"}}`})
	if who, err := w.app.Person(t.Context(), with, ann); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("an answer about another App: %+v, %v", who, err)
	}
	ours.RevokeUserTokens("ann")
	if who, err := w.app.Person(t.Context(), with, ann); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("taken back: %+v, %v", who, err)
	}
	late := secret.New(ours.UserToken("ann"))
	w.clock.advance(8*time.Hour + time.Minute)
	if who, err := w.app.Person(t.Context(), with, late); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("that ran out: %+v, %v", who, err)
	}
}
