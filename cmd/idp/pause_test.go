package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews/storetest"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	said := func(stderr, wanted string, args ...string) string {
		t.Helper()
		status, stdout, got := s.idp(t, args...)
		if status != exitOK || !strings.HasPrefix(got, stderr) {
			t.Errorf("idp %v: status %d, stderr %q", args, status, got)
		}
		if !regexp.MustCompile(wanted).MatchString(stdout) {
			t.Errorf("idp %v printed\n%s", args, stdout)
		}
		return stdout
	}
	said("It was not paused.\n", `(?m)^no +– +– +–$`, "resume")
	said("", `(?m)^yes +\S+Z +\S+ +the cluster is being upgraded$`, "pause", "--reason", "the cluster is being upgraded")
	said("It was paused already", `"reason": "the cluster is being upgraded"`, "pause", "--reason", "another", "-o", "json")

	storetest.Add(t, s.Store, storetest.Preview(1, 42, time.Now().Add(-100*time.Hour)))
	said("idp is paused since ", `(?m)^pr-42 `, "env", "list")
	said("idp is paused since ", `(?m)^pr-42 .*postpone`, "reap", "--dry-run")
	status, stdout, stderr := s.idp(t, "reap")
	if status != exitFailure || stdout != "" || !strings.Contains(stderr, "error: idp is paused since ") || !strings.Contains(stderr, "hint: let it go on with: idp resume") {
		t.Errorf("reap: status %d, %q, %q", status, stdout, stderr)
	}
	if e, err := s.Environment(t.Context(), 1, "pr-42"); err != nil || !e.WarnedAt.IsZero() {
		t.Errorf("it was warned of: %+v, %v", e, err)
	}
	said("It was paused since ", `"paused": false`, "resume", "-o", "json")
	said("", `(?m)^pr-42 `, "env", "list")
	if status, _, stderr := s.idp(t, "pause", "--reason", strings.Repeat("x", maxPauseReason+1)); status != exitUsage || !strings.Contains(stderr, "--reason") {
		t.Errorf("a long reason: status %d, %q", status, stderr)
	}
}
