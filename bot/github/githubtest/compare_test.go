package githubtest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// comparison is what tests read of one.
type comparison struct {
	Status  string
	Ahead   int                  `json:"ahead_by"`
	Behind  int                  `json:"behind_by"`
	Total   int                  `json:"total_commits"`
	Merge   struct{ SHA string } `json:"merge_base_commit"`
	Commits []struct{ SHA string }
	Files   []struct{ Filename string }
}

func (w *world) compare(basehead string) comparison {
	w.t.Helper()
	var out comparison
	w.do("GET", "/repos/acme/web/compare/"+basehead, w.token(""), "", 200).decode(&out)
	return out
}

func TestCompareFollowsTheGraph(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first := w.repo.Branch("main")
	one := w.repo.Commit("feature/x", map[string]string{"a": "1"})
	two := w.repo.Commit("feature/x", map[string]string{"b": "2"})
	fork := w.repo.Fork("mallory")
	evil := fork.Commit("main", map[string]string{"evil": "x"})
	moved := w.repo.Commit("main", map[string]string{"c": "3"})
	for basehead, want := range map[string]string{
		"main...main":                   "identical 0 0 " + moved,
		"main...feature/x":              "diverged 2 1 " + first,
		first + "...feature/x":          "ahead 2 0 " + first,
		"feature/x..." + first[:7]:      "behind 0 2 " + first,
		one + "..." + two:               "ahead 1 0 " + one,
		"main..." + evil:                "diverged 1 1 " + first,
		"main...mallory:main":           "diverged 1 1 " + first,
		"acme:feature/x...mallory:main": "diverged 1 2 " + first,
	} {
		got := w.compare(basehead)
		if text := fmt.Sprintf("%s %d %d %s", got.Status, got.Ahead, got.Behind, got.Merge.SHA); text != want || got.Total != got.Ahead {
			t.Errorf("%s: %s, want %s", basehead, text, want)
		}
	}
	for _, bad := range []string{"main", "main...none", "none...main", "main...stranger:main", "main.." + one} {
		w.do("GET", "/repos/acme/web/compare/"+bad, w.token(""), "", 404)
	}
	other := w.server.AddRepository("acme/other", githubtest.RepositoryOptions{Private: true})
	w.do("GET", "/repos/acme/web/compare/main..."+other.Branch("main"), w.token(""), "", 404)
}

func TestCompareInPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var all []string
	for i := range 260 {
		all = append(all, w.repo.Commit("long", map[string]string{"a": fmt.Sprint(i)}))
	}
	if got := w.compare("main...long"); len(got.Commits) != 250 || got.Total != 260 || got.Commits[249].SHA != all[259] || len(got.Files) != 1 {
		t.Errorf("whole: %d of %d commits, %d files", len(got.Commits), got.Total, len(got.Files))
	}
	if got := w.compare("main...long?per_page=1"); len(got.Commits) != 1 || got.Commits[0].SHA != all[0] || len(got.Files) != 1 {
		t.Errorf("first page: %+v", got)
	}
	if got := w.compare("main...long?per_page=100&page=3"); len(got.Commits) != 60 || len(got.Files) != 0 {
		t.Errorf("last page: %d commits, %d files", len(got.Commits), len(got.Files))
	}
	if got := w.do("GET", "/repos/acme/web/compare/main...long?per_page=100", w.token(""), "", 200); !strings.Contains(got.header.Get("Link"), `page=2`) {
		t.Errorf("links %q", got.header.Get("Link"))
	}
}

func TestCommitShowsItsFilesInPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	files := map[string]string{}
	for i := range 310 {
		files[fmt.Sprintf("f%03d", i)] = "x"
	}
	w.repo.Commit("main", files)
	for query, want := range map[string]int{"": 300, "?page=2": 10, "?per_page=1": 1} {
		var got struct {
			Files []any
			Stats struct{ Total int }
		}
		w.do("GET", "/repos/acme/web/commits/main"+query, w.token(""), "", 200).decode(&got)
		if len(got.Files) != want || got.Stats.Total != 310 {
			t.Errorf("%q: %d files, %d lines", query, len(got.Files), got.Stats.Total)
		}
	}
}

func TestSquash(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	if err := pr.Squash("alice"); err != nil {
		t.Fatal(err)
	}
	if pr.State() != "merged" || pr.MergeSHA() != w.repo.Branch("main") || pr.MergeSHA() == "" {
		t.Errorf("%s by %q", pr.State(), pr.MergeSHA())
	}
	if got := w.compare("main..." + pr.HeadSHA()); got.Status != "diverged" {
		t.Errorf("the head is %s", got.Status)
	}
	w.do("GET", "/repos/acme/web/contents/src/feature.go", w.token(""), "", 200)
}

func TestCI(t *testing.T) {
	t.Parallel()
	w := setup(t)
	inbox := w.receive(func() int { return 202 })
	ci := w.server.AddCI("")
	pr := w.open("feature")
	running, err := ci.Check(w.repo, "feature", "ci/test", "")
	if err != nil || running.Status != "in_progress" || running.HeadSHA != pr.HeadSHA() || running.App != "ci" {
		t.Fatalf("%+v, %v", running, err)
	}
	done, err := ci.Check(w.repo, pr.HeadSHA(), "ci/test", "failure")
	if err != nil || done.ID != running.ID || done.Conclusion != "failure" || done.CompletedAt.IsZero() {
		t.Errorf("%+v, %v", done, err)
	}
	again, err := ci.Check(w.repo, pr.HeadSHA()[:7], "ci/test", "success")
	if err != nil || again.ID == done.ID {
		t.Errorf("%+v, %v", again, err)
	}
	for _, bad := range [][2]string{{"none", "success"}, {"feature", "great"}} {
		if _, err := ci.Check(w.repo, bad[0], "ci/test", bad[1]); err == nil {
			t.Errorf("%q was run", bad)
		}
	}
	w.do("PATCH", "/repos/acme/web/check-runs/"+itoa(again.ID), w.token(""), `{"conclusion":"success"}`, 403)
	told := []string{}
	for _, one := range inbox() {
		if one.header.Get("X-GitHub-Event") == "check_run" {
			var event struct{ Action string }
			if err := json.Unmarshal(one.body, &event); err != nil {
				t.Fatal(err)
			}
			told = append(told, event.Action)
		}
	}
	if got := strings.Join(told, " "); got != "created completed created completed" {
		t.Errorf("told of %s", got)
	}
}
