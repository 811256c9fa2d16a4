package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/previews"
)

const idleLanes = 15 * time.Second

// lanes are the ways into Git beside the server's own: the GitOps repositories that
// classes name, and pull requests of any. Each that has something to do is worked by
// loops of its own, so that a repository that cannot be reached holds up no other.
type lanes struct {
	main *Main
	// committer is the server's own, which those of other lanes are made after.
	committer previews.Committer

	mu sync.Mutex
	// repos are the repositories, by the lane that leads there.
	repos map[gitops.Lane]*repo.Repo
	// worked are the lanes whose loops run, with what wakes them.
	worked map[gitops.Lane][]previews.Signal
	// proposers are theirs.
	proposers map[gitops.Lane]*previews.Proposer
	running   sync.WaitGroup
}

func newLanes(m *Main, committer previews.Committer) *lanes {
	return &lanes{main: m, committer: committer, repos: map[gitops.Lane]*repo.Repo{{}: m.gitops}, worked: map[gitops.Lane][]previews.Signal{}, proposers: map[gitops.Lane]*previews.Proposer{}}
}

func (l *lanes) loop() previews.Loop {
	return previews.Loop{Name: "lanes", Step: l.step, Wake: l.main.wake.lanes, Idle: idleLanes, Log: l.main.log}
}

// step wakes the loops of every lane that has something to do, and starts those that
// do not run yet; they end with ctx.
func (l *lanes) step(ctx context.Context) (more bool, err error) {
	found, err := l.main.store.Lanes(ctx)
	if err != nil {
		return false, err
	}
	var failed []error
	for _, lane := range found {
		if err := l.work(ctx, lane); err != nil {
			failed = append(failed, fmt.Errorf("work for %s: %w", lane, err))
		}
	}
	return false, errors.Join(failed...)
}

func (l *lanes) work(ctx context.Context, lane gitops.Lane) error {
	l.mu.Lock()
	signals, runs := l.worked[lane]
	l.mu.Unlock()
	if !runs {
		loops, err := l.loops(ctx, lane)
		if err != nil {
			return err
		}
		for _, loop := range loops {
			signals = append(signals, loop.Wake)
		}
		to, err := l.repo(ctx, lane)
		if err != nil {
			return err
		}
		l.running.Go(func() { l.main.writing(ctx, laneLease(lane), to, loops...) })
		l.mu.Lock()
		l.worked[lane] = signals
		l.mu.Unlock()
	}
	for _, signal := range signals {
		signal.Wake()
	}
	return nil
}

// laneLease names the lease of who works a lane.
func laneLease(lane gitops.Lane) string {
	if lane.Proposed {
		return "proposals to " + lane.String()
	}
	return "commits to " + lane.String()
}

// loops are those that work a lane. A proposer follows the proposals of a lane that
// none are made in any more, too.
func (l *lanes) loops(ctx context.Context, lane gitops.Lane) ([]previews.Loop, error) {
	to, err := l.repo(ctx, lane)
	if err != nil {
		return nil, err
	}
	committer := l.committer
	committer.Git, committer.Lane = to, lane
	proposer := &previews.Proposer{Committer: committer, Store: l.main.store, Git: to, Pulls: l.pulls(lane)}
	l.mu.Lock()
	l.proposers[lane] = proposer
	l.mu.Unlock()
	loops := []previews.Loop{proposer.Loop(previews.NewSignal())}
	if !lane.Proposed && lane != (gitops.Lane{}) {
		loops = append(loops, committer.Loop(previews.NewSignal()))
	}
	for i := range loops {
		loops[i].Failed = l.main.failed(loops[i].Name)
	}
	return loops, nil
}

// all returns the proposers at work.
func (l *lanes) all() []*previews.Proposer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.proposers))
}

// repo returns the repository that a lane leads to, opened at its first use.
func (l *lanes) repo(ctx context.Context, lane gitops.Lane) (*repo.Repo, error) {
	target := lane.Target()
	l.mu.Lock()
	defer l.mu.Unlock()
	if opened, ok := l.repos[target]; ok {
		return opened, nil
	}
	m := l.main
	at := l.address(lane)
	sum := sha256.Sum256([]byte(at.URL + " " + at.Branch))
	opened, err := repo.Open(ctx, repo.Options{
		URL: at.URL, Branch: at.Branch, Dir: gitDir(m.cfg) + "-" + hex.EncodeToString(sum[:])[:10],
		Credentials: gitCredentialsFor(m.cfg, m.writers, at.URL), PushesPerMinute: m.cfg.GitOpsPushesPerMinute, ReadOnly: m.cfg.observes(),
		Now: m.now, Log: m.log, Registerer: m.registry,
	})
	if err != nil {
		return nil, err
	}
	l.repos[target] = opened
	return opened, nil
}

// address fills in what the lane takes from the server's configuration.
func (l *lanes) address(lane gitops.Lane) gitops.Lane {
	if lane.URL == "" {
		lane.URL = l.main.cfg.GitOpsURL
	}
	if lane.Branch == "" {
		lane.Branch = l.main.cfg.GitOpsBranch
	}
	return lane
}

func (l *lanes) pulls(lane gitops.Lane) *bot.Proposals {
	at, m := l.address(lane), l.main
	app := m.writers.of(at.URL)
	return &bot.Proposals{
		Repository: func(ctx context.Context) (bot.RepositoryRef, int64, error) {
			return app.GitRepository(ctx, at.URL)
		},
		GitHub: func(installation int64) bot.Changes { return app.Installation(installation) },
		Base:   at.Branch, Page: htmlURL(m.cfg.GitHubAPIURL),
	}
}

// contains says whether a commit of the repository that an environment is in is the
// other, or comes after it.
func (l *lanes) contains(ctx context.Context, env previews.Environment, descendant, ancestor string) (bool, error) {
	in, err := l.repo(ctx, env.Lane)
	if err != nil {
		return false, err
	}
	return in.Contains(ctx, descendant, ancestor)
}

// close waits for the loops, which have ended or are about to, and lets go of the
// repositories but for the server's own.
func (l *lanes) close() error {
	l.running.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	var failed []error
	for lane, opened := range l.repos {
		if lane != (gitops.Lane{}) {
			failed = append(failed, opened.Close())
			delete(l.repos, lane)
		}
	}
	return errors.Join(failed...)
}
