package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// grouped has transactions wait for one another, and runs them together.
func grouped(t *testing.T, s *Store, all ...func(*transaction) error) []error {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	errs := make([]error, len(all))
	var running sync.WaitGroup
	running.Go(func() {
		err := s.inTx(t.Context(), "test", func(*transaction) error {
			close(begun)
			<-release
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	for i, fn := range all {
		running.Go(func() { errs[i] = s.inTx(t.Context(), "test", fn) })
	}
	for len(s.groups.queue) < len(all) {
		runtime.Gosched() // they come by themselves
	}
	close(release)
	running.Wait()
	return errs
}

func claiming(ctx context.Context, key string) func(*transaction) error {
	return func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO claims (key, at) VALUES (?, 1)`, key)
		return err
	}
}

func claims(t *testing.T, s *Store) string {
	t.Helper()
	var keys string
	err := s.read.QueryRowContext(t.Context(), `SELECT coalesce(group_concat(key, ' '), '') FROM (SELECT key FROM claims ORDER BY key)`).Scan(&keys)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Of transactions that are committed together each is undone for its own error alone.
func TestGroupedTransactions(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	own := errors.New("its own")
	var together []*transaction
	seen := func(fn func(*transaction) error) func(*transaction) error {
		return func(tx *transaction) error {
			together = append(together, tx)
			return fn(tx)
		}
	}
	errs := grouped(t, s,
		seen(claiming(t.Context(), "a")),
		seen(func(tx *transaction) error { return errors.Join(claiming(t.Context(), "undone")(tx), own) }),
		seen(claiming(t.Context(), "b")),
	)
	for _, err := range errs {
		if err != nil && !errors.Is(err, own) {
			t.Error(err)
		}
	}
	if got := claims(t, s); got != "a b" {
		t.Errorf("claimed are %q", got)
	}
	if len(together) != 3 || together[0] != together[1] || together[1] != together[2] {
		t.Error("they were not committed together")
	}
}

// A statement that is interrupted takes the whole transaction with it: the others are run
// again.
func TestGroupedTransactionInterrupted(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	runs := 0
	errs := grouped(t, s,
		func(tx *transaction) error {
			runs++
			return claiming(t.Context(), "a")(tx)
		},
		func(tx *transaction) error {
			if err := claiming(t.Context(), "undone")(tx); err != nil {
				return err
			}
			// What SQLite does with one that is interrupted.
			_, err := tx.Tx.ExecContext(t.Context(), "ROLLBACK")
			return errors.Join(err, context.Canceled)
		},
		claiming(t.Context(), "b"),
	)
	for i, err := range errs {
		if (i == 1) != errors.Is(err, context.Canceled) || i != 1 && err != nil {
			t.Errorf("%d ended with %v", i, err)
		}
	}
	if got := claims(t, s); got != "a b" {
		t.Errorf("claimed are %q", got)
	}
	if runs > 2 {
		t.Errorf("one was run %d times", runs)
	}
}

// What a transaction panics with is for whoever asked for it, and hurts no other.
func TestGroupedTransactionPanics(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	panicked := make(chan any, 1)
	func() {
		defer func() { panicked <- recover() }()
		_ = s.inTx(t.Context(), "test", func(tx *transaction) error {
			if err := claiming(t.Context(), "undone")(tx); err != nil {
				return err
			}
			panic("oh")
		})
	}()
	if got := fmt.Sprint(<-panicked); !strings.Contains(got, "oh") {
		t.Errorf("it panicked with %s", got)
	}
	if err := s.inTx(t.Context(), "test", claiming(t.Context(), "a")); err != nil {
		t.Error(err)
	}
	if got := claims(t, s); got != "a" {
		t.Errorf("claimed are %q", got)
	}
}

// After Close nothing is begun, and whoever waits is told.
func TestGroupedTransactionClosed(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Options{URL: "sqlite://" + secrettest.Dir(t) + "/idp.db"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.inTx(t.Context(), "test", claiming(t.Context(), "a")); !errors.Is(err, ErrClosed) {
		t.Errorf("it ended with %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	open := open(t, nil)
	if err := open.inTx(ended, "test", claiming(ended, "a")); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
