package repo

import (
	"errors"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

func shared(content string) gitops.File {
	return gitops.File{Path: "applicationsets/web-deployed.yaml", Content: []byte(content)}
}

func TestPropose(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	base := mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "README.md", Content: []byte("hello\n")}}})
	change := deploy("staging", "v1")
	proposal := Commit{Whole: true, Changes: []Change{change}, Shared: []gitops.File{shared("list\n")}}
	intended := 0
	made, err := r.Propose(t.Context(), proposal, "idp/staging-1", func(p Prepared) error {
		equal(t, "parent", p.Parent, base)
		equal(t, "tree", p.Trees[change.Key], treeOf(change))
		intended++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "intents", intended, 1)
	equal(t, "tip", tipOf(t, remote), base)
	branch, err := remote.Tip(t.Context(), "idp/staging-1")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "proposed", made.Commit, branch)
	equal(t, "parent", made.Parent, base)
	equal(t, "tree", made.Trees[change.Key], treeOf(change))

	// The end of the push was not seen: it is proposed again.
	again, err := r.Propose(t.Context(), proposal, "idp/staging-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "again", again.Commit, branch)
	equal(t, "parent again", again.Parent, base)

	// A branch of that name that holds something else is somebody else's.
	other := Commit{Whole: true, Changes: []Change{deploy("staging", "v2")}}
	if _, err := r.Propose(t.Context(), other, "idp/staging-1", nil); !errors.Is(err, ErrConflict) {
		t.Errorf("another change on the same branch: %v", err)
	}

	// Merged, nothing is left to propose.
	if err := remote.Point(t.Context(), "main", branch); err != nil {
		t.Fatal(err)
	}
	merged, err := r.Propose(t.Context(), proposal, "idp/staging-2", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !merged.NoOp || merged.Commit != branch || merged.Trees[change.Key] != treeOf(change) {
		t.Errorf("after the merge: %+v", merged)
	}
	tree, err := r.Tree(t.Context(), branch, change.Dir)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "tree at the tip", tree, treeOf(change))

	if err := r.Withdraw(t.Context(), "idp/staging-1", base); err != nil {
		t.Fatal(err)
	}
	if left, _ := remote.Tip(t.Context(), "idp/staging-1"); left != branch {
		t.Errorf("a branch at another commit was deleted")
	}
	for range 2 {
		if err := r.Withdraw(t.Context(), "idp/staging-1", branch); err != nil {
			t.Fatal(err)
		}
	}
	if heads, err := remote.Heads(t.Context()); err != nil || heads["idp/staging-1"] != "" {
		t.Errorf("the branch is still there: %v %v", heads, err)
	}
}

func TestProposeRefuses(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	tip := mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "environments/acme/web/staging/x.yaml", Content: []byte("theirs\n")}}})
	made, err := r.Propose(t.Context(), Commit{Whole: true, Changes: []Change{deploy("staging", "v1")}}, "idp/staging-1", func(Prepared) error {
		t.Error("intent for what is not pushed")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Conflicts) != 1 || made.Conflicts[0].Commit != tip {
		t.Errorf("conflicts: %+v", made.Conflicts)
	}
	for _, branch := range []string{"main", "", "-x", "a..b"} {
		if _, err := r.Propose(t.Context(), Commit{Changes: []Change{deploy("pr-1", "v1")}}, branch, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("branch %q: %v", branch, err)
		}
	}
}

func TestDiffer(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	mustCommit(t, r, deploy("pr-1", "v1"))
	before := tipOf(t, remote)
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "applicationsets/web-deployed.yaml", Content: []byte("new\n")}}})
	after := tipOf(t, remote)
	for _, c := range []struct {
		from, to string
		paths    []string
		want     bool
	}{
		{before, after, []string{"environments/acme/web/pr-1"}, false},
		{before, after, []string{"environments/acme/web/pr-1", "applicationsets/web-deployed.yaml"}, true},
		{"", after, []string{"environments/acme/web/pr-1"}, true},
		{"", after, []string{"environments/acme/web/pr-2"}, false},
	} {
		got, err := r.Differ(t.Context(), c.from, c.to, c.paths)
		if err != nil || got != c.want {
			t.Errorf("Differ(%.7s, %.7s, %v) = %v, %v", c.from, c.to, c.paths, got, err)
		}
	}
}
