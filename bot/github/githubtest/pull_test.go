package githubtest_test

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

func TestFilesComeFromTheMergeBase(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sha := w.repo.Commit("feature", map[string]string{"src/a.go": "", "src/b.go": "package a\n", "README.md": "# web\nmore\n", "new": "x\n"})
	w.repo.Commit("main", map[string]string{"unrelated": "y\n"})
	if _, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Head: "feature"}); err != nil {
		t.Fatal(err)
	}
	var files []struct {
		Filename, Status, Patch string
		Previous                string `json:"previous_filename"`
		Additions, Deletions    int
	}
	w.do("GET", "/repos/acme/web/pulls/1/files", w.token(""), "", 200).decode(&files)
	got := ""
	for _, f := range files {
		got += f.Status + " " + f.Previous + ">" + f.Filename + "\n"
	}
	if want := "modified >README.md\nadded >new\nrenamed src/a.go>src/b.go\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if f := files[0]; f.Additions != 1 || f.Deletions != 0 || !strings.HasPrefix(f.Patch, "@@ ") {
		t.Errorf("%+v", f)
	}
	var pr struct {
		Commits int
		Head    struct{ SHA string }
		Base    struct{ SHA string }
		State   string `json:"mergeable_state"`
	}
	w.do("GET", "/repos/acme/web/pulls/1", w.token(""), "", 200).decode(&pr)
	if pr.Commits != 1 || pr.Head.SHA != sha || pr.Base.SHA != w.repo.Branch("main") || pr.State != "clean" {
		t.Errorf("%+v", pr)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr, other := w.open("feature"), w.open("other")
	if err := pr.Merge("alice"); err != nil {
		t.Fatal(err)
	}
	if pr.State() != "merged" || pr.Merge("alice") == nil {
		t.Error(pr.State())
	}
	pr.Reopen("alice")
	if pr.State() != "merged" {
		t.Error("a merged pull request opened again")
	}
	w.do("GET", "/repos/acme/web/contents/src/feature.go", w.token(""), "", 200)
	other.Push("alice", map[string]string{"README.md": "theirs\n"})
	w.repo.Commit("main", map[string]string{"README.md": "ours\n"})
	if other.Merge("alice") == nil {
		t.Error("a conflict was merged")
	}
}

func TestBranchDeletionCloses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open("feature")
	w.repo.DeleteBranch("alice", "feature")
	pr.Reopen("alice")
	if pr.State() != "closed" {
		t.Error(pr.State())
	}
	w.do("GET", "/repos/acme/web/commits/"+pr.HeadSHA(), w.token(""), "", 200)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open("feature")
	for _, opts := range []githubtest.PullRequestOptions{{Head: "feature"}, {Head: "none"}, {Head: "main"}, {Head: "feature", Base: "none"}} {
		if _, err := w.repo.OpenPullRequest(opts); err == nil {
			t.Errorf("%+v opened", opts)
		}
	}
}

func TestListPulls(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.open("a").Close("alice")
	w.open("b")
	w.open("c")
	for query, want := range map[string]string{
		"": "32", "state=closed": "1", "state=all": "321", "direction=asc": "23", "head=acme:b": "2", "base=none": "", "per_page=1&page=2": "2",
	} {
		var pulls []struct{ Number int64 }
		w.do("GET", "/repos/acme/web/pulls?"+query, w.token(""), "", 200).decode(&pulls)
		got := ""
		for _, pr := range pulls {
			got += itoa(pr.Number)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}
