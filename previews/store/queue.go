package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// queue is River on one of the databases. River's clients are typed by the
// transactions of their driver, which nothing else needs to know.
type queue interface {
	// insert adds jobs in a transaction.
	insert(ctx context.Context, tx *transaction, jobs []river.InsertManyParams) error
	// worker returns what works jobs.
	worker(config *river.Config) (worker, error)
	// migrate brings River's tables up to date.
	migrate(ctx context.Context) error
}

// worker is a client of River's that works jobs.
type worker interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// inserting is the configuration of a client that only inserts.
func inserting(log *slog.Logger) *river.Config {
	return &river.Config{Logger: quiet(log), FetchCooldown: fetchCooldown}
}

// sqliteQueue is River in a SQLite file.
type sqliteQueue struct {
	db       *sql.DB
	bell     bell
	inserter *river.Client[*sql.Tx]
}

func newSQLiteQueue(db *sql.DB, b bell, log *slog.Logger) (queue, error) {
	client, err := river.NewClient(newDriver(db, nil), inserting(log))
	if err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	return &sqliteQueue{db: db, bell: b, inserter: client}, nil
}

// insert goes through the transaction at hand: with one write connection anything
// else would wait for itself.
func (q *sqliteQueue) insert(ctx context.Context, tx *transaction, jobs []river.InsertManyParams) error {
	_, err := q.inserter.InsertManyFastTx(ctx, tx.Tx, jobs)
	return err
}

func (q *sqliteQueue) worker(config *river.Config) (worker, error) {
	config.RescueStuckJobsAfter = rescueAlone
	return river.NewClient(newDriver(q.db, q.bell), config)
}

func (q *sqliteQueue) migrate(ctx context.Context) error {
	return migrateRiver(ctx, newDriver(q.db, nil))
}

// postgresQueue is River in a Postgres database, where it hears of new jobs by
// LISTEN, whichever process added them.
type postgresQueue struct {
	pool     *pgxpool.Pool
	inserter *river.Client[pgx.Tx]
}

func newPostgresQueue(pool *pgxpool.Pool, log *slog.Logger) (queue, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), inserting(log))
	if err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	return &postgresQueue{pool: pool, inserter: client}, nil
}

func (q *postgresQueue) insert(ctx context.Context, tx *transaction, jobs []river.InsertManyParams) error {
	return tx.conn.Raw(func(driver any) error {
		connection, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("insert jobs by a connection of type %T", driver)
		}
		_, err := q.inserter.InsertManyFastTx(ctx, begun{connection.Conn()}, jobs)
		return err
	})
}

func (q *postgresQueue) worker(config *river.Config) (worker, error) {
	config.RescueStuckJobsAfter = rescueAmongOthers
	return river.NewClient(riverpgxv5.New(q.pool), config)
}

func (q *postgresQueue) migrate(ctx context.Context) error {
	return migrateRiver(ctx, riverpgxv5.New(q.pool))
}

// begun is a connection on which database/sql has begun a transaction, and will end
// it, as pgx's kind of transaction.
type begun struct{ *conn }

// conn has another name than the method that pgx asks for.
type conn = pgx.Conn

var errNotOurs = errors.New("the transaction is not River's to begin or end")

func (begun) Begin(context.Context) (pgx.Tx, error) { return nil, errNotOurs }
func (begun) Commit(context.Context) error          { return errNotOurs }
func (begun) Rollback(context.Context) error        { return errNotOurs }
func (begun) LargeObjects() pgx.LargeObjects        { return pgx.LargeObjects{} }
func (b begun) Conn() *pgx.Conn                     { return b.conn }

func migrateRiver[TTx any](ctx context.Context, driver riverdriver.Driver[TTx]) error {
	migrator, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return fmt.Errorf("migrate the queue: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate the queue: %w", err)
	}
	return nil
}
