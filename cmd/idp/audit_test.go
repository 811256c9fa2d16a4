package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// recorded returns a served database with n entries of three people.
func recorded(t *testing.T, n int) served {
	t.Helper()
	s := newServed(t)
	if _, err := s.AddDelivery(t.Context(), store.Delivery{GUID: "0a1b", RepositoryID: 1}); err != nil {
		t.Fatal(err)
	}
	o := store.Outcome{Delivery: "0a1b"}
	for i := range n {
		o.Audit = append(o.Audit, previews.Audit{
			ActorID: int64(1 + i%3), Actor: []string{"ada", "ben", "eve"}[i%3], Action: []string{"deploy staging", "pin", "approve"}[i%3],
			Environment: "acme/web/staging", SHA: strings.Repeat("c0ffee00", 5), Allowed: i%3 != 2, Reason: []string{"write", "write", "not\x1b[31m\nallowed"}[i%3],
		})
	}
	if err := s.Apply(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAuditList(t *testing.T) {
	t.Parallel()
	s := recorded(t, 7)
	status, out, errs := s.idp(t, "audit", "list", "--refused", "--since", "1h")
	if status != 0 || strings.Count(out, "\n") != 3 || !strings.Contains(out, "eve   approve   acme/web/staging   c0ffee0   no        not [31m allowed") {
		t.Errorf("status %d:\n%s%s", status, out, errs)
	}
	status, out, _ = s.idp(t, "audit", "list", "--limit", "0", "--actor", "ADA", "-o", "json")
	var got []previews.Audit
	if err := json.Unmarshal([]byte(out), &got); err != nil || status != 0 || len(got) != 3 || got[0].Seq != 7 || got[0].Hash != got[0].Sum() {
		t.Errorf("status %d, %v:\n%s", status, err, out)
	}
	if status, out, _ = s.idp(t, "audit", "list", "--repo", "acme/api", "-o", "json"); status != 0 || out != "[]\n" {
		t.Errorf("status %d, nothing there: %q", status, out)
	}
	for args, want := range map[string]int{
		"--sha C0FFEE0": 7, "--sha c0ffee1": 0, "--delivery 0a1b": 7, "--delivery 0a1": 0, "--actor-id 3": 2, "--repo acme/web --pr 1": 0,
	} {
		status, out, errs := s.idp(t, append([]string{"audit", "list", "-o", "json"}, strings.Fields(args)...)...)
		if got := strings.Count(out, `"seq":`); status != 0 || got != want {
			t.Errorf("%s: status %d, %d entries, want %d\n%s", args, status, got, want, errs)
		}
	}
	for _, args := range [][]string{{"--since", "yesterday"}, {"--repo", "web"}, {"--environment", "staging"}, {"--limit", "-1"}, {"--until", "0h"}, {"--pr", "7"}, {"--actor-id", "-1"}, {"--sha", "c0f"}, {"--sha", "topic"}} {
		if status, _, errs := s.idp(t, append([]string{"audit", "list"}, args...)...); status != exitUsage || !strings.Contains(errs, args[0]) {
			t.Errorf("%v: status %d: %s", args, status, errs)
		}
	}
}

// copied writes the log as audit_log does.
func copied(t *testing.T, s served, path string) {
	t.Helper()
	if more, err := (auditCopier{store: s.Store, sink: path}).step(t.Context()); more || err != nil {
		t.Fatal(more, err)
	}
}

func TestAuditCopy(t *testing.T) {
	t.Parallel()
	s := recorded(t, 4)
	path := filepath.Join(secrettest.Dir(t), "audit.jsonl")
	copied(t, s, path)
	copied(t, s, path) // nothing new
	if _, err := s.AddDelivery(t.Context(), store.Delivery{GUID: "more", RepositoryID: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), store.Outcome{Delivery: "more", Audit: []previews.Audit{{Actor: "ada", Action: "unpin"}}}); err != nil {
		t.Fatal(err)
	}
	// The machine died while it wrote the entry: the line is torn, and not noted.
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"seq":5,"at"`...), 0o600); err != nil {
		t.Fatal(err)
	}
	copied(t, s, path)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(got)), "\n")
	if len(lines) != 6 || !strings.HasPrefix(lines[5], `{"seq":5,`) || !strings.Contains(lines[5], `"actor":"ada","action":"unpin"`) {
		t.Errorf("the copy is:\n%s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	var out bytes.Buffer
	if _, err := (auditCopier{store: s.Store, sink: "-", out: &out}).step(t.Context()); err != nil || strings.Count(out.String(), "\n") != 5 {
		t.Errorf("standard output got %q (%v)", out.String(), err)
	}
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	s := recorded(t, 5)
	path := filepath.Join(secrettest.Dir(t), "audit.jsonl")
	copied(t, s, path)
	head, err := s.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clone := cloneWith(t, head.String())
	status, out, errs := s.idp(t, "audit", "verify", "--against", path, "--clone", clone)
	if status != 0 || !strings.Contains(out, "yes      5         6") || !strings.Contains(out, head.Hash) {
		t.Errorf("status %d:\n%s%s", status, out, errs)
	}
	var other previews.AuditChain
	for range 6 { // what an attacker who cut the log off, and went on, would leave
		other.Append(previews.Audit{Action: "other", At: time.Now()})
	}
	tail := other.Append(previews.Audit{Action: "other", At: time.Now()})
	more := filepath.Join(secrettest.Dir(t), "more.jsonl")
	altered := strings.Replace(string(tail.Line()), `"other"`, `"mine"`, 1)
	if err := os.WriteFile(more, fmt.Appendf(nil, "%s\nnonsense\n%s\n", tail.Line(), altered), 0o600); err != nil {
		t.Fatal(err)
	}
	forged := cloneWith(t, fmt.Sprintf("4 %064d", 7))
	status, out, errs = s.idp(t, "audit", "verify", "--against", more, "--clone", forged)
	if status != exitInvalid || !strings.Contains(out, "no       5         2") {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, want := range []string{
		"error: the audit log is not as it was written: 4 problems\n", more + ":2 is no entry of an audit log", more + ":3: entry 7 was altered in this copy",
		"entry 4 is another one in commit ", "entry 7 is in " + more + " and missing from the log", "hint: keep the database as it is",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("no %q in:\n%s", want, errs)
		}
	}
	if status, _, errs := s.idp(t, "audit", "verify", "--clone", secrettest.Dir(t)); status != exitInvalid || !strings.Contains(errs, "is not a clone of a Git repository") {
		t.Errorf("status %d: %s", status, errs)
	}
	if status, _, errs := s.idp(t, "audit", "verify", "--against", "no-such-file"); status != exitInvalid || !strings.Contains(errs, "no such file") {
		t.Errorf("status %d: %s", status, errs)
	}
}

// cloneWith returns a repository with a commit that has a trailer.
func cloneWith(t *testing.T, trailer string) string {
	t.Helper()
	server, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := server.Create(t.Context(), "gitops")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Commit(t.Context(), "main", gittest.Edit{Message: "Change\n\n" + previews.AuditTrailer + ": " + trailer + "\n"}); err != nil {
		t.Fatal(err)
	}
	return r.Path
}
