package store

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrObserved says that what a database holds was decided and never done, so that
	// nobody may do it now.
	ErrObserved = errors.New("the database is that of a server that only observed")
	// ErrNotObserved says that a server that acts has been at work on a database.
	ErrNotObserved = errors.New("the database is that of a server that acts")
)

// Observe opens the database for a server that only observes, or for one that acts: one
// database is only ever for the same of the two. It fails with ErrObserved or
// ErrNotObserved where the other was there first.
func (s *Store) Observe(ctx context.Context, only bool) error {
	err := s.alone(ctx, "observe", func(tx *transaction) error {
		var observed, used bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM observed), EXISTS (SELECT 1 FROM deliveries)`).Scan(&observed, &used)
		switch {
		case err != nil || observed == only:
			return err
		case observed:
			return ErrObserved
		case used:
			return ErrNotObserved
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO observed (id) VALUES (1)`)
		return err
	})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	return nil
}
