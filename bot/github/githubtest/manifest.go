package githubtest

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// codeLife is how long the code of a manifest works (docs.github.com, "Registering a
// GitHub App from a manifest").
const codeLife = time.Hour

// pendingApp is an App that somebody has confirmed, and whose key nobody has asked for yet.
type pendingApp struct {
	options AppOptions
	webhook string
	made    time.Time
}

// manifest is what GitHub takes of one (docs.github.com, "GitHub App Manifest parameters").
type manifest struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Hook *struct {
		URL    string `json:"url"`
		Active bool   `json:"active"`
	} `json:"hook_attributes"`
	RedirectURL  string            `json:"redirect_url"`
	CallbackURLs []string          `json:"callback_urls"`
	SetupURL     string            `json:"setup_url"`
	Description  string            `json:"description"`
	Public       bool              `json:"public"`
	Events       []string          `json:"default_events"`
	Permissions  map[string]string `json:"default_permissions"`
}

// eventNeeds are the permissions that an App has to have for an event, where it is one of
// those that idp knows.
var eventNeeds = map[string]string{
	"pull_request": "pull_requests", "issue_comment": "issues", "check_run": "checks", "check_suite": "checks", "workflow_run": "actions",
}

// newApp takes a manifest as GitHub's page does when whoever is signed in confirms it, and
// sends the browser back with a code.
func (s *Server) newApp(w http.ResponseWriter, r *http.Request) {
	var m manifest
	decoder := json.NewDecoder(strings.NewReader(r.PostFormValue("manifest")))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&m)
	if err == nil {
		err = m.check()
	}
	var back *url.URL
	if err == nil {
		back, err = url.Parse(m.RedirectURL)
	}
	if err != nil {
		http.Error(w, "Invalid GitHub App configuration: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	raw := make([]byte, 20)
	_, _ = rand.Read(raw) // it never fails
	code := hex.EncodeToString(raw)
	pending := pendingApp{options: AppOptions{Slug: slugOf(m.Name), Owner: r.PathValue("org"), Permissions: m.Permissions, Events: m.Events}}
	if pending.options.Owner == "" {
		pending.options.Owner = "idp-bot"
	}
	if m.Hook != nil && m.Hook.Active {
		pending.webhook = m.Hook.URL
	}
	s.mu.Lock()
	pending.made = s.now()
	s.pending[code] = pending
	s.mu.Unlock()
	query := back.Query()
	query.Set("code", code)
	if state := r.URL.Query().Get("state"); state != "" {
		query.Set("state", state)
	}
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

func (m *manifest) check() error {
	if m.Name == "" || m.URL == "" || m.RedirectURL == "" {
		return fmt.Errorf("name, url and redirect_url are required")
	}
	if m.Hook != nil && m.Hook.URL == "" {
		return fmt.Errorf("hook_attributes need a url")
	}
	for _, event := range m.Events {
		if needed := eventNeeds[event]; needed != "" && m.Permissions[needed] == "" {
			return fmt.Errorf("default_events: %s needs the permission %s", event, needed)
		}
	}
	return nil
}

// slugOf is the name in URLs.
func slugOf(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// convertManifest registers the App that a code is of, once.
func convertManifest(c *call) reply {
	pending, found := c.s.pending[c.params["code"]]
	delete(c.s.pending, c.params["code"])
	if !found || c.s.now().Sub(pending.made) > codeLife {
		return *notFound()
	}
	private, pem, err := GenerateKey()
	if err != nil {
		return *refuse(http.StatusInternalServerError, err.Error())
	}
	pending.options.Key = private.Public().(*rsa.PublicKey)
	app := c.s.addApp(pending.options)
	shape := merged(c.s.appShape(app).(object), object{
		"client_id": app.ClientID(), "client_secret": app.clientSecret, "webhook_secret": nil, "pem": string(bytes.TrimSpace(pem)) + "\n",
	})
	if pending.webhook != "" {
		app.webhookURL, app.webhookSecret = pending.webhook, secretText(40)
		shape["webhook_secret"] = app.webhookSecret
	}
	return reply{status: http.StatusCreated, body: shape}
}

// App returns the App of a slug, or nil.
func (s *Server) App(slug string) *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.apps {
		if a.slug == slug {
			return a
		}
	}
	return nil
}

// Asks returns what the App asks for: its permissions, and the events that it is told of.
func (a *App) Asks() (permissions map[string]string, events []string) { return a.permissions, a.events }

// Webhook returns where the App's events go, and what signs them.
func (a *App) Webhook() (url, secret string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.webhookURL, a.webhookSecret
}

// Owner returns the login of the account that the App belongs to.
func (a *App) Owner() string { return a.owner.login }
