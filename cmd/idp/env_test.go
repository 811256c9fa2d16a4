package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// served is a database as a server leaves it open, and the idp beside it.
type served struct {
	*store.Store
	url string
}

func newServed(t *testing.T) served {
	t.Helper()
	url := "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db")
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return served{s, url}
}

// idp runs a command and returns its status and what it printed.
func (s served) idp(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = searchedRun(t.Context(), t, args, strings.NewReader(""), &out, &errs, []string{"IDP_DATABASE_URL=" + s.url})
	return status, out.String(), errs.String()
}

func TestEnvList(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	now := time.Now().UTC()
	waiting := storetest.Preview(1, 42, now.Add(-3*time.Minute-time.Second))
	waiting.Team = "payments"
	pinned := storetest.Preview(2, 7, now)
	pinned.Pin(now)
	pinned.Resolve(nil, now)
	gone := storetest.Preview(1, 9, now)
	gone.Remove(previews.Removal{Reason: previews.RemovedByCommand, By: "ada"}, now)
	failed := storetest.Preview(1, 50, now)
	failed.Fail(previews.Problem{Kind: previews.ProblemImage, Message: "image never came\nmore"}, now)
	for _, e := range []previews.Environment{waiting, pinned, gone, failed} {
		storetest.Add(t, s.Store, e)
	}
	const header = "NAME    REPOSITORY    STATE        SHA       EXPIRES   OWNER      NOTE\n"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"all": {nil, header +
			"pr-42   acme/repo-1   waiting      0000000   in 2d     payments   image missing 3m\n" +
			"pr-50   acme/repo-1   failed       0000000   in 2d     –          image never came\n" +
			"pr-7    acme/repo-2   committing   0000000   pinned    –\n"},
		"state": {[]string{"--state", "gone"},
			"NAME   REPOSITORY    STATE   SHA       EXPIRES   OWNER   NOTE\n" +
				"pr-9   acme/repo-1   gone    0000000   –         –       command by ada\n"},
		"repo": {[]string{"--repo", "ACME/repo-2"},
			"NAME   REPOSITORY    STATE        SHA       EXPIRES   OWNER   NOTE\n" +
				"pr-7   acme/repo-2   committing   0000000   pinned    –\n"},
	} {
		status, stdout, stderr := s.idp(t, append([]string{"env", "list"}, test.args...)...)
		if diff := cmp.Diff(test.want, stdout); status != exitOK || diff != "" || stderr != "" {
			t.Errorf("%s: status %d, stderr %q (-want +got):\n%s", name, status, stderr, diff)
		}
	}
	var facts []map[string]any
	_, stdout, _ := s.idp(t, "env", "list", "--all", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &facts); err != nil || len(facts) != 4 || facts[1]["name"] != "pr-42" || facts[1]["owner"] != "payments" {
		t.Errorf("as JSON: %v\n%s", err, stdout)
	}
}

// Declared environments are listed service by service, before the previews, with what
// waits, who locked them and how far a rollout is.
func TestEnvListDeclared(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	now := time.Now().UTC()
	web := storetest.Preview(1, 41, now)
	web.Ref.ID, web.Ref.Service, web.Deployed, web.Wanted = "staging", "web", &previews.Deployed{}, previews.Absent
	r := previews.Release{Kind: previews.ReleaseDeploy, SHA: strings.Repeat("a", 40), Spec: []byte("service: {name: web}"), PR: 41, Images: []previews.Image{{Service: "web"}}}
	web.ExpiresAt = time.Time{}
	web.Deploy(r, now)
	web.Commit(previews.Applied{Generation: web.Generation, SHA: r.SHA, Commit: "c", Tree: "t", Watched: true, At: now})
	web.Observe(&previews.Observation{
		Generation: web.Generation, Sync: "Synced", Health: "Suspended", Progress: &previews.Progress{Canary: true, Step: 1, Steps: 3, Weight: 10},
	}, now)
	r.PR = 42
	web.Deploy(r, now)
	web.SetLock(&previews.Lock{By: "carol"}, now)
	shared := storetest.Preview(1, 40, now)
	shared.Ref.ID, shared.Deployed = "staging", &previews.Deployed{}
	for _, e := range []previews.Environment{storetest.Preview(1, 7, now), web, shared} {
		storetest.Add(t, s.Store, e)
	}
	status, stdout, stderr := s.idp(t, "env", "list")
	want := "NAME          REPOSITORY    STATE     SHA       EXPIRES   OWNER   NOTE\n" +
		"staging.web   acme/repo-1   syncing   aaaaaaa   –         –       10%, step 1 of 3; locked by carol; 1 waiting\n" +
		"pr-7          acme/repo-1   waiting   0000000   in 2d     –       image missing 0s\n"
	if diff := cmp.Diff(want, stdout); status != exitOK || diff != "" {
		t.Errorf("status %d, stderr %q (-want +got):\n%s", status, stderr, diff)
	}
}

// The measures are added up from what ended, and told to people and scripts.
func TestMeasures(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	now := time.Now().UTC()
	e := storetest.Preview(1, 7, now)
	ended := func(minutes int, outcome previews.Outcome) previews.Finished {
		at := now.Add(time.Duration(minutes) * time.Minute)
		return previews.Finished{
			Ref: "acme/repo-1/staging.web", Environment: "staging", Service: "web", Outcome: outcome,
			CommittedAt: at.Add(-time.Hour), AskedAt: at.Add(-2 * time.Minute), EndedAt: at,
		}
	}
	e.Finished = []previews.Finished{ended(-100*24*60, previews.OutcomeFailed), ended(-30, previews.OutcomeHealthy), ended(-20, previews.OutcomeFailed), ended(-10, previews.OutcomeHealthy)}
	storetest.Add(t, s.Store, e)
	status, stdout, stderr := s.idp(t, "measures", "--since", "10d")
	want := "ENVIRONMENT   DEPLOYED   PER DAY   WAITED p50   p90   LEAD p50   p90   FAILED   RATE   RESTORED p50\n" +
		"staging       2          0.2       2m           2m    1h         1h    1        33%    10m\n"
	if diff := cmp.Diff(want, stdout); status != exitOK || diff != "" {
		t.Errorf("status %d, stderr %q (-want +got):\n%s", status, stderr, diff)
	}
	var facts []map[string]any
	_, stdout, _ = s.idp(t, "measures", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &facts); err != nil || len(facts) != 1 || facts[0]["restoreSecondsP50"] != 600.0 || facts[0]["changeFailureRate"] != 1.0/3 {
		t.Errorf("as JSON: %v\n%s", err, stdout)
	}
	if status, _, stderr := s.idp(t, "measures", "--since", "soon"); status != exitUsage || !strings.Contains(stderr, "expected a duration such as 24h or 30d") {
		t.Errorf("a mistake: status %d, stderr %q", status, stderr)
	}
}

func TestEnvListMistakes(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	absent := served{url: "sqlite://" + filepath.Join(secrettest.Dir(t), "none.db")}
	for name, test := range map[string]struct {
		in     served
		args   []string
		status int
		stderr string
	}{
		"state":       {s, []string{"--state", "redy"}, exitUsage, `did you mean "ready"?`},
		"repo":        {s, []string{"--repo", "acme"}, exitUsage, "expected OWNER/NAME"},
		"no database": {absent, nil, exitFailure, "hint: set --database-url"},
	} {
		status, _, stderr := test.in.idp(t, append([]string{"env", "list"}, test.args...)...)
		if status != test.status || !strings.Contains(stderr, test.stderr) {
			t.Errorf("%s: status %d, stderr %q", name, status, stderr)
		}
	}
}

func TestReap(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	row := storetest.Add(t, s.Store, storetest.Preview(1, 42, time.Now().Add(-100*time.Hour)))
	status, stdout, stderr := s.idp(t, "reap", "--dry-run")
	want := "NAME    REPOSITORY    ACTION     REASON\n" +
		"pr-42   acme/repo-1   postpone   expired 28h ago unannounced: it gets 1h more\n"
	if status != exitOK || stdout != want || stderr != "" {
		t.Errorf("dry run: status %d, stderr %q (-want +got):\n%s", status, stderr, cmp.Diff(want, stdout))
	}
	status, stdout, stderr = s.idp(t, "reap")
	if status != exitOK || stdout != "REMOVED   WARNED   POSTPONED\n0         0        1\n" || !strings.Contains(stderr, "running idp serve commits") {
		t.Errorf("sweep: status %d, %q, %q", status, stdout, stderr)
	}
	if got, err := s.Environment(t.Context(), 1, "pr-42"); err != nil || got.WarnedAt.IsZero() || got.Version == row.Version {
		t.Errorf("the row was not warned: %+v, %v", got, err)
	}
	if status, _, _ := s.idp(t, "reap", "--dry-run", "--confirm"); status != exitUsage {
		t.Errorf("both flags: status %d", status)
	}
}

func TestReapConfirm(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	if status, stdout, stderr := s.idp(t, "reap", "--confirm"); status != exitOK || !strings.Contains(stdout, "nothing is held back") || stderr != "" {
		t.Errorf("nothing latched: status %d, %q, %q", status, stdout, stderr)
	}
	infer := func(pr int) error {
		row := storetest.Add(t, s.Store, storetest.Preview(1, pr, time.Now()))
		_, err := s.Update(t.Context(), row.RowID, func(e *previews.Environment) error {
			e.Remove(previews.Removal{Reason: previews.RemovedClosed, Inferred: true}, time.Now())
			return nil
		})
		return err
	}
	var err error
	for pr := 1; err == nil && pr < 10; pr++ {
		err = infer(pr)
	}
	if !errors.Is(err, previews.ErrBreaker) {
		t.Fatal(err)
	}
	if _, _, stderr := s.idp(t, "reap", "--dry-run"); !strings.Contains(stderr, "idp reap --confirm") {
		t.Errorf("nobody is told of the breaker: %q", stderr)
	}
	status, stdout, stderr := s.idp(t, "reap", "--confirm", "-o", "json")
	if status != exitOK || !strings.Contains(stdout, `"confirmed": true`) || !strings.Contains(stdout, `"reason": "`) {
		t.Errorf("confirm: status %d, %q, %q", status, stdout, stderr)
	}
	b, breakerErr := s.Breaker(t.Context())
	if err := infer(20); err != nil || breakerErr != nil || b.Latched || b.ConfirmedBy == "" {
		t.Errorf("after confirming: %v, %v, %+v", err, breakerErr, b)
	}
}
