package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/secret"
)

// Registration is the App as GitHub has it registered.
type Registration struct {
	ID    int64  `json:"id"`
	Slug  string `json:"slug"`
	Owner struct {
		Login string `json:"login"`
		Type  string `json:"type"`
	} `json:"owner"`
	Grants Grants   `json:"permissions"`
	Events []string `json:"events"`
}

// Settings is the path of the App's settings on GitHub's pages.
func (r Registration) Settings() string {
	if r.Owner.Type == "Organization" {
		return "/organizations/" + r.Owner.Login + "/settings/apps/" + r.Slug
	}
	return "/settings/apps/" + r.Slug
}

// Registration asks GitHub for the App.
func (a *App) Registration(ctx context.Context) (Registration, error) {
	var found Registration
	if err := a.ask(ctx, a.rest(), "app", &found); err != nil {
		return Registration{}, wrap(err, "ask GitHub for the App")
	}
	return found, nil
}

// Hook is where GitHub sends the App's events. GitHub does not tell whether it is active.
type Hook struct {
	URL         string
	ContentType string
	// Secret says that deliveries are signed.
	Secret bool
	// InsecureTLS says that GitHub takes any certificate for the receiver's.
	InsecureTLS bool
}

// Hook asks GitHub for the App's webhook; it is the zero Hook where there is none.
func (a *App) Hook(ctx context.Context) (Hook, error) {
	var found struct {
		URL         string `json:"url"`
		ContentType string `json:"content_type"`
		Secret      string `json:"secret"`
		// InsecureSSL is a text or a number, by the API's description.
		InsecureSSL any `json:"insecure_ssl"`
	}
	err := wrap(a.ask(ctx, a.rest(), "app/hook/config", &found), "ask GitHub for the App's webhook")
	if errors.Is(err, bot.ErrNotFound) {
		return Hook{}, nil
	}
	return Hook{
		URL: found.URL, ContentType: found.ContentType, Secret: found.Secret != "",
		InsecureTLS: found.InsecureSSL != nil && fmt.Sprint(found.InsecureSSL) != "0",
	}, err
}

// Attempt is one try of GitHub's to deliver an event.
type Attempt struct {
	GUID, Event string
	At          time.Time
	// Status is GitHub's word for how it went, "OK" for any 2xx; Code the receiver's
	// answer, 0 where there was none.
	Status string
	Code   int
}

// OK says whether it arrived.
func (a Attempt) OK() bool { return a.Code >= 200 && a.Code < 300 }

// Attempts lists the newest deliveries of the App's webhook, at most 100, newest first.
func (a *App) Attempts(ctx context.Context) ([]Attempt, error) {
	page, _, err := a.rest().Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: perPage})
	if err != nil {
		return nil, wrap(err, "list webhook deliveries")
	}
	out := make([]Attempt, 0, len(page))
	for _, one := range page {
		out = append(out, Attempt{
			GUID: one.GetGUID(), Event: one.GetEvent(), At: one.GetDeliveredAt().Time, Status: one.GetStatus(), Code: one.GetStatusCode(),
		})
	}
	return out, nil
}

// Installed is the App on one account.
type Installed struct {
	ID      int64
	Account string
	// Page is where its owner settles what it may.
	Page      string
	Suspended bool
	// Grants are what the account has accepted, which may be older than what the App asks for.
	Grants Grants
}

// Installed lists the App's installations, suspended ones too.
func (a *App) Installed(ctx context.Context) ([]Installed, error) {
	client, out := a.rest(), []Installed{}
	for page := 1; page != 0; {
		var found []struct {
			ID      int64  `json:"id"`
			Page    string `json:"html_url"`
			Account struct {
				Login string `json:"login"`
				Slug  string `json:"slug"`
			} `json:"account"`
			Suspended *time.Time `json:"suspended_at"`
			Grants    Grants     `json:"permissions"`
		}
		req, err := client.NewRequest(http.MethodGet, fmt.Sprintf("app/installations?per_page=%d&page=%d", perPage, page), nil)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(ctx, req, &found)
		if err != nil {
			return nil, wrap(err, "list the App's installations")
		}
		for _, one := range found {
			out = append(out, Installed{ID: one.ID, Account: one.Account.Login + one.Account.Slug, Page: one.Page, Suspended: one.Suspended != nil, Grants: one.Grants})
		}
		if resp.NextPage <= page {
			break
		}
		page = resp.NextPage
	}
	return out, nil
}

// Rule is what GitHub asks of a push to a branch.
type Rule struct {
	// Type is GitHub's, such as "pull_request".
	Type string
	// Ruleset is the name of the ruleset that it is part of.
	Ruleset string
	// Bypass says whether who asks may push past it: "always", "exempt",
	// "pull_requests_only" or "never"; "" where GitHub does not tell.
	Bypass string
}

// BranchRules are what GitHub says of pushes to one branch.
type BranchRules struct {
	// Rules are those of rulesets that are in force.
	Rules []Rule
	// Protected says that there is branch protection, of rulesets or of the older kind, whose
	// content only administrators see.
	Protected bool
	// Absent says that there is no such branch yet.
	Absent bool
}

// BranchRules asks for the rules of a branch of the GitHub repository that a git URL
// names, as whoever the token is of; with none as the App itself. The URL has to lead to
// the App's GitHub.
func (a *App) BranchRules(ctx context.Context, gitURL, branch string, token secret.String) (BranchRules, error) {
	owner, name, err := OwnRepository(a.base, gitURL)
	if err != nil {
		return BranchRules{}, err
	}
	if token.IsZero() {
		if token, err = a.GitToken(ctx, gitURL); err != nil {
			return BranchRules{}, err
		}
	}
	client := a.client(bearing{token: token, next: a.wire})
	at := "repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name)
	var out BranchRules
	if out.Rules, err = a.rules(ctx, client, at, branch); err != nil {
		return BranchRules{}, wrap(err, "read the rules of branch %s of %s/%s", branch, owner, name)
	}
	var found struct {
		Protected bool `json:"protected"`
	}
	err = wrap(a.ask(ctx, client, at+"/branches/"+url.PathEscape(branch), &found), "read branch %s of %s/%s", branch, owner, name)
	if errors.Is(err, bot.ErrNotFound) {
		out.Absent = true
		return out, nil
	}
	out.Protected = found.Protected
	return out, err
}

func (a *App) rules(ctx context.Context, client *gh.Client, at, branch string) ([]Rule, error) {
	var found []struct {
		Type string `json:"type"`
		ID   int64  `json:"ruleset_id"`
	}
	if err := a.ask(ctx, client, at+"/rules/branches/"+url.PathEscape(branch)+fmt.Sprintf("?per_page=%d", perPage), &found); err != nil {
		return nil, err
	}
	type ruleset struct {
		Name   string `json:"name"`
		Bypass string `json:"current_user_can_bypass"`
	}
	sets, out := map[int64]ruleset{}, make([]Rule, 0, len(found))
	for _, one := range found {
		of, known := sets[one.ID]
		if !known {
			// One of an organisation may not be shown: its rules hold all the same.
			if err := a.ask(ctx, client, fmt.Sprintf("%s/rulesets/%d", at, one.ID), &of); err != nil && ctx.Err() != nil {
				return nil, err
			}
			sets[one.ID] = of
		}
		out = append(out, Rule{Type: one.Type, Ruleset: of.Name, Bypass: of.Bypass})
	}
	slices.SortFunc(out, func(x, y Rule) int { return strings.Compare(x.Type, y.Type) })
	return out, nil
}

// ask reads one answer as this package has it, where go-github leaves out what is newer
// than itself.
func (a *App) ask(ctx context.Context, client *gh.Client, path string, into any) error {
	req, err := client.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	_, err = client.Do(ctx, req, into)
	return err
}

// bearing adds one token to requests.
type bearing struct {
	token secret.String
	next  http.RoundTripper
}

// RoundTrip sends the request with the token.
func (b bearing) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := req.Clone(req.Context())
	sent.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	return b.next.RoundTrip(sent)
}
