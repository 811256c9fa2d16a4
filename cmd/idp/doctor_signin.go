package main

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/idp-bot/idp/webhooks/api"
)

const checkSignIn = "GitHub sign-in"

// errNoDeviceFlow says that an App lets no program without a browser sign anybody in.
var errNoDeviceFlow = errors.New("device_flow_disabled")

// code asks GitHub for a code for somebody to enter. A refusal may have status 200.
func (s signedIn) code(ctx context.Context) (*oauth2.DeviceAuthResponse, error) {
	code, err := s.signIn().DeviceAuth(ctx)
	refused, _ := errors.AsType[*oauth2.RetrieveError](err)
	if err == nil && code.DeviceCode == "" || refused != nil && refused.ErrorCode == errNoDeviceFlow.Error() {
		return nil, errNoDeviceFlow
	}
	return code, err
}

// signIn asks GitHub for a code to sign in with, as "idp login" does; nobody enters it.
func (x *examination) signIn(ctx context.Context) {
	if x.cfg.GitHubClientID == "" || x.lacks([]string{"github_client_id", "github_client_secret_file", "github_api_url"}, checkSignIn) {
		return // nobody is to sign in
	}
	client := &http.Client{Transport: ownTransport()}
	at := signedIn{ClientID: x.cfg.GitHubClientID, GitHub: htmlURL(x.cfg.GitHubAPIURL)}
	_, err := at.code(context.WithValue(ctx, oauth2.HTTPClient, client))
	refused, _ := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case errors.Is(err, errNoDeviceFlow):
		x.fail(checkSignIn, "the App lets nobody sign in with idp login", `tick "Enable Device Flow" in the App's settings, or leave github_client_id out`)
	case err == nil:
		x.ok(checkSignIn, "GitHub gives codes for idp login at %s; whether github_client_secret_file holds the App's secret shows when somebody uses one", api.Root)
	case refused != nil && refused.Response != nil && refused.Response.StatusCode < 500:
		x.fail(checkSignIn, "GitHub knows no App with this github_client_id", "use the Client ID on the App's settings page, which is not its App ID")
	default:
		x.fail(checkSignIn, "GitHub cannot be asked for a code to sign in with: "+reason(err), fixOfGitHub(err))
	}
}
