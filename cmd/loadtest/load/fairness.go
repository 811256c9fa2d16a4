package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// fairness: one repository opens very many pull requests, whose webhooks have all been taken
// when another opens single ones. What a single one takes from its webhook until its commit
// is in the GitOps repository is held against what it takes while all is quiet, twice, and
// the time from one of idp's commits to the next during the burst: one is always under way.
func fairness(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	crowd, other := s.repository("crowd"), s.repository("other")
	s.GitHub.HoldDeliveries()
	if _, err := s.single(ctx, other, "first"); err != nil {
		return nil, err
	}
	var quiet, busy []time.Duration
	for i := range r.FairSingles {
		took, err := s.single(ctx, other, fmt.Sprintf("quiet-%d", i))
		if err != nil {
			return nil, err
		}
		quiet = append(quiet, took)
		if err := s.drained(ctx); err != nil {
			return nil, err
		}
	}
	for i := range r.FairBurst {
		if _, err := pull(crowd, fmt.Sprintf("topic-%d", i)); err != nil {
			return nil, err
		}
	}
	burst := time.Now()
	if err := s.deliverAll(ctx, r.Connections); err != nil {
		return nil, err
	}
	within := 0
	for i := range r.FairSingles {
		if s.crowded(crowd) < r.FairBurst {
			within++
		}
		took, err := s.single(ctx, other, fmt.Sprintf("busy-%d", i))
		if err != nil {
			return nil, err
		}
		busy = append(busy, took)
	}
	window := s.pushWindow(burst)
	if err := s.landed.await(ctx, func(*landings) bool { return s.crowd(crowd) == r.FairBurst }); err != nil {
		return nil, err
	}
	if within == 0 {
		return nil, errors.New("the burst was over before a single pull request was opened: take a larger one")
	}
	busy = busy[:within]
	bound := 2*median(quiet) + window
	what := fmt.Sprintf("a single pull request during another repository's burst of %d, p50 of %d that met it, against 2× quiet and one commit of the burst", r.FairBurst, within)
	return []Row{
		atMost(what, milliseconds(median(busy)), milliseconds(bound), 1),
		beside("the same against quiet alone", milliseconds(median(busy)), milliseconds(median(quiet))),
		beside("the slowest of them", milliseconds(quantile(busy, 1)), milliseconds(bound)),
		exactly("pull requests of the burst that landed", s.crowded(crowd), r.FairBurst),
		exactly("single pull requests that landed", s.crowded(other), 2*r.FairSingles+1),
	}, nil
}

// single opens a pull request whose webhook is delivered at once, whatever GitHub holds, and
// returns how long it takes to be pushed.
func (s *site) single(ctx context.Context, in *githubtest.Repository, branch string) (time.Duration, error) {
	pr, err := pull(in, branch)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.deliverAll(ctx, 1); err != nil {
		return 0, err
	}
	var at time.Time
	err = s.landed.await(ctx, func(l *landings) (ok bool) {
		at, ok = l.of(in, pr.Number())
		return ok
	})
	return at.Sub(began), err
}

// deliverAll delivers what GitHub holds over so many connections, and returns once all of it
// was taken.
func (s *site) deliverAll(ctx context.Context, connections int) error {
	held := s.GitHub.HeldDeliveries()
	s.GitHub.Release(-1) // it is delivered here
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(connections)
	for _, each := range held {
		request, err := delivery(s.program.Address(), s.secret, each.Event, each.Payload)
		if err != nil {
			return err
		}
		group.Go(func() error { return send(s.client, request.WithContext(ctx)) })
	}
	return group.Wait()
}

// crowded is how many of a repository's pull requests have landed.
func (s *site) crowded(in *githubtest.Repository) int {
	s.landed.mu.Lock()
	defer s.landed.mu.Unlock()
	return s.crowd(in)
}

// crowd is crowded for whoever holds the lock.
func (s *site) crowd(in *githubtest.Repository) int {
	return s.landed.environmentsOf(fmt.Sprintf("%d/", in.ID()))
}

// pushWindow is how long it is on average from one commit of idp's to the next, of those that
// landed since a time.
func (s *site) pushWindow(since time.Time) time.Duration {
	s.landed.mu.Lock()
	defer s.landed.mu.Unlock()
	n, last := 0, since
	for _, at := range s.landed.own {
		if at.After(since) {
			n, last = n+1, at
		}
	}
	return last.Sub(since) / time.Duration(max(n, 1))
}
