package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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
		return bot.Actor{}, wrap(unquoted(err), "ask whose a token is")
	}
	user := found.GetUser()
	if found.GetApp().GetClientID() != with.ClientID || user.GetID() <= 0 || user.GetLogin() == "" {
		return bot.Actor{}, fmt.Errorf("ask whose a token is: GitHub names no user of it: %w", bot.ErrNotFound)
	}
	return bot.Actor{ID: user.GetID(), Login: user.GetLogin(), Bot: user.GetType() != "User"}, nil
}

// RepositoryAs reads a repository as whoever a user access token is of: GitHub shows what
// both they and the App may read. Its budget is theirs. bot.ErrNotFound says that there is
// none for them.
func (a *App) RepositoryAs(ctx context.Context, token secret.String, owner, name string) (bot.RepositoryRef, error) {
	authorized := roundTripper(func(req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
		return a.wire.RoundTrip(req)
	})
	client := a.client(retrying{clock: a.clock, log: a.log, repeatable: idempotent, next: authorized})
	found, _, err := client.Repositories.Get(ctx, url.PathEscape(owner), url.PathEscape(name))
	if err != nil {
		return bot.RepositoryRef{}, wrap(unquoted(err), "read repository %s/%s as a user", owner, name)
	}
	return repositoryRef(found), nil
}

// unquoted takes GitHub's own words out of an error: what was asked holds a token, which
// they may repeat.
func unquoted(err error) error {
	answer, ok := errors.AsType[*APIError](plain(err))
	if !ok {
		return err
	}
	silent := *answer
	silent.Message = ""
	if errors.Is(plain(err), bot.ErrNotFound) {
		return fmt.Errorf("%w: %w", bot.ErrNotFound, &silent)
	}
	return &silent
}
