package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// dialect is what one database does in a way of its own. All statements are written
// for SQLite, with ? for arguments, in words that Postgres has too.
type dialect struct {
	// numbered says that arguments are $1, $2 and so on in statements.
	numbered bool
	// argument, where it is set, makes an argument what the database takes.
	argument func(any) any
	// columns, where it is set, gives the types in migrations their names.
	columns *strings.Replacer
	// tables counts the tables of the name that is its argument.
	tables string
	// alone, where it is set, is what a transaction begins with that must be alone;
	// without it every transaction that writes is.
	alone string
	// forUpdate and forShare end a query of rows that must not change before the
	// transaction has ended, by anybody and by anybody else.
	forUpdate, forShare string
	// grouped says that transactions which wait are committed together.
	grouped bool
	// again, where it is set, says that a transaction failed only for another one.
	again func(error) bool
}

// statement writes a statement as the dialect has it. No statement has a question
// mark that is not an argument.
func (d *dialect) statement(text string) string {
	if !d.numbered {
		return text
	}
	var out strings.Builder
	n := 0
	for part := range strings.SplitSeq(text, "?") {
		if n > 0 {
			out.WriteString("$" + strconv.Itoa(n))
		}
		out.WriteString(part)
		n++
	}
	return out.String()
}

func (d *dialect) arguments(args []any) []any {
	if d.argument == nil {
		return args
	}
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = d.argument(a)
	}
	return out
}

// database is one that was opened, with its queue.
type database struct {
	*dialect
	// write and read are the pools for either; they may lead to the same.
	write, read *pool
	// newQueue returns River on this database. bell is rung when deliveries were
	// committed in this process.
	newQueue func(bell bell, log *slog.Logger) (queue, error)
	// migrating keeps other processes from migrating while fn does.
	migrating func(ctx context.Context, fn func() error) error
	// recover hands back what a server of before held when it ended; nil where others
	// may be at work.
	recover func(context.Context, *transaction) error
	// writable says why nothing can be written just now.
	writable func(context.Context, *transaction) error
	// tell, where it is set, has listen of other processes say, once the transaction has
	// committed, that by has changed something. listen calls heard when somebody has, or
	// may have, until ctx ends.
	tell   func(ctx context.Context, tx *transaction, by string) error
	listen func(ctx context.Context, heard func(by string))
	// explain says plainly what the database says with a code.
	explain func(error) error
	// close ends the connections.
	close func() error
}

// openDatabase opens what a URL names.
func openDatabase(ctx context.Context, o Options) (db *database, place string, err error) {
	scheme, _, _ := strings.Cut(o.URL, "://")
	switch scheme {
	case "sqlite":
		return openSQLite(ctx, o)
	case "postgres", "postgresql":
		return openPostgres(ctx, o)
	}
	// What follows the scheme may be a password.
	return nil, "", errors.New("this is not the URL of a database that idp knows: expected sqlite://FILE or postgres://USER:PASSWORD@HOST/DATABASE")
}

// pool is database/sql's, with statements as the dialect has them.
type pool struct {
	*sql.DB
	dialect *dialect
}

// QueryContext is database/sql's.
func (p *pool) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return p.DB.QueryContext(ctx, p.dialect.statement(text), p.dialect.arguments(args)...)
}

// QueryRowContext is database/sql's.
func (p *pool) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	return p.DB.QueryRowContext(ctx, p.dialect.statement(text), p.dialect.arguments(args)...)
}

// transaction is database/sql's, with statements as the dialect has them, and with
// its connection, which a queue may have to write to in its own way.
type transaction struct {
	*sql.Tx
	conn    *sql.Conn
	dialect *dialect
}

// begin begins a transaction, which ends with commit or rollback.
func (p *pool) begin(ctx context.Context) (*transaction, error) {
	conn, err := p.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin transaction: %w", err)
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("begin transaction: %w", err), conn.Close())
	}
	return &transaction{Tx: tx, conn: conn, dialect: p.dialect}, nil
}

func (tx *transaction) commit() error {
	err := tx.Commit()
	// After a commit there is nothing to lose by a connection that ends badly.
	_ = tx.conn.Close()
	if err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// rollback gives up what was done. After a full disk SQLite has done so already and
// says so; the error that led here is the one that matters.
func (tx *transaction) rollback() {
	_ = tx.Rollback()
	_ = tx.conn.Close()
}

// ExecContext is database/sql's.
func (tx *transaction) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	return tx.Tx.ExecContext(ctx, tx.dialect.statement(text), tx.dialect.arguments(args)...)
}

// QueryContext is database/sql's.
func (tx *transaction) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return tx.Tx.QueryContext(ctx, tx.dialect.statement(text), tx.dialect.arguments(args)...)
}

// QueryRowContext is database/sql's.
func (tx *transaction) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	return tx.Tx.QueryRowContext(ctx, tx.dialect.statement(text), tx.dialect.arguments(args)...)
}

// prepared is a statement that is executed many times in one transaction.
type prepared struct {
	*sql.Stmt
	dialect *dialect
}

func (tx *transaction) prepare(ctx context.Context, text string) (*prepared, error) {
	statement, err := tx.PrepareContext(ctx, tx.dialect.statement(text))
	if err != nil {
		return nil, err
	}
	return &prepared{statement, tx.dialect}, nil
}

// ExecContext is database/sql's.
func (p *prepared) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return p.Stmt.ExecContext(ctx, p.dialect.arguments(args)...)
}
