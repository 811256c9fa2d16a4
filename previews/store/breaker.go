package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// trippedError undoes the transaction whose removal latches the breaker.
type trippedError struct{ reason string }

func (e *trippedError) Error() string { return previews.ErrBreaker.Error() + ": " + e.reason }
func (e *trippedError) Unwrap() error { return previews.ErrBreaker }

// passBreaker lets everything pass but inferred removals beyond the limit. Those
// that pass are counted, in the same transaction.
func (s *Store) passBreaker(ctx context.Context, tx *transaction, before, after previews.Environment) error {
	if !previews.Inferred(before, after) {
		return nil
	}
	now := s.now().UTC()
	state, err := readBreaker(tx.QueryRowContext, ctx)
	if err != nil {
		return err
	}
	if state.Latched {
		return fmt.Errorf("%w: %s", previews.ErrBreaker, state.Reason)
	}
	recent, err := inferredRemovals(tx.QueryRowContext, ctx, state.Since(now))
	if err != nil {
		return err
	}
	var present int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM environments WHERE present = 1`).Scan(&present); err != nil {
		return fmt.Errorf("count environments: %w", err)
	}
	if refusal := state.Allow(recent, present); refusal != "" {
		return &trippedError{reason: refusal}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO inferred_removals (at, environment_id) VALUES (?, ?)`, stamp(now), before.RowID)
	return err
}

// InferredRemovals counts the removals that were inferred after a time.
func (s *Store) InferredRemovals(ctx context.Context, since time.Time) (int, error) {
	defer s.metrics.time("inferred_removals")()
	return inferredRemovals(s.read.QueryRowContext, ctx, since)
}

func inferredRemovals(query queryRow, ctx context.Context, since time.Time) (int, error) {
	var n int
	if err := query(ctx, `SELECT count(*) FROM inferred_removals WHERE at > ?`, stamp(since)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count inferred removals: %w", err)
	}
	return n, nil
}

// Breaker returns the breaker as it stands.
func (s *Store) Breaker(ctx context.Context) (previews.Breaker, error) {
	defer s.metrics.time("breaker")()
	return readBreaker(s.read.QueryRowContext, ctx)
}

func readBreaker(query queryRow, ctx context.Context) (previews.Breaker, error) {
	var b previews.Breaker
	var doc []byte
	switch err := query(ctx, `SELECT doc FROM breaker WHERE id = 1`).Scan(&doc); {
	case errors.Is(err, sql.ErrNoRows):
		return b, nil
	case err != nil:
		return b, fmt.Errorf("read breaker: %w", err)
	}
	if err := json.Unmarshal(doc, &b); err != nil {
		return b, fmt.Errorf("decode breaker: %w", err)
	}
	return b, nil
}

// LatchBreaker holds inferred removals back until ConfirmBreaker.
func (s *Store) LatchBreaker(ctx context.Context, reason string) error {
	err := s.changeBreaker(ctx, func(b previews.Breaker) previews.Breaker {
		if !b.Latched {
			s.log.Warn("inferred removals are held back; look at the sweep, then run idp reap --confirm", "reason", reason)
		}
		return b.Latch(reason, s.now().UTC())
	})
	if err != nil {
		return fmt.Errorf("latch breaker: %w", err)
	}
	return nil
}

// ConfirmBreaker lets inferred removals go on; by says who takes it on them.
func (s *Store) ConfirmBreaker(ctx context.Context, by string) error {
	entry := previews.Audit{Actor: by, Action: "confirm removals", Allowed: true, Reason: "by the operator of the server"}
	err := s.changeBreaker(ctx, func(b previews.Breaker) previews.Breaker { return b.Confirm(by, s.now().UTC()) }, entry)
	if err != nil {
		return fmt.Errorf("confirm breaker: %w", err)
	}
	return nil
}

func (s *Store) changeBreaker(ctx context.Context, fn func(previews.Breaker) previews.Breaker, audit ...previews.Audit) error {
	return s.alone(ctx, "breaker", func(tx *transaction) error {
		b, err := readBreaker(tx.QueryRowContext, ctx)
		if err != nil {
			return err
		}
		doc, err := json.Marshal(fn(b))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO breaker (id, doc) VALUES (1, ?)
			ON CONFLICT (id) DO UPDATE SET doc = excluded.doc`, string(doc))
		if err != nil {
			return err
		}
		return insertAudit(ctx, tx, "", s.now(), audit)
	})
}
