package githubtest

import (
	"slices"
	"time"
)

// Request is one request to the API as the server saw it.
type Request struct {
	At     time.Time // by Options.Now
	Method string
	// Route is the template, such as "/repos/{owner}/{repo}/pulls/{pull_number}";
	// empty where the API has no such route.
	Route string
	// Path is what was asked for, below the API root, escaped.
	Path string
	// Query is the raw query.
	Query string
	// Status is what was answered; 0 where the connection was cut.
	Status int
	// Credential is "app:<id>", "installation:<id>" or "anonymous".
	Credential string
	// Conditional says that If-None-Match was sent.
	Conditional bool
	// Fault says that an injected fault hit it.
	Fault bool
	// Banned says that it came within a ban window: see Fault.Status.
	Banned bool
}

// Requests returns every request so far, in the order they were answered.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// BannedRequests counts the requests that came within a ban window: 0 for a
// client that honours Retry-After.
func (s *Server) BannedRequests() int {
	n := 0
	for _, r := range s.Requests() {
		if r.Banned {
			n++
		}
	}
	return n
}

func (s *Server) record(c *call, out wire, banned bool) {
	entry := Request{
		At: s.opts.Now(), Method: c.request.Method, Route: c.route.label(), Path: c.path, Query: c.request.URL.RawQuery,
		Status: out.status, Credential: c.cred.String(), Conditional: c.request.Header.Get("If-None-Match") != "",
		Fault: out.fault != nil, Banned: banned,
	}
	if out.fault != nil && out.fault.Drop {
		entry.Status = 0
	}
	s.requests = append(s.requests, entry)
	s.opts.Logf("GitHub: %s %s → %d (%s)", entry.Method, entry.Path, entry.Status, entry.Credential)
}
