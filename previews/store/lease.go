package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrLeaseLost says that somebody else does by now what the caller had a lease for.
var ErrLeaseLost = errors.New("another process has taken this over")

const (
	// leaseFor is how long a lease is good for without being renewed, and so how long
	// the work of a replica that died waits.
	leaseFor = 30 * time.Second
	// releaseTimeout bounds how long an end waits to give a lease back.
	releaseTimeout = 5 * time.Second
)

// Lease is the right to be the only one who does something.
type Lease struct {
	// Name says what. Token is greater than that of whoever had it before.
	Name  string
	Token int64
	// TakenOver says that whoever had it before has not given it back: it died, or
	// is held up somewhere and may wake with something half done.
	TakenOver bool
}

// newHolder names this process among others that share the database.
func newHolder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()[:10]
}

// fence is a lease as a context carries it; lost ends what works by it.
type fence struct {
	lease Lease
	lost  context.CancelCauseFunc
}

type fenceKey struct{}

// Hold runs fn while this process has the lease of a name, and says whether it got it:
// while another has it, it returns at once. Every transaction by fn's context is held
// to the lease, in the transaction itself: when another process has taken over,
// it fails with ErrLeaseLost and has changed nothing, however long this process was
// held up. fn's context ends when the lease is lost.
func (s *Store) Hold(ctx context.Context, name string, fn func(context.Context, Lease) error) (held bool, err error) {
	if !s.claim(name) {
		return false, nil
	}
	defer s.unclaim(name)
	lease, held, err := s.acquire(ctx, name)
	if err != nil && ctx.Err() != nil {
		// The end may have come between the commit and the word of it: what nobody will
		// hold is not to keep others waiting.
		return false, errors.Join(err, s.abandon(ctx, name))
	}
	if err != nil || !held {
		return false, err
	}
	working, end := context.WithCancelCause(ctx)
	working = context.WithValue(working, fenceKey{}, fence{lease, end})
	s.metrics.leases.WithLabelValues(name).Set(1)
	defer s.metrics.leases.WithLabelValues(name).Set(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.renew(working, lease, end)
	}()
	err = fn(working, lease)
	end(nil)
	<-done
	return true, errors.Join(err, s.release(ctx, lease))
}

// claim says that a lease is being held here, unless it is already.
func (s *Store) claim(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[name] {
		return false
	}
	s.held[name] = true
	return true
}

func (s *Store) unclaim(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, name)
}

// acquire takes a lease that is free, was given back or has run out; and one that this
// process could not give back when it was done, as on a full disk: nobody holds that.
func (s *Store) acquire(ctx context.Context, name string) (lease Lease, held bool, err error) {
	err = s.inTx(ctx, "acquire_lease", func(tx *transaction) error {
		lease, held = Lease{Name: name}, false
		// Whoever comes second waits here for the first.
		_, err := tx.ExecContext(ctx, `INSERT INTO leases (name, holder, token, expires_at) VALUES (?, '', 0, 0) ON CONFLICT (name) DO NOTHING`, name)
		if err != nil {
			return err
		}
		var holder string
		var expires int64
		err = tx.QueryRowContext(ctx, `SELECT holder, token, expires_at FROM leases WHERE name = ?`+s.db.forUpdate, name).Scan(&holder, &lease.Token, &expires)
		if err != nil {
			return err
		}
		now := s.now()
		others := holder != "" && holder != s.holder
		if others && (expires == 0 || stamp(now) < expires) {
			return nil
		}
		held, lease.TakenOver = true, others
		lease.Token++
		_, err = tx.ExecContext(ctx, `UPDATE leases SET holder = ?, token = ?, expires_at = ? WHERE name = ?`, s.holder, lease.Token, s.leaseEnd(now), name)
		return err
	})
	if err != nil {
		return Lease{}, false, fmt.Errorf("take the lease of %s: %w", name, err)
	}
	return lease, held, nil
}

// leaseEnd is when a lease that is taken or renewed now runs out: never where one
// server has the database to itself, which takes the leases back as it starts.
func (s *Store) leaseEnd(now time.Time) int64 {
	if s.db.recover != nil {
		return 0
	}
	return stamp(now.Add(leaseFor))
}

// renew keeps a lease until ctx ends, and calls lost when that cannot be done.
func (s *Store) renew(ctx context.Context, lease Lease, lost context.CancelCauseFunc) {
	if s.db.recover != nil {
		return
	}
	tick := time.NewTicker(leaseFor / 3)
	defer tick.Stop()
	good := time.Now().Add(leaseFor)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		err := s.prolong(ctx, lease)
		switch {
		case err == nil:
			good = began.Add(leaseFor)
		case errors.Is(err, ErrLeaseLost) || time.Now().After(good):
			s.log.Warn("another replica may go on with what this one did", "lease", lease.Name, "error", err)
			lost(ErrLeaseLost)
			return
		}
	}
}

// prolong is a transaction by the lease, which checks it.
func (s *Store) prolong(ctx context.Context, lease Lease) error {
	ctx, cancel := context.WithTimeout(ctx, leaseFor/3)
	defer cancel()
	return s.inTx(ctx, "renew_lease", func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `UPDATE leases SET expires_at = ? WHERE name = ?`, s.leaseEnd(s.now()), lease.Name)
		return err
	})
}

// release gives a lease back, even when the program is being stopped; one that another
// has taken is left to it.
func (s *Store) release(ctx context.Context, lease Lease) error {
	return s.giveBack(ctx, lease.Name, `UPDATE leases SET holder = '' WHERE name = ? AND token = ?`, lease.Name, lease.Token)
}

// abandon gives back whatever this process has of a name that it has claimed. It looks the
// row up by its name alone, so that it waits for a commit of it that is still under way: by a
// holder that nobody sees yet it would find none.
func (s *Store) abandon(ctx context.Context, name string) error {
	return s.giveBack(ctx, name, `UPDATE leases SET holder = CASE WHEN holder = ? THEN '' ELSE holder END WHERE name = ?`, s.holder, name)
}

func (s *Store) giveBack(ctx context.Context, name, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	err := s.once(context.WithValue(ctx, fenceKey{}, nil), func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("give back the lease of %s: %w", name, err)
	}
	return nil
}

// passFence refuses a transaction by a lease that another process has taken. The row
// stays locked, so that none can take it before this transaction has ended.
func (s *Store) passFence(ctx context.Context, tx *transaction) error {
	by, ok := ctx.Value(fenceKey{}).(fence)
	if !ok {
		return nil
	}
	var token int64
	err := tx.QueryRowContext(ctx, `SELECT token FROM leases WHERE name = ?`+s.db.forShare, by.lease.Name).Scan(&token)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("check the lease of %s: %w", by.lease.Name, err)
	}
	if token != by.lease.Token {
		by.lost(ErrLeaseLost)
		return fmt.Errorf("%s: %w", by.lease.Name, ErrLeaseLost)
	}
	return nil
}
