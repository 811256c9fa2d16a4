// Package floor does with the store's libraries alone what the store does with more care:
// it inserts rows in batches, and has River work jobs that do nothing. It is what the store
// is measured against, and nothing else uses it.
//
// It works on copies of SQLite files that nobody serves from.
package floor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
)

// open opens a file as the store does: one connection, and each commit on the disk.
func open(path string) (*sql.DB, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// Inserter copies deliveries, and their jobs, from a file that is served from into another.
type Inserter struct {
	from, to *sql.DB
	// seen are the rows of each table that were copied.
	seen map[string]int64
}

// tables are what a delivery consists of.
var tables = []string{"deliveries", "river_job"}

// NewInserter opens both files, which have the store's tables.
func NewInserter(from, to string) (*Inserter, error) {
	source, err := open(from)
	if err != nil {
		return nil, err
	}
	target, err := open(to)
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	return &Inserter{source, target, map[string]int64{}}, nil
}

// Close closes both files.
func (i *Inserter) Close() error { return errors.Join(i.from.Close(), i.to.Close()) }

// Insert copies the rows that were added since the last call, so many in a transaction. It
// returns how many deliveries those were, and how long it took to insert them, reading not
// counted.
func (i *Inserter) Insert(ctx context.Context, batch int) (deliveries int, took time.Duration, err error) {
	for {
		rows := map[string][][]any{}
		statements := map[string]string{}
		for _, table := range tables {
			if statements[table], rows[table], err = i.read(ctx, table, batch); err != nil {
				return deliveries, took, err
			}
		}
		if len(rows["deliveries"]) == 0 {
			return deliveries, took, nil
		}
		began := time.Now()
		if err := i.write(ctx, statements, rows); err != nil {
			return deliveries, took, err
		}
		took += time.Since(began)
		deliveries += len(rows["deliveries"])
	}
}

// read returns the next rows of a table, and what inserts one.
func (i *Inserter) read(ctx context.Context, table string, most int) (insert string, found [][]any, err error) {
	rows, err := i.from.QueryContext(ctx, "SELECT rowid AS at, * FROM "+table+" WHERE rowid > ? ORDER BY rowid LIMIT ?", i.seen[table], most)
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", table, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", table, err)
	}
	columns = columns[1:]
	insert = "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(columns)-1) + ")"
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns)+1)
		var at int64
		into[0] = &at
		for n := range row {
			into[n+1] = &row[n]
		}
		if err := rows.Scan(into...); err != nil {
			return "", nil, fmt.Errorf("read %s: %w", table, err)
		}
		i.seen[table] = at
		found = append(found, row)
	}
	return insert, found, rows.Err()
}

func (i *Inserter) write(ctx context.Context, statements map[string]string, rows map[string][][]any) error {
	tx, err := i.to.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("insert rows: %w", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	for _, table := range tables {
		insert, err := tx.PrepareContext(ctx, statements[table])
		if err != nil {
			return fmt.Errorf("insert into %s: %w", table, err)
		}
		defer insert.Close()
		for _, row := range rows[table] {
			if _, err := insert.ExecContext(ctx, row...); err != nil {
				return fmt.Errorf("insert into %s: %w", table, err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("insert rows: %w", err)
	}
	return nil
}

type nothing struct {
	N int `json:"n"`
}

func (nothing) Kind() string { return "nothing" }

// idler does nothing, and says when the first tenth and nine tenths of it are done.
type idler struct {
	river.WorkerDefaults[nothing]
	of      int64
	done    atomic.Int64
	reached [2]chan time.Time
}

func (w *idler) Work(context.Context, *river.Job[nothing]) error {
	switch w.done.Add(1) {
	case w.of / 10:
		w.reached[0] <- time.Now()
	case w.of * 9 / 10:
		w.reached[1] <- time.Now()
	}
	return nil
}

// River has River work n jobs that do nothing, so many at once as the store does, in a file
// that has its tables. It returns the jobs in a second, of the eight tenths in the middle. n
// is at least 10.
func River(ctx context.Context, path string, n, workers int) (perSecond float64, err error) {
	db, err := open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := &idler{of: int64(n), reached: [2]chan time.Time{make(chan time.Time, 1), make(chan time.Time, 1)}}
	registered := river.NewWorkers()
	river.AddWorker(registered, w)
	client, err := river.NewClient(riversqlite.New(db), &river.Config{
		Logger: slog.New(slog.DiscardHandler), Workers: registered, Queues: map[string]river.QueueConfig{"floor": {MaxWorkers: workers}},
		FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 500 * time.Millisecond, ReindexerIndexNames: []string{},
	})
	if err != nil {
		return 0, fmt.Errorf("set up River: %w", err)
	}
	jobs := make([]river.InsertManyParams, n)
	for i := range jobs {
		jobs[i] = river.InsertManyParams{Args: nothing{i}, InsertOpts: &river.InsertOpts{Queue: "floor"}}
	}
	for from := 0; from < n; from += 500 {
		if _, err := client.InsertManyFast(ctx, jobs[from:min(from+500, n)]); err != nil {
			return 0, fmt.Errorf("insert jobs: %w", err)
		}
	}
	if err := client.Start(ctx); err != nil {
		return 0, fmt.Errorf("start River: %w", err)
	}
	defer func() { err = errors.Join(err, client.Stop(context.WithoutCancel(ctx))) }()
	var at [2]time.Time
	for i, reached := range w.reached {
		select {
		case at[i] = <-reached:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return float64(w.of*9/10-w.of/10) / at[1].Sub(at[0]).Seconds(), nil
}
