package store

import (
	"context"
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// Rerender has an environment rendered and committed once more as it is, on the word of by,
// with its entry in the audit log in the same transaction. It returns false where the
// generation is not the newest any more, or something holds the environment since
// (previews.Environment.StaysRendered).
func (s *Store) Rerender(ctx context.Context, rowID, generation int64, by string) (asked bool, err error) {
	err = s.change(ctx, "rerender", func(tx *transaction) error {
		asked = false
		after, err := s.updateRow(ctx, tx, rowID, func(e *previews.Environment) error {
			if asked = e.Rerender(generation, s.now().UTC()); !asked {
				return previews.ErrUnchanged
			}
			return nil
		})
		if err != nil || !asked {
			return err
		}
		return insertAudit(ctx, tx, "", s.now(), []previews.Audit{{
			Actor: by, Action: "render anew", Environment: after.Ref.String(), SHA: after.SHA, Allowed: true, Reason: "by the operator of the server",
		}})
	})
	if err != nil {
		return false, fmt.Errorf("have environment %d rendered anew: %w", rowID, err)
	}
	return asked, nil
}
