package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

const (
	// keptStatements is how many prepared statements a connection keeps.
	keptStatements = 200
	// keptLength is the longest that it keeps, in bytes.
	keptLength = 8 << 10
)

// openKeeping opens a database of a driver whose connections keep the statements that they
// have prepared, for the next time: SQLite takes longer to parse most statements than to
// carry them out. A statement that is in use is given to nobody else, and one that failed is
// not kept.
func openKeeping(name, dsn string) (*sql.DB, error) {
	plain, err := sql.Open(name, dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keeper{plain.Driver(), dsn}), plain.Close()
}

// keeper connects to a database.
type keeper struct {
	driver driver.Driver
	dsn    string
}

// Driver is database/sql/driver's.
func (k keeper) Driver() driver.Driver { return k.driver }

// Connect is database/sql/driver's.
func (k keeper) Connect(context.Context) (driver.Conn, error) {
	opened, err := k.driver.Open(k.dsn)
	if err != nil {
		return nil, err
	}
	able, ok := opened.(connection)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connection of type %T: it cannot do what is needed of one", opened), opened.Close())
	}
	return &keeping{connection: able, idle: map[string]statement{}}, nil
}

// connection is what the driver's connections can do.
type connection interface {
	driver.Conn
	driver.Pinger
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

// statement is what its statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keeping is a connection; database/sql uses one from one goroutine at a time.
type keeping struct {
	connection
	idle map[string]statement
}

// ExecContext is database/sql/driver's.
func (k *keeping) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := k.take(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	return result, errors.Join(err, k.give(text, s, err == nil))
}

// QueryContext is database/sql/driver's.
func (k *keeping) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := k.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, k.give(text, s, false))
	}
	return &keptRows{Rows: rows, end: func(well bool) error { return k.give(text, s, well) }}, nil
}

// Close is database/sql/driver's.
func (k *keeping) Close() error {
	var errs []error
	for text, s := range k.idle {
		delete(k.idle, text)
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, k.connection.Close())...)
}

// take returns a statement that nobody else uses until it is given back.
func (k *keeping) take(ctx context.Context, text string) (statement, error) {
	if s, ok := k.idle[text]; ok {
		delete(k.idle, text)
		return s, nil
	}
	made, err := k.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s, ok := made.(statement)
	if !ok {
		return nil, errors.Join(fmt.Errorf("statement of type %T: it cannot do what is needed of one", made), made.Close())
	}
	return s, nil
}

// give takes a statement back, and keeps it where it ended well.
func (k *keeping) give(text string, s statement, well bool) error {
	if _, twin := k.idle[text]; !well || twin || len(text) > keptLength {
		return s.Close()
	}
	var err error
	for other, old := range k.idle {
		if len(k.idle) < keptStatements {
			break
		}
		delete(k.idle, other) // whichever it is, those that are needed come back
		err = errors.Join(err, old.Close())
	}
	k.idle[text] = s
	return err
}

// keptRows give their statement back once they are closed.
type keptRows struct {
	driver.Rows
	end func(well bool) error
}

// Close is database/sql/driver's.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	if end := r.end; end != nil {
		r.end = nil
		err = errors.Join(err, end(err == nil))
	}
	return err
}
