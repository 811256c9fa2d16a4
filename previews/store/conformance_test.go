package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

func TestMain(m *testing.M) {
	os.Exit(secrettest.Main(postgrestest.Stopping(m)))
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, o store.Options) *store.Store {
		o.URL = "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")
		return opened(t, o)
	})
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, o store.Options) *store.Store {
		o.URL = postgrestest.URL(t)
		return opened(t, o)
	})
}

func opened(t *testing.T, o store.Options) *store.Store {
	t.Helper()
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
