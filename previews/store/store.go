// Package store keeps what idp knows: the deliveries it has accepted, the
// environments, what is still to be said on GitHub, the audit log and the
// breaker, with River as the queue that works them.
//
// It is the only package that opens a database or imports River. What it
// guarantees:
//
//   - a method that returned nil is on disk (SQLite in WAL mode with
//     synchronous=FULL; with NORMAL a power cut could lose acknowledged webhooks;
//     Postgres as its server is configured, where synchronous_commit is on unless
//     somebody turned it off);
//   - everything that belongs together (a delivery and its job; a decision's row,
//     effects and audit entries) is one transaction;
//   - an environment is only ever replaced by who has read its newest version
//     (Apply) or changes it inside the transaction that read it (Update);
//   - what is done by a lease (Hold) is written only while nobody else has taken it;
//   - removals that were inferred pass the breaker in the transaction that writes
//     them.
//
// All methods may be called concurrently, on Postgres in many processes. Readers
// have a pool of their own and never wait for writers. On SQLite writers share one
// connection; on Postgres those transactions follow one another that decide by more
// than the rows they write (alone), and the others run side by side. Functions handed
// to Update and UpdateAll run inside the write transaction, and again where that had to
// be begun again: they must be quick and must not call the store. A second process may
// open the same file (idp env, idp reap).
//
// Statements are kept to what SQLite and Postgres share; where they part is dialect and
// database, and what only one of them does stands in sqlite.go and postgres.go.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	// URL is sqlite://PATH, such as sqlite://idp.db or sqlite:///var/lib/idp/idp.db, or
	// postgres://USER:PASSWORD@HOST:PORT/DATABASE.
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
	// Elsewhere, when set, is called after another process changed environments or
	// effects, which nobody hears of on SQLite. It must be quick.
	Elsewhere func()
	// NoSync leaves syncing to the operating system: faster, but a power cut loses
	// what was acknowledged. For tests.
	NoSync bool
	// Retry are the pauses between the attempts at a delivery; after the last one
	// the delivery is dead. nil means 1 s, 5 s, 30 s and 2 min: five attempts.
	Retry []time.Duration
}

// Store is an open database.
type Store struct {
	db          *database
	write, read *pool
	now         func() time.Time
	log         *slog.Logger
	retry       []time.Duration
	metrics     *metrics
	inbox       *inbox
	// groups runs the write transactions, nil where the database runs many at once.
	groups *groups
	bell   bell
	queue  queue
	holder string
	// deaf ends the listening for what others change, and waits for that.
	deaf func()

	mu          sync.Mutex
	jobs        *jobs
	held        map[string]bool // the leases that are held here
	subscribers map[chan struct{}]struct{}
}

// Open opens the database, creating or migrating it where needed. It refuses a
// damaged file (ErrCorrupt) and one of a newer idp (ErrNewer).
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{
		now: o.Now, log: o.Log, retry: o.Retry, bell: newBell(), holder: newHolder(),
		subscribers: map[chan struct{}]struct{}{}, held: map[string]bool{},
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
	db, place, err := openDatabase(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", place, err)
	}
	s.db, s.write, s.read = db, db.write, db.read
	if err := s.start(ctx, o); err != nil {
		return nil, fmt.Errorf("open database %s: %w", place, errors.Join(err, s.db.close()))
	}
	return s, nil
}

// start brings the schema up to date and starts the inbox.
func (s *Store) start(ctx context.Context, o Options) error {
	var err error
	if s.queue, err = s.db.newQueue(s.bell, s.log); err != nil {
		return err
	}
	if err := s.db.migrating(ctx, func() error { return migrate(ctx, s.db, s.queue, o.Existing) }); err != nil {
		return s.db.explain(err)
	}
	if s.metrics, err = newMetrics(s, o.Registerer); err != nil {
		return err
	}
	if s.db.grouped {
		s.groups = newGroups(s)
	}
	s.inbox = newInbox(s)
	s.deaf = s.hear(o.Elsewhere)
	return nil
}

// Close stops the jobs, waits for the writes under way and closes the database.
// It may be called once.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.StopJobs(ctx)
	s.inbox.close()
	s.deaf()
	if s.groups != nil {
		s.groups.close()
	}
	s.metrics.unregister()
	return errors.Join(err, s.db.close())
}

// hear calls elsewhere for what other processes change, until the returned function
// is called.
func (s *Store) hear(elsewhere func()) (deaf func()) {
	if elsewhere == nil || s.db.listen == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.db.listen(ctx, func(by string) {
			if by != s.holder {
				elsewhere()
			}
		})
	}()
	return func() {
		cancel()
		<-done
	}
}

const closeTimeout = 10 * time.Second

// pingTimeout bounds how long a ping may wait for its turn to write.
const pingTimeout = 2 * time.Second

// Ping says whether the database can be written to.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	tx, err := s.write.begin(ctx)
	if err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	defer tx.rollback()
	if err := s.db.writable(ctx, tx); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
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

// attempts bounds how often a transaction is run that fails only for another one.
const attempts = 5

// inTx runs fn in one write transaction. It may run it again, where the database had
// to choose between that and another one.
func (s *Store) inTx(ctx context.Context, op string, fn func(*transaction) error) error {
	defer s.metrics.time(op)()
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, fn)
		if err == nil || s.db.again == nil || !s.db.again(err) || attempt == attempts {
			return err
		}
	}
}

// alone is inTx for what decides by more than the rows that it writes: how many
// previews live, what the breaker has counted, where the audit log ends. No two of
// these run at once, in this process or another.
func (s *Store) alone(ctx context.Context, op string, fn func(*transaction) error) error {
	if s.db.alone == "" {
		return s.inTx(ctx, op, fn)
	}
	return s.inTx(ctx, op, func(tx *transaction) error {
		// What the next statements read is what the last of these has committed.
		if _, err := tx.Tx.ExecContext(ctx, s.db.alone); err != nil {
			return fmt.Errorf("wait for another transaction: %w", err)
		}
		return fn(tx)
	})
}

func (s *Store) once(ctx context.Context, fn func(*transaction) error) error {
	if s.groups != nil {
		return s.groups.do(ctx, fn)
	}
	tx, err := s.write.begin(ctx)
	if err != nil {
		return err
	}
	if err := s.passFence(ctx, tx); err != nil {
		tx.rollback()
		return err
	}
	if err := fn(tx); err != nil {
		tx.rollback()
		return err
	}
	return tx.commit()
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
