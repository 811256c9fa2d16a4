package githubtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// App is a GitHub App registered on the server.
type App struct {
	s           *Server
	id          int64
	slug        string
	owner       *account
	bot         *account
	key         *rsa.PublicKey
	permissions map[string]string
	events      []string
	created     time.Time

	clientSecret              string
	deviceFlowOff             bool // as SetDeviceFlow has it
	webhookURL, webhookSecret string
	webhookForm, webhookLax   bool // as SetWebhookConfig has it
	installs                  []*Installation
	deliveries                []*delivery
}

// AppOptions describe an App to register.
type AppOptions struct {
	// Slug is the App's name in URLs and before "[bot]"; default "idp".
	Slug string
	// Owner is the account that owns the App; default "idp-bot".
	Owner string
	// Key verifies the App's JWTs; see GenerateKey.
	Key *rsa.PublicKey
	// Permissions the App asks for, such as {"checks": "write"}; default
	// DefaultPermissions.
	Permissions map[string]string
	// Events the App subscribes to; default DefaultEvents.
	Events []string
}

// DefaultPermissions returns what idp's App asks for on source repositories.
func DefaultPermissions() map[string]string {
	return map[string]string{
		"metadata": "read", "contents": "read", "issues": "read",
		"pull_requests": "write", "checks": "write", "deployments": "write", "statuses": "read", "members": "read", "attestations": "read",
		"actions": "read",
	}
}

// DefaultEvents returns the events that idp's App subscribes to, and "push", which comes
// with most of them.
func DefaultEvents() []string {
	return []string{"check_run", "check_suite", "issue_comment", "pull_request", "push", "repository", "workflow_run"}
}

// GenerateKey returns an RSA key pair for an App: the private key, and the same
// as the PEM file that GitHub hands out (PKCS #1).
func GenerateKey() (*rsa.PrivateKey, []byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("generate an App key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return key, pem.EncodeToMemory(block), nil
}

// AddApp registers an App. It belongs to nothing until installed.
func (s *Server) AddApp(opts AppOptions) *App {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addApp(opts)
}

func (s *Server) addApp(opts AppOptions) *App {
	if opts.Slug == "" {
		opts.Slug = "idp"
	}
	if opts.Owner == "" {
		opts.Owner = "idp-bot"
	}
	if opts.Permissions == nil {
		opts.Permissions = DefaultPermissions()
	}
	if opts.Events == nil {
		opts.Events = DefaultEvents()
	}
	a := &App{
		s: s, id: s.nextID(), slug: opts.Slug, owner: s.owner(opts.Owner), bot: s.account(opts.Slug + "[bot]"), key: opts.Key,
		permissions: maps.Clone(opts.Permissions), events: append([]string{}, slices.Sorted(slices.Values(opts.Events))...), created: s.now(),
		clientSecret: secretText(40),
	}
	s.apps = append(s.apps, a)
	return a
}

// ID returns the App's id: the "iss" of its JWTs.
func (a *App) ID() int64 { return a.id }

// Login returns the login its comments carry, such as "idp[bot]".
func (a *App) Login() string { return a.bot.login }

// SetWebhook sets where the App's events go and the secret that signs them. An
// empty url turns webhooks off: events are then not even recorded.
func (a *App) SetWebhook(url, secret string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.webhookURL, a.webhookSecret = url, secret
}

// SetWebhookConfig has the App's webhook send forms instead of JSON, or take any
// certificate. What is sent stays JSON: only the settings tell.
func (a *App) SetWebhookConfig(form, lax bool) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.webhookForm, a.webhookLax = form, lax
}

// SetWebhook sets the webhook of the first App registered.
func (s *Server) SetWebhook(url, secret string) {
	s.mu.Lock()
	first := s.apps[0]
	s.mu.Unlock()
	first.SetWebhook(url, secret)
}

// Installation is an App installed on an account.
type Installation struct {
	app         *App
	id          int64
	account     *account
	selected    map[int64]bool // nil: all repositories of the account
	permissions map[string]string
	created     time.Time
	suspended   time.Time
}

// InstallOptions describe an installation.
type InstallOptions struct {
	// Repositories lists the "name"s selected; nil selects all, also future ones.
	Repositories []string
	// Permissions granted; default: what the App asks for.
	Permissions map[string]string
}

// Install installs the App on an account and emits "installation created".
func (a *App) Install(owner string, opts InstallOptions) *Installation {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	return a.install(a.s.owner(owner), opts)
}

func (a *App) install(owner *account, opts InstallOptions) *Installation {
	granted := opts.Permissions
	if granted == nil {
		granted = a.permissions
	}
	i := &Installation{app: a, id: a.s.nextID(), account: owner, permissions: maps.Clone(granted), created: a.s.now()}
	if opts.Repositories != nil {
		i.selected = map[int64]bool{}
		for _, name := range opts.Repositories {
			if r := a.s.find(owner.login, name); r != nil {
				i.selected[r.id] = true
			}
		}
	}
	a.installs = append(a.installs, i)
	a.s.emitInstallation(i, "created")
	return i
}

// Installation returns the App's installation on an account, or nil.
func (a *App) Installation(owner string) *Installation {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	at := slices.IndexFunc(a.installs, func(i *Installation) bool { return strings.EqualFold(i.account.login, owner) })
	if at < 0 {
		return nil
	}
	return a.installs[at]
}

// ID returns the installation's id.
func (i *Installation) ID() int64 { return i.id }

// Suspend makes every token of the installation useless until Unsuspend.
func (i *Installation) Suspend() {
	i.app.s.mu.Lock()
	defer i.app.s.mu.Unlock()
	i.suspended = i.app.s.now()
	i.app.s.emitInstallation(i, "suspend")
}

// Unsuspend undoes Suspend.
func (i *Installation) Unsuspend() {
	i.app.s.mu.Lock()
	defer i.app.s.mu.Unlock()
	i.suspended = time.Time{}
	i.app.s.emitInstallation(i, "unsuspend")
}

// Uninstall removes the installation: its tokens stop working at once.
func (i *Installation) Uninstall() {
	i.app.s.mu.Lock()
	defer i.app.s.mu.Unlock()
	i.app.s.emitInstallation(i, "deleted")
	i.app.installs = slices.DeleteFunc(i.app.installs, func(other *Installation) bool { return other == i })
	maps.DeleteFunc(i.app.s.tokens, func(_ string, t *token) bool { return t.installation == i })
}

// Select adds a repository to the installation's selection, or with on = false
// removes it, and emits "installation_repositories".
func (i *Installation) Select(r *Repository, on bool) {
	i.app.s.mu.Lock()
	defer i.app.s.mu.Unlock()
	if i.selected == nil {
		i.selected = map[int64]bool{}
		for _, other := range i.app.s.repositories {
			if other.owner == i.account {
				i.selected[other.id] = true
			}
		}
	}
	i.selected[r.id] = on
	i.app.s.emitSelection(i, r, on)
}

// covers reports whether the installation reaches r.
func (i *Installation) covers(r *Repository) bool {
	return r.owner == i.account && (i.selected == nil || i.selected[r.id])
}

func (i *Installation) selection() string {
	if i.selected == nil {
		return "all"
	}
	return "selected"
}

// covering returns the App's installation that reaches r, or nil.
func (a *App) covering(r *Repository) *Installation {
	for _, i := range a.installs {
		if i.covers(r) {
			return i
		}
	}
	return nil
}

func (s *Server) app(id int64) *App {
	for _, a := range s.apps {
		if a.id == id {
			return a
		}
	}
	return nil
}

// appShape is GitHub's "integration"; nil for 0.
func (s *Server) appShape(a *App) any {
	if a == nil {
		return nil
	}
	return object{
		"id": a.id, "slug": a.slug, "node_id": nodeID("A", a.id), "owner": s.userShape(a.owner), "name": a.slug,
		"description": nil, "external_url": "https://example.com/" + a.slug, "html_url": s.HTMLURL() + "/apps/" + a.slug,
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "permissions": a.permissions, "events": a.events,
	}
}

// installationShape is GitHub's "installation".
func (s *Server) installationShape(i *Installation) object {
	var by *account
	if !i.suspended.IsZero() {
		by = i.account
	}
	return object{
		"id": i.id, "account": s.userShape(i.account), "app_id": i.app.id, "app_slug": i.app.slug,
		"target_id": i.account.id, "target_type": strings.Replace(i.account.kind, "Bot", "User", 1),
		"repository_selection": i.selection(), "permissions": i.permissions, "events": i.app.events,
		"access_tokens_url": s.api(fmt.Sprintf("/app/installations/%d/access_tokens", i.id)),
		"repositories_url":  s.api("/installation/repositories"),
		"html_url":          fmt.Sprintf("%s/settings/installations/%d", s.HTMLURL(), i.id),
		"created_at":        stamp(i.created), "updated_at": stamp(i.created), "single_file_name": nil,
		"suspended_at": stampOrNil(i.suspended), "suspended_by": s.userShape(by),
	}
}
