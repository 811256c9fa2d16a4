package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// Restored is a row that a database lost, with what is known of its reports: which check,
// comment and deployment to look for.
type Restored struct {
	Environment previews.Environment
	Report      Report
	// Reason is for the audit log: where the row comes from.
	Reason string
}

// Restore writes rows of environments anew, all of them or none, with an entry of the
// audit log by actor for each, and returns those that it wrote. It is ErrNotEmpty where the
// database has environments, unless merge says to leave those as they are and to add what is
// missing. ErrNameTaken says that another environment has a name or a folder of one.
func (s *Store) Restore(ctx context.Context, rows []Restored, actor string, merge bool) (added []previews.Environment, err error) {
	err = s.change(ctx, "restore", func(tx *transaction) error {
		added = nil
		var have int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM environments`).Scan(&have); err != nil {
			return err
		}
		if have > 0 && !merge {
			return fmt.Errorf("%w: it has %d environments", ErrNotEmpty, have)
		}
		var entries []previews.Audit
		for _, row := range rows {
			e := row.Environment
			_, err := oneEnvironment(tx.QueryRowContext, ctx, `repository_id = ? AND env_id = ?`, e.Ref.RepositoryID, e.Ref.Key())
			if err == nil {
				continue // it is known, and knows better
			}
			if !errors.Is(err, previews.ErrNotFound) {
				return err
			}
			if err := s.restore(ctx, tx, &e, row.Report); err != nil {
				return fmt.Errorf("%s: %w", e.Ref, err)
			}
			added = append(added, e)
			entries = append(entries, previews.Audit{Actor: actor, Action: "rebuild", Environment: e.Ref.String(), SHA: e.SHA, Allowed: true, Reason: row.Reason})
		}
		return insertAudit(ctx, tx, "", s.now(), entries)
	})
	if err != nil {
		return nil, fmt.Errorf("restore environments: %w", err)
	}
	return added, nil
}

func (s *Store) restore(ctx context.Context, tx *transaction, e *previews.Environment, r Report) error {
	if err := s.create(ctx, tx, e); err != nil {
		return err
	}
	doc, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO reports (environment_id, doc) VALUES (?, ?)`, e.RowID, string(doc))
	return err
}
