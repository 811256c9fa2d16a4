// Package store keeps what idp knows: the deliveries it has accepted, the
// environments, what is still to be said on GitHub, the audit log and the
// breaker, with River as the queue that works them.
//
// It is the only package that opens a database or imports River. What it
// guarantees:
//
//   - a method that returned nil is on disk (SQLite in WAL mode with
//     synchronous=FULL; with NORMAL a power cut could lose acknowledged webhooks);
//   - everything that belongs together (a delivery and its job; a decision's row,
//     effects and audit entries) is one transaction;
//   - an environment is only ever replaced by who has read its newest version
//     (Apply) or changes it inside the transaction that read it (Update);
//   - removals that were inferred pass the breaker in the transaction that writes
//     them.
//
// All methods may be called concurrently. Writers share one connection; readers
// have a pool of their own and never wait for writers. Functions handed to Update
// and UpdateAll run inside the write transaction: they must be quick and must not
// call the store. A second process may open the same file (idp env, idp reap).
//
// Statements are kept to what SQLite and Postgres share; what only SQLite does
// stands in sqlite.go.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
)

var (
	// ErrNameTaken says that another environment has the name that this one would
	// get on the cluster. It needs two ids with one 40-bit hash.
	ErrNameTaken = errors.New("the environment's name is taken by another one")
	// ErrCorrupt says that the database file is damaged; idp does not start on it.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrNewer says that the database was written by a newer idp.
	ErrNewer = errors.New("the database belongs to a newer version of idp")
	// ErrAbsent says that there is no database yet.
	ErrAbsent = errors.New("there is no database")
	// ErrClosed says that the store has been closed.
	ErrClosed = errors.New("the store is closed")
)

// Options say how to open a store.
type Options struct {
	// URL is sqlite://PATH, such as sqlite://idp.db or sqlite:///var/lib/idp/idp.db.
	URL string
	// Existing opens only a database that is there already, with the schema of this
	// version, and skips the check of the whole file: for commands beside a server.
	Existing bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log gets what is worth an operator's attention; nil discards.
	Log *slog.Logger
	// Registerer gets the store's metrics; nil means none.
	Registerer prometheus.Registerer
	// NoSync leaves syncing to the operating system: faster, but a power cut loses
	// what was acknowledged. For tests.
	NoSync bool
	// Retry are the pauses between the attempts at a delivery; after the last one
	// the delivery is dead. nil means 1 s, 5 s, 30 s and 2 min: five attempts.
	Retry []time.Duration
}

// Store is an open database.
type Store struct {
	write, read *sql.DB
	now         func() time.Time
	log         *slog.Logger
	retry       []time.Duration
	metrics     *metrics
	inbox       *inbox
	bell        bell
	insert      *river.Client[*sql.Tx]

	mu          sync.Mutex
	jobs        *jobs
	subscribers map[chan struct{}]struct{}
}

// Open opens the database, creating or migrating it where needed. It refuses a
// damaged file (ErrCorrupt) and one of a newer idp (ErrNewer).
func Open(ctx context.Context, o Options) (*Store, error) {
	path, err := sqlitePath(o.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{
		now: o.Now, log: o.Log, retry: o.Retry, bell: newBell(),
		subscribers: map[chan struct{}]struct{}{},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.retry == nil {
		s.retry = []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}
	}
	if s.write, s.read, err = openSQLite(ctx, path, o); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := s.start(ctx, o); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, errors.Join(err, s.closePools()))
	}
	return s, nil
}

// start brings the schema up to date and starts the inbox.
func (s *Store) start(ctx context.Context, o Options) error {
	if err := migrate(ctx, s.write, o.Existing); err != nil {
		return err
	}
	var err error
	if s.insert, err = newInsertClient(s.write, s.log); err != nil {
		return err
	}
	if s.metrics, err = newMetrics(s, o.Registerer); err != nil {
		return err
	}
	s.inbox = newInbox(s)
	return nil
}

// Close stops the jobs, waits for the writes under way and closes the database.
// It may be called once.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.StopJobs(ctx)
	s.inbox.close()
	s.metrics.unregister()
	return errors.Join(err, s.closePools())
}

const closeTimeout = 10 * time.Second

func (s *Store) closePools() error { return errors.Join(s.read.Close(), s.write.Close()) }

// pingTimeout bounds how long a ping may wait for its turn to write.
const pingTimeout = 2 * time.Second

// Ping says whether the database can be written to.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return tx.Rollback()
}

// Subscribe returns a channel that gets a value after environments or effects
// changed; changes in quick succession are one value. cancel ends it.
func (s *Store) Subscribe() (changed <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers[c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.subscribers, c)
	}
}

func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.subscribers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// inTx runs fn in one write transaction, which sees and excludes every other.
func (s *Store) inTx(ctx context.Context, op string, fn func(*sql.Tx) error) error {
	defer s.metrics.time(op)()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := fn(tx); err != nil {
		// After a full disk SQLite has rolled back already and says so; the first
		// error is the one that matters.
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// stamp and instant translate between times and columns.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func instant(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
