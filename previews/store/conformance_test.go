package store_test

import (
	"path/filepath"
	"testing"

	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openSQLite)
}

func openSQLite(t *testing.T, o store.Options) *store.Store {
	t.Helper()
	o.URL = "sqlite://" + filepath.Join(t.TempDir(), "idp.db")
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
