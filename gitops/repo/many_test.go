package repo

import (
	"bufio"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// Many folders in one commit are compared with the tip as few are.
func TestManyFolders(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	const n = fewFolders + 10
	id := func(i int) string { return fmt.Sprintf("pr-%d", i+1) }
	var first []Change
	for i := range n {
		first = append(first, deploy(id(i), "v0"))
	}
	if result := mustCommit(t, r, first...); len(result.Applied) != n {
		t.Fatalf("%d of %d are there", len(result.Applied), n)
	}
	mustEdit(t, remote, gittest.Edit{
		Remove: []string{"environments/acme/web/pr-3"}, // removed already
		Put:    []gitops.File{{Path: "environments/acme/web/pr-1/manifests/deployment.yaml", Content: []byte("by hand\n")}},
		Links:  map[string]string{"environments/acme/web/pr-2": "pr-1"},
	})
	if _, err := r.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	var second []Change
	for i, c := range first {
		if i < n/2 {
			second = append(second, remove(c))
		} else {
			second = append(second, deploy(id(i), "v1", treeOf(c)))
		}
	}
	second = append(second, remove(deploy("pr-1000", "v0"))) // never was there
	result := mustCommit(t, r, second...)
	equal(t, "applied", len(result.Applied), n+1-2)
	if len(result.Conflicts) != 2 || !errors.Is(result.Conflicts[0].Err, ErrConflict) || !errors.Is(result.Conflicts[1].Err, ErrIrregular) {
		t.Errorf("conflicts are %+v", result.Conflicts)
	}
	left := map[string]bool{}
	for _, path := range paths(t, remote) {
		left[strings.Join(strings.Split(path, "/")[:min(4, strings.Count(path, "/")+1)], "/")] = true
	}
	equal(t, "folders left", len(left), n-n/2+2)
	equal(t, "what another wrote stays", mustContent(t, remote, "environments/acme/web/pr-1/manifests/deployment.yaml"), "by hand\n")
}

func mustContent(t *testing.T, remote *gittest.Repository, path string) string {
	t.Helper()
	content, err := remote.Content(t.Context(), tipOf(t, remote), path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// What git made of folders is compared with what was meant, however many there are.
func TestVerifyFolders(t *testing.T) {
	t.Parallel()
	r, _ := setup(t)
	c := deploy("pr-1", "v0")
	tip := mustCommit(t, r, c).Commit
	right := wanted{c, treeOf(c)}
	if err := r.verifyFolders(t.Context(), tip, []wanted{right}); err != nil {
		t.Error(err)
	}
	for name, w := range map[string]wanted{
		"another tree": {c, treeOf(deploy("pr-1", "v1"))}, "none": {c, ""}, "one that is not there": {deploy("pr-2", "v0"), treeOf(deploy("pr-2", "v0"))},
	} {
		if err := r.verifyFolders(t.Context(), tip, []wanted{right, w}); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	if err := r.verifyFolders(t.Context(), strings.Repeat("1", 40), []wanted{{c, "1"}}); err == nil {
		t.Error("a commit that is not there passes")
	}
}

// A tree that breaks off is an error, and what is none is not read.
func TestReadFolder(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("1", 40)
	for answer, folder := range map[string]bool{"x missing\n": false, id + " blob 3\nabc\n": false, id + " tree 0\n\n": true} {
		if _, is, err := readFolder(bufio.NewReader(strings.NewReader(answer))); err != nil || is != folder {
			t.Errorf("%q is read as %t, %v", answer, is, err)
		}
	}
	for _, answer := range []string{"", id + " tree x\n", id + " tree 9\nabc\n", id + " tree 8\n40000 ab\n"} {
		if _, _, err := readFolder(bufio.NewReader(strings.NewReader(answer))); err == nil {
			t.Errorf("%q is read", answer)
		}
	}
}

// A commit of very many changes lists some in words, and all of them in its trailers.
func TestMessageOfMany(t *testing.T) {
	t.Parallel()
	var changes []wanted
	for i := range maxSubjects + 3 {
		changes = append(changes, wanted{Change: deploy(fmt.Sprintf("pr-%d", i), "v0")})
	}
	b := batch{}
	message := b.message(changes)
	equal(t, "in words", strings.Count(message, "\n- Deploy "), maxSubjects)
	equal(t, "the rest", strings.Count(message, "\n- and 3 more\n"), 1)
	equal(t, "trailers", strings.Count(message, "\nIdp-Change: "), maxSubjects+3)
}
