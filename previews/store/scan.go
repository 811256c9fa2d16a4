package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// Uncommitted returns the environments that the GitOps repository does not yet
// hold as they are wanted, with their diffs: the first of every repository, then
// the second of every one, and so on, so that no repository waits for another's
// backlog. Within a repository the longest wanted comes first.
func (s *Store) Uncommitted(ctx context.Context, limit int) ([]previews.Environment, error) {
	defer s.metrics.time("uncommitted")()
	rows, err := s.read.QueryContext(ctx, `SELECT e.id, e.version, e.doc, e.diff FROM (
			SELECT id, wanted_at, row_number() OVER (PARTITION BY repository_id ORDER BY wanted_at, id) AS turn
			FROM environments WHERE needs_commit = 1
			ORDER BY turn, wanted_at, id LIMIT ?
		) AS next JOIN environments AS e ON e.id = next.id ORDER BY next.turn, next.wanted_at, e.id`, limit)
	if err != nil {
		return nil, fmt.Errorf("list uncommitted environments: %w", err)
	}
	defer rows.Close()
	var out []previews.Environment
	for rows.Next() {
		var diff string
		e, err := decodeEnvironment(rows, &diff)
		if err != nil {
			return nil, fmt.Errorf("list uncommitted environments: %w", err)
		}
		e.Diff = diff
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list uncommitted environments: %w", err)
	}
	return out, nil
}

// CommittedIn returns the environments of a repository that have files in Git,
// without their diffs.
func (s *Store) CommittedIn(ctx context.Context, repositoryID int64) ([]previews.Environment, error) {
	return s.environments(ctx, "committed_in", `committed = 1 AND repository_id = ? ORDER BY id`, repositoryID)
}

// AwaitingImages returns the environments whose images are due to be looked up,
// the longest due first, without their diffs.
func (s *Store) AwaitingImages(ctx context.Context, now time.Time, limit int) ([]previews.Environment, error) {
	return s.environments(ctx, "awaiting_images",
		`image_check_at > 0 AND image_check_at <= ? ORDER BY image_check_at, id LIMIT ?`, stamp(now), limit)
}

// NextImageCheck returns when the next image is due to be looked up, and false
// when none is awaited.
func (s *Store) NextImageCheck(ctx context.Context) (time.Time, bool, error) {
	defer s.metrics.time("next_image_check")()
	var next sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT min(image_check_at) FROM environments WHERE image_check_at > 0`).Scan(&next)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read next image check: %w", err)
	}
	return instant(next.Int64), next.Valid, nil
}

// Expiring returns present, unpinned environments that expire at or before a
// time, by expiry, without their diffs: up to limit of those that come after the
// environment that the last page ended with (its zero value for the first page).
func (s *Store) Expiring(ctx context.Context, before time.Time, after previews.Environment, limit int) ([]previews.Environment, error) {
	return s.environments(ctx, "expiring",
		`expires_at > 0 AND expires_at <= ? AND (expires_at, id) > (?, ?) ORDER BY expires_at, id LIMIT ?`,
		stamp(before), stamp(after.ExpiresAt), after.RowID, limit)
}

// Syncing returns the environments that Argo CD is at, those that it takes down
// included, and those that it found degraded and may yet find healthy, without
// their diffs.
func (s *Store) Syncing(ctx context.Context) ([]previews.Environment, error) {
	return s.environments(ctx, "syncing", `state IN (?, ?, ?) ORDER BY id`,
		string(previews.StateSyncing), string(previews.StateDegraded), string(previews.StateRemoving))
}

// Named returns the environment whose namespace and Application have a name,
// without its diff, or previews.ErrNotFound.
func (s *Store) Named(ctx context.Context, name string) (previews.Environment, error) {
	found, err := s.environments(ctx, "named", `name = ?`, name)
	if err == nil && len(found) == 0 {
		err = previews.ErrNotFound
	}
	if err != nil {
		return previews.Environment{}, err
	}
	return found[0], nil
}
