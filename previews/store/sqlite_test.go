package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

func TestSQLitePath(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"sqlite://idp.db": "idp.db", "sqlite:///var/lib/idp.db": "/var/lib/idp.db", "sqlite://./a/b.db": "./a/b.db",
		"sqlite://": "", "sqlite://dir/": "", "sqlite://a.db?mode=memory": "", "": "",
	} {
		got, err := sqlitePath(url)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", url, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows what may be a password: %v", url, err)
		}
	}
}

// What acknowledges a webhook must be synced, and a write transaction must take
// its lock as it begins.
func TestPragmas(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := s.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
		}
	}
	if _, err := s.read.Exec("DELETE FROM deliveries"); err == nil {
		t.Error("the read pool writes")
	}
}

func TestOddPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(secrettest.Dir(t), "a b%20c&d=e.db")
	s := open(t, func(o *Options) { o.URL = "sqlite://" + path })
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		version, than string
		older         bool
	}{{"3.51.2", "3.51.3", true}, {"3.51.3", "3.51.3", false}, {"3.9.0", "3.51.3", true}, {"4.0.0", "3.51.3", false}, {"3.54", "3.51.3", false}} {
		if olderVersion(test.version, test.than) != test.older {
			t.Errorf("%s older than %s: want %v", test.version, test.than, test.older)
		}
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	url := "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")
	_, err := Open(t.Context(), Options{URL: url, Existing: true})
	if !errors.Is(err, ErrAbsent) {
		t.Errorf("nothing there: %v", err)
	}
	s := open(t, func(o *Options) { o.URL = url })
	if _, err := s.AddDelivery(t.Context(), Delivery{GUID: "one"}); err != nil {
		t.Fatal(err)
	}
	beside := open(t, func(o *Options) { o.URL, o.Existing = url, true })
	if d, err := beside.Delivery(t.Context(), "one"); err != nil || d.GUID != "one" {
		t.Errorf("beside: %+v, %v", d, err)
	}
	if _, err := s.write.Exec(`INSERT INTO schema_migrations (version) VALUES (9999)`); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer schema: %v", err)
	}
}

// A damaged file is told apart from every other trouble, wherever the damage is.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(secrettest.Dir(t), "idp.db")
	s, err := Open(t.Context(), Options{URL: "sqlite://" + path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: fmt.Sprint("guid-", i), Payload: make([]byte, 2000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	healthy, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"header":    func(b []byte) []byte { copy(b, "not a database at all"); return b },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"pages": func(b []byte) []byte {
			for page := 4; page < len(b)/4096; page += 5 {
				for i := range 64 {
					b[page*4096+i] ^= 0xff
				}
			}
			return b
		},
	} {
		broken := filepath.Join(secrettest.Dir(t), "broken.db")
		if err := os.WriteFile(broken, damage(append([]byte{}, healthy...)), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), Options{URL: "sqlite://" + broken})
		if err == nil {
			_ = s.Close()
		}
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A full disk refuses deliveries and decisions whole, and when there is room
// again both go through, without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	var pages int
	if err := s.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if _, err := s.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 8)
	var stored, refused []string
	for i := range 30 {
		guid := fmt.Sprint("guid-", i)
		switch _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid, RepositoryID: 1, Payload: make([]byte, 4000)}); {
		case err == nil:
			stored = append(stored, guid)
		default:
			refused = append(refused, guid)
		}
	}
	if len(stored) == 0 || len(refused) == 0 {
		t.Fatalf("%d stored and %d refused: the limit was not met", len(stored), len(refused))
	}
	big := previews.Environment{Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "a", Repo: "b", ID: "pr-1"}, Spec: make([]byte, 64<<10)}
	if err := s.Apply(t.Context(), Outcome{Delivery: stored[0], Environment: &big}); err == nil {
		t.Error("a decision was stored on a full disk")
	}
	if pending, err := s.PendingDeliveries(t.Context(), 1, 0); err != nil || len(pending) != len(stored) {
		t.Errorf("%d pending, want the %d that were acknowledged (%v)", len(pending), len(stored), err)
	}
	limit(pages + 10_000)
	for _, guid := range refused {
		if again, err := s.AddDelivery(t.Context(), Delivery{GUID: guid, RepositoryID: 1}); err != nil || !again {
			t.Fatalf("with room again: stored %v, error %v", again, err)
		}
	}
	if err := s.Apply(t.Context(), Outcome{Delivery: stored[0], Environment: &big}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// Another process that holds the write lock makes deliveries wait, and then fail;
// when it lets go they work again.
func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(secrettest.Dir(t), "idp.db")
	s := open(t, func(o *Options) { o.URL = "sqlite://" + path })
	if _, err := s.write.Exec("PRAGMA busy_timeout = 20"); err != nil {
		t.Fatal(err)
	}
	other, err := openPool(path, "rw", 1, []string{"busy_timeout(5000)"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddDelivery(t.Context(), Delivery{GUID: "one"}); err == nil {
		t.Error("stored in spite of the lock")
	}
	if _, err := s.Environments(t.Context(), Filter{}); err != nil {
		t.Errorf("reading waits for the lock: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if stored, err := s.AddDelivery(t.Context(), Delivery{GUID: "one"}); err != nil || !stored {
		t.Errorf("after the lock: stored %v, error %v", stored, err)
	}
}

// Two environments whose names collide are refused with the reason; it takes two
// ids with one hash, so the collision is made by hand.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	create := func(pr int) (previews.Environment, error) {
		e := previews.Environment{Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)}}
		guid := fmt.Sprint("guid-", pr)
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid}); err != nil {
			t.Fatal(err)
		}
		return e, s.Apply(t.Context(), Outcome{Delivery: guid, Environment: &e})
	}
	first, err := create(1)
	if err != nil {
		t.Fatal(err)
	}
	second := gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "pr-2"}
	if _, err := s.write.Exec(`UPDATE environments SET name = ? WHERE id = ?`, second.Name(), first.RowID); err != nil {
		t.Fatal(err)
	}
	if _, err := create(2); !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), "1/pr-1") {
		t.Errorf("colliding names: %v", err)
	}
}

// A process that ended in the middle of its jobs leaves them "running"; the next one
// takes them over at once. That is no failure of theirs: a server that is killed again and
// again gives none up. One that has been at it far too often dies in the end.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	s := open(t, func(o *Options) { o.Retry = []time.Duration{time.Millisecond} })
	interrupted(t, s, map[string]int{"held": 1, "killed": maxLost, "deadly": maxLost + 1})
	if _, err := s.write.Exec(`INSERT INTO river_leader (elected_at, expires_at, leader_id, name) VALUES (datetime('now'), datetime('now', '+1 hour'), 'gone', 'default')`); err != nil {
		t.Fatal(err)
	}
	handled, gaveUp := make(chan string, 10), make(chan string, 10)
	err := s.StartJobs(t.Context(), Jobs{
		Failed: func(kind string) { gaveUp <- kind },
		Handle: func(_ context.Context, d Delivery) error {
			handled <- d.GUID
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if guid := within(t, handled); guid == "deadly" {
			t.Errorf("%s was handled", guid)
		}
	}
	within(t, gaveUp)
	if err := s.StopJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Delivery(t.Context(), "deadly"); err != nil || d.State != DeliveryDead || !strings.Contains(d.Error, "the server ended 21 times") {
		t.Errorf("deadly: %+v, %v", d, err)
	}
	for _, guid := range []string{"held", "killed"} {
		if d, err := s.Delivery(t.Context(), guid); err != nil || d.State != DeliveryDone {
			t.Errorf("%s: %+v, %v", guid, d, err)
		}
	}
}

// interrupted stores deliveries as a server leaves them that ended so often while it
// handled them.
func interrupted(t *testing.T, s *Store, times map[string]int) {
	t.Helper()
	for guid, n := range times {
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid}); err != nil {
			t.Fatal(err)
		}
		_, err := s.write.Exec(`UPDATE river_job SET state = 'running', attempt = ?, attempted_at = datetime('now'), attempted_by = '["gone"]' WHERE json_extract(args, '$.guid') = ?`, n, guid)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("timed out")
		panic("unreachable")
	}
}

// Of what the server ended with, one at a time is handled, so that it shows which it was;
// what is new does not wait for that.
func TestSuspectsOneByOne(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	interrupted(t, s, map[string]int{"suspect 1": 3, "suspect 2": 3, "suspect 3": 3})
	begun, more := make(chan string, 10), make(chan struct{})
	err := s.StartJobs(t.Context(), Jobs{Handle: func(_ context.Context, d Delivery) error {
		begun <- d.GUID
		if strings.HasPrefix(d.GUID, "suspect") {
			<-more
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	first := within(t, begun)
	for _, guid := range []string{"new 1", "new 2", "new 3"} {
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid}); err != nil {
			t.Fatal(err)
		}
		if next := within(t, begun); next != guid {
			t.Fatalf("%s was begun beside %s, expected %s", next, first, guid)
		}
	}
	close(more)
	if second, third := within(t, begun), within(t, begun); second == third || second == first || third == first {
		t.Errorf("%q, %q, %q were handled", first, second, third)
	}
	if err := s.StopJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A lease that could not be given back, since the disk was full, is not lost to who had it:
// what is done by it goes on. While it is held nobody gets it a second time.
func TestLeaseNotGivenBack(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	readOnly := func(on int) {
		if _, err := s.write.Exec(fmt.Sprint("PRAGMA query_only = ", on)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		held, err := s.Hold(t.Context(), "sweep", func(ctx context.Context, lease Lease) error {
			if again, err := s.Hold(ctx, "sweep", func(context.Context, Lease) error { return nil }); again || err != nil || lease.TakenOver {
				t.Errorf("held twice: %t, %v; taken over: %t", again, err, lease.TakenOver)
			}
			readOnly(1)
			return nil
		})
		readOnly(0)
		if !held || err == nil {
			t.Errorf("held %t, given back with %v", held, err)
		}
	}
}

// TestPrivateFile: payloads of private repositories are nobody else's to read.
func TestPrivateFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(secrettest.Dir(t), "idp.db")
	s, err := Open(t.Context(), Options{URL: "sqlite://" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, file := range []string{path, path + "-wal"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(file), mode)
		}
	}
}

// A database from before the audit log was a chain gets one, and keeps what it holds.
func TestMigrateChainsAudit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(secrettest.Dir(t), "idp.db")
	before, _, err := openSQLite(t.Context(), Options{URL: "sqlite://" + path})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps[:5] {
		if err := step.apply(t.Context(), before.write); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int{1, 2, 7} {
		_, err := before.write.ExecContext(t.Context(), `INSERT INTO audit (id, at, delivery, actor_id, actor, action, environment, sha, allowed, reason)
			VALUES (?, 1700000000123456789, 'guid', 3, 'ada', 'pin', 'acme/web/pr-1', 'c0ffee', 1, 'write')`, id)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := before.close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, func(o *Options) { o.URL = "sqlite://" + path })
	var chain previews.AuditChain
	n := 0
	err = s.EachAudit(t.Context(), 0, -1, func(a previews.Audit) error {
		n++
		if problem := chain.Check(a); problem != "" || a.Actor != "ada" || a.At.UnixNano() != 1700000000123456789 {
			t.Errorf("%s: %+v", problem, a)
		}
		return nil
	})
	if err != nil || n != 3 || chain.Seq != 3 {
		t.Errorf("%d entries, the last is %d (%v)", n, chain.Seq, err)
	}
}

// TestAuditTampered changes the database behind the store's back.
func TestAuditTampered(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		`UPDATE audit SET allowed = 1 WHERE id = 3`:                 "entry 3 was altered",
		`UPDATE audit SET actor = 'eve', actor_id = 9 WHERE id = 3`: "entry 3 was altered",
		`UPDATE audit SET hash = '' WHERE id = 3`:                   "entry 3 was altered; entry 4 does not follow the entry before it",
		`DELETE FROM audit WHERE id = 3`:                            "entry 3 is missing",
		`UPDATE audit SET id = CASE id WHEN 3 THEN -4 ELSE -3 END WHERE id IN (3, 4); UPDATE audit SET id = -id WHERE id < 0`: "entry 3 does not follow the entry before it; entry 4 does not follow the entry before it; entry 5 does not follow the entry before it",
	} {
		s := open(t, nil)
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: "one"}); err != nil {
			t.Fatal(err)
		}
		o := Outcome{Delivery: "one"}
		for range 6 {
			o.Audit = append(o.Audit, previews.Audit{ActorID: 3, Actor: "ada", Action: "deploy production", Reason: "no"})
		}
		if err := s.Apply(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if _, err := s.write.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		var chain previews.AuditChain
		var found []string
		err := s.EachAudit(t.Context(), 0, -1, func(a previews.Audit) error {
			if problem := chain.Check(a); problem != "" {
				found = append(found, problem)
			}
			return nil
		})
		if got := strings.Join(found, "; "); err != nil || got != want {
			t.Errorf("%s:\n found %q\n want  %q (%v)", statement, got, want, err)
		}
	}
}
