package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/storetest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// TestDBBackup copies a database that is served into a file, once.
func TestDBBackup(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	storetest.Add(t, s.Store, storetest.Preview(1, 42, time.Now()))
	file := filepath.Join(secrettest.Dir(t), "backup.db")
	status, stdout, stderr := s.idp(t, "db", "backup", file, "-o", "json")
	if status != 0 || stderr != "" || !strings.Contains(stdout, `"file": "`+file+`"`) {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	there := served{url: "sqlite://" + file}
	if status, stdout, stderr := there.idp(t, "env", "list", "-o", "json"); status != 0 || stderr != "" || len(stdout) < 100 {
		t.Errorf("what is there: status %d\n%s%s", status, stdout, stderr)
	}
	refused := "error: " + file + " is there already; nothing was written\nhint: name a file that is not there yet\n"
	if status, stdout, stderr := s.idp(t, "db", "backup", file); status == 0 || stdout != "" || stderr != refused {
		t.Errorf("again: status %d\n%s%s", status, stdout, stderr)
	}
	none := filepath.Join(filepath.Dir(file), "none")
	if status, _, stderr := s.idp(t, "db", "backup", filepath.Join(none, "backup.db")); status == 0 || !strings.Contains(stderr, "there is no folder "+none) {
		t.Errorf("into no folder: status %d\n%s", status, stderr)
	}
}

// TestDBCopy copies a database, tells what it copied, and refuses to do so again.
func TestDBCopy(t *testing.T) {
	t.Parallel()
	s, to := newServed(t), postgrestest.URL(t)
	storetest.Add(t, s.Store, storetest.Preview(1, 42, time.Now()))
	status, stdout, stderr := s.idp(t, "db", "copy", s.url, to)
	const table = `TABLE               ROWS
deliveries          1
environments        1
reports             0
effects             0
audit               0
inferred_removals   0
breaker             0
claims              0
releases            0
audit_exports       0
pause               0
observed            0
image_reports       0
river_job           1
`
	const done = `copied, and the audit log is intact on both: it ends with entry 0
set database_url to the new database and start idp serve
`
	if status != 0 || stdout != table || stderr != done {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
	there := served{url: to}
	if status, stdout, stderr := there.idp(t, "env", "list", "-o", "json"); status != 0 || stderr != "" || len(stdout) < 100 {
		t.Errorf("what is there: status %d\n%s%s", status, stdout, stderr)
	}
	const refused = `error: the database is not empty: its table deliveries has rows; nothing was copied
hint: create another database, or drop this one and create it again
`
	if status, stdout, stderr := s.idp(t, "db", "copy", s.url, to); status == 0 || stdout != "" || stderr != refused {
		t.Errorf("again: status %d\n%s%s", status, stdout, stderr)
	}
}
