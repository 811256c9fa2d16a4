package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Revisions reads what has to be known of a commit before it is deployed.
type Revisions interface {
	// Commit returns the commit that a branch or a full or short SHA names.
	Commit(ctx context.Context, repo RepositoryRef, ref string) (Commit, error)
	DefaultBranch(ctx context.Context, repo RepositoryRef) (string, error)
	// BranchProtected says that pushes to a branch are held to rules, of branch protection or
	// of a ruleset; false of one that is not there.
	BranchProtected(ctx context.Context, repo RepositoryRef, branch string) (bool, error)
	// Contains says that a commit is tip, a branch or a commit, or comes before it.
	Contains(ctx context.Context, repo RepositoryRef, tip, sha string) (bool, error)
	Checks(ctx context.Context, repo RepositoryRef, sha string) ([]CheckState, error)
	// Statuses are the commit statuses, as checks of no App; ErrNoAccess where the App may
	// not read them.
	Statuses(ctx context.Context, repo RepositoryRef, sha string) ([]CheckState, error)
	// Pushers returns who pushed the commits of a branch, as far as GitHub tells;
	// ErrNotFound where it tells of none.
	Pushers(ctx context.Context, repo RepositoryRef, branch string) (map[string]Actor, error)
}

// declaredCommands are the commands that need the facts about declared environments.
var declaredCommands = []string{"deploy", "diff", "promote", "rollback", "abort", "retry", "approve", "lock", "unlock", "status", "logs"}

// deployFacts reads what decisions about declared environments are taken from, where
// one may have to be.
func (h *Handler) deployFacts(ctx context.Context, gh Handling, event Event, s *Snapshot) error {
	merge, named := s.deploysMerge(event), commandsNaming(event)
	if !merge && len(named) == 0 || s.PlatformErr != "" {
		return nil
	}
	if len(s.Platform.Environments) == 0 {
		return nil
	}
	rows, err := h.Store.Environments(ctx, store.Filter{RepositoryID: s.PR.Repository.ID})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Declared() {
			s.Declared = append(s.Declared, row)
		}
	}
	return h.revisions(ctx, gh, s, refsOf(named, *s, merge))
}

// commandsNaming returns the commands of an event that are about declared
// environments.
func commandsNaming(event Event) []Invocation {
	return slices.DeleteFunc(event.invocations(), func(i Invocation) bool { return !slices.Contains(declaredCommands, i.Name) })
}

// refsOf lists the commits that the commands may come to deploy.
func refsOf(named []Invocation, s Snapshot, merge bool) []string {
	var refs []string
	add := func(ref string) {
		if ref = strings.ToLower(ref); ref != "" && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if merge {
		add(s.PR.MergeSHA)
	}
	for _, i := range named {
		switch i.Name {
		case "deploy", "diff":
			add(s.PR.HeadSHA)
			for _, word := range i.Args {
				if commitArgument.MatchString(word) {
					add(word)
				}
			}
		case "approve":
			for _, word := range i.Args {
				if fullSHA.MatchString(strings.ToLower(word)) {
					add(word)
				}
			}
		case "promote":
			for _, row := range s.Declared {
				if len(i.Args) > 0 && strings.EqualFold(row.Ref.ID, i.Args[0]) && row.Ref.Service != "" {
					add(row.Deployed.Current.SHA)
					if from := row.Deployed.Current.Source; from != nil {
						add(from.Base)
					}
				}
			}
		}
	}
	return refs[:min(len(refs), maxRevisions)]
}

// maxRevisions bounds how many commits one comment has looked up.
const maxRevisions = 20

func (h *Handler) revisions(ctx context.Context, gh Handling, s *Snapshot, refs []string) error {
	s.Revisions = map[string]Revision{}
	if len(refs) == 0 {
		return nil
	}
	branch, err := gh.DefaultBranch(ctx, s.PR.Repository)
	if err != nil {
		return err
	}
	s.DefaultBranch = branch
	protected, unknown, err := h.protection(ctx, gh, *s, branch)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		rev, err := h.revision(ctx, gh, *s, branch, ref)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read commit %s: %w", ref, err)
		}
		rev.BranchProtected, rev.BranchErr = protected, unknown
		s.Revisions[ref], s.Revisions[rev.SHA] = rev, rev
	}
	return readTip(ctx, gh, s)
}

// protection says whether GitHub protects the default branch, where an environment asks for
// that. That it cannot be read is a fact as well, and denies.
func (h *Handler) protection(ctx context.Context, gh Handling, s Snapshot, branch string) (protected bool, unknown string, err error) {
	if !slices.ContainsFunc(s.Platform.Environments, func(e platform.Environment) bool { return e.Protected }) {
		return false, "", nil
	}
	protected, err = gh.BranchProtected(ctx, s.PR.Repository, branch)
	var later interface{ RetryAt() time.Time }
	switch {
	case err == nil:
		return protected, "", nil
	case errors.As(err, &later) || ctx.Err() != nil:
		return false, "", err
	}
	return false, err.Error(), nil
}

// revision reads everything about one commit. That its checks cannot be read is a
// fact as well: whoever needs them says so.
func (h *Handler) revision(ctx context.Context, gh Handling, s Snapshot, branch, ref string) (rev Revision, err error) {
	if rev.Commit, err = gh.Commit(ctx, s.PR.Repository, ref); err != nil {
		return rev, err
	}
	if rev.OnDefault, err = onTip(ctx, gh, s.PR.Repository, branch, rev.SHA); err != nil {
		return rev, err
	}
	if rev.InPull = rev.SHA == s.PR.HeadSHA; !rev.InPull && !s.PR.Fork {
		if rev.InPull, err = onTip(ctx, gh, s.PR.Repository, s.PR.HeadSHA, rev.SHA); err != nil {
			return rev, err
		}
	}
	if rev.Spec, err = readSpec(ctx, gh, s.PR.Repository, rev.SHA); err != nil {
		return rev, err
	}
	rev.Spec = s.owned(rev.Spec)
	if err = readChecks(ctx, gh, s, &rev); err != nil {
		var later interface{ RetryAt() time.Time }
		if errors.As(err, &later) || ctx.Err() != nil {
			return rev, err
		}
		rev.ChecksErr = err.Error()
	}
	return rev, nil
}

// readChecks reads a commit's check runs and, where a declared environment looks at
// checks and the App may, its commit statuses.
func readChecks(ctx context.Context, gh Handling, s Snapshot, rev *Revision) (err error) {
	if rev.Checks, err = gh.Checks(ctx, s.PR.Repository, rev.SHA); err != nil {
		return err
	}
	if !slices.ContainsFunc(s.Platform.Environments, func(e platform.Environment) bool { return e.Protected || len(e.Checks) > 0 }) {
		return nil
	}
	statuses, err := gh.Statuses(ctx, s.PR.Repository, rev.SHA)
	if errors.Is(err, ErrNoAccess) {
		rev.StatusesUnread = true
		return nil
	}
	rev.Checks = append(rev.Checks, statuses...)
	return err
}

// onTip is false where there is no such tip any more.
func onTip(ctx context.Context, gh Handling, repo RepositoryRef, tip, sha string) (bool, error) {
	has, err := gh.Contains(ctx, repo, tip, sha)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return has, err
}

// classOf is the class that a part of a declared environment belongs to.
func (s Snapshot) classOf(e previews.Environment) platform.Class {
	if class, ok := s.Platform.Class(e.Class); ok {
		return class
	}
	return s.Class
}
