package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
)

const (
	// sweepsAnHour is how often idp sweeps and reapsAnHour how often it reaps, by default.
	sweepsAnHour = 6
)

// idle is W8: there are previews in many repositories, and nothing happens. An hour is
// simulated by as many sweeps as an hour has, close together; what idp takes of a core is
// what it takes in a time without any sweep, with that of an hour's sweeps.
func idle(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.openMany(r.IdlePreviews, r.IdleRepositories); err != nil {
		return nil, err
	}
	if err := s.landed.await(ctx, func(l *landings) bool { return l.environments() >= r.IdlePreviews }); err != nil {
		return nil, err
	}
	if err := s.drained(ctx); err != nil {
		return nil, err
	}
	r.tell("%d previews of %d repositories are there", r.IdlePreviews, r.IdleRepositories)
	// The first sweep after a start reads what those after it find unchanged.
	if err := s.restart(ctx, "IDP_SWEEP_SCHEDULE=@every 1s"); err != nil {
		return nil, err
	}
	if _, err := s.sweeps(ctx, 1, r.IdleRepositories); err != nil {
		return nil, err
	}
	swept, err := s.sweeps(ctx, sweepsAnHour, r.IdleRepositories)
	if err != nil {
		return nil, err
	}
	r.tell("an hour's %d sweeps are done", sweepsAnHour)
	if err := s.restart(ctx, "IDP_SWEEP_SCHEDULE=@every 24h"); err != nil {
		return nil, err
	}
	still, memory, err := s.still(ctx, r.IdleFor)
	if err != nil {
		return nil, err
	}
	share := Figure{(swept.cpu.Seconds()/3600 + still) * 100, "% of a core"}
	lists := Figure{float64(swept.unchanged) / float64(max(swept.lists, 1)) * 100, "%"}
	memory.Value = max(memory.Value, swept.memory.Value)
	what := fmt.Sprintf("idle with %d previews in %d repositories, an hour's %d sweeps", r.IdlePreviews, r.IdleRepositories, sweepsAnHour)
	unchanged := Row{What: what + ": list requests answered 304", Measured: lists.String(), Target: "≥ 99 %", Met: lists.Value >= 99, Count: true}
	return []Row{
		unchanged,
		within("resident memory, the most that was seen", memory, 200),
		within("time of a core over that hour", share, 1),
		{What: "of that, sweeps", Measured: Figure{swept.cpu.Seconds() / 3600 * 100, "% of a core"}.String()},
		{What: "list requests", Measured: fmt.Sprint(swept.lists), Target: fmt.Sprintf("≥ %d", sweepsAnHour*r.IdleRepositories), Met: swept.lists >= sweepsAnHour*r.IdleRepositories, Count: true},
		exactly("commits meanwhile", swept.commits, 0),
	}, nil
}

// restart ends the program and starts it with another setting.
func (s *site) restart(ctx context.Context, setting string) error {
	s.program.Terminate()
	key, _, _ := strings.Cut(setting, "=")
	for i, each := range s.program.Env {
		if strings.HasPrefix(each, key+"=") {
			s.program.Env[i] = setting
		}
	}
	return s.start(ctx)
}

// sweptFor is what sweeps took.
type sweptFor struct {
	cpu              time.Duration
	memory           Figure
	lists, unchanged int
	commits          int
}

// sweeps waits until so many sweeps have asked for the pull requests of every repository.
func (s *site) sweeps(ctx context.Context, n, repositories int) (out sweptFor, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	s.GitHub.ForgetRequests()
	s.landed.mu.Lock()
	commits := s.landed.commits
	s.landed.mu.Unlock()
	before, err := cpu(s.program.PID())
	if err != nil {
		return out, err
	}
	err = stage.Until(ctx, 50*time.Millisecond, func() (bool, error) {
		memory, err := resident(s.program.PID())
		out.memory = Figure{max(out.memory.Value, memory.Value), memory.Unit}
		out.lists, out.unchanged = listed(s.GitHub.Requests())
		return out.lists >= n*repositories, err
	})
	if err != nil {
		return out, err
	}
	after, err := cpu(s.program.PID())
	out.cpu = (after - before) * time.Duration(n*repositories) / time.Duration(max(out.lists, 1))
	s.landed.mu.Lock()
	out.commits = s.landed.commits - commits
	s.landed.mu.Unlock()
	return out, err
}

// listed counts the requests for the pull requests of a repository, and those of them that
// were answered 304.
func listed(all []githubtest.Request) (lists, unchanged int) {
	for _, q := range all {
		if q.Method == http.MethodGet && q.Route == "/repos/{owner}/{repo}/pulls" {
			lists++
			if q.Status == http.StatusNotModified {
				unchanged++
			}
		}
	}
	return lists, unchanged
}

// still is what part of a core the program takes while nothing is due, and its memory.
func (s *site) still(ctx context.Context, d time.Duration) (share float64, memory Figure, err error) {
	if err := s.drained(ctx); err != nil {
		return 0, memory, err
	}
	before, err := cpu(s.program.PID())
	if err != nil {
		return 0, memory, err
	}
	began := time.Now()
	if err := stage.Pause(ctx, d); err != nil {
		return 0, memory, err
	}
	after, err := cpu(s.program.PID())
	if err != nil {
		return 0, memory, err
	}
	memory, err = resident(s.program.PID())
	return (after - before).Seconds() / time.Since(began).Seconds(), memory, err
}
