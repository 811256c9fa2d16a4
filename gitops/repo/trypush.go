package repo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// TryPush says whether the credentials may push to the repository, by asking the remote
// to take a push and sending none (git push --dry-run, of a branch that does not exist).
// It proves that the remote lets whoever they belong to in to write; what it asks of the
// branch itself shows only once something is sent.
func (r *Repo) TryPush(ctx context.Context) error {
	commit, err := r.emptyCommit(ctx)
	if err != nil {
		return err
	}
	name := make([]byte, 8)
	_, _ = rand.Read(name) // it never fails
	_, err = r.network(ctx, "push to the GitOps repository", gitexec.Command{
		Args: []string{
			"push", "--dry-run", "--porcelain", "--no-progress", "--no-verify", "--no-recurse-submodules",
			"--", "origin", commit + ":refs/heads/idp-try-" + hex.EncodeToString(name),
		},
	})
	return err
}

// emptyCommit makes a commit of nothing in the clone, which no ref leads to.
func (r *Repo) emptyCommit(ctx context.Context) (string, error) {
	tree, err := r.local(ctx, gitexec.Command{Args: []string{"mktree"}, Stdin: strings.NewReader("")})
	if err != nil {
		return "", fmt.Errorf("make an empty tree: %w", err)
	}
	who := []string{
		"GIT_AUTHOR_NAME=" + r.opts.Author.Name, "GIT_AUTHOR_EMAIL=" + r.opts.Author.Email,
		"GIT_COMMITTER_NAME=" + r.opts.Author.Name, "GIT_COMMITTER_EMAIL=" + r.opts.Author.Email,
	}
	out, err := r.local(ctx, gitexec.Command{Args: []string{"commit-tree", strings.TrimSpace(string(tree)), "-m", "Nothing"}, Env: who})
	if err != nil {
		return "", fmt.Errorf("make an empty commit: %w", err)
	}
	sha := strings.TrimSpace(string(out))
	return sha, validSHA(sha)
}
