package repo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// TestReadRefuses hands everything that takes a commit or a folder what would be an
// option, a command or a revision of git's language: it is refused before git sees it.
func TestReadRefuses(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	sha := mustEdit(t, remote, gittest.Edit{Put: deploy("pr-1", "v1").Files})
	r := open(t, remote)
	mark := filepath.Join(secrettest.Dir(t), "ran")
	touch := "touch " + mark
	hostile := []string{
		"", "--upload-pack=" + touch, "-u" + touch, "--exec=" + touch, "--output=" + mark, "-O" + mark, "--no-index", "--git-dir=/", "-c core.fsmonitor=" + touch, "--", "-",
		"HEAD", "main", "@", "@{u}", ":/x", "^" + sha, sha + "^", sha + "~1", sha + "..", sha + ":", sha + "\n", " " + sha, sha[:39], sha + "0", strings.ToUpper(sha[:39] + "a"),
		"$(" + touch + ")", "`" + touch + "`", ";" + touch, "|" + touch, "&" + touch, "ext::sh -c " + touch, "refs/heads/main", strings.Repeat("g", 40), "\x00" + sha[1:], "ﬀ" + sha[:38],
	}
	folders := []string{
		"--upload-pack=" + touch, ":(top)", ":/", ":!a", "/etc", "../x", "a/../../b", "a\x00b", "a\nb", "*", ".git/hooks", "environments/../.git", "environments//x",
	}
	asked := 0
	refused := func(what, given string, err error) {
		t.Helper()
		if asked++; !errors.Is(err, ErrInvalid) {
			t.Errorf("%s %q: %v", what, given, err)
		}
	}
	for _, given := range hostile {
		_, err := r.Contains(t.Context(), given, sha)
		refused("descendant", given, err)
		if given != "" { // there is no such commit, and no error
			_, err = r.Contains(t.Context(), sha, given)
			refused("ancestor", given, err)
			_, err = r.Diff(t.Context(), given, sha, "environments", 100)
			refused("diff from", given, err)
			_, err = r.Differ(t.Context(), given, sha, []string{"environments"})
			refused("differ from", given, err)
		}
		_, err = r.Diff(t.Context(), sha, given, "environments", 100)
		refused("diff to", given, err)
		_, err = r.Files(t.Context(), given, "environments")
		refused("files of", given, err)
		_, err = r.Tree(t.Context(), given, "environments")
		refused("tree of", given, err)
		if strings.HasPrefix(given, "-") {
			refused("withdraw", given, r.Withdraw(t.Context(), given, sha))
		}
	}
	for _, given := range folders {
		_, err := r.Files(t.Context(), sha, given)
		refused("files in", given, err)
		_, err = r.Diff(t.Context(), sha, sha, given, 100)
		refused("diff in", given, err)
		_, err = r.Tree(t.Context(), sha, given)
		refused("tree in", given, err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("something was run or written")
	}
	figure.Tell(t, "%d hostile commits, branches and folders: all refused, nothing ran", asked)
}
