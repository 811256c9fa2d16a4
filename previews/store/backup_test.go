package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// TestBackup copies a database that is written to all the while: what was stored before is in
// each copy, and each is whole.
func TestBackup(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	s := open(t, func(o *Options) { o.URL = "sqlite://" + filepath.Join(dir, "idp.db") })
	store := func(guid string) {
		e := preview(len(guid), time.Now())
		e.Ref.ID = guid
		deliver(t, s, guid)
		if err := s.Apply(t.Context(), Outcome{Delivery: guid, Environment: &e, Audit: []previews.Audit{{Actor: "ada", Action: "deploy"}}}); err != nil {
			t.Error(err)
		}
	}
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
				store(fmt.Sprint("beside-", n))
			}
		}
	}()
	for round := range 5 {
		before := fmt.Sprint("before-", round)
		store(before)
		file := filepath.Join(dir, fmt.Sprintf("backup-%d.db", round))
		made, err := s.Backup(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() != made.Bytes || made.Bytes == 0 || made.Audit.Seq == 0 {
			t.Errorf("%v, %v: %+v", info, err, made)
		}
		restored := open(t, func(o *Options) { o.URL = "sqlite://" + file })
		d, err := restored.Delivery(t.Context(), before)
		if err != nil || d.State != DeliveryDone {
			t.Errorf("what was stored before: %+v, %v", d, err)
		}
	}
	close(stop)
	if n := <-done; n == 0 {
		t.Error("nothing was written beside")
	}
	left, err := filepath.Glob(filepath.Join(dir, ".backup*"))
	if err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// TestBackupRefuses leaves what is there alone.
func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	s := open(t, func(o *Options) { o.URL = "sqlite://" + filepath.Join(dir, "idp.db") })
	file := filepath.Join(dir, "theirs")
	if err := os.WriteFile(file, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), file); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "theirs" {
		t.Errorf("the file holds %q, %v", content, err)
	}
	if _, err := s.Backup(t.Context(), filepath.Join(dir, "none", "backup.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into no folder: %v", err)
	}
}

// TestPostgresBackup is not idp's to make.
func TestPostgresBackup(t *testing.T) {
	t.Parallel()
	address := postgrestest.URL(t)
	s := open(t, func(o *Options) { o.URL = address })
	if _, err := s.Backup(t.Context(), filepath.Join(secrettest.Dir(t), "backup.db")); !errors.Is(err, ErrNotBackedUp) {
		t.Errorf("got %v", err)
	}
}
