package store

import (
	"context"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// insertFinished keeps the releases that ended with a change of an environment, in
// the transaction of the change.
func insertFinished(ctx context.Context, tx *transaction, e *previews.Environment) error {
	for _, f := range e.Finished {
		_, err := tx.ExecContext(ctx, `INSERT INTO releases (ref, repository_id, repository, environment, service, sha, pr, kind,
			outcome, reason, committed_at, asked_at, applied_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			f.Ref, e.Ref.RepositoryID, f.Repository, f.Environment, f.Service, f.SHA, f.PR, string(f.Kind),
			string(f.Outcome), f.Reason, stamp(f.CommittedAt), stamp(f.AskedAt), stamp(f.AppliedAt), stamp(f.EndedAt))
		if err != nil {
			return fmt.Errorf("keep the release of %s: %w", f.Ref, err)
		}
	}
	e.Finished = nil
	return nil
}

const releaseColumns = `id, ref, repository, environment, service, sha, pr, kind, outcome, reason, committed_at, asked_at, applied_at, ended_at`

// Finished returns the releases that ended at or after a time, the oldest first.
func (s *Store) Finished(ctx context.Context, since time.Time) ([]previews.Finished, error) {
	defer s.metrics.time("finished")()
	out, _, err := s.releases(ctx, `ended_at >= ? ORDER BY ended_at, id`, stamp(since))
	return out, err
}

// releasesAfter returns the releases that were kept after a row, and the last row.
func (s *Store) releasesAfter(ctx context.Context, id int64) (out []previews.Finished, last int64, err error) {
	out, last, err = s.releases(ctx, `id > ? ORDER BY id`, id)
	return out, max(last, id), err
}

func (s *Store) releases(ctx context.Context, where string, args ...any) (out []previews.Finished, last int64, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT `+releaseColumns+` FROM releases WHERE `+where, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("list releases: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var f previews.Finished
		var committed, asked, applied, ended int64
		err := rows.Scan(&last, &f.Ref, &f.Repository, &f.Environment, &f.Service, &f.SHA, &f.PR, &f.Kind, &f.Outcome, &f.Reason,
			&committed, &asked, &applied, &ended)
		if err != nil {
			return nil, 0, fmt.Errorf("list releases: %w", err)
		}
		f.CommittedAt, f.AskedAt, f.AppliedAt, f.EndedAt = instant(committed), instant(asked), instant(applied), instant(ended)
		out = append(out, f)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("list releases: %w", err)
	}
	return out, last, nil
}
