package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

var (
	// ErrServed says that a server is at work on a database.
	ErrServed = errors.New("a server is at work on the database")
	// ErrNotEmpty says that a database that was to be filled holds something.
	ErrNotEmpty = errors.New("the database is not empty")
	// ErrNotCopied says that there is no copying between two databases of these kinds.
	ErrNotCopied = errors.New("databases are copied from SQLite to PostgreSQL alone")
)

// Copied is what Copy has copied: the rows of each table, the queue's last, and the end
// of the audit log.
type Copied struct {
	Tables []CopiedTable
	Audit  previews.AuditChain
}

// CopiedTable counts the rows of one table.
type CopiedTable struct {
	Table string
	Rows  int
}

// Copy copies all that an SQLite database holds into an empty Postgres database, in one
// transaction there: all of it or nothing. The source is locked meanwhile and not
// changed. What was to be handled is handled by the next server on the target, with the
// attempts that it has had. It refuses a source that is served (ErrServed), a target
// that holds anything (ErrNotEmpty), and an audit log that does not add up on either.
func Copy(ctx context.Context, from, to string) (out Copied, err error) {
	source, err := Open(ctx, Options{URL: from, Existing: true})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if source.db.dialect != &sqlite || !strings.HasPrefix(to, "postgres") {
		return out, ErrNotCopied
	}
	target, err := Open(ctx, Options{URL: to})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	err = source.inTx(ctx, "copy", func(reading *transaction) error {
		return target.alone(ctx, "copy", func(writing *transaction) error {
			out = Copied{}
			return out.copy(ctx, reading, writing)
		})
	})
	return out, err
}

func (c *Copied) copy(ctx context.Context, from, to *transaction) error {
	if err := notServed(ctx, from); err != nil {
		return err
	}
	if err := checkAudit(ctx, from, &c.Audit); err != nil {
		return fmt.Errorf("the audit log to be copied: %w", err)
	}
	tables, err := copiedTables(ctx, from)
	if err != nil {
		return err
	}
	for _, table := range append(slices.Clone(tables), "river_job") {
		var there bool
		if err := to.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+table+`)`).Scan(&there); err != nil {
			return err
		}
		if there {
			return fmt.Errorf("%w: its table %s has rows", ErrNotEmpty, table)
		}
	}
	for _, table := range tables {
		n, err := copyTable(ctx, from, to, table)
		if err != nil {
			return fmt.Errorf("copy table %s: %w", table, err)
		}
		c.Tables = append(c.Tables, CopiedTable{table, n})
	}
	n, err := copyJobs(ctx, from, to)
	if err != nil {
		return fmt.Errorf("copy the queue: %w", err)
	}
	c.Tables = append(c.Tables, CopiedTable{"river_job", n})
	var copied previews.AuditChain
	if err := checkAudit(ctx, to, &copied); err != nil {
		return fmt.Errorf("the audit log as it was copied: %w", err)
	}
	if copied != c.Audit {
		return fmt.Errorf("the audit log as it was copied ends with entry %d, not %d", copied.Seq, c.Audit.Seq)
	}
	return nil
}

// notServed looks at who leads the queue, which a server that runs says every few
// seconds, and one that ended does not.
func notServed(ctx context.Context, tx *transaction) error {
	var leads bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM river_leader WHERE julianday(expires_at) > julianday(?))`,
		time.Now().UTC().Format("2006-01-02 15:04:05.000")).Scan(&leads)
	if err == nil && leads {
		return ErrServed
	}
	return err
}

// copiedTables are the tables to be copied, those first that others refer to. What the
// migrations and leases of the source are the target has of its own.
func copiedTables(ctx context.Context, tx *transaction) ([]string, error) {
	var out []string
	err := scanAll(ctx, tx.QueryContext, func(rows *sql.Rows) (bool, error) {
		var name string
		err := rows.Scan(&name)
		out = append(out, name)
		return true, err
	}, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'river@_%' ESCAPE '@' AND name NOT LIKE 'sqlite@_%' ESCAPE '@'
		AND name NOT IN ('schema_migrations', 'leases') ORDER BY rowid`)
	return out, err
}

func copyTable(ctx context.Context, from, to *transaction, table string) (n int, err error) {
	rows, err := from.QueryContext(ctx, `SELECT * FROM `+table)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	insert, err := to.prepare(ctx, `INSERT INTO `+table+` (`+strings.Join(columns, ", ")+`) VALUES (?`+strings.Repeat(", ?", len(columns)-1)+`)`)
	if err != nil {
		return 0, err
	}
	defer insert.Close()
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for ; rows.Next(); n++ {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return n, err
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	return n, countOn(ctx, from, to, table)
}

// countOn has new rows numbered from where the source would have gone on.
func countOn(ctx context.Context, from, to *transaction, table string) error {
	var last int64
	err := from.QueryRowContext(ctx, `SELECT seq FROM sqlite_sequence WHERE name = ?`, table).Scan(&last)
	if errors.Is(err, sql.ErrNoRows) || err == nil && last == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	column := "id"
	if table == "deliveries" {
		column = "seq"
	}
	_, err = to.ExecContext(ctx, `SELECT setval(pg_get_serial_sequence(?, ?), ?)`, table, column, last)
	return err
}

// copyJobs copies the deliveries' jobs that are not done, to be worked at once. Those of
// schedules are made anew by the next server.
func copyJobs(ctx context.Context, from, to *transaction) (n int, err error) {
	type job struct {
		args                 string
		attempt, maxAttempts int
	}
	var jobs []job
	err = scanAll(ctx, from.QueryContext, func(rows *sql.Rows) (bool, error) {
		var j job
		err := rows.Scan(&j.args, &j.attempt, &j.maxAttempts)
		jobs = append(jobs, j)
		return true, err
	}, `SELECT json(args), attempt, max_attempts FROM river_job
		WHERE queue = ? AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled') ORDER BY id`, deliveryQueue)
	if err != nil {
		return 0, err
	}
	for _, j := range jobs {
		_, err := to.ExecContext(ctx, `INSERT INTO river_job (state, queue, kind, args, attempt, max_attempts) VALUES ('available', ?, ?, CAST(? AS JSONB), ?, ?)`,
			deliveryQueue, deliveryJob{}.Kind(), j.args, j.attempt, j.maxAttempts)
		if err != nil {
			return 0, err
		}
	}
	return len(jobs), nil
}

// checkAudit follows the audit log to its end.
func checkAudit(ctx context.Context, tx *transaction, chain *previews.AuditChain) error {
	*chain = previews.AuditChain{}
	return scanAll(ctx, tx.QueryContext, func(rows *sql.Rows) (bool, error) {
		a, err := scanAudit(rows)
		if err != nil {
			return false, err
		}
		if problem := chain.Check(a); problem != "" {
			return false, errors.New(problem)
		}
		return true, nil
	}, `SELECT `+auditColumns+` FROM audit ORDER BY id`)
}
