package github

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
)

func TestCommit(t *testing.T) {
	t.Parallel()
	w := setup(t)
	at := w.clock.Now()
	base := w.web.Branch("main")
	sha := w.web.PushAs("alice", "feature/ü", "Add a", map[string]string{"a.txt": "a", "b.txt": "b"})
	w.clock.advance(time.Minute)
	w.web.Commit("main", map[string]string{"c.txt": "c"})
	for _, ref := range []string{"feature/ü", "heads/feature/ü", "refs/heads/feature/ü", sha, sha[:7], strings.ToUpper(sha[:12])} {
		got, err := w.client.Commit(t.Context(), w.ref(), ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		got.Author.ID = 0
		if diff := cmp.Diff(bot.Commit{SHA: sha, CommittedAt: at, Author: bot.Actor{Login: "alice"}, Parents: []string{base}}, got); diff != "" {
			t.Errorf("%s: %s", ref, diff)
		}
	}
}

func TestCommitThatIsNone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Branch("main")
	asked := w.count("GET", "")
	for _, ref := range []string{"", "@", "..", "../../acme/other", "a..b", "a b", "a?x=y", "a\nb", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "-a", "a:b", strings.Repeat("a/", 200)} {
		if _, err := w.client.Commit(t.Context(), w.ref(), ref); !errors.Is(err, bot.ErrNotFound) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	if now := w.count("GET", ""); now != asked {
		t.Errorf("GitHub was asked %d times for what can be no ref", now-asked)
	}
	for _, ref := range []string{"absent", "tags/v1", strings.Repeat("0", 40), "0000000", sha[:6]} {
		_, err := w.client.Commit(t.Context(), w.ref(), ref)
		if !errors.Is(err, bot.ErrNotFound) || !strings.Contains(err.Error(), `read commit "`+ref+`" of acme/web`) {
			t.Errorf("%q: %v", ref, err)
		}
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/acme/web/commits/**", Status: 409, Body: `{"message":"Git Repository is empty.","documentation_url":"x"}`, Times: 1})
	if _, err := w.client.Commit(t.Context(), w.ref(), "main"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("empty: %v", err)
	}
}

// A branch can be given the name of somebody's short SHA, and then is not what a
// person means who writes it.
func TestCommitIsNotABranchThatLooksLikeOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Commit("deadbee", map[string]string{"a.txt": "a"})
	if got, err := w.client.Commit(t.Context(), w.ref(), "deadbee"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := w.client.Commit(t.Context(), w.ref(), "heads/deadbee"); err != nil || got.SHA != sha {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDefaultBranch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := w.server.AddRepository("acme/old", githubtest.RepositoryOptions{DefaultBranch: "trunk"})
	ref := bot.RepositoryRef{ID: other.ID(), Owner: "acme", Name: "old"}
	if got, err := w.client.DefaultBranch(t.Context(), ref); err != nil || got != "trunk" {
		t.Errorf("%q, %v", got, err)
	}
	other.Delete("alice")
	if _, err := w.client.DefaultBranch(t.Context(), bot.RepositoryRef{Owner: "acme", Name: "old"}); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	// Public, so that the token of the old one reads it all the same.
	if err := w.web.Rename("alice", "site"); err != nil {
		t.Fatal(err)
	}
	w.server.AddRepository("acme/web", githubtest.RepositoryOptions{})
	if got, err := w.client.DefaultBranch(t.Context(), w.ref()); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("the name of another: %q, %v", got, err)
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.web.Branch("main")
	pr := w.open(t, "feature")
	head := pr.HeadSHA()
	fork := w.web.Fork("mallory")
	evil := fork.Commit("main", map[string]string{"evil.txt": "x"})
	if got, err := w.client.Commit(t.Context(), w.ref(), evil); err != nil || got.SHA != evil {
		t.Fatalf("GitHub serves a fork's commits: %+v, %v", got, err)
	}
	check := func(tip, sha string, want bool) {
		t.Helper()
		if got, err := w.client.Contains(t.Context(), w.ref(), tip, sha); err != nil || got != want {
			t.Errorf("%s in %s: %v, %v", sha, tip, got, err)
		}
	}
	check("main", first, true)
	check("main", head, false)
	check("main", evil, false)
	check("feature", first, true)
	check(head, first, true)
	check(first, head, false)
	if err := pr.Merge("alice"); err != nil {
		t.Fatal(err)
	}
	check("main", head, true)
	check("refs/heads/main", pr.MergeSHA(), true)
	check("main", evil, false)
	squashed := w.open(t, "squashed")
	if err := squashed.Squash("alice"); err != nil {
		t.Fatal(err)
	}
	check("main", squashed.MergeSHA(), true)
	check("main", squashed.HeadSHA(), false)

	for _, bad := range [][2]string{{"absent", first}, {"main", strings.Repeat("0", 40)}, {"main", first[:7]}, {"main", "main"}, {"../x", first}, {"", first}, {"v1?", first}} {
		if got, err := w.client.Contains(t.Context(), w.ref(), bad[0], bad[1]); !errors.Is(err, bot.ErrNotFound) || got {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/acme/web/compare/**", Status: 404, Times: 1,
		Body: `{"message":"No common ancestor between a and b.","documentation_url":"x","status":"404"}`})
	check("main", head, false)
}

func TestChecks(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Branch("main")
	ci, lint := w.server.AddCI(""), w.server.AddCI("lint")
	say := func(by *githubtest.CI, at, name, conclusion string) {
		t.Helper()
		if _, err := by.Check(w.web, at, name, conclusion); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.client.Checks(t.Context(), w.ref(), sha); err != nil || len(got) != 0 {
		t.Errorf("none: %+v, %v", got, err)
	}
	say(ci, sha, "ci/test", "failure")
	say(ci, sha, "ci/test", "success")
	say(ci, sha, "ci/build", "")
	say(lint, sha, "ci/test", "timed_out")
	say(ci, w.web.Commit("main", map[string]string{"x": "y"}), "ci/other", "success")
	want := []bot.CheckState{
		{Name: "ci/build", AppID: ci.App().ID(), Status: "in_progress"},
		{Name: "ci/test", AppID: ci.App().ID(), Status: "completed", Conclusion: "success"},
		{Name: "ci/test", AppID: lint.App().ID(), Status: "completed", Conclusion: "timed_out"},
	}
	if got, err := w.client.Checks(t.Context(), w.ref(), sha); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	// A failure of one suite is not undone by another's success.
	if err := ci.NewSuite(w.web, sha); err != nil {
		t.Fatal(err)
	}
	say(ci, sha, "ci/test", "failure")
	if err := ci.NewSuite(w.web, sha); err != nil {
		t.Fatal(err)
	}
	say(ci, sha, "ci/test", "success")
	want = slices.Insert(want, 2,
		bot.CheckState{Name: "ci/test", AppID: ci.App().ID(), Status: "completed", Conclusion: "failure"},
		bot.CheckState{Name: "ci/test", AppID: ci.App().ID(), Status: "completed", Conclusion: "success"})
	if got, err := w.client.Checks(t.Context(), w.ref(), sha); err != nil || !slices.Equal(got, want) {
		t.Errorf("of several suites: %v\n%s", err, cmp.Diff(want, got))
	}
	for i := range perPage + 5 {
		say(ci, sha, fmt.Sprintf("many/%03d", i), "skipped")
	}
	if got, err := w.client.Checks(t.Context(), w.ref(), sha); err != nil || len(got) != len(want)+perPage+5 {
		t.Errorf("every page: %d, %v", len(got), err)
	}
	for _, bad := range []string{"main", sha[:7], "", strings.Repeat("0", 40)} {
		if got, err := w.client.Checks(t.Context(), w.ref(), bad); !errors.Is(err, bot.ErrNotFound) || got != nil {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.web.Branch("main")
	say := func(at, name, state string) {
		t.Helper()
		if err := w.web.SetStatus(at, name, state); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.client.Statuses(t.Context(), w.ref(), sha); err != nil || len(got) != 0 {
		t.Errorf("none: %+v, %v", got, err)
	}
	say(sha, "ci/test", "failure")
	say(sha, "ci/test", "success")
	say(sha, "ci/build", "pending")
	say(sha, "ci/lint", "error")
	say(w.web.Commit("main", map[string]string{"x": "y"}), "ci/other", "success")
	want := []bot.CheckState{
		{Name: "ci/build", Status: "in_progress"},
		{Name: "ci/lint", Status: "completed", Conclusion: "error"},
		{Name: "ci/test", Status: "completed", Conclusion: "success"},
	}
	if got, err := w.client.Statuses(t.Context(), w.ref(), sha); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	for i := range perPage + 5 {
		say(sha, fmt.Sprintf("many/%03d", i), "success")
	}
	if got, err := w.client.Statuses(t.Context(), w.ref(), sha); err != nil || len(got) != len(want)+perPage+5 {
		t.Errorf("every page: %d, %v", len(got), err)
	}
	for _, bad := range []string{"main", sha[:7], "", strings.Repeat("0", 40)} {
		if got, err := w.client.Statuses(t.Context(), w.ref(), bad); !errors.Is(err, bot.ErrNotFound) || got != nil {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

// An App that was not given the permission still reads everything else.
func TestStatusesNotPermitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	client, sha := w.without(t, "statuses"), w.web.Branch("main")
	if _, err := client.Statuses(t.Context(), w.ref(), sha); !errors.Is(err, bot.ErrNoAccess) || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("statuses: %v", err)
	}
	if _, err := client.Checks(t.Context(), w.ref(), sha); err != nil {
		t.Errorf("checks: %v", err)
	}
}

// TestPushers: who pushed is GitHub's word, whoever is named as the commit's author, and a
// bot among several is the one.
func TestPushers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	made := w.web.PushAs("alice", "feature/ü", "Add a", map[string]string{"a.txt": "a"})
	bumped := w.web.PushAs("renovate[bot]", "feature/ü", "Bump b", map[string]string{"b.txt": "b"})
	forced := w.web.ForcePush("bob", "feature/ü", map[string]string{"c.txt": "c"})
	for _, back := range []string{made, bumped} {
		if err := w.web.Reset("alice", "feature/ü", back); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.web.Reset("renovate[bot]", "feature/ü", forced); err != nil {
		t.Fatal(err)
	}
	elsewhere := w.web.PushAs("alice", "feature", "Add d", map[string]string{"d.txt": "d"})
	w.web.DeleteBranch("alice", "feature/ü")
	got, err := w.client.Pushers(t.Context(), w.ref(), "feature/ü")
	if err != nil {
		t.Fatal(err)
	}
	logins := map[string]string{}
	for sha, by := range got {
		logins[sha] = fmt.Sprint(by.Login, " ", by.Bot, " ", by.ID > 0)
	}
	want := map[string]string{made: "alice false true", bumped: "renovate[bot] true true", forced: "renovate[bot] true true"}
	if diff := cmp.Diff(want, logins); diff != "" {
		t.Error(diff)
	}
	if got, err = w.client.Pushers(t.Context(), w.ref(), "feature"); err != nil || len(got) != 1 || got[elsewhere].Login != "alice" {
		t.Errorf("of another branch %v, %v", got, err)
	}
	if got, err = w.client.Pushers(t.Context(), w.ref(), "nothing"); err != nil || len(got) != 0 {
		t.Errorf("of no branch %v, %v", got, err)
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/acme/web/activity", Status: 404, Body: `{"message":"Not Found","documentation_url":"x"}`, Times: 1})
	if _, err := w.client.Pushers(t.Context(), w.ref(), "other"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("of a GitHub without the route: %v", err)
	}
}
