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
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
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
	repo := s.repository("web")
	if err := opened(ctx, repo, r.Pulls, r.Events/r.Pulls); err != nil {
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
	reads, unchanged := r.asked(s, "for each final commit")
	all, different := writes.count()
	later, err := s.oneMore(ctx, r, repo)
	if err != nil {
		return nil, err
	}
	each := func(n int) Figure { return Figure{float64(n) / float64(r.Pulls), ""} }
	return []Row{
		counted(fmt.Sprintf("%d events on %d pull requests: renders per final commit", events, r.Pulls), each(changes), 1.1),
		counted("requests that read from GitHub per final commit, those not counted that were answered 304", each(reads), 2),
		{What: "those that were answered 304, which cost nothing of the limit", Measured: each(unchanged).String()},
		counted("requests that read from GitHub for one more commit of each, by itself", each(later), 2),
		counted("writes per changed report", Figure{float64(all) / float64(different), ""}, 1),
		exactly("pull requests with their environment", environments, r.Pulls),
		exactly("events", events, r.Pulls*(r.Events/r.Pulls)),
	}, nil
}

// asked is how many requests read from GitHub, and how many of those that it left out were
// answered 304.
func (r *run) asked(s *site, what string) (reads, unchanged int) {
	routes := map[string]int{}
	for _, q := range s.GitHub.Requests() {
		if q.Method != http.MethodGet || !strings.HasPrefix(q.Credential, "installation:") {
			continue
		}
		if q.Status == http.StatusNotModified {
			unchanged++
		} else {
			reads++
		}
		routes[fmt.Sprint(q.Route, " ", q.Status)]++
	}
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		r.tell("%.2f %s: GET %s", float64(routes[route])/float64(r.Pulls), what, route)
	}
	return reads, unchanged
}

// oneMore pushes once more to each pull request, and returns how many requests read from
// GitHub for it.
func (s *site) oneMore(ctx context.Context, r *run, in *githubtest.Repository) (reads int, err error) {
	s.GitHub.Release(-1) // what idp's own comments and checks made GitHub tell
	for i := range r.Pulls {
		branch := fmt.Sprintf("topic-%d", i)
		in.PushAs(stage.Developer, branch, "Go on", map[string]string{branch + ".txt": "later"})
	}
	s.GitHub.ForgetRequests()
	if err := s.deliverAll(ctx, r.Connections); err != nil {
		return 0, err
	}
	if err := s.drained(ctx); err != nil {
		return 0, err
	}
	reads, _ = r.asked(s, "for one more commit")
	return reads, nil
}

// opened opens pull requests and pushes to them, so that each has so many events.
func opened(ctx context.Context, repo *githubtest.Repository, pulls, events int) error {
	for i := range pulls {
		if _, err := pull(repo, fmt.Sprintf("topic-%d", i)); err != nil {
			return err
		}
	}
	for n := range events - 1 {
		if n == events-2 { // GitHub's times tell seconds: nobody pushes so fast
			now := time.Now()
			if err := stage.Pause(ctx, now.Truncate(time.Second).Add(time.Second).Sub(now)); err != nil {
				return err
			}
		}
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
