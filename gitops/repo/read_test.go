package repo

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

func runScript(t *testing.T, script string, env []string, arg string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), script, arg)
	cmd.Env = append(env, "PATH=/bin:/usr/bin")
	out, err := cmd.Output()
	return string(out), err
}

func TestFiles(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	change := deploy("pr-1", "v1")
	long := strings.Repeat("0123456789\n", 20_000)
	change.Files = append(change.Files, gitops.File{Path: change.Dir + "/a.yaml", Content: []byte(long)})
	sha := mustEdit(t, remote, gittest.Edit{Put: change.Files, Links: map[string]string{"platform/link": "x"}})

	r := open(t, remote) // holds none of the blobs
	files, err := r.Files(t.Context(), sha, change.Dir)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files", len(files), 3)
	equal(t, "first", files[0].Path, change.Dir+"/a.yaml")
	equal(t, "tree", TreeID(change.Dir, files), treeOf(change))
	none, err := r.Files(t.Context(), sha, "environments/acme/nothing")
	equal(t, "absent folder", len(none), 0)
	equal(t, "absent folder: error", err, nil)
	_, err = r.Files(t.Context(), sha, "platform")
	equal(t, "symbolic link", errors.Is(err, ErrIrregular), true)
	files, err = r.FilesBut(t.Context(), sha, "platform", "platform/link")
	equal(t, "without the link", len(files), 0)
	equal(t, "without the link: error", err, nil)
	sha2 := mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/charts.yaml"}, {Path: "platform/linked.yaml"}}, Links: map[string]string{"platform/charts/web/x": "y"}})
	_, err = r.FilesBut(t.Context(), sha2, "platform", "platform/charts")
	equal(t, "a link beside it", errors.Is(err, ErrIrregular), true)
	sha2 = mustEdit(t, remote, gittest.Edit{Remove: []string{"platform/link"}})
	files, err = r.FilesBut(t.Context(), sha2, "platform", "platform/charts")
	equal(t, "without charts: error", err, nil)
	equal(t, "without charts", len(files), 2)
	for _, commit := range []string{"main", "HEAD", "--output=/tmp/x", strings.ToUpper(sha), strings.Repeat("0", 40)} {
		_, err = r.Files(t.Context(), commit, "platform")
		equal(t, commit, errors.Is(err, ErrInvalid), true)
	}
	_, err = r.Files(t.Context(), sha, "../x")
	equal(t, "path", errors.Is(err, ErrInvalid), true)
}

func TestContains(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	first := mustCommit(t, r, deploy("pr-1", "v1")).Commit
	second := mustCommit(t, r, deploy("pr-2", "v1")).Commit
	third := mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "x", Content: []byte("x")}}}) // fetched when asked for
	for _, c := range []struct {
		descendant, ancestor string
		want                 bool
	}{{second, first, true}, {first, second, false}, {first, first, true}, {third, first, true}, {second, third, false}} {
		got, err := r.Contains(t.Context(), c.descendant, c.ancestor)
		if err != nil || got != c.want {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
	_, err := r.Contains(t.Context(), first, strings.Repeat("0", 40))
	equal(t, "unknown commit", errors.Is(err, ErrInvalid), true)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	v1, v2 := deploy("pr-1", "v1"), deploy("pr-1", "v2")
	from := mustEdit(t, remote, gittest.Edit{Put: append(v1.Files, gitops.File{Path: "environments/acme/web/pr-10/x", Content: []byte("1\n")})})
	v2.Files = append(v2.Files, gitops.File{Path: v2.Dir + "/manifests/service.yaml", Content: []byte("diff --git a/x b/x\n+++ b/forged\n")})
	to := mustEdit(t, remote, gittest.Edit{Put: append(v2.Files, gitops.File{Path: "environments/acme/web/pr-10/x", Content: []byte("2\n")})})

	r := open(t, remote)
	diff := func(from string, max int) string {
		t.Helper()
		text, err := r.Diff(t.Context(), from, to, v2.Dir, max)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	whole := diff(from, 0)
	const deployment = "diff --git a/environments/acme/web/pr-1/manifests/deployment.yaml b/environments/acme/web/pr-1/manifests/deployment.yaml\n"
	if !strings.HasPrefix(whole, deployment) || !strings.Contains(whole, "\n-v1\n+v2\n") || strings.Contains(whole, "pr-10") {
		t.Errorf("diff:\n%s", whole)
	}
	equal(t, "enough room", diff(from, len(whole)), whole)
	cut := diff(from, len(whole)-1)
	if len(cut) >= len(whole) || !strings.Contains(cut, "+v2\n# 1 of 2 files shown; not shown: environments/acme/web/pr-1/manifests/service.yaml\n") {
		t.Errorf("cut:\n%s", cut)
	}
	if nothing := diff(from, 1); !strings.HasPrefix(nothing, "# 0 of 2 files shown; not shown: environments/acme/web/pr-1/manifests/deployment.yaml, ") {
		t.Errorf("no room:\n%s", nothing)
	}
	if created := diff("", 0); strings.Count(created, "new file mode 100644") != 3 {
		t.Errorf("from nothing:\n%s", created)
	}
	equal(t, "no change", func() string { text, _ := r.Diff(t.Context(), to, to, v2.Dir, 0); return text }(), "")
}

func FuzzCutDiff(f *testing.F) {
	f.Add("diff --git a/x b/x\n+1\ndiff --git a/y b/y\n+2\n", 30)
	f.Add("no newline", 3)
	f.Fuzz(func(t *testing.T, diff string, max int) {
		if strings.Join(splitDiff(diff), "") != diff {
			t.Fatal("splitting loses text")
		}
		if got := cutDiff(diff, max); max <= 0 && got != diff {
			t.Fatalf("cut without a limit: %q", got)
		}
	})
}
