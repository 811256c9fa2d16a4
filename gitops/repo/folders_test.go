package repo

import (
	"errors"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

func TestFolders(t *testing.T) {
	t.Parallel()
	writer, remote := setup(t)
	first, second := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	mustCommit(t, writer, first, second)
	bare := gitops.File{Path: "environments/acme/web/pr-3/manifests/x.yaml", Content: []byte("x\n")}
	tip := mustEdit(t, remote, gittest.Edit{
		Put: []gitops.File{bare, {Path: "environments/README.md", Content: []byte("hello\n")}, {Path: "environments/acme/web/pr-4", Content: []byte("x\n")}},
		Links: map[string]string{
			"environments/acme/web/pr-5/environment.yaml": "../pr-1/environment.yaml",
			"environments/acme/web/pr-6":                  "pr-1",
		},
	})

	r := open(t, remote) // holds none of the blobs
	folders, err := r.Folders(t.Context(), tip)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, f := range folders {
		what := f.Tree + " " + string(f.Record)
		if f.Err != nil {
			what = "error"
			equal(t, f.Dir+": irregular", errors.Is(f.Err, ErrIrregular), true)
			equal(t, f.Dir+": no record beside an error", len(f.Record), 0)
		}
		seen[strings.TrimPrefix(f.Dir, "environments/")] = what
	}
	want := map[string]string{
		"acme/web/pr-3": "error", "acme/web/pr-4": "error", "acme/web/pr-5": "error", "acme/web/pr-6": "error",
		"acme/web/pr-1": treeOf(first) + " id: pr-1\n", "acme/web/pr-2": treeOf(second) + " id: pr-2\n",
	}
	equal(t, "folders", len(seen), len(want))
	for dir, what := range want {
		equal(t, dir, seen[dir], what)
	}
	trees, err := r.FolderTrees(t.Context(), tip)
	equal(t, "trees: error", err, nil)
	equal(t, "trees", len(trees), 4)
	equal(t, "tree of pr-1", trees[first.Dir], treeOf(first))
	empty := mustEdit(t, remote, gittest.Edit{Remove: []string{"environments"}})
	folders, err = r.Folders(t.Context(), empty)
	equal(t, "no environments", len(folders), 0)
	equal(t, "no environments: error", err, nil)
}

func TestHistory(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	first, second := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	both := mustCommit(t, r, first, second).Commit
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "README.md", Content: []byte("x\n")}}})
	again := deploy("pr-1", "v2", treeOf(first))
	newer := mustCommit(t, r, again).Commit
	gone := remove(second)
	tip := mustCommit(t, r, gone).Commit

	history, err := r.History(t.Context(), tip)
	if err != nil {
		t.Fatal(err)
	}
	want := []Landed{{Key: gone.Key, Commit: tip}, {Key: again.Key, Commit: newer}, {Key: first.Key, Commit: both}, {Key: second.Key, Commit: both}}
	equal(t, "changes", len(history), len(want))
	for i, w := range want {
		equal(t, "key", history[i].Key, w.Key)
		equal(t, "commit of "+w.Key, history[i].Commit, w.Commit)
		equal(t, "time of "+w.Key, history[i].At.Unix(), int64(1_800_000_000))
	}
	equal(t, "own trailers", history[3].Trailers["Idp-Environment"], "acme/web/pr-2 generation 1")

	trees, err := r.Trees(t.Context(), []Place{{newer, again.Dir}, {both, again.Dir}, {tip, second.Dir}, {both, second.Dir}, {tip, "README.md"}})
	if err != nil {
		t.Fatal(err)
	}
	for i, tree := range []string{treeOf(again), treeOf(first), "", treeOf(second), ""} {
		equal(t, "tree", trees[i], tree)
	}
	_, err = r.Trees(t.Context(), []Place{{"HEAD", again.Dir}})
	equal(t, "no commit", errors.Is(err, ErrInvalid), true)
}
