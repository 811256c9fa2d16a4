// Package githubtest is a GitHub on loopback: it keeps state, verifies
// credentials, enforces permissions and limits, answers in GitHub's shapes and
// delivers signed webhooks. Tests and `idp demo` run against it; nothing in it
// depends on package testing.
//
// It owns everything a GitHub would own here: accounts, Apps and their
// installations and tokens, repositories with commits and file contents, pull
// requests, comments, reactions, check runs and suites, deployments, and the
// webhook deliveries of each App. People act through methods (OpenPullRequest,
// Push, Comment, …) or through the pages at Server.HTMLURL; Apps act through
// the REST API at Server.URL.
//
// Guarantees: one event per change, emitted after the change, in the order of
// the changes; ids are never reused; times come from Options.Now; every answer
// outside an injected fault follows GitHub's published description (see package
// openapi). Everything is safe for concurrent use: one mutex guards all state,
// and no network call happens under it.
//
// It never reaches beyond loopback, never persists anything, and does not serve
// git itself: see Server.TokenAllows for a git server beside it, and
// Repository.Mirror for a repository whose commits are there.
package githubtest

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// apiPrefix is where a GitHub Enterprise Server has its API, and so this one.
const apiPrefix = "/api/v3"

// Options configure a Server. The zero value is usable.
type Options struct {
	// Now is the clock of tokens, JWTs, limits and timestamps; default time.Now.
	Now func() time.Time
	// Logf, when set, is told about each request and each webhook delivery.
	Logf func(format string, args ...any)
	// Middleware wraps the API (not the pages), outside fault injection: the
	// place of the OpenAPI validator.
	Middleware func(http.Handler) http.Handler
	// Limits are the rate limits to enforce; nil means DefaultLimits.
	Limits *Limits
	// Seed makes faults with a probability repeatable.
	Seed uint64
	// DeliveryWorkers is how many webhooks are in flight at once; default 1,
	// which keeps the order of events.
	DeliveryWorkers int
	// Address to listen on; default "127.0.0.1:0".
	Address string
}

// Server is one GitHub. Make it with New, then Start it.
type Server struct {
	opts     Options
	listener net.Listener
	http     *http.Server
	router   *router
	done     chan struct{}
	workers  sync.WaitGroup

	mu           sync.Mutex
	random       *rand.Rand
	lastID       int64
	accounts     map[string]*account // by lower-cased login
	apps         []*App
	repositories map[int64]*Repository
	teams        map[string]map[int64]Membership // by lower-cased "organisation/slug", then account id
	renamed      map[string]int64                // lower-cased former full name → repository id
	commits      map[string]*commit
	tokens       map[string]*token
	signer       *rsa.PrivateKey // of workflows' tokens
	userTokens   map[string]*userToken
	devices      map[string]*device    // by device code
	pending      map[string]pendingApp // by the code of their manifest
	budgets      map[string]*budget
	faults       []*armedFault
	bans         map[string]ban
	requests     []Request
	hooks        hookQueue
}

// New returns a server that is not yet listening. State may be set up at once;
// URLs in answers and payloads are right only after Start.
func New(opts Options) *Server {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logf == nil {
		opts.Logf = func(string, ...any) {}
	}
	if opts.Limits == nil {
		limits := DefaultLimits()
		opts.Limits = &limits
	}
	if opts.Address == "" {
		opts.Address = "127.0.0.1:0"
	}
	s := &Server{
		opts:         opts,
		done:         make(chan struct{}),
		random:       rand.New(rand.NewPCG(opts.Seed, 1)),
		lastID:       1000,
		accounts:     map[string]*account{},
		repositories: map[int64]*Repository{},
		teams:        map[string]map[int64]Membership{},
		renamed:      map[string]int64{},
		commits:      map[string]*commit{},
		tokens:       map[string]*token{},
		userTokens:   map[string]*userToken{},
		devices:      map[string]*device{},
		pending:      map[string]pendingApp{},
		budgets:      map[string]*budget{},
		bans:         map[string]ban{},
	}
	s.hooks.init()
	s.router = newRouter(routes)
	return s
}

// Start listens and serves until Close.
func (s *Server) Start() error {
	listener, err := net.Listen("tcp", s.opts.Address)
	if err != nil {
		return fmt.Errorf("listen for the stand-in GitHub: %w", err)
	}
	s.listener = listener
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.opts.Logf("stand-in GitHub stopped: %v", err)
		}
	}()
	s.startDeliveries()
	return nil
}

// Close stops serving and delivering, waits for both, and drops what is queued.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	s.stopDeliveries()
	err := s.http.Close()
	<-s.done
	s.workers.Wait()
	if err != nil {
		return fmt.Errorf("close the stand-in GitHub: %w", err)
	}
	return nil
}

// HTMLURL returns the root of the pages, without a trailing slash, such as
// "http://127.0.0.1:1234".
func (s *Server) HTMLURL() string {
	if s.listener == nil {
		return "http://127.0.0.1:0"
	}
	return "http://" + s.listener.Addr().String()
}

// URL returns the API's base URL with its trailing slash, such as
// "http://127.0.0.1:1234/api/v3/".
func (s *Server) URL() string { return s.HTMLURL() + apiPrefix + "/" }

// api returns the absolute URL of an API path that begins with a slash.
func (s *Server) api(path string) string { return s.HTMLURL() + apiPrefix + path }

func (s *Server) handler() http.Handler {
	var api http.Handler = http.HandlerFunc(s.serveAPI)
	if s.opts.Middleware != nil {
		api = s.opts.Middleware(api)
	}
	mux := http.NewServeMux()
	mux.Handle(apiPrefix+"/", api)
	mux.HandleFunc("GET "+storagePath+"{id}", s.serveAttestation)
	mux.HandleFunc(archivePrefix, s.serveArchive)
	mux.Handle("/", s.pages())
	return mux
}

// nextID returns a fresh id: one sequence for everything, so that no test
// passes by mistaking one kind of id for another.
func (s *Server) nextID() int64 {
	s.lastID += 7
	return s.lastID
}

// now is the server's clock in UTC with GitHub's resolution of one second.
func (s *Server) now() time.Time { return s.opts.Now().UTC().Truncate(time.Second) }

// WaitDeliveries returns once no webhook delivery is queued or in flight; held
// ones do not count. It returns ctx's error if that comes first.
func (s *Server) WaitDeliveries(ctx context.Context) error {
	for {
		s.mu.Lock()
		idle, changed := s.hooks.idle(), s.hooks.changed
		s.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for webhook deliveries: %w", ctx.Err())
		case <-changed:
		}
	}
}
