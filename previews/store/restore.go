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
// missing: rows, and of a row that knows of nothing in Git what stands there. ErrNameTaken says that another environment has a name or a folder of one.
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
			e, err := s.restore(ctx, tx, row)
			if errors.Is(err, previews.ErrUnchanged) {
				continue // it is known, and knows better
			}
			if err != nil {
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

// restore writes one row. One that is there, and of which nothing was ever written to Git, is
// told what stands there; any other is previews.ErrUnchanged.
func (s *Store) restore(ctx context.Context, tx *transaction, row Restored) (previews.Environment, error) {
	e := row.Environment
	before, err := oneEnvironment(tx.QueryRowContext, ctx, `repository_id = ? AND env_id = ?`, e.Ref.RepositoryID, e.Ref.Key())
	if err == nil {
		after := before
		if !after.Adopt(e) {
			return e, previews.ErrUnchanged
		}
		return after, s.replace(ctx, tx, before, &after)
	}
	if !errors.Is(err, previews.ErrNotFound) {
		return e, err
	}
	if err := s.create(ctx, tx, &e); err != nil {
		return e, err
	}
	doc, err := json.Marshal(row.Report)
	if err != nil {
		return e, fmt.Errorf("encode report: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO reports (environment_id, doc) VALUES (?, ?)`, e.RowID, string(doc))
	return e, err
}

// AnyCommitted says whether any environment is known to have files in a GitOps repository.
func (s *Store) AnyCommitted(ctx context.Context) (any bool, err error) {
	defer s.metrics.time("any_committed")()
	if err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM environments WHERE committed = 1)`).Scan(&any); err != nil {
		return false, fmt.Errorf("look for an environment in Git: %w", err)
	}
	return any, nil
}
