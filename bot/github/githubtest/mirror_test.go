package githubtest_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// mirrored is acme/gitops on GitHub and in git, with a commit on main.
func mirrored(t *testing.T) (*world, *githubtest.Repository, *gittest.Repository) {
	t.Helper()
	w := setup(t)
	server, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	served, err := server.Create(t.Context(), "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	r := w.server.AddRepository("acme/gitops", githubtest.RepositoryOptions{Private: true})
	r.Mirror(served)
	write(t, served, "main", "platform/classes/staging.yaml", "mode: pull_request\n")
	return w, r, served
}

// write commits one file in git; no content removes it.
func write(t *testing.T, served *gittest.Repository, branch, path, content string) string {
	t.Helper()
	edit := gittest.Edit{Message: "Write " + path + "\n\nby hand", Put: []gitops.File{{Path: path, Content: []byte(content)}}}
	if content == "" {
		edit = gittest.Edit{Message: "Remove " + path, Remove: []string{path}}
	}
	sha, err := served.Commit(t.Context(), branch, edit)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

// branchOff makes a branch of git's where main is.
func branchOff(t *testing.T, served *gittest.Repository, branch string) {
	t.Helper()
	tip, err := served.Tip(t.Context(), "main")
	if err == nil {
		err = served.Point(t.Context(), branch, tip)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestMirrorShowsWhatGitHas(t *testing.T) {
	t.Parallel()
	w, r, served := mirrored(t)
	tip, err := served.Tip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Branch("main"); got != tip {
		t.Errorf("main is at %q, in git at %s", got, tip)
	}
	var commit struct {
		SHA    string
		Author any
		Commit struct {
			Message   string
			Committer struct{ Name, Date string }
		}
		Files []struct{ Filename string }
	}
	w.do("GET", "/repos/acme/gitops/commits/main", w.token(""), "", 200).decode(&commit)
	if commit.SHA != tip || commit.Author != nil || commit.Commit.Message != "Write platform/classes/staging.yaml\n\nby hand" || commit.Commit.Committer.Name != "somebody else" || len(commit.Files) != 1 {
		t.Errorf("%+v", commit)
	}
	w.do("GET", "/repos/acme/gitops/contents/platform/classes/staging.yaml", w.token(""), "", 200)
	branchOff(t, served, "idp/staging")
	first := write(t, served, "idp/staging", "environments/a", "a")
	var got comparison
	w.do("GET", "/repositories/"+itoa(r.ID())+"/compare/main...idp/staging", w.token(""), "", 200).decode(&got)
	if got.Status != "ahead" || got.Ahead != 1 || got.Commits[0].SHA != first {
		t.Errorf("%+v", got)
	}
	if err := served.Delete(t.Context(), "idp/staging"); err != nil {
		t.Fatal(err)
	}
	w.do("GET", "/repos/acme/gitops/branches/idp/staging", w.token(""), "", 404)
}

func TestMirrorMergesInGit(t *testing.T) {
	t.Parallel()
	w, r, served := mirrored(t)
	write(t, served, "main", "environments/old", "old")
	for _, branch := range []string{"idp/one", "idp/two", "idp/three", "idp/four"} {
		branchOff(t, served, branch)
	}
	one := write(t, served, "idp/one", "environments/one", "1")
	write(t, served, "idp/one", "environments/old", "")
	head := write(t, served, "idp/one", "environments/one", "1!")
	write(t, served, "idp/two", "environments/two", "2")
	write(t, served, "idp/three", "platform/classes/staging.yaml", "theirs\n")
	token := w.token("")
	propose := func(branch string, status int) {
		t.Helper()
		w.do("POST", "/repos/acme/gitops/pulls", token, `{"title":"Deploy","head":"`+branch+`","base":"main"}`, status)
	}
	propose("idp/one", 201)
	propose("idp/two", 201)
	propose("idp/three", 201)
	propose("idp/four", 422) // nothing in it
	pulls := r.PullRequests()
	before := r.Branch("main")
	w.clock.advance(time.Minute)
	if err := pulls[0].Merge("alice"); err != nil {
		t.Fatal(err)
	}
	tip, err := served.Tip(t.Context(), "main")
	if err != nil || tip != pulls[0].MergeSHA() || tip != r.Branch("main") {
		t.Errorf("git is at %s, merged by %s, %v", tip, pulls[0].MergeSHA(), err)
	}
	history, err := served.History(t.Context(), []string{tip}, []string{before})
	if err != nil || len(history) != 4 || history[0].SHA != one {
		t.Fatalf("%d commits, %v", len(history), err)
	}
	last := history[3]
	if !slices.Equal(last.Parents, []string{before, head}) || !last.At.Equal(w.clock.Now()) || last.Author != "alice" || last.Files["environments/one"] != "1!" || last.Files["environments/old"] != "" {
		t.Errorf("merged as %+v", last)
	}
	// Somebody pushes meanwhile: the merge is onto what they pushed.
	pushed := write(t, served, "main", "platform/classes/staging.yaml", "ours\n")
	if err := pulls[1].Squash("alice"); err != nil {
		t.Fatal(err)
	}
	history, err = served.History(t.Context(), []string{r.Branch("main")}, []string{pushed})
	if err != nil || len(history) != 1 || !slices.Equal(history[0].Parents, []string{pushed}) || history[0].Files["environments/two"] != "2" {
		t.Errorf("squashed as %+v, %v", history, err)
	}
	if err := pulls[2].Merge("alice"); err == nil || pulls[2].State() != "open" {
		t.Errorf("a conflict was merged: %v", err)
	}
	if err := served.Delete(context.Background(), "idp/three"); err != nil {
		t.Fatal(err)
	}
	var third struct{ State string }
	w.do("GET", "/repos/acme/gitops/pulls/3", token, "", 200).decode(&third)
	if third.State != "closed" {
		t.Errorf("its branch is gone, and it is %s", third.State)
	}
}

func TestMirrorTellsOfPushes(t *testing.T) {
	t.Parallel()
	w, r, served := mirrored(t)
	page := w.do("GET", w.server.HTMLURL()+"/acme/gitops", "", "", 200)
	if !strings.Contains(string(page.body), "gitops") || r.Branch("main") == "" {
		t.Errorf("page %.200s", page.body)
	}
	inbox := w.receive(func() int { return 202 })
	branchOff(t, served, "idp/one")
	write(t, served, "idp/one", "a", "a")
	w.do("POST", "/repos/acme/gitops/pulls", w.token(""), `{"title":"Deploy","head":"idp/one","base":"main"}`, 201)
	write(t, served, "idp/one", "b", "b")
	r.PullRequests()[0].HeadSHA()
	told := map[string]int{}
	for _, one := range inbox() {
		told[one.header.Get("X-GitHub-Event")]++
	}
	// idp/one was pushed, and again.
	if told["push"] != 2 || told["pull_request"] != 2 {
		t.Errorf("told of %v", told)
	}
}

func TestMirrorIsNotWrittenPastGit(t *testing.T) {
	t.Parallel()
	_, r, _ := mirrored(t)
	for name, act := range map[string]func(){
		"commit": func() { r.Commit("main", map[string]string{"a": "a"}) },
		"reset":  func() { _ = r.Reset("alice", "main", r.Branch("main")) },
		"delete": func() { r.DeleteBranch("alice", "main") },
	} {
		func() {
			defer func() {
				if said, _ := recover().(string); !strings.Contains(said, "acme/gitops are in git") {
					t.Errorf("%s: %q", name, said)
				}
			}()
			act()
		}()
	}
}
