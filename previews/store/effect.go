package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// Effect is one thing to say on GitHub in answer to a delivery. (Delivery, Index)
// is its key: it is stored once, and done at least once.
type Effect struct {
	ID int64
	// Delivery and Index are filled in by Apply.
	Delivery string
	Index    int

	Kind           string
	InstallationID int64
	RepositoryID   int64
	Owner, Repo    string
	PR             int
	// CommentID is what a reaction is put on.
	CommentID int64
	// Content is a reaction's name, or a reply's Markdown.
	Content string

	CreatedAt time.Time
	// Attempts counts the failures, Error is the last one.
	Attempts int
	Error    string
}

// PendingEffects returns effects that are due, oldest first, and of each delivery
// only the first that is not done: the next one shows up when that is finished.
func (s *Store) PendingEffects(ctx context.Context, now time.Time, limit int) ([]Effect, error) {
	defer s.metrics.time("pending_effects")()
	rows, err := s.read.QueryContext(ctx, `SELECT id, delivery, idx, kind, installation_id, repository_id, owner, repo, pr,
			comment_id, content, created_at, attempts, error
		FROM effects AS e WHERE done_at = 0 AND not_before <= ? AND NOT EXISTS (
			SELECT 1 FROM effects AS earlier
			WHERE earlier.delivery = e.delivery AND earlier.idx < e.idx AND earlier.done_at = 0)
		ORDER BY id LIMIT ?`, stamp(now), limit)
	if err != nil {
		return nil, fmt.Errorf("list effects: %w", err)
	}
	defer rows.Close()
	var out []Effect
	for rows.Next() {
		var e Effect
		var created int64
		if err := rows.Scan(&e.ID, &e.Delivery, &e.Index, &e.Kind, &e.InstallationID, &e.RepositoryID, &e.Owner, &e.Repo, &e.PR,
			&e.CommentID, &e.Content, &created, &e.Attempts, &e.Error); err != nil {
			return nil, fmt.Errorf("list effects: %w", err)
		}
		e.CreatedAt = instant(created)
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list effects: %w", err)
	}
	return out, nil
}

// NextEffect returns when the next effect of those that PendingEffects may return
// is due, and false when none is left.
func (s *Store) NextEffect(ctx context.Context) (time.Time, bool, error) {
	defer s.metrics.time("next_effect")()
	var next sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT min(not_before) FROM effects AS e WHERE done_at = 0 AND NOT EXISTS (
		SELECT 1 FROM effects AS earlier
		WHERE earlier.delivery = e.delivery AND earlier.idx < e.idx AND earlier.done_at = 0)`).Scan(&next)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read next effect: %w", err)
	}
	return instant(next.Int64), next.Valid, nil
}

// FinishEffect marks an effect done, or given up.
func (s *Store) FinishEffect(ctx context.Context, id int64) error {
	return s.endEffect(ctx, id, `UPDATE effects SET done_at = ? WHERE id = ?`, stamp(s.now()), id)
}

// RetryEffect records a failed attempt and when to try again.
func (s *Store) RetryEffect(ctx context.Context, id int64, at time.Time, cause string) error {
	return s.endEffect(ctx, id, `UPDATE effects SET attempts = attempts + 1, not_before = ?, error = ? WHERE id = ?`,
		stamp(at), cause, id)
}

func (s *Store) endEffect(ctx context.Context, id int64, statement string, args ...any) error {
	err := s.inTx(ctx, "end_effect", func(tx *transaction) error {
		found, err := affected(tx.ExecContext(ctx, statement, args...))
		if err == nil && !found {
			return previews.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("record effect %d: %w", id, err)
	}
	return nil
}

// Answers returns the contents of one kind of a delivery's effects, in their order, done or
// not.
func (s *Store) Answers(ctx context.Context, delivery, kind string) ([]string, error) {
	defer s.metrics.time("answers")()
	rows, err := s.read.QueryContext(ctx, `SELECT content FROM effects WHERE delivery = ? AND kind = ? ORDER BY idx`, delivery, kind)
	if err != nil {
		return nil, fmt.Errorf("read the answers to %s: %w", delivery, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var content string
		if err := rows.Scan(&content); err != nil {
			return nil, fmt.Errorf("read the answers to %s: %w", delivery, err)
		}
		out = append(out, content)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the answers to %s: %w", delivery, err)
	}
	return out, nil
}
