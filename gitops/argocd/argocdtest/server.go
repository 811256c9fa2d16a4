// Package argocdtest is an Argo CD to test against: its API server on loopback,
// as far as idp asks it, with the Applications that a GitOps repository lists.
//
// It answers with Argo CD's own types, to requests that bear its token, and keeps
// state as Argo CD would, but does nothing by itself: a test says when it syncs,
// what becomes of the objects and when it is away. It runs nothing and renders no
// template: each element of an ApplicationSet is an Application by the names that
// the element gives. A Server may be used concurrently.
package argocdtest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/labels"
)

// Repository is what is read of the GitOps repository, such as a
// gittest.Repository.
type Repository interface {
	// Tip returns the branch's commit, "" when there is none.
	Tip(ctx context.Context, branch string) (string, error)
	// List returns "<mode> <id> <path>" of every file of a commit.
	List(ctx context.Context, commit string) ([]string, error)
	Content(ctx context.Context, commit, path string) (string, error)
}

// Options describe a Server.
type Options struct {
	// Token is what requests have to bear.
	Token string
	// Root is the Application that syncs the applicationsets folder.
	Root       string
	Repository Repository
	Branch     string
	Now        func() time.Time
}

// Server is one Argo CD.
type Server struct {
	options Options
	url     string
	http    *http.Server

	mu        sync.Mutex
	apps      map[string]*application
	refreshed map[string]bool
	away      bool
	// logsDenied says that the token may not read logs.
	logsDenied bool
	// granted and denied are the token's rights, as Grant and Deny have it.
	granted []string
	denied  bool
	// claimed is the version.
	claimed string
	// gone is closed when it goes away, for the connections that are open.
	gone chan struct{}

	// published is every Application as its subscribers know it, in JSON; changes
	// counts what happened to them.
	published   map[string]string
	changes     int64
	subscribers map[*subscriber]bool
	told        int64
}

// Start serves on a free port of 127.0.0.1 until Close. The root Application is
// there, and has synced nothing yet.
func Start(o Options) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start argo cd: %w", err)
	}
	s := &Server{
		options: o, url: "http://" + listener.Addr().String(), apps: map[string]*application{}, refreshed: map[string]bool{},
		claimed: "v2.14.21+stand-in", gone: make(chan struct{}), published: map[string]string{}, subscribers: map[*subscriber]bool{},
	}
	s.apps[o.Root] = newApplication(o.Root, appSetsDir)
	s.publish()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/version", s.version)
	mux.HandleFunc("GET /api/v1/session/userinfo", s.authorized(s.userinfo))
	mux.HandleFunc("GET /api/v1/account/can-i/{resource}/{action}/{object...}", s.authorized(s.canI))
	mux.HandleFunc("GET /api/v1/projects/{name}", s.authorized(s.project))
	mux.HandleFunc("GET /api/v1/applications", s.authorized(s.list))
	mux.HandleFunc("GET /api/v1/applications/{name}", s.authorized(s.get))
	mux.HandleFunc("GET /api/v1/applications/{name}/resource", s.authorized(s.resource))
	mux.HandleFunc("GET /api/v1/applications/{name}/resource-tree", s.about(s.tree))
	mux.HandleFunc("GET /api/v1/applications/{name}/events", s.about(s.events))
	mux.HandleFunc("GET /api/v1/applications/{name}/pods/{pod}/logs", s.about(s.logs))
	mux.HandleFunc("GET /api/v1/stream/applications", s.authorized(s.stream))
	s.http = &http.Server{Handler: s.reachable(mux), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = s.http.Serve(listener) }() // it ends with Close
	return s, nil
}

// URL is the root of the API.
func (s *Server) URL() string { return s.url }

// Close ends the server and its connections.
func (s *Server) Close() error { return s.http.Close() }

// SetAway makes every connection break before an answer, or answers again.
func (s *Server) SetAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if away && !s.away {
		close(s.gone)
		s.gone = make(chan struct{})
	}
	s.away = away
}

// TakeRefreshed returns the Applications that somebody asked to refresh since the
// last call, sorted, each once.
func (s *Server) TakeRefreshed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.refreshed))
	for name := range s.refreshed {
		names = append(names, name)
	}
	slices.Sort(names)
	clear(s.refreshed)
	return names
}

// reachable breaks the connection while the server is away.
func (s *Server) reachable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		away := s.away
		s.mu.Unlock()
		if away {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+s.options.Token)) != 1 {
			refuse(w, http.StatusUnauthorized, 16, "invalid session: token is not valid")
			return
		}
		next(w, r)
	}
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer(w, http.StatusOK, map[string]string{"Version": s.claimed})
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	selector, err := labels.Parse(r.URL.Query().Get("selector"))
	if err != nil {
		refuse(w, http.StatusBadRequest, 3, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := v1alpha1.ApplicationList{Items: []v1alpha1.Application{}}
	all.ResourceVersion = strconv.FormatInt(s.changes, 10)
	for _, name := range s.names() {
		if selector.Matches(labels.Set(s.apps[name].Labels)) {
			all.Items = append(all.Items, s.apps[name].Application)
		}
	}
	answer(w, http.StatusOK, all)
}

// get answers with one Application. As Argo CD does, it refuses a name that it
// does not have as it would one that the token may not see.
func (s *Server) get(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	app, ok := s.apps[r.PathValue("name")]
	if !ok {
		refuse(w, http.StatusForbidden, 7, "permission denied")
		return
	}
	switch kind := r.URL.Query().Get("refresh"); kind {
	case "":
	case string(v1alpha1.RefreshTypeNormal), string(v1alpha1.RefreshTypeHard):
		s.refreshed[app.Name] = true
		err := s.compare(r.Context(), app)
		s.publish()
		if err != nil {
			refuse(w, http.StatusInternalServerError, 13, err.Error())
			return
		}
	default:
		refuse(w, http.StatusBadRequest, 3, fmt.Sprintf("refresh %q is neither normal nor hard", kind))
		return
	}
	answer(w, http.StatusOK, app.Application)
}

// refuse answers as grpc-gateway words errors.
func refuse(w http.ResponseWriter, status, code int, message string) {
	answer(w, status, map[string]any{"error": message, "code": code, "message": message})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever asked may be gone
}
