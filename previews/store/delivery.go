package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// DeliveryState is how far a delivery has come.
type DeliveryState string

// The states of a delivery. Dead ones failed too often; Replay revives them.
const (
	DeliveryPending DeliveryState = "pending"
	DeliveryDone    DeliveryState = "done"
	DeliveryDead    DeliveryState = "dead"
)

// Delivery is a webhook (or an event made by the sweep) as it was accepted.
type Delivery struct {
	// GUID is GitHub's X-GitHub-Delivery, which a redelivery keeps.
	GUID string
	// Event and Action are GitHub's, such as "pull_request" and "opened".
	Event, Action  string
	InstallationID int64
	RepositoryID   int64
	// PR is the pull request's number, 0 where there is none.
	PR int
	// Payload is the body; nil three days after the delivery was done.
	Payload    []byte
	ReceivedAt time.Time

	State DeliveryState
	// Attempts counts the failed attempts, Error is what the last one failed with.
	Attempts int
	Error    string
	// Result says what came of a delivery that is done.
	Result string
	// Seq orders deliveries as they were accepted.
	Seq int64
}

const deliveryColumns = `seq, guid, event, action, installation_id, repository_id, pr, payload, received_at, state, attempts, error, result`

func scanDelivery(row interface{ Scan(...any) error }) (Delivery, error) {
	var d Delivery
	var received int64
	err := row.Scan(&d.Seq, &d.GUID, &d.Event, &d.Action, &d.InstallationID, &d.RepositoryID, &d.PR,
		&d.Payload, &received, &d.State, &d.Attempts, &d.Error, &d.Result)
	d.ReceivedAt = instant(received)
	return d, err
}

// Delivery returns the delivery with a GUID, or previews.ErrNotFound.
func (s *Store) Delivery(ctx context.Context, guid string) (Delivery, error) {
	defer s.metrics.time("delivery")()
	d, err := scanDelivery(s.read.QueryRowContext(ctx, `SELECT `+deliveryColumns+` FROM deliveries WHERE guid = ?`, guid))
	if errors.Is(err, sql.ErrNoRows) {
		return Delivery{}, fmt.Errorf("delivery %s: %w", guid, previews.ErrNotFound)
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("read delivery %s: %w", guid, err)
	}
	return d, nil
}

// ended says whether a delivery is done.
func (s *Store) ended(ctx context.Context, guid string) (done bool, err error) {
	var state DeliveryState
	if err := s.read.QueryRowContext(ctx, `SELECT state FROM deliveries WHERE guid = ?`, guid).Scan(&state); err != nil {
		return false, fmt.Errorf("read delivery %s: %w", guid, err)
	}
	return state == DeliveryDone, nil
}

// PendingDeliveries returns what is still to be done about a pull request, oldest
// first. With pr 0 it returns the deliveries that name no pull request.
func (s *Store) PendingDeliveries(ctx context.Context, repositoryID int64, pr int) ([]Delivery, error) {
	return s.deliveries(ctx, "pending_deliveries",
		`state = 'pending' AND repository_id = ? AND pr = ? ORDER BY seq`, repositoryID, pr)
}

// Deliveries returns deliveries in a state, or with "" in any, newest first.
func (s *Store) Deliveries(ctx context.Context, state DeliveryState, limit int) ([]Delivery, error) {
	if state == "" {
		return s.deliveries(ctx, "list_deliveries", `TRUE ORDER BY seq DESC LIMIT ?`, limit)
	}
	return s.deliveries(ctx, "list_deliveries", `state = ? ORDER BY seq DESC LIMIT ?`, string(state), limit)
}

func (s *Store) deliveries(ctx context.Context, op, where string, args ...any) ([]Delivery, error) {
	defer s.metrics.time(op)()
	rows, err := s.read.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM deliveries WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return out, nil
}

// Replay gives a dead delivery another round of attempts; by says who wants it. One that
// is not dead, or whose payload is no longer kept, is previews.ErrNotFound.
func (s *Store) Replay(ctx context.Context, guid, by string) error {
	entry := previews.Audit{Actor: by, Action: "replay delivery", Allowed: true, Reason: "by the operator of the server"}
	err := s.alone(ctx, "replay", func(tx *transaction) error {
		revived, err := revive(ctx, tx, guid)
		if err != nil {
			return err
		}
		if !revived {
			return previews.ErrNotFound
		}
		if err := insertAudit(ctx, tx, guid, s.now(), []previews.Audit{entry}); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, []string{guid}, nil)
	})
	if err != nil {
		return fmt.Errorf("replay delivery %s: %w", guid, err)
	}
	s.bell.ring()
	return nil
}

func revive(ctx context.Context, tx *transaction, guid string) (bool, error) {
	return affected(tx.ExecContext(ctx, `UPDATE deliveries SET state = 'pending', attempts = 0, error = '', ended_at = 0
		WHERE guid = ? AND state = 'dead' AND payload IS NOT NULL`, guid))
}

// endDelivery marks a delivery done; false when it was done before.
func endDelivery(ctx context.Context, tx *transaction, guid, result string, now time.Time) (bool, error) {
	return affected(tx.ExecContext(ctx, `UPDATE deliveries SET state = 'done', result = ?, error = '', ended_at = ?
		WHERE guid = ? AND state <> 'done'`, result, stamp(now), guid))
}

// failDelivery records a failed attempt, and the delivery's death with the last.
func (s *Store) failDelivery(ctx context.Context, guid string, attempt int, dead bool, cause error) error {
	state, ended := DeliveryPending, int64(0)
	if dead {
		state, ended = DeliveryDead, stamp(s.now())
	}
	return s.inTx(ctx, "fail_delivery", func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET attempts = ?, error = ?, state = ?, ended_at = ?
			WHERE guid = ? AND state = 'pending'`, attempt, cause.Error(), state, ended, guid)
		return err
	})
}

func affected(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
