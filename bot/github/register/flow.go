package register

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/fault"
)

// Options say what to register, where.
type Options struct {
	Site     Site
	Manifest Manifest
	// Organisation is whom the App is to belong to; "" for the person themselves.
	Organisation string
	// Permissions are those of the manifest, as people read them.
	Permissions []github.Permission
	// Address is the HOST:PORT that the pages are served at, and nothing else is answered.
	Address string
	// Client asks GitHub.
	Client *http.Client
	// Take is given the App, once, before the browser is told that all is well; its error is
	// the flow's.
	Take func(App) error
}

// Flow is one registration. It serves the pages; see Done for its end.
type Flow struct {
	options Options
	// page and state are unguessable: the path of the page, and what GitHub brings back.
	page, state string
	pages       *template.Template
	done        chan error

	mu   sync.Mutex
	used bool
}

//go:embed page.html
var pageText string

// New returns a registration that waits for its page to be opened.
func New(o Options) (*Flow, error) {
	pages, err := template.New("").Parse(pageText)
	if err != nil {
		return nil, err
	}
	o.Manifest.RedirectURL = "http://" + o.Address + "/registered"
	return &Flow{options: o, page: "/" + random(), state: random(), pages: pages, done: make(chan error, 1)}, nil
}

// random is a text of 256 bits.
func random() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// URL is the page to open.
func (f *Flow) URL() string { return "http://" + f.options.Address + f.page }

// Done gets one value when GitHub's answer was dealt with: nil when Take took the App.
func (f *Flow) Done() <-chan error { return f.done }

// ServeHTTP answers with the pages.
func (f *Flow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A name that leads here by somebody else's DNS is not the page's address.
	if r.Host != f.options.Address {
		http.Error(w, "open the address that idp printed", http.StatusMisdirectedRequest)
		return
	}
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "pages are read with GET", http.StatusMethodNotAllowed)
	case subtle.ConstantTimeCompare([]byte(r.URL.Path), []byte(f.page)) == 1:
		f.begin(w)
	case r.URL.Path == "/registered":
		f.registered(w, r)
	default:
		http.NotFound(w, r)
	}
}

// action is where GitHub takes manifests.
func (f *Flow) action() string {
	path := "/settings/apps/new"
	if f.options.Organisation != "" {
		path = "/organizations/" + url.PathEscape(f.options.Organisation) + path
	}
	return f.options.Site.Pages + path + "?" + url.Values{"state": {f.state}}.Encode()
}

type beginning struct {
	Name, Owner, Where, Webhook, Events, Action, Manifest string
	Permissions                                           []github.Permission
}

func (f *Flow) begin(w http.ResponseWriter) {
	o := f.options
	manifest, err := json.Marshal(o.Manifest)
	if err != nil {
		f.end(w, http.StatusInternalServerError, ending{Title: "The manifest cannot be written", Text: "Look into the terminal."})
		return
	}
	view := beginning{
		Name: o.Manifest.Name, Owner: "whoever is signed in on GitHub", Where: o.Site.Pages, Events: strings.Join(o.Manifest.Events, ", "),
		Action: f.action(), Manifest: string(manifest), Permissions: o.Permissions,
	}
	if o.Organisation != "" {
		view.Owner = "the organisation " + o.Organisation
	}
	if o.Manifest.Hook != nil {
		view.Webhook = o.Manifest.Hook.URL
	}
	f.write(w, http.StatusOK, "begin", view)
}

type ending struct{ Title, Text, Install string }

func (f *Flow) end(w http.ResponseWriter, status int, view ending) { f.write(w, status, "end", view) }

// registered takes what GitHub sent the browser back with. What comes without the state
// changes nothing.
func (f *Flow) registered(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(f.state)) != 1 {
		f.end(w, http.StatusBadRequest, ending{Title: "This is not the answer to this page", Text: "It was made by another run of idp, or by somebody else, and changed nothing. Open the address that idp printed, and begin there."})
		return
	}
	code := query.Get("code")
	if code == "" {
		f.end(w, http.StatusBadRequest, ending{Title: "GitHub sent no code", Text: "Open the address that idp printed, and begin again."})
		return
	}
	if !f.use() {
		f.end(w, http.StatusGone, ending{Title: "This was taken already", Text: "Look into the terminal for what came of it."})
		return
	}
	// Whoever closes the page now does not take back what GitHub has registered.
	app, err := f.take(context.WithoutCancel(r.Context()), code)
	if err != nil {
		view := ending{Title: "It did not work", Text: "Look into the terminal."}
		if told, ok := errors.AsType[*fault.Error](err); ok {
			view.Text = told.Message + ". " + told.Hint
		}
		f.end(w, http.StatusBadGateway, view)
	} else {
		f.end(w, http.StatusOK, ending{Title: app.Slug + " is registered", Text: "Its key is kept where idp runs.", Install: f.options.Site.Install(app.Slug)})
	}
	f.done <- err
}

// use says whether the state is used for the first time.
func (f *Flow) use() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := !f.used
	f.used = true
	return first
}

func (f *Flow) take(ctx context.Context, code string) (App, error) {
	app, err := Convert(ctx, f.options.Client, f.options.Site, code)
	if err != nil {
		return App{}, err
	}
	return app, f.options.Take(app)
}

// Install is the page that installs an App.
func (s Site) Install(slug string) string {
	return s.Pages + "/apps/" + url.PathEscape(slug) + "/installations/new"
}

// write writes a page that runs nothing and fetches nothing.
func (f *Flow) write(w http.ResponseWriter, status int, name string, view any) {
	var page bytes.Buffer
	if err := f.pages.ExecuteTemplate(&page, name, view); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+styleSum(page.String())+"'; form-action "+f.options.Site.Pages+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // a browser that is gone reads nothing
}

// styleSum is the hash that lets a page its own style sheet.
func styleSum(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
