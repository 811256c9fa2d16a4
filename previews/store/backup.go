package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/idp-bot/idp/previews"
)

// ErrNotBackedUp says that a database is backed up by its own programs.
var ErrNotBackedUp = errors.New("PostgreSQL is backed up by its own programs")

// BackedUp is a copy of a database.
type BackedUp struct {
	// Bytes is the size of its file.
	Bytes int64
	// Audit is the end of its audit log, which adds up.
	Audit previews.AuditChain
}

// Backup copies an SQLite database, as it is at one instant, into a file that is not there
// yet, beside whoever is at work on it and without holding them up. The copy is synced,
// checked, and its audit log followed to its end, before it gets its name: there is all of
// it or none. A file that is there is left alone, and is an fs.ErrExist.
func (s *Store) Backup(ctx context.Context, file string) (out BackedUp, err error) {
	if s.db.dialect != &sqlite {
		return out, ErrNotBackedUp
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return out, errors.Join(err, &fs.PathError{Op: "write", Path: file, Err: fs.ErrExist})
	}
	// Its owner's alone, as the database is.
	making, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, making.Close(), os.Remove(making.Name())) }()
	if _, err := s.db.write.ExecContext(ctx, `VACUUM INTO ?`, making.Name()); err != nil {
		return out, fmt.Errorf("copy the database: %w", err)
	}
	if out, err = checkBackup(ctx, making.Name()); err != nil {
		return BackedUp{}, fmt.Errorf("check the copy: %w", err)
	}
	if err := making.Sync(); err != nil {
		return BackedUp{}, err
	}
	// Unlike a new name this never takes the place of a file.
	if err := os.Link(making.Name(), file); err != nil {
		return BackedUp{}, err
	}
	return out, syncFolder(filepath.Dir(file))
}

// checkBackup reads a copy whole.
func checkBackup(ctx context.Context, file string) (out BackedUp, err error) {
	db, err := openPool(file, "rw", 1, nil)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkDatabase(ctx, db, false); err != nil {
		return out, err
	}
	tx, err := (&pool{db, &sqlite}).begin(ctx)
	if err != nil {
		return out, err
	}
	defer tx.rollback()
	if err := checkAudit(ctx, tx, &out.Audit); err != nil {
		return out, fmt.Errorf("its audit log: %w", err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return out, err
	}
	out.Bytes = info.Size()
	return out, nil
}

// syncFolder has the names in a folder survive a power cut.
func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
