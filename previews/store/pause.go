package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// Paused returns whether an operator has paused idp, and why.
func (s *Store) Paused(ctx context.Context) (previews.Pause, error) {
	defer s.metrics.time("paused")()
	return readPause(s.read.QueryRowContext, ctx)
}

func readPause(query queryRow, ctx context.Context) (previews.Pause, error) {
	var p previews.Pause
	var doc []byte
	switch err := query(ctx, `SELECT doc FROM pause WHERE id = 1`).Scan(&doc); {
	case errors.Is(err, sql.ErrNoRows):
		return p, nil
	case err != nil:
		return p, fmt.Errorf("read pause: %w", err)
	}
	if err := json.Unmarshal(doc, &p); err != nil {
		return p, fmt.Errorf("decode pause: %w", err)
	}
	return p, nil
}

// Pause has idp change nothing until Resume, and returns the pause that is then in
// force: the one that was there, where there was one.
func (s *Store) Pause(ctx context.Context, by, reason string) (previews.Pause, error) {
	return s.changePause(ctx, "pause", by, func(before previews.Pause) previews.Pause {
		if before.Paused {
			return before
		}
		return previews.Pause{Paused: true, Reason: reason, By: by, At: s.now().UTC()}
	})
}

// Resume lets idp go on, and returns the pause that was in force.
func (s *Store) Resume(ctx context.Context, by string) (was previews.Pause, err error) {
	_, err = s.changePause(ctx, "resume", by, func(before previews.Pause) previews.Pause {
		was = before
		return previews.Pause{By: by, At: s.now().UTC()}
	})
	return was, err
}

// changePause records a change with its audit entry, and wakes every replica's loops.
func (s *Store) changePause(ctx context.Context, action, by string, fn func(previews.Pause) previews.Pause) (after previews.Pause, err error) {
	err = s.change(ctx, action, func(tx *transaction) error {
		before, err := readPause(tx.QueryRowContext, ctx)
		if err != nil {
			return err
		}
		if after = fn(before); after.Paused == before.Paused {
			return nil
		}
		doc, err := json.Marshal(after)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO pause (id, doc) VALUES (1, ?)
			ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, string(doc)); err != nil {
			return err
		}
		return insertAudit(ctx, tx, "", s.now(), []previews.Audit{{Actor: by, Action: action, Allowed: true, Reason: reasonOf(after)}})
	})
	if err != nil {
		return after, fmt.Errorf("%s: %w", action, err)
	}
	return after, nil
}

func reasonOf(p previews.Pause) string {
	if p.Reason == "" {
		return "by the operator of the server"
	}
	return "by the operator of the server: " + p.Reason
}
