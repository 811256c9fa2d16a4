package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

// clone reads a repository that was cloned as GitHub would tell of it. It runs git's own
// commands that only read, and fetches nothing.
type clone struct {
	dir string
	// head is the commit that is tried, base the branch that it is for, with its remote
	// name where it has one.
	head, base, baseRef string
	fetched             bool
	changed             bool
}

// openClone finds what of a clone is the pull request; PullRequest looks for its own commit.
func openClone(ctx context.Context, dir string) (*clone, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	c := &clone{dir: abs}
	if _, err := c.git(ctx, "rev-parse", "--git-dir"); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, fmt.Sprintf("%s is no clone of a repository", dir), "name the root of one")
	}
	remote, err := c.git(ctx, "symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
	if err == nil {
		c.baseRef = strings.TrimSpace(string(remote))
		c.base = strings.TrimPrefix(c.baseRef, "refs/remotes/origin/")
		return c, nil
	}
	for _, ref := range []string{"refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"} {
		if _, err := c.commit(ctx, ref); err == nil {
			c.baseRef, c.base = ref, path.Base(ref)
			return c, nil
		}
	}
	return nil, fault.Newf(fault.Invalid, "%s does not say which branch is its default", dir).WithHint("git remote set-head origin --auto")
}

// gitVariable is a variable that leads git elsewhere.
func gitVariable(pair string) bool { return strings.HasPrefix(pair, "GIT_") }

func (c *clone) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", c.dir, "--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false"}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), gitVariable), "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1")
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w: %.300s", args[0], err, wrong.Bytes())
	}
	return out, nil
}

// commit is the full id of what a ref leads to.
func (c *clone) commit(ctx context.Context, ref string) (string, error) {
	out, err := c.git(ctx, "rev-parse", "--quiet", "--verify", "--end-of-options", ref+"^{commit}")
	return strings.TrimSpace(string(out)), err
}

// PullRequest is as far as a clone knows it.
func (c *clone) PullRequest(ctx context.Context, repo bot.RepositoryRef, number int) (bot.PullRequest, error) {
	var err error
	if c.head, err = c.commit(ctx, fmt.Sprintf("refs/pull/%d/head", number)); err == nil {
		c.fetched = true
	} else if c.head, err = c.commit(ctx, "HEAD"); err != nil {
		return bot.PullRequest{}, fault.Wrap(err, fault.Invalid, "the clone has no commit", "commit what the pull request would have")
	}
	subject, err := c.git(ctx, "show", "--no-patch", "--format=%s", c.head)
	if err != nil {
		return bot.PullRequest{}, err
	}
	if !c.fetched {
		status, err := c.git(ctx, "status", "--porcelain")
		if err != nil {
			return bot.PullRequest{}, err
		}
		c.changed = len(status) > 0
	}
	repo.ID, repo.Private = 1, true
	return bot.PullRequest{
		Repository: repo, Number: number, Title: strings.TrimSpace(string(subject)), Open: true, HeadSHA: c.head, HeadRef: "HEAD",
		BaseRef: c.base, BaseIsDefault: true, Author: bot.Actor{ID: 1, Login: "author"},
	}, nil
}

// unsaid is what a clone does not tell.
func (c *clone) unsaid() []string {
	out := []string{
		"the repository's id, which hosts and names hold a hash of: they are those of one with id 1",
		"who wrote the pull request, its labels, and whether it is a draft or a fork's: it is a member's, open, ready and without a label; the repository counts as private",
		fmt.Sprintf("which branch it is for: %s counts, at %s", c.base, c.baseRef),
	}
	if !c.fetched {
		out = append(out, fmt.Sprintf("the pull request's commit: HEAD counts, at %.7s (git fetch origin pull/N/head:refs/pull/N/head has the real one)", c.head))
	}
	if c.changed {
		out = append(out, "what is not committed: it does not count")
	}
	return out
}

// File is a file at a commit; links are not followed.
func (c *clone) File(ctx context.Context, _ bot.RepositoryRef, name, sha string) ([]byte, error) {
	out, err := c.git(ctx, "ls-tree", "-z", "--long", "--end-of-options", sha, name)
	if err != nil {
		return nil, err
	}
	about, _, found := strings.Cut(string(out), "\t")
	if !found {
		return nil, fmt.Errorf("read %s at %.7s: %w", name, sha, bot.ErrNotFound)
	}
	words := strings.Fields(about) // mode, type, id, size
	var size int
	if len(words) != 4 || !strings.HasPrefix(words[0], "100") {
		return nil, github.ErrNotFile
	}
	if _, err := fmt.Sscan(words[3], &size); err != nil || size > github.MaxFile {
		return nil, github.ErrTooLarge
	}
	return c.git(ctx, "cat-file", "blob", words[2])
}

// ChangedFiles are those since the branches parted.
func (c *clone) ChangedFiles(ctx context.Context, _ bot.RepositoryRef, _ int) ([]string, error) {
	out, err := c.git(ctx, "diff", "--no-ext-diff", "--no-textconv", "--no-renames", "--name-only", "-z", c.baseRef+"..."+c.head, "--")
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, fmt.Sprintf("the clone does not say what differs from %s", c.base), "git fetch --unshallow origin")
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

// Commit is the tip of the base branch, or a commit.
func (c *clone) Commit(ctx context.Context, _ bot.RepositoryRef, ref string) (bot.Commit, error) {
	if ref == "heads/"+c.base {
		ref = c.baseRef
	}
	sha, err := c.commit(ctx, ref)
	if err != nil {
		return bot.Commit{}, fmt.Errorf("find %s: %w", ref, bot.ErrNotFound)
	}
	return bot.Commit{SHA: sha, CommittedAt: time.Unix(0, 0).UTC()}, nil
}

// Tree are the files of a commit that the sources are made of.
func (c *clone) Tree(ctx context.Context, _ bot.RepositoryRef, sha string, from ...spec.Source) (map[string][]byte, error) {
	out, err := c.git(ctx, "archive", "--format=tar", "--prefix=clone/", "--end-of-options", sha)
	if err != nil {
		return nil, err
	}
	return github.Untar(func() (io.Reader, error) { return bytes.NewReader(out), nil }, from...)
}

// errOffline is of what only GitHub knows; nothing that a rehearsal decides asks for it.
var errOffline = errors.New("a clone does not tell that")

func (c *clone) DefaultBranch(context.Context, bot.RepositoryRef) (string, error) { return c.base, nil }

func (c *clone) Permission(context.Context, bot.RepositoryRef, bot.Actor) (access.Permission, error) {
	return access.None, errOffline
}

func (c *clone) BranchProtected(context.Context, bot.RepositoryRef, string) (bool, error) {
	return false, errOffline
}

func (c *clone) Contains(context.Context, bot.RepositoryRef, string, string) (bool, error) {
	return false, errOffline
}

func (c *clone) Checks(context.Context, bot.RepositoryRef, string) ([]bot.CheckState, error) {
	return nil, errOffline
}

func (c *clone) Statuses(context.Context, bot.RepositoryRef, string) ([]bot.CheckState, error) {
	return nil, errOffline
}

func (c *clone) Member(context.Context, bot.RepositoryRef, string, string) (bool, error) {
	return false, errOffline
}

func (c *clone) React(context.Context, bot.RepositoryRef, int64, string) error { return errOffline }

// Pushers: whoever tries has pushed it.
func (c *clone) Pushers(context.Context, bot.RepositoryRef, string) (map[string]bot.Actor, error) {
	return map[string]bot.Actor{c.head: {ID: 1, Login: "author"}}, nil
}
