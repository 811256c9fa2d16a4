package store

import (
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// A statement is prepared once for as long as its connection lives, is never used twice at a
// time, sees what the tables have become, and is not kept once it failed; no connection keeps
// more than it should.
func TestKeepsStatements(t *testing.T) {
	t.Parallel()
	db, err := openPool(filepath.Join(secrettest.Dir(t), "x.db"), "rwc", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	idle := func() (texts map[string]statement) {
		t.Helper()
		if err := conn.Raw(func(c any) error { texts = c.(*keeping).idle; return nil }); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	exec := func(text string, args ...any) error {
		_, err := conn.ExecContext(t.Context(), text, args...)
		return err
	}
	const insert, list = `INSERT INTO n (i) VALUES (?)`, `SELECT * FROM n WHERE i > ? ORDER BY i`
	if err := exec(`CREATE TABLE n (i INTEGER UNIQUE); CREATE INDEX more ON n (i)`); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := exec(insert, i); err != nil {
			t.Fatal(err)
		}
	}
	kept := idle()[insert]
	if err := exec(insert, 3); err != nil || kept == nil || idle()[insert] != kept {
		t.Errorf("it was prepared anew: %v", err)
	}
	if err := exec(insert, 3); err == nil || idle()[insert] != nil {
		t.Errorf("it is kept after %v", err)
	}
	outer, err := conn.QueryContext(t.Context(), list, 0)
	if err != nil {
		t.Fatal(err)
	}
	var seen string
	for outer.Next() {
		var i int
		if err := outer.Scan(&i); err != nil {
			t.Fatal(err)
		}
		var inner int
		if err := conn.QueryRowContext(t.Context(), list, i-1).Scan(&inner); err != nil || inner != i {
			t.Errorf("within %d: %d, %v", i, inner, err)
		}
		seen += fmt.Sprint(i)
	}
	if err := outer.Close(); err != nil || outer.Err() != nil || seen != "123" {
		t.Errorf("%q, %v, %v", seen, err, outer.Err())
	}
	if idle()[list] == nil {
		t.Error("what was read with is not kept")
	}
	if err := exec(`ALTER TABLE n ADD COLUMN name TEXT DEFAULT 'x'`); err != nil {
		t.Fatal(err)
	}
	var i int
	var name string
	if err := conn.QueryRowContext(t.Context(), list, 2).Scan(&i, &name); err != nil || i != 3 || name != "x" {
		t.Errorf("of the changed table: %d, %q, %v", i, name, err)
	}
	for i := range 2 * keptStatements {
		if err := conn.QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d", i)).Scan(&i); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(idle()); n != keptStatements {
		t.Errorf("%d are kept", n)
	}
}

// The driver's connections can do all that those around them say they can.
func TestKeepingForgetsNothing(t *testing.T) {
	t.Parallel()
	db, err := openPool(filepath.Join(secrettest.Dir(t), "x.db"), "rwc", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	plain, err := db.Driver().Open("file::memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, ok := plain.(driver.NamedValueChecker); ok {
		t.Error("the driver checks arguments in its own way, which a keeping connection hides")
	}
}
