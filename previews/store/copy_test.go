package store

import (
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// filled is an SQLite database with something of everything, and two deliveries that
// are not done, one of which has failed before.
func filled(t *testing.T) (address string) {
	t.Helper()
	address = "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")
	s, err := Open(t.Context(), Options{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "done")
	e := preview(1, time.Now())
	if err := s.Apply(t.Context(), Outcome{
		Delivery: "done", Once: "comment 1", Environment: &e, Effects: []Effect{{Kind: "reply", Content: "hello, wörld"}},
		Audit: []previews.Audit{{Actor: "ada", Action: "deploy"}, {Actor: "eve", Action: "destroy", Reason: "no"}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.SaveReport(t.Context(), e.RowID, Report{CommentID: 7}), s.LatchBreaker(t.Context(), "too many"), s.SetAuditExported(t.Context(), "-", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pause(t.Context(), "ops", "upgrade"); err != nil {
		t.Fatal(err)
	}
	for _, guid := range []string{"waits", "failed before"} {
		if _, err := s.AddDelivery(t.Context(), Delivery{GUID: guid, Payload: []byte{0, 0xff, '{'}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.write.Exec(`UPDATE river_job SET state = 'retryable', attempt = 3 WHERE json_extract(args, '$.guid') = 'failed before'`); err != nil {
		t.Fatal(err)
	}
	// The last row went again; its number must not be given once more.
	if _, err := s.write.Exec(`INSERT INTO environments SELECT 41, 9, 'x', 'x', 'x', version, doc, diff, head_sha, state, present, committed, needs_commit, wanted_at, image_check_at, expires_at, report_rank, reported_version, report_not_before, unreported_since, lane, proposed, preview, author, team, author_id FROM environments; DELETE FROM environments WHERE id = 41`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

// All that SQLite holds is in Postgres afterwards, and a server goes on with it.
func TestCopy(t *testing.T) {
	t.Parallel()
	from, to := filled(t), postgrestest.URL(t)
	copied, err := Copy(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, table := range copied.Tables {
		counts[table.Table] = table.Rows
	}
	want := map[string]int{
		"deliveries": 3, "environments": 1, "reports": 1, "effects": 1, "audit": 3, "inferred_removals": 0, "breaker": 1, "pause": 1, "observed": 0, "image_reports": 0,
		"claims": 1, "releases": 0, "audit_exports": 1, "river_job": 3, // no server has looked at the first yet
	}
	if !reflect.DeepEqual(counts, want) || copied.Audit.Seq != 3 {
		t.Errorf("copied %v, want %v; the audit log ends with %d", counts, want, copied.Audit.Seq)
	}
	before, after := open(t, func(o *Options) { o.URL = from }), open(t, func(o *Options) { o.URL = to })
	for _, s := range []*Store{before, after} {
		s.now = time.Now
	}
	was, is := everything(t, before), everything(t, after)
	if !reflect.DeepEqual(was, is) {
		t.Errorf("copied\n%+v\nas\n%+v", was, is)
	}
	attempts := make(chan Delivery, 10)
	if err := after.StartJobs(t.Context(), Jobs{Handle: func(_ context.Context, d Delivery) error { attempts <- d; return nil }}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case d := <-attempts:
			if string(d.Payload) != "\x00\xff{" {
				t.Errorf("handled %+v", d)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("what waited is not handled")
		}
	}
	// What works deliveries would take the next for its own.
	if err := after.StopJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	deliver(t, after, "new")
	e := preview(2, time.Now())
	if err := after.Apply(t.Context(), Outcome{Delivery: "new", Environment: &e, Audit: []previews.Audit{{Actor: "ada"}}}); err != nil || e.RowID <= 41 {
		t.Errorf("a new environment has number %d (%v)", e.RowID, err)
	}
}

// everything is what a store tells of all that it holds.
func everything(t *testing.T, s *Store) []any {
	t.Helper()
	var out []any
	add := func(v any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	environments, err := s.Environments(t.Context(), Filter{})
	add(environments, err)
	for _, e := range environments {
		report, err := s.Report(t.Context(), e.RowID)
		add(report, err)
	}
	for _, guid := range []string{"done", "waits", "failed before"} {
		d, err := s.Delivery(t.Context(), guid)
		add(d, err)
	}
	effects, err := s.PendingEffects(t.Context(), time.Now(), 10)
	add(effects, err)
	audit, err := s.AuditLog(t.Context(), AuditFilter{})
	add(audit, err)
	breaker, err := s.Breaker(t.Context())
	add(breaker, err)
	paused, err := s.Paused(t.Context())
	add(paused, err)
	exported, err := s.AuditExported(t.Context(), "-")
	add(exported, err)
	return out
}

// What cannot be copied whole is not copied at all.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	from, to := filled(t), postgrestest.URL(t)
	refuse := func(name, from, to string, is error, says string) {
		t.Helper()
		_, err := Copy(t.Context(), from, to)
		if err == nil || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	refuse("back to a file", to, from, ErrAbsent, "")
	refuse("from file to file", from, filled(t), ErrNotCopied, "")
	refuse("no file", "sqlite://"+filepath.Join(secrettest.Dir(t), "none.db"), to, ErrAbsent, "")
	source := open(t, func(o *Options) { o.URL = from })
	if err := source.StartJobs(t.Context(), Jobs{Handle: func(context.Context, Delivery) error { return errors.New("not now") }}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		var leads int
		if err := source.read.QueryRow(`SELECT count(*) FROM river_leader`).Scan(&leads); err != nil || time.Now().After(deadline) {
			t.Fatalf("nobody leads the queue (%v)", err)
		}
		if leads > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond) // River tells nobody who leads: its row is all there is to look at
	}
	refuse("a source that is served", from, to, ErrServed, "")
	if err := source.StopJobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := source.write.Exec(`UPDATE audit SET actor = 'mallory' WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	refuse("an audit log that was altered", from, to, nil, "entry 1 was altered")
	if _, err := source.write.Exec(`UPDATE audit SET actor = 'ada' WHERE id = 1`); err != nil {
		t.Fatal(err)
	}
	target := open(t, func(o *Options) { o.URL = to })
	for _, count := range everythingCounted(t, target) {
		if count != 0 {
			t.Fatal("a refusal left rows behind")
		}
	}
	deliver(t, target, "there already")
	refuse("a target that is not empty", from, to, ErrNotEmpty, "deliveries")
}

func everythingCounted(t *testing.T, s *Store) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, table := range []string{"deliveries", "environments", "audit", "breaker", "river_job"} {
		var n int
		if err := s.read.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		counts[table] = n
	}
	return counts
}
