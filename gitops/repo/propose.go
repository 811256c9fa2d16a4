package repo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Proposed is the outcome of Repo.Propose.
type Proposed struct {
	// Commit is the commit that the proposal's branch holds; when NoOp, the tip of the
	// Repo's own branch, in which everything already was.
	Commit string
	// Parent is the tip that Commit was made on.
	Parent string
	NoOp   bool
	// Trees are the tree ids that the changes' folders have in Commit, by Change.Key;
	// "" for a folder that is removed.
	Trees map[string]string
	// Conflicts are the changes that cannot be made. With any, nothing was pushed.
	Conflicts []Conflict
}

// Propose makes one commit of c on the branch's tip and pushes it to another branch,
// which somebody may merge. That branch is the proposal's alone: where there is one
// of its name already it has to hold just what is proposed, as it does when an earlier
// push's end was not seen.
//
// It calls intent, unless nil, before it pushes. Errors are those of Commit, and
// ErrConflict for a branch that holds something else.
func (r *Repo) Propose(ctx context.Context, c Commit, branch string, intent func(Prepared) error) (Proposed, error) {
	p, err := r.propose(ctx, c, branch, intent)
	if err != nil {
		return Proposed{}, fmt.Errorf("propose %s: %w", branch, err)
	}
	return p, nil
}

func (r *Repo) propose(ctx context.Context, c Commit, branch string, intent func(Prepared) error) (Proposed, error) {
	if err := CheckBranch(branch); err != nil {
		return Proposed{}, err
	}
	if branch == r.opts.Branch {
		return Proposed{}, fmt.Errorf("branch %s: %w: it is where proposals go", branch, ErrInvalid)
	}
	b, err := newBatch(c)
	if err != nil {
		return Proposed{}, err
	}
	if err := r.acquire(ctx); err != nil {
		return Proposed{}, err
	}
	defer r.release()
	if _, _, err := r.refresh(ctx); err != nil {
		return Proposed{}, err
	}
	m, err := r.prepareCommit(ctx, b)
	if err != nil {
		return Proposed{}, err
	}
	l := landing{batch: b, made: m, result: Result{Conflicts: b.invalid}}
	prepared := l.prepared()
	out := Proposed{Commit: m.sha, Parent: m.parent, Trees: prepared.Trees, Conflicts: append(b.invalid, m.plan.conflicts...)}
	switch {
	case len(out.Conflicts) > 0:
		r.explain(ctx, out.Conflicts)
		return out, nil
	case m.sha == "":
		out.Commit, out.Parent, out.NoOp = r.tip.sha, "", true
		return out, nil
	}
	if err := r.takeTurn(ctx, false); err != nil {
		return Proposed{}, err
	}
	if intent != nil {
		if err := intent(prepared); err != nil {
			return Proposed{}, fmt.Errorf("record intent: %w", err)
		}
	}
	outcome := r.pushRef(ctx, m.sha, heads+branch, "")
	if outcome.err == nil {
		r.metrics.commits.Inc()
		return out, nil
	}
	return r.proposedBefore(ctx, b, branch, out, outcome)
}

const heads = "refs/heads/"

// proposedBefore finds out whether a branch that could not be pushed holds what was
// to be pushed.
func (r *Repo) proposedBefore(ctx context.Context, b batch, branch string, out Proposed, outcome pushOutcome) (Proposed, error) {
	failed := outcome.failure(branch)
	if ctx.Err() != nil || errors.Is(outcome.err, ErrUnauthorized) {
		return Proposed{}, failed
	}
	sha, err := r.remoteRef(ctx, heads+branch)
	switch {
	case err != nil:
		return Proposed{}, errors.Join(err, failed)
	case sha == "":
		return Proposed{}, failed
	}
	if err := r.fetchRef(ctx, heads+branch); err != nil {
		return Proposed{}, errors.Join(err, failed)
	}
	for _, w := range b.changes {
		if w.Dir == "" {
			continue
		}
		tree, err := r.treeAt(ctx, sha, w.Dir)
		if err != nil {
			return Proposed{}, err
		}
		if tree != w.tree {
			return Proposed{}, fmt.Errorf("branch %s: %w", branch, ErrConflict)
		}
	}
	out.Commit = sha
	if out.Parent, err = r.Parent(ctx, sha); err != nil {
		return Proposed{}, err
	}
	return out, nil
}

// fetchRef brings a ref's commits and trees into the clone, and no ref.
func (r *Repo) fetchRef(ctx context.Context, ref string) error {
	_, err := r.network(ctx, "fetch the GitOps repository", gitexec.Command{
		Args: []string{
			"fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
			"--no-auto-maintenance", "--filter=blob:none", "--", "origin", ref,
		},
		Timeout: 5 * r.opts.Timeout,
	})
	return err
}

// Parent returns a commit's first parent, "" where it has none.
func (r *Repo) Parent(ctx context.Context, sha string) (string, error) {
	out, err := r.local(ctx, gitexec.Command{Args: []string{"rev-list", "--parents", "--max-count=1", sha}})
	if err != nil {
		return "", fmt.Errorf("read the parent of %s: %w", sha, err)
	}
	if parents := strings.Fields(string(out)); len(parents) > 1 {
		return parents[1], nil
	}
	return "", nil
}

// Tree returns the id of the folder dir's tree in a commit, "" when it is not there.
func (r *Repo) Tree(ctx context.Context, commit, dir string) (string, error) {
	if err := readable(dir, commit); err != nil {
		return "", err
	}
	if err := r.ensure(ctx, commit); err != nil {
		return "", err
	}
	return r.treeAt(ctx, commit, dir)
}

// Differ says whether any of the paths, folders or files, is another at the commit to
// than at from, "" for an empty repository.
func (r *Repo) Differ(ctx context.Context, from, to string, paths []string) (bool, error) {
	for _, path := range paths {
		if err := readable(path, to); err != nil {
			return false, err
		}
	}
	for _, commit := range []string{from, to} {
		if commit == "" {
			continue
		}
		if err := r.ensure(ctx, commit); err != nil {
			return false, err
		}
	}
	if from == "" {
		from = emptyTree
	}
	// Ids are compared: no content is read, which the clone does not have.
	out, err := r.local(ctx, gitexec.Command{Args: append([]string{"diff-tree", "--no-renames", "-r", "--name-only", "-z", from, to, "--"}, paths...)})
	if err != nil {
		return false, fmt.Errorf("compare %s with %s: %w", from, to, err)
	}
	return len(out) > 0, nil
}

// Withdraw deletes the branch of a proposal whose commit is still the one proposed.
// One that is gone, or that somebody pushed to, is left as it is.
func (r *Repo) Withdraw(ctx context.Context, branch, commit string) error {
	if err := errors.Join(CheckBranch(branch), validSHA(commit)); err != nil {
		return err
	}
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	there, err := r.remoteRef(ctx, heads+branch)
	if err != nil || there != commit {
		return err
	}
	if outcome := r.pushRef(ctx, "", heads+branch, commit); outcome.err != nil && !outcome.refused {
		return fmt.Errorf("delete branch %s: %w", branch, outcome.err)
	}
	return nil
}
