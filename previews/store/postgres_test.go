package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// replicas opens stores on one Postgres database, all at once.
func replicas(t *testing.T, n int) []*Store {
	t.Helper()
	address := postgrestest.URL(t)
	stores := make([]*Store, n)
	var group errgroup.Group
	for i := range stores {
		group.Go(func() (err error) {
			stores[i], err = Open(t.Context(), Options{URL: address})
			return err
		})
	}
	err := group.Wait()
	t.Cleanup(func() {
		for _, s := range stores {
			if s != nil {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return stores
}

// preview is one of repository 1.
func preview(pr int, now time.Time) previews.Environment {
	e := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)},
		Owner: "acme", Repo: "web", PR: pr, Author: "ada",
	}
	e.Want(previews.Revision{SHA: fmt.Sprintf("%040d", pr), Ref: "topic", Spec: []byte("service: {}"), TTL: 72 * time.Hour}, now)
	return e
}

func deliver(t *testing.T, s *Store, guid string) {
	t.Helper()
	if stored, err := s.AddDelivery(t.Context(), Delivery{GUID: guid}); err != nil || !stored {
		t.Fatalf("%s: stored %v, %v", guid, stored, err)
	}
}

// Replicas that write at once leave one audit log without a gap, and lose no change.
func TestReplicasAudit(t *testing.T) {
	t.Parallel()
	const writers, rounds = 4, 10
	stores := replicas(t, 2)
	deliver(t, stores[0], "first")
	shared := preview(1, time.Now())
	if err := stores[0].Apply(t.Context(), Outcome{Delivery: "first", Environment: &shared}); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for w := range writers {
		s := stores[w%len(stores)]
		group.Go(func() error {
			for i := range rounds {
				guid := fmt.Sprintf("%d-%d", w, i)
				if _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid}); err != nil {
					return err
				}
				e := preview(100+w*rounds+i, time.Now())
				// A NUL and a byte that is no UTF-8 are kept by no Postgres.
				if err := s.Apply(t.Context(), Outcome{Delivery: guid, Environment: &e, Audit: []previews.Audit{{Actor: "ada", Action: "deploy", Reason: "be\x00cause\xff"}}}); err != nil {
					return err
				}
				if _, err := s.Update(t.Context(), shared.RowID, func(e *previews.Environment) error { e.ImageAttempts++; return nil }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var chain previews.AuditChain
	n := 0
	err := stores[1].EachAudit(t.Context(), 0, 0, func(a previews.Audit) error {
		n++
		if problem := chain.Check(a); problem != "" {
			t.Error(problem)
		}
		return nil
	})
	if err != nil || n != writers*rounds {
		t.Errorf("%d entries, want %d (%v)", n, writers*rounds, err)
	}
	if e, err := stores[1].Update(t.Context(), shared.RowID, func(*previews.Environment) error { return previews.ErrUnchanged }); err != nil || e.ImageAttempts != writers*rounds {
		t.Errorf("%d changes of one row, want %d (%v)", e.ImageAttempts, writers*rounds, err)
	}
}

// Two replicas that each take the place of the longest idle preview at once: one does,
// and the other has to decide anew.
func TestReplicasTake(t *testing.T) {
	t.Parallel()
	stores := replicas(t, 2)
	long := time.Now().Add(-48 * time.Hour)
	for round := range 8 {
		deliver(t, stores[0], fmt.Sprint("idle-", round))
		idle := preview(1000+round, long)
		if err := stores[0].Apply(t.Context(), Outcome{Delivery: fmt.Sprint("idle-", round), Environment: &idle}); err != nil {
			t.Fatal(err)
		}
		idle, err := stores[0].Update(t.Context(), idle.RowID, func(e *previews.Environment) error {
			e.Resolve([]previews.Image{{Service: "web", Reference: "example.com/web:1"}}, long)
			e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c0ffee", Tree: "7ree", At: long})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		outcomes, results := make([]Outcome, len(stores)), make([]error, len(stores))
		for i, s := range stores {
			guid := fmt.Sprintf("take-%d-%d", round, i)
			deliver(t, s, guid)
			incoming, taken := preview(2000+10*round+i, time.Now()), idle
			of := LiveOf{RepositoryID: 1, ID: incoming.Ref.ID}
			lives, err := s.LivePreviews(t.Context(), of)
			if err != nil {
				t.Fatal(err)
			}
			taken.Wanted = previews.Absent
			outcomes[i] = Outcome{Delivery: guid, Environment: &incoming, Beside: of, Taken: []Taken{{
				Environment: &taken, Full: map[Scope]int{OfRepository: lives[OfRepository].Count},
			}}}
		}
		var group sync.WaitGroup
		for i, s := range stores {
			group.Go(func() { results[i] = s.Apply(t.Context(), outcomes[i]) })
		}
		group.Wait()
		won := 0
		for _, err := range results {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, previews.ErrStale):
				t.Error(err)
			}
		}
		if lives, err := stores[0].LivePreviews(t.Context(), LiveOf{RepositoryID: 1, ID: "none"}); won != 1 || err != nil || lives[OfRepository].Count != round+1 {
			t.Fatalf("round %d: %d took the place, %d previews live (%v)", round, won, lives[OfRepository].Count, err)
		}
	}
}

// Every replica works deliveries, whichever accepted them, and each is handled once;
// what another one works is left to it when a replica starts.
func TestReplicasShareJobs(t *testing.T) {
	t.Parallel()
	const n = 40
	stores := replicas(t, 2)
	deliver(t, stores[0], "held by another")
	if _, err := stores[0].write.Exec(`UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{another}'`); err != nil {
		t.Fatal(err)
	}
	type handling struct {
		by   int
		guid string
	}
	handled, both := make(chan handling, 10*n), make(chan struct{})
	for i, s := range stores {
		err := s.StartJobs(t.Context(), Jobs{Workers: 4, Handle: func(ctx context.Context, d Delivery) error {
			handled <- handling{i, d.GUID}
			<-both // so that none can do the work of all
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		deliver(t, stores[0], fmt.Sprint("guid-", i))
	}
	times, by := map[string]int{}, map[int]int{}
	for len(times) < n {
		select {
		case h := <-handled:
			times[h.guid]++
			if by[h.by]++; len(by) == len(stores) && by[h.by] == 1 {
				close(both)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("timed out with %d of %d handled, by replica %v", len(times), n, by)
		}
	}
	for guid, count := range times {
		if count != 1 {
			t.Errorf("%s was handled %d times", guid, count)
		}
	}
	if times["held by another"] != 0 {
		t.Error("what another replica works was handled")
	}
}

// A replica that is held up while it has a lease, for longer than the lease is good
// for, wakes to find another at work, and writes nothing: not once, whatever it tries.
func TestReplicasFence(t *testing.T) {
	t.Parallel()
	stores := replicas(t, 2)
	slow, quick := stores[0], stores[1]
	deliver(t, slow, "first")
	e := preview(1, time.Now())
	if err := slow.Apply(t.Context(), Outcome{Delivery: "first", Environment: &e}); err != nil {
		t.Fatal(err)
	}
	// That the first is held up is, to the second, that time has gone by without it.
	quick.now = func() time.Time { return time.Now().Add(2 * leaseFor) }
	tryAll := func(ctx context.Context, s *Store) (written int) {
		for name, try := range map[string]func() error{
			"update": func() error {
				_, err := s.Update(ctx, e.RowID, func(e *previews.Environment) error { e.ImageAttempts++; return nil })
				return err
			},
			"update all": func() error {
				return s.UpdateAll(ctx, []int64{e.RowID}, func(e *previews.Environment) error { e.ImageAttempts++; return nil })
			},
			"report": func() error { return s.SaveReport(ctx, e.RowID, Report{CommentID: 7}) },
			"latch":  func() error { return s.LatchBreaker(ctx, "too many") },
			"renew":  func() error { return s.prolong(ctx, Lease{Name: "writer"}) },
		} {
			switch err := try(); {
			case err == nil:
				written++
			case !errors.Is(err, ErrLeaseLost):
				t.Errorf("%s: %v", name, err)
			}
		}
		return written
	}
	held, err := slow.Hold(t.Context(), "writer", func(ctx context.Context, _ Lease) error {
		if n := tryAll(ctx, slow); n != 5 {
			t.Errorf("%d writes of 5 by who has the lease", n)
		}
		taken, err := quick.Hold(t.Context(), "writer", func(theirs context.Context, lease Lease) error {
			if !lease.TakenOver {
				t.Error("it was not told that it takes over")
			}
			stale := 0
			for range 20 {
				stale += tryAll(context.WithoutCancel(ctx), slow)
			}
			figure.Tell(t, "100 writes by a replica that was held up while another took its lease: %d went through", stale)
			if stale != 0 || !errors.Is(context.Cause(ctx), ErrLeaseLost) {
				t.Errorf("%d stale writes; the first was told %v", stale, context.Cause(ctx))
			}
			if n := tryAll(theirs, quick); n != 5 {
				t.Errorf("%d writes of 5 by who has the lease now", n)
			}
			return nil
		})
		if !taken {
			t.Error("it was not taken over")
		}
		return err
	})
	if !held || err != nil {
		t.Errorf("held %v, %v", held, err)
	}
	if e, err := slow.Update(t.Context(), e.RowID, func(*previews.Environment) error { return previews.ErrUnchanged }); err != nil || e.ImageAttempts != 4 {
		t.Errorf("%d changes, want 4 (%v)", e.ImageAttempts, err)
	}
}

// A replica hears of what another one changed, and not of its own.
// TestReplicasEnd: whenever a process is told to end, while it takes a lease, too, another
// has the lease at once. One that is left behind keeps everybody waiting until it runs out.
func TestReplicasEnd(t *testing.T) {
	t.Parallel()
	stores := replicas(t, 2)
	ending, other := stores[0], stores[1]
	began := time.Now()
	if held, err := ending.Hold(t.Context(), "replies", func(context.Context, Lease) error { return nil }); err != nil || !held {
		t.Fatalf("hold: %v, %v", held, err)
	}
	whole, taken := time.Since(began), 0
	for i := range 400 {
		ctx, end := context.WithCancel(t.Context())
		ends := time.AfterFunc(whole*time.Duration(i%40)/40, end)
		held, err := ending.Hold(ctx, "replies", func(ctx context.Context, _ Lease) error {
			<-ctx.Done()
			return nil
		})
		ends.Stop()
		end()
		if held {
			taken++
		}
		held, after := other.Hold(t.Context(), "replies", func(context.Context, Lease) error { return nil })
		if after != nil || !held {
			t.Fatalf("end %d: the other has the lease: %v, %v (the end: %v)", i, held, after, err)
		}
	}
	t.Logf("400 ends, %d of them after the lease was taken: the other had it each time", taken)
}

func TestReplicasTell(t *testing.T) {
	t.Parallel()
	address := postgrestest.URL(t)
	heard := make(chan int, 100)
	stores := make([]*Store, 2)
	for i := range stores {
		stores[i] = open(t, func(o *Options) { o.URL, o.Elsewhere = address, func() { heard <- i } })
	}
	// Until it listens nothing is heard; how long that takes is not known.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n, deadline := 0, time.After(20*time.Second); ; n++ {
		guid := fmt.Sprint("guid-", n)
		deliver(t, stores[0], guid)
		if err := stores[0].Apply(t.Context(), Outcome{Delivery: guid}); err != nil {
			t.Fatal(err)
		}
		select {
		case who := <-heard:
			if who != 1 {
				t.Error("a replica heard of what it changed itself")
			}
			return
		case <-tick.C:
		case <-deadline:
			t.Fatal("the other replica heard nothing")
		}
	}
}

// What keeps idp from a database is said in plain words, and without the password.
func TestPostgresTrouble(t *testing.T) {
	t.Parallel()
	change := func(address string, fn func(*url.URL)) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		fn(u)
		return u.String()
	}
	database := func(address string) string {
		return change(address, func(*url.URL) {})[strings.LastIndex(address[:strings.Index(address, "?")], "/")+1 : strings.Index(address, "?")]
	}
	for name, test := range map[string]struct {
		prepare  func(address string) string
		existing bool
		is       error
		want     string
	}{
		"wrong password": {prepare: func(a string) string {
			return change(a, func(u *url.URL) { u.User = url.UserPassword("idp", "wrong-"+postgrestest.Password) })
		}, want: `the server does not let "idp" in: look at user and password`},
		"no such database": {prepare: func(a string) string { return change(a, func(u *url.URL) { u.Path = "/elsewhere" }) },
			want: "there is no such database: create it"},
		"nobody there": {prepare: func(string) string { return "postgres://idp:" + postgrestest.Password + "@127.0.0.1:1/idp" },
			want: "open database 127.0.0.1:1/idp: the server cannot be reached: look at host and port"},
		"not a URL": {prepare: func(string) string { return "postgres://idp:" + postgrestest.Password + "@host:port/idp" },
			want: "the database URL cannot be read"},
		"bad option": {prepare: func(a string) string { return a + "&pool_max_conns=" + postgrestest.Password },
			want: "the database URL cannot be read"},
		"another database": {prepare: func(string) string { return "mysql://idp:" + postgrestest.Password + "@host/idp" },
			want: "this is not the URL of a database that idp knows"},
		"read-only": {prepare: func(a string) string {
			postgrestest.Execute(t, "postgres", "ALTER DATABASE "+database(a)+" SET default_transaction_read_only = on")
			return a
		}, want: "the database is read-only: name the primary server"},
		"nothing allowed": {prepare: func(a string) string {
			postgrestest.Execute(t, database(a), "ALTER SCHEMA public OWNER TO postgres")
			return a
		}, want: `"idp" may not do this: let that user own the database, or its schema`},
		"no schema yet": {prepare: func(a string) string { return a }, existing: true, is: ErrAbsent, want: "start idp serve once"},
		"a newer schema": {prepare: func(a string) string {
			s, err := Open(t.Context(), Options{URL: a})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.write.Exec(`INSERT INTO schema_migrations (version) VALUES (9999)`); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			return a
		}, is: ErrNewer, want: "its schema is 9999"},
	} {
		s, err := Open(t.Context(), Options{URL: test.prepare(postgrestest.URL(t)), Existing: test.existing})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %v\nwant %s", name, err, test.want)
		}
		if strings.Contains(err.Error(), postgrestest.Password) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestPostgresUsable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version            int
		encoding, readOnly string
		want               string
	}{
		{150000, "UTF8", "off", ""},
		{180001, "UTF8", "off", ""},
		{140012, "UTF8", "off", "the server is PostgreSQL 14, and idp needs 15 or newer"},
		{160001, "SQL_ASCII", "off", "the database keeps text as SQL_ASCII: create one with ENCODING 'UTF8'"},
		{160001, "UTF8", "on", errReadOnly.Error()},
	} {
		got := ""
		if err := usable(test.version, test.encoding, test.readOnly); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

func TestPostgresStatement(t *testing.T) {
	t.Parallel()
	const text = `SELECT a FROM b WHERE c = ? AND d IN (?, ?)`
	if got := postgres.statement(text); got != `SELECT a FROM b WHERE c = $1 AND d IN ($2, $3)` {
		t.Error(got)
	}
	if got := sqlite.statement(text); got != text {
		t.Error(got)
	}
}

// A server that answers again is worked on again: the writes meanwhile failed, and
// nothing else did.
func TestPostgresRestart(t *testing.T) {
	t.Parallel()
	s := replicas(t, 1)[0]
	deliver(t, s, "before")
	var name string
	if err := s.read.QueryRow(`SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	postgrestest.Execute(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
	// A connection that has ended is found out by being used.
	for attempt := 0; ; attempt++ {
		_, err := s.AddDelivery(t.Context(), Delivery{GUID: "after"})
		if err == nil {
			break
		}
		if attempt > 2*postgresWriters {
			t.Fatal(err)
		}
	}
	if pending, err := s.PendingDeliveries(t.Context(), 0, 0); err != nil || len(pending) != 2 {
		t.Errorf("%d pending (%v)", len(pending), err)
	}
}
