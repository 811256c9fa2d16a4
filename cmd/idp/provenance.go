package main

import (
	"context"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// prove makes whoever decides and whoever waits for images hold them to what classes ask
// of their provenance.
func (m *Main) prove(watcher *previews.ImageWatcher) {
	prover := bot.Prover{
		GitHub: func(id int64) bot.Attestations { return m.github.Installation(id) },
		Web:    htmlURL(m.cfg.GitHubAPIURL), Log: m.log,
	}
	m.handler.Images, m.handler.Prove = watcher.Images, prover.Prove
	watcher.Prove = func(ctx context.Context, row previews.Environment, images []previews.Image) ([]previews.Unproven, error) {
		class, err := m.declared.asking(ctx, row)
		if err != nil || class.Provenance == nil || row.Shared() {
			return nil, err
		}
		return prover.Prove(ctx, *class.Provenance, row, images)
	}
}

// asking is class as the platform folder has it now; where that cannot be read, what was
// read last is in force.
func (d *declarations) asking(ctx context.Context, env previews.Environment) (platform.Class, error) {
	if _, err := d.current(ctx); err != nil && ctx.Err() != nil {
		return platform.Class{}, ctx.Err()
	}
	return d.class(env)
}
