package github

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

const (
	// retryTries is how often a request is sent in all, retryPause the pause after
	// the first time; each further one is twice as long.
	retryTries = 4
	retryPause = 250 * time.Millisecond
)

// retrying repeats requests that failed on the way or in GitHub.
type retrying struct {
	clock      clock
	log        *slog.Logger
	repeatable func(*http.Request) bool
	next       http.RoundTripper
}

// idempotent says whether sending the request twice is the same as once.
// Updating a check run is not: annotations are appended each time.
func idempotent(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead || req.Method == http.MethodDelete
}

// RoundTrip sends the request up to retryTries times.
func (r retrying) RoundTrip(req *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		again, ok := rewound(req)
		resp, err := r.next.RoundTrip(req)
		if !ok || try == retryTries || req.Context().Err() != nil || !r.worthwhile(req, resp, err) {
			if ok {
				closeBody(again)
			}
			return resp, err
		}
		status := 0
		if resp != nil {
			status = resp.StatusCode
			discard(resp)
		}
		pause := jittered(retryPause << (try - 1))
		r.log.Debug("repeat a request to GitHub", "method", req.Method, "status", status, "in", pause)
		if err := r.clock.wait(req.Context(), pause); err != nil {
			closeBody(again)
			return nil, err
		}
		req = again
	}
}

func (r retrying) worthwhile(req *http.Request, resp *http.Response, err error) bool {
	if err == nil {
		return resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented && r.repeatable(req)
	}
	if _, ok := errors.AsType[*RateLimited](err); ok {
		return false
	}
	if _, ok := errors.AsType[*tokenError](err); ok {
		// Making the token was repeated already.
		return false
	}
	return r.repeatable(req) || neverSent(err)
}

// neverSent says whether the connection was not even made.
func neverSent(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// jittered returns between a half and the whole of d, so that many who failed
// together do not come back together.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}
