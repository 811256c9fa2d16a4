package register

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/idp-bot/idp/bot/github"
)

// Site is a GitHub: github.com, one of ghe.com, or an Enterprise Server.
type Site struct {
	// Pages is the root of its pages and API that of its REST API, without and with a
	// slash at the end.
	Pages, API string
}

// NewSite returns the GitHub whose pages are at a URL, such as https://github.com.
func NewSite(pages string) (Site, error) {
	at, err := url.Parse(pages)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || at.User != nil || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" {
		return Site{}, errors.New("it is not the root of a GitHub's pages, such as https://github.com")
	}
	root := at.Scheme + "://" + strings.ToLower(at.Host)
	switch host := strings.ToLower(at.Host); {
	case host == "github.com", strings.HasSuffix(host, ".ghe.com"):
		return Site{Pages: root, API: at.Scheme + "://api." + host + "/"}, nil
	}
	return Site{Pages: root, API: root + "/api/v3/"}, nil
}

// Manifest is what GitHub is asked to register, in its words.
// Source: docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest.
type Manifest struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Hook        *Hook             `json:"hook_attributes,omitempty"`
	RedirectURL string            `json:"redirect_url"`
	Description string            `json:"description"`
	Public      bool              `json:"public"`
	Permissions map[string]string `json:"default_permissions"`
	Events      []string          `json:"default_events"`
}

// Hook is where the App's events go.
type Hook struct {
	URL    string `json:"url"`
	Active bool   `json:"active"`
}

// homepage is what GitHub shows of an App beside its name; it asks for one.
const homepage = "https://github.com/idp-bot/idp"

// Bot returns the manifest of idp's App, whose webhooks go to a URL.
func Bot(name, webhook string) Manifest {
	m := Manifest{
		Name: name, URL: homepage, Hook: &Hook{URL: webhook, Active: true},
		Description: "Preview environments for pull requests, through GitOps.",
		Permissions: map[string]string{}, Events: []string{},
	}
	for _, p := range github.Permissions() {
		m.Permissions[p.Name] = p.Access
	}
	for _, s := range github.Subscriptions() {
		m.Events = append(m.Events, s.Name)
	}
	return m
}

// Writer returns the manifest of an App that writes the GitOps repository and hears of
// nothing.
func Writer(name string) Manifest {
	m := Manifest{
		Name: name, URL: homepage, Description: "Commits environments to the GitOps repository.",
		Permissions: map[string]string{}, Events: []string{},
	}
	for _, p := range github.WriterPermissions() {
		m.Permissions[p.Name] = p.Access
	}
	return m
}

// maxName is the longest name that GitHub takes, in characters.
const maxName = 34

// CheckName says whether GitHub takes a name for an App. Whether it is free only GitHub
// knows, whose page lets it be changed.
func CheckName(name string) error {
	if n := len([]rune(name)); n == 0 || n > maxName || strings.TrimSpace(name) != name {
		return fmt.Errorf("an App's name has 1 to %d characters, and no blanks around them", maxName)
	}
	return nil
}

// CheckWebhook says whether GitHub can send webhooks to a URL and idp takes them there.
func CheckWebhook(text string) error {
	at, err := url.Parse(text)
	switch {
	case err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http":
		return errors.New("it is not an http or https URL")
	case at.User != nil || at.RawQuery != "" || at.Fragment != "":
		return errors.New("it holds more than a host and a path")
	}
	return nil
}
