package githubtest

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var assets embed.FS

// contentPolicy allows the pages their own style sheet, script and pictures.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// pages serves what people look at: repositories, pull requests, check runs.
// Forms act as any user there is; requests from other sites are refused.
func (s *Server) pages() http.Handler {
	views := template.Must(template.ParseFS(assets, "assets/page.html"))
	mux := http.NewServeMux()
	show := func(pattern, name string, view func(*http.Request) any) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := s.catchUp(r.Context()); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			s.mu.Lock()
			data := view(r)
			s.mu.Unlock()
			writePage(w, r, views, name, data)
		})
	}
	show("/{$}", "home", func(*http.Request) any { return s.homeView(nil) })
	show("/{owner}/{repo}", "home", s.repositoryView)
	show("/{owner}/{repo}/pulls", "home", s.repositoryView)
	show("/{owner}/{repo}/pull/{number}", "pull", s.pullView)
	show("/{owner}/{repo}/runs/{id}", "run", s.runView)
	mux.HandleFunc("POST /{owner}/{repo}/pull/{number}", s.actOnPull)
	mux.HandleFunc("GET /{owner}/{repo}/issues/{number}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(r.URL.Path, "/issues/", "/pull/", 1), http.StatusFound)
	})
	mux.HandleFunc("POST /login/device/code", s.deviceCode)
	mux.HandleFunc("POST /login/oauth/access_token", s.accessToken)
	mux.HandleFunc("GET "+workflowIssuer+"/.well-known/openid-configuration", s.workflowConfiguration)
	mux.HandleFunc("GET "+workflowIssuer+"/.well-known/jwks", s.workflowKeys)
	mux.HandleFunc("POST /settings/apps/new", s.newApp)
	mux.HandleFunc("POST /organizations/{org}/settings/apps/new", s.newApp)
	mux.HandleFunc("GET /avatars/{id}", serveAvatar)
	for _, name := range []string{"style.css", "refresh.js"} {
		mux.HandleFunc("GET /_assets/"+name, func(w http.ResponseWriter, r *http.Request) {
			http.ServeFileFS(w, r, assets, "assets/"+name)
		})
	}
	protection := http.NewCrossOriginProtection()
	// Manifests come from other sites, and are confirmed on GitHub's own.
	protection.AddInsecureBypassPattern("POST /settings/apps/new")
	protection.AddInsecureBypassPattern("POST /organizations/{org}/settings/apps/new")
	return protection.Handler(guarded(mux))
}

// guarded adds the headers that keep what users wrote from acting.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// writePage renders a view, with a tag so that looking again is cheap; a nil
// view is one that does not exist.
func writePage(w http.ResponseWriter, r *http.Request, views *template.Template, name string, data any) {
	if data == nil {
		http.NotFound(w, r)
		return
	}
	var page bytes.Buffer
	if err := views.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	sum := sha256.Sum256(page.Bytes())
	tag := `"` + hex.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes())
}

// serveAvatar draws a disc whose colour is the id's.
func serveAvatar(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Cache-Control", "max-age=86400")
	hue := id * 47 % 360
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" fill="hsl(%d 45%% 55%%)"/>`+
		`<circle cx="16" cy="12" r="6" fill="#fff" opacity=".85"/><path d="M4 32a12 12 0 0 1 24 0" fill="#fff" opacity=".85"/></svg>`, hue)
}

type homeView struct{ Repositories []repositoryRow }

type repositoryRow struct {
	Name    string
	Private bool
	Pulls   []pullRow
}

type pullRow struct {
	Title, URL, State, Author, Opened string
	Number                            int
}

// homeView lists repositories, or only one.
func (s *Server) homeView(only *Repository) any {
	var view homeView
	for _, id := range slices.Sorted(maps.Keys(s.repositories)) {
		r := s.repositories[id]
		if only != nil && r != only {
			continue
		}
		row := repositoryRow{Name: r.fullName(), Private: r.private}
		pulls := r.sortedPulls()
		slices.Reverse(pulls)
		for _, pr := range pulls {
			row.Pulls = append(row.Pulls, pullRow{
				Title: pr.title, URL: fmt.Sprintf("/%s/pull/%d", r.fullName(), pr.number), State: pr.displayState(),
				Author: pr.author.login, Opened: when(pr.created), Number: pr.number,
			})
		}
		view.Repositories = append(view.Repositories, row)
	}
	return view
}

func (s *Server) repositoryView(r *http.Request) any {
	repo := s.find(r.PathValue("owner"), r.PathValue("repo"))
	if repo == nil {
		return nil
	}
	return s.homeView(repo)
}

func (s *Server) pullAt(r *http.Request) *PullRequest {
	repo := s.find(r.PathValue("owner"), r.PathValue("repo"))
	number, err := strconv.Atoi(r.PathValue("number"))
	if repo == nil || err != nil {
		return nil
	}
	return repo.pulls[number]
}
