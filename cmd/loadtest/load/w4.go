package load

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/idp-bot/idp/cmd/internal/stage"
)

// coalesced is W4: events about few pull requests, pushes again and again, that are all
// delivered when the last push is over. What counts is what idp does about each newest commit.
func coalesced(ctx context.Context, r *run) (rows []Row, err error) {
	writes := &writes{seen: map[[32]byte]int{}}
	s, err := r.open(ctx, writes.see)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.GitHub.HoldDeliveries()
	if err := s.push(r.Pulls, r.Events/r.Pulls); err != nil {
		return nil, err
	}
	events := 0
	for _, held := range s.GitHub.HeldDeliveries() {
		if held.Event == "pull_request" {
			events++
		}
	}
	s.GitHub.ForgetRequests()
	if err := s.deliverAll(ctx, r.Connections); err != nil {
		return nil, err
	}
	if err := s.drained(ctx); err != nil {
		return nil, err
	}
	s.landed.mu.Lock()
	changes, environments := s.landed.changes, s.landed.environments()
	s.landed.mu.Unlock()
	reads, unchanged := 0, 0
	routes := map[string]int{}
	defer func() {
		for _, route := range slices.Sorted(maps.Keys(routes)) {
			r.tell("%.2f for each final commit: GET %s", float64(routes[route])/float64(r.Pulls), route)
		}
	}()
	for _, q := range s.GitHub.Requests() {
		if q.Method == http.MethodGet && strings.HasPrefix(q.Credential, "installation:") {
			if q.Status == http.StatusNotModified {
				unchanged++
			} else {
				reads++
			}
			routes[fmt.Sprint(q.Route, " ", q.Status)]++
		}
	}
	all, different := writes.count()
	each := func(n int) Figure { return Figure{float64(n) / float64(r.Pulls), ""} }
	return []Row{
		counted(fmt.Sprintf("%d events on %d pull requests: renders per final commit", events, r.Pulls), each(changes), 1.1),
		counted("requests that read from GitHub per final commit, those not counted that were answered 304", each(reads), 2),
		{What: "those that were answered 304, which cost nothing of the limit", Measured: each(unchanged).String()},
		counted("writes per changed report", Figure{float64(all) / float64(different), ""}, 1),
		exactly("pull requests with their environment", environments, r.Pulls),
		exactly("events", events, r.Pulls*(r.Events/r.Pulls)),
	}, nil
}

// push opens pull requests and pushes to them, so that each has so many events.
func (s *site) push(pulls, events int) error {
	repo := s.repository("web")
	for i := range pulls {
		if _, err := pull(repo, fmt.Sprintf("topic-%d", i)); err != nil {
			return err
		}
	}
	for n := range events - 1 {
		for i := range pulls {
			branch := fmt.Sprintf("topic-%d", i)
			repo.PushAs(stage.Developer, branch, "Go on", map[string]string{branch + ".txt": fmt.Sprint(n + 2)})
		}
	}
	return nil
}

// writes are the requests that write to GitHub, by what they say.
type writes struct {
	mu   sync.Mutex
	seen map[[32]byte]int
}

// see takes down what passes.
func (w *writes) see(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || strings.HasSuffix(r.URL.Path, "/access_tokens") {
			next.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // whoever asked is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.seen[sha256.Sum256(append([]byte(r.Method+" "+r.URL.Path+"\n"), body...))]++
		w.mu.Unlock()
		next.ServeHTTP(rw, r)
	})
}

// count returns how many there were, and how many that say different things.
func (w *writes) count() (all, different int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.seen {
		all += n
	}
	return all, len(w.seen)
}
