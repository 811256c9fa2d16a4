package store

import (
	"context"
	"fmt"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	// keepPayloads covers GitHub's own window for redelivery, three days.
	keepPayloads = 3 * 24 * time.Hour
	// keepDeliveries is how long a GUID is remembered, so that it cannot be replayed.
	keepDeliveries = 30 * 24 * time.Hour
	// keepImages is how long it is known what a workflow reported; after that an image is
	// looked for by its tag.
	keepImages = 180 * 24 * time.Hour
	pruneBatch = 500
)

// Pruned counts what Prune forgot.
type Pruned struct{ Payloads, Deliveries, Effects, Removals, Images int }

func (s *Store) pruning() Periodic {
	return Periodic{
		Name:     "prune",
		Schedule: cron.Every(time.Hour),
		Run: func(ctx context.Context) error {
			_, err := s.Prune(ctx)
			return err
		},
		RunOnStart: true,
	}
}

// Prune forgets the payloads of deliveries that were done three days ago, and the
// deliveries, effects and counted removals that ended thirty days ago, and what was reported
// of images half a year ago, in batches that let other writers in between.
func (s *Store) Prune(ctx context.Context) (Pruned, error) {
	now := s.now()
	old, forgotten := stamp(now.Add(-keepPayloads)), stamp(now.Add(-keepDeliveries))
	var p Pruned
	for _, step := range []struct {
		count     *int
		statement string
		before    int64
	}{
		{&p.Payloads, `UPDATE deliveries SET payload = NULL WHERE seq IN (
			SELECT seq FROM deliveries WHERE state = 'done' AND payload IS NOT NULL AND ended_at < ? LIMIT ?)`, old},
		{&p.Deliveries, `DELETE FROM deliveries WHERE seq IN (
			SELECT seq FROM deliveries WHERE state <> 'pending' AND ended_at < ? LIMIT ?)`, forgotten},
		{&p.Effects, `DELETE FROM effects WHERE id IN (
			SELECT id FROM effects WHERE done_at > 0 AND done_at < ? LIMIT ?)`, forgotten},
		{&p.Removals, `DELETE FROM inferred_removals WHERE id IN (
			SELECT id FROM inferred_removals WHERE at < ? LIMIT ?)`, forgotten},
		{&p.Images, `DELETE FROM image_reports WHERE (repository_id, sha, service) IN (
			SELECT repository_id, sha, service FROM image_reports WHERE at < ? LIMIT ?)`, stamp(now.Add(-keepImages))},
	} {
		n, err := s.pruneStep(ctx, step.statement, step.before)
		if *step.count = n; err != nil {
			return p, fmt.Errorf("prune: %w", err)
		}
	}
	return p, nil
}

func (s *Store) pruneStep(ctx context.Context, statement string, before int64) (total int, err error) {
	for {
		var n int64
		err := s.inTx(ctx, "prune", func(tx *transaction) error {
			result, err := tx.ExecContext(ctx, statement, before, pruneBatch)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		total += int(n)
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
}
