// Package gittest is a git server on loopback: bare repositories served over
// smart HTTP by git's own http-backend, with basic authentication and faults to
// order. Tests and `idp demo` run against it, so that what they exercise is
// git's real protocol.
//
// It owns the repositories below its folder. A Server and its Repositories are
// safe for concurrent use. Nothing it keeps is meant to survive a power cut, and
// it never listens beyond loopback.
package gittest

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Server serves the repositories that were created with it.
type Server struct {
	// URL is "http://127.0.0.1:PORT".
	URL string

	dir     string
	home    string
	backend string
	http    *http.Server
	done    chan struct{}

	mu           sync.Mutex
	allow        func(name, username, password string, push bool) bool
	openReads    bool
	repositories map[string]*Repository
}

// Start serves on a free port of 127.0.0.1 until Close, with repositories in dir.
func Start(ctx context.Context, dir string) (*Server, error) {
	s := &Server{dir: filepath.Join(dir, "repositories"), home: filepath.Join(dir, "home"), done: make(chan struct{}), repositories: map[string]*Repository{}}
	for _, d := range []string{s.dir, s.home} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("start git server: %w", err)
		}
	}
	out, err := gitexec.Git{Home: s.home}.Run(ctx, gitexec.Command{Args: []string{"--exec-path"}})
	if err != nil {
		return nil, fmt.Errorf("start git server: %w", err)
	}
	s.backend = filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(s.backend); err != nil {
		return nil, fmt.Errorf("start git server: git was installed without http-backend: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start git server: %w", err)
	}
	s.URL = "http://" + listener.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(s.done)
		// It returns when Close is called, which is the only way it ends.
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// Close ends the server and its connections.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.done
	return err
}

// RequireToken makes every request need basic authentication with username and
// token from now on.
func (s *Server) RequireToken(username, token string) {
	s.RequireAuth(func(_, u, t string, _ bool) bool {
		return subtle.ConstantTimeCompare([]byte(u+":"+t), []byte(username+":"+token)) == 1
	})
}

// RequireAuth makes every request need basic authentication that allow accepts for
// the repository of that name from now on; push says that it is part of a push.
func (s *Server) RequireAuth(allow func(name, username, password string, push bool) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow = allow
}

// OpenReads lets everybody fetch from now on; pushes still need what RequireAuth says.
func (s *Server) OpenReads() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openReads = true
}

// fetches says that a request is one of those that a fetch is made of.
func fetches(req *http.Request) bool {
	return strings.HasSuffix(req.URL.Path, "/git-upload-pack") || req.URL.Query().Get("service") == "git-upload-pack"
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$`)

// Create makes an empty bare repository, served at URL/name.git, with HEAD at
// branch main.
func (s *Server) Create(ctx context.Context, name string) (*Repository, error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("create repository %q: not a name", name)
	}
	r := &Repository{Path: filepath.Join(s.dir, filepath.FromSlash(name)+".git"), URL: s.URL + "/" + name + ".git"}
	r.git = gitexec.Git{Dir: r.Path, Home: s.home}
	_, err := gitexec.Git{Home: s.home}.Run(ctx, gitexec.Command{
		Args: []string{"init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--", r.Path},
	})
	if err == nil {
		err = r.setUp()
	}
	if err != nil {
		return nil, fmt.Errorf("create repository %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repositories["/"+name+".git"] = r
	return r, nil
}

// ServeHTTP authenticates, applies the faults that are due, and lets git answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	repository, allowed := s.admit(req)
	switch {
	case !allowed:
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "authentication required", http.StatusUnauthorized)
		return
	case repository == nil:
		http.NotFound(w, req)
		return
	}
	fault := repository.disturb(req)
	if fault.answer == answerError {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	body, err := wholeBody(req)
	if err != nil {
		http.Error(w, "request body", http.StatusBadRequest)
		return
	}
	defer body.Close()
	backend := s.handler(fault.env)
	if fault.answer == answerSent {
		began := time.Now()
		backend.ServeHTTP(w, req)
		if fault.push {
			repository.serve(time.Since(began))
		}
		fault.after()
		return
	}
	backend.ServeHTTP(discard{http.Header{}}, req)
	fault.after()
	if fault.answer == answerHeld {
		<-req.Context().Done()
	}
	// An answer that has begun and breaks off: without it, libcurl would take the
	// connection for one that was idle too long, and send the push once more.
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (s *Server) handler(env []string) *cgi.Handler {
	return &cgi.Handler{
		Path: s.backend, Root: "/", Dir: s.home, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: append(append(gitexec.Environment("", s.home, false),
			"GIT_PROJECT_ROOT="+s.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=git"), env...),
	}
}

func (s *Server) admit(req *http.Request) (*Repository, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.allow != nil && !(s.openReads && fetches(req)) {
		username, password, _ := req.BasicAuth()
		name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), ".git")
		if !s.allow(name, username, password, !fetches(req)) {
			return nil, false
		}
	}
	for path, repository := range s.repositories {
		if strings.HasPrefix(req.URL.Path, path+"/") {
			return repository, true
		}
	}
	return nil, true
}

// wholeBody gives a chunked request, which CGI cannot take, a length.
func wholeBody(req *http.Request) (io.Closer, error) {
	if req.ContentLength >= 0 {
		return req.Body, nil
	}
	f, err := os.CreateTemp("", "gittest-*")
	if err != nil {
		return nil, err
	}
	// Unlinked at once: it is gone when it is closed.
	err = os.Remove(f.Name())
	if err == nil {
		req.ContentLength, err = io.Copy(f, req.Body)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	req.Body, req.TransferEncoding = f, nil
	return f, nil
}

// discard is a response that reaches nobody.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
