package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest"
)

// staging is a service of a declared environment that is in Git.
func staging(repositoryID int64, now time.Time) previews.Environment {
	e := storetest.Preview(repositoryID, 1, now)
	e.Ref.ID, e.Ref.Service, e.Deployed, e.Wanted, e.ExpiresAt = "staging", "web", &previews.Deployed{}, previews.Absent, time.Time{}
	e.Deploy(previews.Release{Kind: previews.ReleaseDeploy, SHA: strings.Repeat("a", 40), Spec: []byte("service: {name: web}"), Images: []previews.Image{{Service: "web"}}}, now)
	e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c", Tree: "t", At: now})
	return e
}

func TestEnvRemove(t *testing.T) {
	t.Parallel()
	s := newServed(t)
	now := time.Now().UTC()
	storetest.Add(t, s.Store, staging(1, now))
	locked := staging(2, now)
	locked.SetLock(&previews.Lock{By: "carol"}, now)
	locked = storetest.Add(t, s.Store, locked)
	// One repository took the name of another that was deleted.
	older, newer := staging(3, now), staging(4, now)
	older.Lose(previews.LostDeleted, now.Add(-2*time.Hour))
	newer.Owner, newer.Repo = older.Owner, older.Repo
	storetest.Add(t, s.Store, older)
	storetest.Add(t, s.Store, newer)

	for name, test := range map[string]struct {
		args   []string
		status int
		told   string
	}{
		"nothing said":    {nil, exitUsage, "error: the repository is missing\nhint: \"idp env remove --help\" shows how it is called\n"},
		"one thing said":  {[]string{"acme/repo-1"}, exitUsage, "error: the environment is missing\nhint: \"idp env remove --help\" shows how it is called\n"},
		"too much said":   {[]string{"acme/repo-1", "staging", "web"}, exitUsage, "error: \"idp env remove\" takes two arguments, not 3\nhint: \"idp env remove --help\" shows how it is called\n"},
		"no repository":   {[]string{"repo-1", "staging"}, exitUsage, "error: \"repo-1\" is not OWNER/REPO\n"},
		"not there":       {[]string{"acme/repo-1", "prod"}, exitFailure, "error: acme/repo-1 has no environment prod that is there\nhint: idp env list --repo acme/repo-1 --all shows what there is, and was\n"},
		"locked":          {[]string{"acme/repo-2", "staging", "--confirm"}, exitFailure, "error: staging of acme/repo-2 is locked by carol\nhint: /idp unlock staging in a pull request gives it free\n"},
		"two of one name": {[]string{"acme/repo-3", "staging", "--confirm"}, exitUsage, "error: several repositories were called acme/repo-3: those with the ids 3 and 4\nhint: say which by --repo-id; idp env list -o json has when each was lost\n"},
		"shown":           {[]string{"acme/repo-1", "staging"}, exitOK, "Nothing is changed: --confirm removes this from the GitOps repository.\n"},
	} {
		status, _, stderr := s.idp(t, append([]string{"env", "remove"}, test.args...)...)
		if diff := cmp.Diff(test.told, stderr); status != test.status || diff != "" {
			t.Errorf("%s: status %d (-want +got):\n%s", name, status, diff)
		}
	}
	for _, id := range []int64{1, 2, 3, 4} {
		if e, err := s.Environment(t.Context(), id, "staging.web"); err != nil || e.Wanted != previews.Present {
			t.Errorf("repository %d: %s, %v", id, e.Wanted, err)
		}
	}

	// What is lost can be unlocked by nobody.
	if _, err := s.Update(t.Context(), locked.RowID, func(e *previews.Environment) error {
		e.Lose(previews.LostUninstalled, now)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pause(t.Context(), "ops", "an upgrade"); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := s.idp(t, "env", "remove", "acme/repo-2", "staging", "--confirm"); status != exitFailure || !strings.Contains(stderr, "idp is paused since") {
		t.Errorf("paused: status %d, %s", status, stderr)
	}
	if _, err := s.Resume(t.Context(), "ops"); err != nil {
		t.Fatal(err)
	}
	for id, args := range map[int64][]string{2: {"acme/repo-2"}, 3: {"acme/repo-3", "--repo-id", "3"}} {
		var facts removedFacts
		status, stdout, stderr := s.idp(t, append([]string{"env", "remove"}, append(args, "staging", "--confirm", "-o", "json")...)...)
		if err := json.Unmarshal([]byte(stdout), &facts); err != nil || status != exitOK || !facts.Removed || len(facts.Parts) != 1 || facts.Parts[0].Lost == nil {
			t.Errorf("repository %d: status %d, %v, %s%s", id, status, err, stdout, stderr)
		}
		e, err := s.Environment(t.Context(), id, "staging.web")
		if err != nil || e.Wanted != previews.Absent || e.Removal.Reason != previews.RemovedByOperator || e.Removal.By == "" {
			t.Errorf("repository %d: %s by %+v, %v", id, e.Wanted, e.Removal, err)
		}
	}
	if e, err := s.Environment(t.Context(), 4, "staging.web"); err != nil || e.Wanted != previews.Present {
		t.Errorf("the one that took the name is wanted %s, %v", e.Wanted, err)
	}
}
