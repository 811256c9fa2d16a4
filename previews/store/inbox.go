package store

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// maxGroup and maxGroupBytes bound one group commit; the second also bounds how
	// much the write-ahead log grows in one step.
	maxGroup      = 256
	maxGroupBytes = 32 << 20
	commitTimeout = 8 * time.Second
)

// inbox commits deliveries in groups: while one transaction is being synced to
// disk, those that arrive gather for the next. A lone delivery waits for nobody.
type inbox struct {
	store *Store
	queue chan *submission
	done  chan struct{} // closed when run has returned

	mu     sync.RWMutex
	closed bool
}

// submission is one AddDelivery that waits for its commit.
type submission struct {
	delivery Delivery
	stored   bool
	answer   chan error // buffered: the inbox never waits for a caller
}

func newInbox(s *Store) *inbox {
	b := &inbox{store: s, queue: make(chan *submission, maxGroup), done: make(chan struct{})}
	go b.run()
	return b
}

func (b *inbox) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	close(b.queue)
	<-b.done
}

// AddDelivery stores a delivery together with its job; one whose State is DeliveryDone has
// nothing to be done about, and gets none. stored is false when the
// GUID is known and not dead: GitHub delivers some things twice. After nil the
// delivery is on disk; after an error it may or may not be, and adding it again
// is right. ctx bounds the wait, not the commit.
func (s *Store) AddDelivery(ctx context.Context, d Delivery) (stored bool, err error) {
	defer s.metrics.time("add_delivery")()
	stored, err = s.inbox.add(ctx, d)
	if err != nil {
		return false, fmt.Errorf("store delivery %s: %w", d.GUID, err)
	}
	return stored, nil
}

func (b *inbox) add(ctx context.Context, d Delivery) (bool, error) {
	sub := &submission{delivery: d, answer: make(chan error, 1)}
	if err := b.submit(ctx, sub); err != nil {
		return false, err
	}
	select {
	case err := <-sub.answer:
		return sub.stored, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (b *inbox) submit(ctx context.Context, sub *submission) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return ErrClosed
	}
	select {
	case b.queue <- sub:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *inbox) run() {
	defer close(b.done)
	for first := range b.queue {
		group := b.gather(first)
		err := b.commit(group)
		b.store.metrics.batch.Observe(float64(len(group)))
		for _, sub := range group {
			sub.answer <- err
		}
	}
}

// gather takes what waits already.
func (b *inbox) gather(first *submission) []*submission {
	group := []*submission{first}
	bytes := len(first.delivery.Payload)
	for len(group) < maxGroup && bytes < maxGroupBytes {
		select {
		case sub, open := <-b.queue:
			if !open {
				return group
			}
			group = append(group, sub)
			bytes += len(sub.delivery.Payload)
		default:
			return group
		}
	}
	return group
}

func (b *inbox) commit(group []*submission) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := b.store.inTx(ctx, "commit_deliveries", func(tx *transaction) error { return b.insert(ctx, tx, group) })
	if err == nil {
		b.store.bell.ring()
	}
	return err
}

func (b *inbox) insert(ctx context.Context, tx *transaction, group []*submission) error {
	insert, err := tx.prepare(ctx, `INSERT INTO deliveries
		(guid, event, action, installation_id, repository_id, pr, payload, received_at, state, result, ended_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (guid) DO NOTHING`)
	if err != nil {
		return err
	}
	defer insert.Close()
	var fresh []string
	late, before := map[string]bool{}, map[int64]int{}
	for _, sub := range group {
		d := sub.delivery
		received := d.ReceivedAt
		if received.IsZero() {
			received = b.store.now()
		}
		if d.Payload == nil {
			d.Payload = []byte{}
		}
		ended := int64(0)
		if d.State = cmp.Or(d.State, DeliveryPending); d.State == DeliveryDone {
			ended = stamp(received)
		}
		sub.stored, err = affected(insert.ExecContext(ctx, d.GUID, d.Event, d.Action, d.InstallationID, d.RepositoryID,
			d.PR, d.Payload, stamp(received), string(d.State), d.Result, ended))
		due := sub.stored && d.State == DeliveryPending
		if err == nil && !sub.stored {
			sub.stored, err = revive(ctx, tx, d.GUID)
			due = sub.stored
		}
		if err != nil {
			return err
		}
		if due {
			n, counted := before[d.RepositoryID]
			if !counted { // this one is among them
				if n, err = waiting(ctx, tx, d.RepositoryID); err != nil {
					return err
				}
				n--
			}
			before[d.RepositoryID] = n + 1
			late[d.GUID] = n >= crowd-1
			fresh = append(fresh, d.GUID)
		}
	}
	return b.store.enqueue(ctx, tx, fresh, late)
}
