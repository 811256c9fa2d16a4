package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// ReportImage keeps what a workflow said that it built, in place of what was said before
// of the same commit and service, together with its audit entry.
func (s *Store) ReportImage(ctx context.Context, r previews.ImageReport, entry previews.Audit) error {
	now := s.now()
	err := s.change(ctx, "report_image", func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO image_reports (repository_id, sha, service, digest, run, at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (repository_id, sha, service) DO UPDATE SET digest = excluded.digest, run = excluded.run, at = excluded.at`,
			r.RepositoryID, r.SHA, r.Service, r.Digest, r.Run, stamp(now))
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, entry.Delivery, now, []previews.Audit{entry})
	})
	if err != nil {
		return fmt.Errorf("keep the report of an image: %w", err)
	}
	return nil
}

// ReportedImage returns the digest that was reported last for a commit and a service, ""
// where none was.
func (s *Store) ReportedImage(ctx context.Context, repositoryID int64, sha, service string) (digest string, err error) {
	defer s.metrics.time("reported_image")()
	err = s.read.QueryRowContext(ctx, `SELECT digest FROM image_reports WHERE repository_id = ? AND sha = ? AND service = ?`, repositoryID, sha, service).Scan(&digest)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read the report of an image: %w", err)
	}
	return digest, nil
}
