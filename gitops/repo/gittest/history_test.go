package gittest_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	server, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	r, err := server.Create(t.Context(), "acme/gitops")
	if err != nil {
		t.Fatal(err)
	}
	if heads, err := r.Heads(t.Context()); err != nil || len(heads) != 0 {
		t.Errorf("empty: %v, %v", heads, err)
	}
	if all, err := r.History(t.Context(), nil, nil); err != nil || all != nil {
		t.Errorf("empty: %v, %v", all, err)
	}
	commit := func(branch string, e gittest.Edit) string {
		t.Helper()
		sha, err := r.Commit(t.Context(), branch, e)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	put := func(path, content string) []gitops.File { return []gitops.File{{Path: path, Content: []byte(content)}} }
	first := commit("main", gittest.Edit{Message: "First\n\nwith a body", Put: put("a b/ü", "x\n"), Links: map[string]string{"link": "a b/ü"}})
	if err := r.Point(t.Context(), "side/one", first); err != nil {
		t.Fatal(err)
	}
	side := commit("side/one", gittest.Edit{Message: "Side", Put: put("empty", "")})
	at := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	merge := commit("main", gittest.Edit{Message: "Merge", Author: "alice", At: at, Merges: side, Onto: first, Put: put("empty", "")})

	heads, err := r.Heads(t.Context())
	if want := map[string]string{"main": merge, "side/one": side}; err != nil || !maps.Equal(heads, want) {
		t.Errorf("heads %v, %v", heads, err)
	}
	then, files := time.Unix(1700000000, 0).UTC(), map[string]string{"a b/ü": "x\n", "link": "a b/ü"}
	more := map[string]string{"a b/ü": "x\n", "link": "a b/ü", "empty": ""}
	want := []gittest.Commit{
		{SHA: first, Parents: []string{}, Author: "somebody else", Message: "First\n\nwith a body", At: then, Files: files},
		{SHA: side, Parents: []string{first}, Author: "somebody else", Message: "Side", At: then, Files: more},
		{SHA: merge, Parents: []string{first, side}, Author: "alice", Message: "Merge", At: at, Files: more},
	}
	all, err := r.History(t.Context(), []string{merge}, nil)
	if diff := cmp.Diff(want, all); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	some, err := r.History(t.Context(), slices.Collect(maps.Values(heads)), []string{first, side})
	if diff := cmp.Diff(want[2:], some); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if sha, err := r.Commit(t.Context(), "main", gittest.Edit{Message: "Late", Onto: first}); err == nil {
		t.Errorf("a commit onto what is no longer the tip became %s", sha)
	}
}
