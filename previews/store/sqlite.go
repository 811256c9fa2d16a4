package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// minSQLite has the fix for the reset of a WAL under a reader
	// (https://sqlite.org/releaselog/3_51_3.html), which could corrupt the file.
	minSQLite = "3.51.3"
	readers   = 4
)

// sqlitePath returns the file that a sqlite:// URL names.
func sqlitePath(raw string) (string, error) {
	path := strings.TrimPrefix(raw, "sqlite://")
	switch {
	case path == "" || strings.HasSuffix(path, "/"):
		return "", errors.New("database URL names no file: expected sqlite://PATH")
	case strings.ContainsAny(path, "?#"):
		return "", errors.New("database URL has options: expected sqlite://PATH alone")
	}
	return path, nil
}

// sqlite is what statements are written for.
var sqlite = dialect{
	tables:  `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`,
	grouped: true,
}

// openSQLite opens a file, which one server uses at a time.
func openSQLite(ctx context.Context, o Options) (db *database, path string, err error) {
	if path, err = sqlitePath(o.URL); err != nil {
		return nil, "", err
	}
	write, read, err := openFile(ctx, path, o)
	if err != nil {
		return nil, path, err
	}
	return &database{
		dialect: &sqlite, write: &pool{write, &sqlite}, read: &pool{read, &sqlite},
		newQueue:  func(b bell, log *slog.Logger) (queue, error) { return newSQLiteQueue(write, b, log) },
		migrating: func(_ context.Context, fn func() error) error { return fn() },
		recover:   recoverJobs,
		explain:   corrupt,
		writable:  func(context.Context, *transaction) error { return nil }, // to begin is to take the lock
		close:     func() error { return errors.Join(read.Close(), write.Close()) },
	}, path, nil
}

// openFile returns one connection to write with and a pool to read with. Every
// write transaction takes the write lock as it begins, so that none fails halfway
// because another one was first; busy_timeout waits for other processes.
func openFile(ctx context.Context, path string, o Options) (write, read *sql.DB, err error) {
	if err := checkFile(path, o.Existing); err != nil {
		return nil, nil, err
	}
	sync := "synchronous(FULL)"
	if o.NoSync {
		sync = "synchronous(OFF)"
	}
	pragmas := []string{"busy_timeout(5000)", "journal_mode(WAL)", sync, "foreign_keys(1)"}
	if write, err = openPool(path, "rwc", 1, pragmas); err != nil {
		return nil, nil, err
	}
	if read, err = openPool(path, "rw", readers, []string{"busy_timeout(5000)", "query_only(1)"}); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	if err := checkDatabase(ctx, write, o.Existing); err != nil {
		return nil, nil, errors.Join(err, read.Close(), write.Close())
	}
	return write, read, nil
}

// checkFile makes the file where there is none, for its owner alone: it holds
// payloads of private repositories. SQLite gives its log and index the same mode.
func checkFile(path string, existing bool) error {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case existing:
		return ErrAbsent
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

func openPool(path, mode string, connections int, pragmas []string) (*sql.DB, error) {
	query := url.Values{"mode": {mode}, "_txlock": {"immediate"}, "_pragma": pragmas}
	db, err := openKeeping("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// checkDatabase refuses a library with a known fault and a file that is damaged.
func checkDatabase(ctx context.Context, db *sql.DB, existing bool) error {
	var version string
	if err := db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return corrupt(err)
	}
	if olderVersion(version, minSQLite) {
		return fmt.Errorf("SQLite %s can corrupt databases: %s or newer is needed", version, minSQLite)
	}
	if existing {
		return nil
	}
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return corrupt(err)
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s; put a backup in its place; or move it, its -wal and its -shm away, and run: idp rebuild", ErrCorrupt, strings.TrimSpace(verdict))
	}
	return nil
}

// corrupt says plainly what SQLite says with a code.
func corrupt(err error) error {
	if sqliteCode(err) == sqlite3.SQLITE_CORRUPT || sqliteCode(err) == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%w: %w; put a backup in its place; or move it, its -wal and its -shm away, and run: idp rebuild", ErrCorrupt, err)
	}
	return err
}

// sqliteCode returns the primary result code of err, 0 when it is not SQLite's.
func sqliteCode(err error) int {
	failure, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return 0
	}
	return failure.Code() & 0xff
}

// olderVersion compares dotted versions by their numbers.
func olderVersion(version, than string) bool {
	var a, b [3]int
	// Missing parts stay zero.
	_, _ = fmt.Sscanf(version, "%d.%d.%d", &a[0], &a[1], &a[2])
	_, _ = fmt.Sscanf(than, "%d.%d.%d", &b[0], &b[1], &b[2])
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// recoverJobs hands back the jobs and leases that a process held when it ended without
// giving them up. River would wait for its rescuer (an hour); a SQLite file has
// one server, so at its start nobody is working on anything. A job that was
// running keeps its attempt, so that one that brings the process down dies too.
func recoverJobs(ctx context.Context, tx *transaction) error {
	for _, statement := range []string{
		`UPDATE river_job SET state = 'available' WHERE state = 'running'`,
		`DELETE FROM river_leader`,
		`UPDATE leases SET holder = ''`,
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("take over the jobs of the last run: %w", err)
		}
	}
	return nil
}
