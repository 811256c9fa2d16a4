package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the schema; versions count from 1 without gaps.
type migration struct {
	version int
	sql     string
	// then, where there is one, does in the same transaction what SQL cannot.
	then func(context.Context, *transaction) error
}

// afterwards are the steps' then, by version.
var afterwards = map[int]func(context.Context, *transaction) error{6: chainAudit}

// migrations returns the steps in order.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]migration, 0, len(names))
	for i, name := range names {
		number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: expected number %d", name, i+1)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, migration{version: version, sql: string(text), then: afterwards[version]})
	}
	return steps, nil
}

// migrate applies the steps that the database lacks, each in a transaction with
// its number, and then River's own. With existing it only looks.
func migrate(ctx context.Context, db *database, queue queue, existing bool) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	have, err := schemaVersion(ctx, db)
	if err != nil {
		return err
	}
	if have > len(steps) {
		return fmt.Errorf("%w: its schema is %d, this idp knows %d", ErrNewer, have, len(steps))
	}
	if existing {
		if have < len(steps) {
			return fmt.Errorf("%w of this version: its schema is %d, this idp needs %d; start idp serve once", ErrAbsent, have, len(steps))
		}
		return nil
	}
	for _, step := range steps[have:] {
		if err := step.apply(ctx, db.write); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", step.version, err)
		}
	}
	return queue.migrate(ctx)
}

// schemaVersion returns the newest step applied, 0 for a new database.
func schemaVersion(ctx context.Context, db *database) (int, error) {
	var tables int
	if err := db.write.QueryRowContext(ctx, db.tables, "schema_migrations").Scan(&tables); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	if tables == 0 {
		return 0, nil
	}
	var version sql.NullInt64
	if err := db.write.QueryRowContext(ctx, `SELECT max(version) FROM schema_migrations`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return int(version.Int64), nil
}

func (m migration) apply(ctx context.Context, db *pool) error {
	tx, err := db.begin(ctx)
	if err != nil {
		return err
	}
	if err := m.run(ctx, tx); err != nil {
		tx.rollback()
		return err
	}
	return tx.commit()
}

func (m migration) run(ctx context.Context, tx *transaction) error {
	for _, statements := range []string{
		`CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY)`,
		m.sql,
	} {
		if tx.dialect.columns != nil {
			statements = tx.dialect.columns.Replace(statements)
		}
		if _, err := tx.Tx.ExecContext(ctx, statements); err != nil {
			return err
		}
	}
	if m.then != nil {
		if err := m.then(ctx, tx); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version) VALUES (?)`, m.version)
	return err
}
