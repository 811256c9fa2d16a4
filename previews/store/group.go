package store

import (
	"context"
	"fmt"
	"sync"
)

// maxTogether bounds how many transactions are committed together.
const maxTogether = 64

// groups runs the write transactions of a SQLite file, which has one connection to write
// with: those that wait for it are committed together, each in a savepoint of its own, so
// that they share the one thing that takes long, the disk. A lone one waits for nobody.
// What one of them does is undone by its own error alone.
type groups struct {
	store *Store
	queue chan *member
	done  chan struct{} // closed when run has returned

	mu     sync.RWMutex
	closed bool
}

// member is a transaction that waits for its end.
type member struct {
	ctx context.Context
	fn  func(*transaction) error
	// err is how it ended, panicked what fn panicked with.
	err      error
	panicked any
	ended    chan struct{}
}

func newGroups(s *Store) *groups {
	g := &groups{store: s, queue: make(chan *member, maxTogether), done: make(chan struct{})}
	go g.run()
	return g
}

// close waits for what was begun.
func (g *groups) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	close(g.queue)
	<-g.done
}

// do runs fn in a transaction, and returns once that is on the disk or given up. The end of
// ctx is the end of fn's statements, not of waiting for fn.
func (g *groups) do(ctx context.Context, fn func(*transaction) error) error {
	m := &member{ctx: ctx, fn: fn, ended: make(chan struct{})}
	if err := g.submit(m); err != nil {
		return err
	}
	<-m.ended
	if m.panicked != nil {
		panic(m.panicked)
	}
	return m.err
}

func (g *groups) submit(m *member) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return fmt.Errorf("begin transaction: %w", ErrClosed)
	}
	select {
	case g.queue <- m:
		return nil
	case <-m.ctx.Done():
		return fmt.Errorf("begin transaction: %w", m.ctx.Err())
	}
}

func (g *groups) run() {
	defer close(g.done)
	for first := range g.queue {
		members := g.gather(first)
		if !g.together(members) {
			for _, m := range members {
				g.together([]*member{m})
			}
		}
		for _, m := range members {
			close(m.ended)
		}
	}
}

// gather takes what waits already.
func (g *groups) gather(first *member) []*member {
	members := []*member{first}
	for len(members) < maxTogether {
		select {
		case m, open := <-g.queue:
			if !open {
				return members
			}
			members = append(members, m)
		default:
			return members
		}
	}
	return members
}

// together runs members in one transaction. It is false, and nothing was done, where one of
// several took the transaction with it: a statement that is interrupted does.
func (g *groups) together(members []*member) bool {
	// A transaction of database/sql ends with its context, which is no member's own.
	ctx := context.Background()
	if len(members) == 1 {
		ctx = members[0].ctx
	}
	tx, err := g.store.write.begin(ctx)
	if err != nil {
		for _, m := range members {
			m.err = err
		}
		return true
	}
	landed := make([]*member, 0, len(members))
	for _, m := range members {
		m.err, m.panicked = nil, nil
		kept, err := g.one(ctx, tx, m)
		if err != nil {
			tx.rollback()
			if m.err == nil {
				m.err = err
			}
			return len(members) == 1
		}
		if kept {
			landed = append(landed, m)
		}
	}
	if len(landed) == 0 {
		tx.rollback()
		return true
	}
	err = tx.commit()
	for _, m := range landed {
		m.err = err
	}
	return true
}

// one runs a member in a savepoint. An error means that the transaction is over.
func (g *groups) one(ctx context.Context, tx *transaction, m *member) (kept bool, err error) {
	if m.err = m.ctx.Err(); m.err != nil {
		return false, nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT member"); err != nil {
		return false, fmt.Errorf("begin transaction: %w", err)
	}
	m.call(g.store, tx)
	if m.err == nil && m.panicked == nil {
		_, err := tx.ExecContext(ctx, "RELEASE member")
		return true, err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO member"); err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, "RELEASE member")
	return false, err
}

// call runs fn. What it panics with is for whoever waits for it.
func (m *member) call(s *Store, tx *transaction) {
	defer func() { m.panicked = recover() }()
	if m.err = s.passFence(m.ctx, tx); m.err == nil {
		m.err = m.fn(tx)
	}
}
