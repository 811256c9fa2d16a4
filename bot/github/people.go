package github

import (
	"context"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
)

// SignIn is what people sign in to the App with.
type SignIn struct {
	// ClientID is the App's, public; Secret is a client secret of its.
	ClientID string
	Secret   secret.String
}

// Person returns whose user access token it is, with GitHub's immutable id.
// bot.ErrNotFound says that it is none that is good now, or none of this App: one that was
// given to another program is nobody's here, whatever that may do with it.
// Source: docs.github.com/rest/apps/oauth-applications#check-a-token.
func (a *App) Person(ctx context.Context, with SignIn, token secret.String) (bot.Actor, error) {
	basic := &gh.BasicAuthTransport{Username: with.ClientID, Password: with.Secret.Reveal(), Transport: limited{budget: a.people, clock: a.clock, log: a.log, next: a.wire}}
	client := a.client(retrying{clock: a.clock, log: a.log, repeatable: func(*http.Request) bool { return true }, next: basic})
	found, _, err := client.Authorizations.Check(ctx, with.ClientID, token.Reveal())
	if err != nil {
		return bot.Actor{}, wrap(err, "ask whose a token is")
	}
	user := found.GetUser()
	if found.GetApp().GetClientID() != with.ClientID || user.GetID() <= 0 || user.GetLogin() == "" {
		return bot.Actor{}, fmt.Errorf("ask whose a token is: GitHub names no user of it: %w", bot.ErrNotFound)
	}
	return bot.Actor{ID: user.GetID(), Login: user.GetLogin(), Bot: user.GetType() != "User"}, nil
}
