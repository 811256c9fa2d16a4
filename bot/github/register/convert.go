package register

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
)

// App is what GitHub tells of an App that it has just registered, this once.
type App struct {
	ID   int64
	Slug string
	// Page is the App's public page.
	Page string
	// Key is its private key in PEM, Secret what its webhooks are signed with: the zero
	// String where it has no webhook.
	Key, Secret secret.String
	// ClientID and ClientSecret are what people sign in to it with.
	ClientID     string
	ClientSecret secret.String
}

// maxConversion is the largest answer that is read, in bytes.
const maxConversion = 1 << 20

// Convert exchanges the code that GitHub sent the browser back with, which it takes once
// and for an hour. Errors do not hold the code.
func Convert(ctx context.Context, client *http.Client, site Site, code string) (App, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, site.API+"app-manifests/"+url.PathEscape(code)+"/conversions", nil)
	if err != nil {
		return App{}, errors.New("GitHub's code cannot be part of a URL")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "idp")
	resp, err := client.Do(req)
	if err != nil {
		if wire, ok := errors.AsType[*url.Error](err); ok {
			err = wire.Err // the URL holds the code
		}
		return App{}, fault.Wrap(err, fault.Failure, "GitHub registered the App, and its API at "+site.API+" cannot be reached for the key", afterwards(site))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxConversion))
	switch {
	case err != nil:
		return App{}, fault.Wrap(err, fault.Failure, "GitHub registered the App, and its answer with the key broke off", afterwards(site))
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusUnprocessableEntity:
		return App{}, fault.New(fault.Invalid, fmt.Sprintf("GitHub does not take the code any more (%d): it is good once, and for an hour", resp.StatusCode), afterwards(site))
	case resp.StatusCode != http.StatusCreated:
		return App{}, fault.New(fault.Failure, fmt.Sprintf("GitHub answered %d instead of giving the App's key", resp.StatusCode), afterwards(site))
	}
	return decode(body, site)
}

func decode(body []byte, site Site) (App, error) {
	var answer struct {
		ID     int64   `json:"id"`
		Slug   string  `json:"slug"`
		Page   string  `json:"html_url"`
		Key    string  `json:"pem"`
		Secret *string `json:"webhook_secret"`

		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.ID <= 0 || answer.Slug == "" || answer.ClientID == "" || answer.ClientSecret == "" || !strings.Contains(answer.Key, "PRIVATE KEY") {
		return App{}, fault.New(fault.Failure, "GitHub's answer holds no App with a key", afterwards(site))
	}
	app := App{ID: answer.ID, Slug: answer.Slug, Page: answer.Page, Key: secret.New(answer.Key), ClientID: answer.ClientID, ClientSecret: secret.New(answer.ClientSecret)}
	if answer.Secret != nil && *answer.Secret != "" {
		app.Secret = secret.New(*answer.Secret)
	}
	return app, nil
}

// afterwards is the hint of an App that is registered and whose key was not had.
func afterwards(site Site) string {
	return "delete the App under " + site.Pages + "/settings/apps (an organisation's: under its settings), and run this again"
}
