package repo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// setup serves an empty repository and opens its branch main.
func setup(t testing.TB, change ...func(*Options)) (*Repo, *gittest.Repository) {
	t.Helper()
	_, remote := serve(t)
	return open(t, remote, change...), remote
}

func serve(t testing.TB) (*gittest.Server, *gittest.Repository) {
	t.Helper()
	server, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	remote, err := server.Create(t.Context(), "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	return server, remote
}

func open(t testing.TB, remote *gittest.Repository, change ...func(*Options)) *Repo {
	t.Helper()
	opts := Options{URL: remote.URL, Branch: "main", Dir: secrettest.Dir(t), Now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	for _, c := range change {
		c(&opts)
	}
	r, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// deploy is a change that gives environment acme/web/<id> one manifest.
func deploy(id, content string, accept ...string) Change {
	dir := "environments/acme/web/" + id
	return Change{
		Key: "acme/web/" + id + "#" + content, Dir: dir, Accept: append(accept, ""), Subject: "Deploy " + id,
		Files: []gitops.File{
			{Path: dir + "/environment.yaml", Content: []byte("id: " + id + "\n")},
			{Path: dir + "/manifests/deployment.yaml", Content: []byte(content + "\n")},
		},
		Trailers: [][2]string{{"Idp-Environment", "acme/web/" + id + " generation 1"}, {"Idp-Actor", "alice"}},
	}
}

func remove(c Change) Change {
	return Change{Key: c.Key + "-removed", Dir: c.Dir, Accept: []string{treeOf(c)}, Subject: "Remove " + c.Dir}
}

func treeOf(c Change) string { return TreeID(c.Dir, c.Files) }

func mustCommit(t testing.TB, r *Repo, changes ...Change) Result {
	t.Helper()
	result, err := r.Commit(t.Context(), Commit{Changes: changes}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func mustEdit(t testing.TB, remote *gittest.Repository, e gittest.Edit) string {
	t.Helper()
	if e.Message == "" {
		e.Message = "by hand"
	}
	sha, err := remote.Commit(context.WithoutCancel(t.Context()), "main", e)
	if err != nil {
		t.Fatal(err)
	}
	return sha
}

func tipOf(t testing.TB, remote *gittest.Repository) string {
	t.Helper()
	tip, err := remote.Tip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	return tip
}

// paths lists the files at the remote's tip.
func paths(t testing.TB, remote *gittest.Repository) []string {
	t.Helper()
	list, err := remote.List(t.Context(), tipOf(t, remote))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range list {
		list[i] = line[strings.LastIndexByte(line, ' ')+1:]
	}
	return list
}

func messages(t testing.TB, remote *gittest.Repository) []string {
	t.Helper()
	list, err := remote.Messages(t.Context(), tipOf(t, remote))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// commitsOf counts the commits that carry the change's trailer.
func commitsOf(t testing.TB, remote *gittest.Repository, c Change) int {
	t.Helper()
	n := 0
	for _, m := range messages(t, remote) {
		if slices.Contains(strings.Split(m, "\n"), trailerChange+": "+c.Key) {
			n++
		}
	}
	return n
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func equalList(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}
