package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// insertFinished keeps the releases that ended with a change of an environment, in
// the transaction of the change.
func insertFinished(ctx context.Context, tx *sql.Tx, e *previews.Environment) error {
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

// Finished returns the releases that ended at or after a time, the oldest first.
func (s *Store) Finished(ctx context.Context, since time.Time) ([]previews.Finished, error) {
	defer s.metrics.time("finished")()
	rows, err := s.read.QueryContext(ctx, `SELECT ref, repository, environment, service, sha, pr, kind, outcome, reason,
		committed_at, asked_at, applied_at, ended_at FROM releases WHERE ended_at >= ? ORDER BY ended_at, id`, stamp(since))
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	defer rows.Close()
	var out []previews.Finished
	for rows.Next() {
		var f previews.Finished
		var committed, asked, applied, ended int64
		err := rows.Scan(&f.Ref, &f.Repository, &f.Environment, &f.Service, &f.SHA, &f.PR, &f.Kind, &f.Outcome, &f.Reason,
			&committed, &asked, &applied, &ended)
		if err != nil {
			return nil, fmt.Errorf("list releases: %w", err)
		}
		f.CommittedAt, f.AskedAt, f.AppliedAt, f.EndedAt = instant(committed), instant(asked), instant(applied), instant(ended)
		out = append(out, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	return out, nil
}
