package githubtest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// faultHeader marks an answer that a fault replaced, so that it can be told from
// the server's own.
const faultHeader = "X-Githubtest-Fault"

// Fault is a failure to inject into the API. Without Status, HTML, Body, Drop or
// Truncate the request is answered as usual, only late.
type Fault struct {
	// Method to match; empty matches all.
	Method string
	// Path matches below the API root, by doublestar: "/repos/*/*/issues/**".
	// Empty matches all.
	Path string
	// Times is how often it happens; 0 means until removed.
	Times int
	// Probability of a matching request being hit, drawn from Options.Seed; 0
	// means 1.
	Probability float64

	// Status to answer with. 403 and 429 with RetryAfter open a ban window for
	// the credential: until it ends, every request of it is refused and logged
	// as Banned.
	Status int
	// RetryAfter is sent in whole seconds.
	RetryAfter time.Duration
	// Secondary makes the body that of a secondary rate limit.
	Secondary bool
	// Body is sent instead of GitHub's error JSON.
	Body string
	// HTML makes the body the page that GitHub's edge shows when it is ill.
	HTML bool
	// Truncate sends half of the answer and cuts the connection.
	Truncate bool
	// Drop cuts the connection without an answer.
	Drop bool
	// AfterEffect lets the request take effect before the answer is lost or
	// replaced, as a timeout at GitHub's edge does.
	AfterEffect bool
	// Delay and Until hold the answer back, after the effect.
	Delay time.Duration
	Until <-chan struct{}
}

// armedFault is a fault with the times it has left.
type armedFault struct {
	Fault
	left int
}

// Inject adds a fault; earlier ones are tried first. The function returned
// removes it.
func (s *Server) Inject(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	armed := &armedFault{Fault: f, left: f.Times}
	s.faults = append(s.faults, armed)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, other := range s.faults {
			if other == armed {
				s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
				return
			}
		}
	}
}

// takeFault returns the fault that hits the call, spent once; none while the
// credential is banned.
func (s *Server) takeFault(c *call, banned bool) *Fault {
	if banned {
		return nil
	}
	for _, f := range s.faults {
		if f.Times > 0 && f.left == 0 || !f.matches(c) {
			continue
		}
		if f.Probability > 0 && s.random.Float64() >= f.Probability {
			continue
		}
		f.left--
		return &f.Fault
	}
	return nil
}

func (f *Fault) matches(c *call) bool {
	if f.Method != "" && f.Method != c.request.Method {
		return false
	}
	hit, err := doublestar.Match(f.Path, c.path)
	return f.Path == "" || err == nil && hit
}

// replaces reports whether the fault has an answer of its own.
func (f *Fault) replaces() bool {
	return f.Status != 0 || f.HTML || f.Body != "" || f.Drop && !f.AfterEffect
}

const unicorn = "<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head>" +
	"<body><p><strong>We had issues producing the response to your request.</strong></p></body></html>\n"

// reply is what the client gets instead.
func (f *Fault) reply() reply {
	status := f.Status
	if status == 0 {
		status = http.StatusBadGateway
	}
	out := *refuse(status, http.StatusText(status))
	switch {
	case f.Secondary:
		out = *secondaryLimit(status)
	case f.HTML:
		out = reply{status: status, body: []byte(unicorn), header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}}
	case f.Body != "":
		out = reply{status: status, body: []byte(f.Body), header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}}
	}
	if f.RetryAfter > 0 {
		out.header = merge(out.header, http.Header{"Retry-After": {seconds(f.RetryAfter)}})
	}
	return out
}

// mark notes the fault on the answer.
func (f *Fault) mark(out *wire) {
	out.fault = f
	if f.replaces() || f.Drop || f.Truncate {
		out.header.Set(faultHeader, "injected")
	}
}

func merge(a, b http.Header) http.Header {
	out := a.Clone()
	if out == nil {
		out = http.Header{}
	}
	for name, values := range b {
		out[name] = values
	}
	return out
}

// seconds rounds up to whole ones, as Retry-After needs.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
