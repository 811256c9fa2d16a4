package github

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
)

// setupChange is a GitHub with a GitOps repository in which a branch holds a
// change.
func setupChange(t *testing.T) (*world, *githubtest.Repository, bot.RepositoryRef, bot.Change) {
	t.Helper()
	w := setup(t)
	r := w.server.AddRepository("acme/gitops", githubtest.RepositoryOptions{Private: true})
	r.Commit("idp/staging", map[string]string{"environments/x.yaml": "x"})
	return w, r, bot.RepositoryRef{ID: r.ID(), Owner: "acme", Name: "gitops", Private: true},
		bot.Change{Branch: "idp/staging", Base: "main", Title: "Deploy web to staging", Body: "because"}
}

func TestProposeChange(t *testing.T) {
	t.Parallel()
	w, r, repo, change := setupChange(t)
	number, err := w.client.ProposeChange(t.Context(), repo, change)
	if err != nil || number != 1 {
		t.Fatalf("#%d, %v", number, err)
	}
	written := w.count("POST", "/repos/{owner}/{repo}/pulls") + w.count("PATCH", "")
	if again, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || again != number {
		t.Errorf("again: #%d, %v", again, err)
	}
	if now := w.count("POST", "/repos/{owner}/{repo}/pulls") + w.count("PATCH", ""); now != written {
		t.Errorf("%d requests wrote what was there", now-written)
	}
	change.Title, change.Body = strings.Repeat("ü", 300), strings.Repeat("ü", 70000)
	if again, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || again != number {
		t.Errorf("edited: #%d, %v", again, err)
	}
	if all := r.PullRequests(); len(all) != 1 || all[0].State() != "open" {
		t.Errorf("%d pull requests", len(all))
	}
	r.PullRequests()[0].Close("alice")
	if next, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || next != 2 {
		t.Errorf("after one that was closed: #%d, %v", next, err)
	}
	// The answer to the making of one may be lost, and another process may make it.
	r.Commit("idp/other", map[string]string{"y": "y"})
	w.server.Inject(githubtest.Fault{Method: "POST", Path: "/repos/acme/gitops/pulls", AfterEffect: true, Drop: true, Times: 1})
	change.Branch = "idp/other"
	if _, err := w.client.ProposeChange(t.Context(), repo, change); err == nil {
		t.Error("an answer that was lost reads as one")
	}
	if next, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || next != 3 {
		t.Errorf("after a lost answer: #%d, %v", next, err)
	}
	w.server.Inject(githubtest.Fault{Method: "GET", Path: "/repos/acme/gitops/pulls", Status: 200, Body: `[]`, Times: 1})
	if next, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || next != 3 {
		t.Errorf("made by another meanwhile: #%d, %v", next, err)
	}
}

func TestProposeChangeThatCannotBe(t *testing.T) {
	t.Parallel()
	w, r, repo, change := setupChange(t)
	r.Commit("main", map[string]string{"z": "z"})
	for _, row := range []struct {
		branch, base string
		want         error
	}{
		{"idp/none", "main", bot.ErrNotFound}, {"idp/staging", "none", bot.ErrNotFound},
		{"main", "main", bot.ErrNothingToPropose}, {"idp/empty", "main", bot.ErrNothingToPropose},
	} {
		if row.branch == "idp/empty" {
			r.Commit(row.branch, map[string]string{"e": "e"})
			if err := r.Reset("alice", row.branch, r.Branch("main")); err != nil {
				t.Fatal(err)
			}
		}
		change.Branch, change.Base = row.branch, row.base
		number, err := w.client.ProposeChange(t.Context(), repo, change)
		if !errors.Is(err, row.want) || number != 0 || !strings.Contains(err.Error(), "propose "+row.branch+" of acme/gitops") {
			t.Errorf("%s into %s: #%d, %v", row.branch, row.base, number, err)
		}
	}
	// A person's pull request from a fork's branch of that name is another change.
	fork := r.Fork("acme-fork")
	fork.Commit("idp/staging", map[string]string{"evil": "x"})
	if _, err := r.OpenPullRequest(githubtest.PullRequestOptions{Author: "mallory", Title: "x", Head: "idp/staging", HeadRepository: fork}); err != nil {
		t.Fatal(err)
	}
	change.Branch, change.Base = "idp/staging", "main"
	if number, err := w.client.ProposeChange(t.Context(), repo, change); err != nil || number != 2 {
		t.Errorf("beside a fork's: #%d, %v", number, err)
	}
}

func TestChangeState(t *testing.T) {
	t.Parallel()
	w, r, repo, change := setupChange(t)
	number, err := w.client.ProposeChange(t.Context(), repo, change)
	if err != nil {
		t.Fatal(err)
	}
	check := func(number int, state, sha string) {
		t.Helper()
		if gotState, gotSHA, err := w.client.ChangeState(t.Context(), repo, number); err != nil || gotState != state || gotSHA != sha {
			t.Errorf("#%d: %s %q, %v", number, gotState, gotSHA, err)
		}
	}
	check(number, bot.ChangeOpen, "")
	if err := r.PullRequests()[0].Squash("alice"); err != nil {
		t.Fatal(err)
	}
	check(number, bot.ChangeMerged, r.Branch("main"))
	r.Commit("idp/more", map[string]string{"m": "m"})
	change.Branch = "idp/more"
	if number, err = w.client.ProposeChange(t.Context(), repo, change); err != nil {
		t.Fatal(err)
	}
	r.DeleteBranch("alice", "idp/more")
	check(number, bot.ChangeClosed, "")
	if _, _, err := w.client.ChangeState(t.Context(), repo, 99); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}

func TestCloseChange(t *testing.T) {
	t.Parallel()
	w, r, repo, change := setupChange(t)
	number, err := w.client.ProposeChange(t.Context(), repo, change)
	if err != nil {
		t.Fatal(err)
	}
	pr := r.PullRequests()[0]
	// Interrupted after the comment, it is closed at the next try and not explained twice.
	w.server.Inject(githubtest.Fault{Method: "PATCH", Path: "/repos/acme/gitops/pulls/1", Status: 403, Times: 1})
	if err := w.client.CloseChange(t.Context(), repo, number, "superseded"); err == nil || pr.State() != "open" {
		t.Errorf("%s, %v", pr.State(), err)
	}
	for range 2 {
		if err := w.client.CloseChange(t.Context(), repo, number, "superseded"); err != nil || pr.State() != "closed" {
			t.Errorf("%s, %v", pr.State(), err)
		}
	}
	var said []string
	for _, comment := range pr.Comments() {
		said = append(said, comment.App+": "+comment.Body)
	}
	if !slices.Equal(said, []string{"idp: superseded"}) {
		t.Errorf("said %q", said)
	}
	if err := w.client.CloseChange(t.Context(), repo, 99, "gone"); err != nil {
		t.Errorf("absent: %v", err)
	}
	r.Commit("idp/more", map[string]string{"m": "m"})
	change.Branch = "idp/more"
	if number, err = w.client.ProposeChange(t.Context(), repo, change); err == nil {
		err = r.PullRequests()[1].Merge("alice")
	}
	if err == nil {
		err = w.client.CloseChange(t.Context(), repo, number, "too late")
	}
	if err != nil || r.PullRequests()[1].State() != "merged" || len(r.PullRequests()[1].Comments()) != 0 {
		t.Errorf("merged: %s, %v", r.PullRequests()[1].State(), err)
	}
}

func TestGitRepository(t *testing.T) {
	t.Parallel()
	w := setup(t)
	url := strings.TrimSuffix(w.server.HTMLURL(), "/") + "/acme/web.git"
	repo, installation, err := w.app.GitRepository(t.Context(), url)
	if err != nil || repo != w.ref() || installation != w.install.ID() {
		t.Errorf("%+v of %d, %v", repo, installation, err)
	}
	if _, _, err := w.app.GitRepository(t.Context(), "https://git.example.com/acme/web.git"); err == nil {
		t.Error("another host's repository was found")
	}
	if _, _, err := w.app.GitRepository(t.Context(), w.server.HTMLURL()+"/acme/none.git"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
}
