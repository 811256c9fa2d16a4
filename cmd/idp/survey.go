package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/holdings"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// surveyor reads the GitOps repositories of a server's configuration for a command beside
// that server, in clones of its own, and writes nothing to them.
type surveyor struct {
	*Main
	dir string
}

// newSurveyor opens the peers. close lets go of them.
func newSurveyor(ctx context.Context, cfg *Config, log *slog.Logger, now func() time.Time) (s *surveyor, err error) {
	dir, err := os.MkdirTemp("", "idp-survey-")
	if err != nil {
		return nil, err
	}
	own := *cfg
	own.StateDir = dir
	s = &surveyor{Main: NewMain(&own, log, now), dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.declared = &declarations{base: own.Class(), api: own.GitHubAPIURL, argocds: own.argoCDsBeside(), now: now}
	s.policies = &policies{log: log}
	if err := s.openPeers(ctx); err != nil {
		return nil, err
	}
	s.declared.repo, s.policies.repo = s.platform, s.platform
	s.sources = func(id int64) forest { return s.github.Installation(id) }
	s.lanes = newLanes(s.Main, previews.Committer{})
	return s, nil
}

func (s *surveyor) close() error { return errors.Join(s.Close(), os.RemoveAll(s.dir)) }

// surveyed is what one GitOps repository holds.
type surveyed struct {
	target   gitops.Lane
	tip      string
	holdings []holdings.Holding
}

// survey reads the server's own GitOps repository, and those of declared environments.
func (m *Main) survey(ctx context.Context, declared platform.Platform) ([]surveyed, error) {
	var out []surveyed
	for _, target := range targets(declared, m.declared.base) {
		in, err := m.lanes.repo(ctx, target)
		if err != nil {
			return nil, err
		}
		tip, err := in.Tip(ctx)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", target, err)
		}
		held, err := holdings.Read(ctx, in, tip)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", target, err)
		}
		out = append(out, surveyed{target: target, tip: tip, holdings: held})
	}
	return out, nil
}

// targets are the repositories and branches that environments are in, the server's own first.
func targets(declared platform.Platform, own platform.Class) []gitops.Lane {
	out := []gitops.Lane{{}}
	seen := map[gitops.Lane]bool{{}: true}
	for _, env := range declared.Environments {
		if target := bot.LaneOf(declared, own, env).Target(); !seen[target] {
			seen[target] = true
			out = append(out, target)
		}
	}
	return out
}

// platformNow reads what the platform team declares, which has to be readable.
func (m *Main) platformNow(ctx context.Context) (platform.Platform, error) {
	declared, err := m.declared.current(ctx)
	if err != nil {
		return declared, fault.Wrap(err, fault.Failure, "the platform's declarations cannot be read: "+err.Error(), "mend them first: they say where environments are")
	}
	return declared, nil
}
