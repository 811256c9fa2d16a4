package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// Uncommitted returns the environments of a lane that the GitOps repository does not
// yet hold as they are wanted, with their diffs: the first of every repository, then
// the second of every one, and so on, so that no repository waits for another's
// backlog. Within a repository the longest wanted comes first.
func (s *Store) Uncommitted(ctx context.Context, lane gitops.Lane, limit int) ([]previews.Environment, error) {
	defer s.metrics.time("uncommitted")()
	column, err := laneColumn(lane)
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT e.id, e.version, e.doc, e.diff FROM (
			SELECT id, wanted_at, row_number() OVER (PARTITION BY repository_id ORDER BY wanted_at, id) AS turn
			FROM environments WHERE needs_commit = 1 AND lane = ?
			ORDER BY turn, wanted_at, id LIMIT ?
		) AS next JOIN environments AS e ON e.id = next.id ORDER BY next.turn, next.wanted_at, e.id`, column, limit)
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

// Lanes returns the lanes, but for the server's own, that environments have something
// to do in: to be committed, or proposed and not merged yet.
func (s *Store) Lanes(ctx context.Context) ([]gitops.Lane, error) {
	defer s.metrics.time("lanes")()
	rows, err := s.read.QueryContext(ctx, `SELECT lane FROM environments WHERE needs_commit = 1 AND lane > ''
		UNION SELECT lane FROM environments WHERE proposed = 1 ORDER BY lane`)
	if err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	defer rows.Close()
	var out []gitops.Lane
	for rows.Next() {
		var column string
		var lane gitops.Lane
		if err := rows.Scan(&column); err != nil {
			return nil, fmt.Errorf("list lanes: %w", err)
		}
		if column != "" {
			if err := json.Unmarshal([]byte(column), &lane); err != nil {
				return nil, fmt.Errorf("decode lane %q: %w", column, err)
			}
		}
		out = append(out, lane)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list lanes: %w", err)
	}
	return out, nil
}

// Proposed returns the environments of a lane that a pull request of the GitOps
// repository has a change of, without their diffs.
func (s *Store) Proposed(ctx context.Context, lane gitops.Lane) ([]previews.Environment, error) {
	column, err := laneColumn(lane)
	if err != nil {
		return nil, err
	}
	return s.environments(ctx, "proposed", `proposed = 1 AND lane = ? ORDER BY id`, column)
}

// PartsOf returns the parts of a declared environment, without their diffs: what its
// services share and each service.
func (s *Store) PartsOf(ctx context.Context, repositoryID int64, id string) ([]previews.Environment, error) {
	service := id + "."
	return s.environments(ctx, "parts_of", `repository_id = ? AND (env_id = ? OR substr(env_id, 1, ?) = ?) ORDER BY id`,
		repositoryID, id, len(service), service)
}

// laneColumn is a lane as the column has it.
func laneColumn(lane gitops.Lane) (string, error) {
	if lane == (gitops.Lane{}) {
		return "", nil
	}
	column, err := json.Marshal(lane)
	if err != nil {
		return "", fmt.Errorf("encode lane %s: %w", lane, err)
	}
	return string(column), nil
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
