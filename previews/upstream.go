package previews

import (
	"context"
	"errors"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
)

// Upstream reads of an environment's repository on GitHub what its images are named and
// waited for by.
type Upstream interface {
	// TestMerge returns how the pull request would be merged now. Merges that are known
	// already need not be read again.
	TestMerge(ctx context.Context, env Environment, known []string) (TestMerge, error)
	// Divergence returns in what the revision differs from the default branch.
	Divergence(ctx context.Context, env Environment) (Divergence, error)
	// Lineage returns a commit and those before it on its branch, at most so many: of a
	// merge what it was merged into.
	Lineage(ctx context.Context, env Environment, sha string, most int) ([]string, error)
	// Touches returns the commits of a branch up to one of it in which what is at these paths
	// last changed, the newest first for each: of a pull request what it became there.
	Touches(ctx context.Context, env Environment, branch, sha string, paths []string) ([]string, error)
	// Runs returns the newest run of each workflow at the revision. Those that are known
	// already need not be asked how long they usually take. ErrNoRuns says that idp may not
	// see them.
	Runs(ctx context.Context, env Environment, known []CIRun) ([]CIRun, error)
}

// ErrNoRuns says that idp was not given the permission to see CI runs.
var ErrNoRuns = errors.New("idp may not see CI runs")

// upstreamEvery is how often GitHub is asked, at most, about what an environment waits for.
const upstreamEvery = 30 * time.Second

// Merge is what GitHub was seen to try, to merge a pull request's commit.
type Merge struct {
	// Head is that commit, and Seen the merge commits, the first first.
	Head string   `json:"head"`
	Seen []string `json:"seen,omitempty"`
	// Conflicts says that the last time there was none, because of conflicts.
	Conflicts bool      `json:"conflicts,omitempty"`
	AskedAt   time.Time `json:"askedAt"`
}

// TestMerge is the merge of a pull request that GitHub tries by itself.
type TestMerge struct {
	// SHA is the merge commit, "" while there is none; Head is what it merges.
	SHA, Head string
	// Conflicts says that there is none because of conflicts.
	Conflicts bool
}

// maxMerges bounds how many merges of a commit are looked for: the first, which CI has most
// likely built, and the newest.
const maxMerges = 5

// with has what was seen at a time added.
func (m Merge) with(seen TestMerge, now time.Time) *Merge {
	m.AskedAt, m.Conflicts = now, seen.Conflicts
	for _, known := range m.Seen {
		if known == seen.SHA {
			return &m
		}
	}
	if seen.SHA == "" || seen.Head != m.Head {
		return &m
	}
	m.Seen = append(m.Seen[:len(m.Seen):len(m.Seen)], seen.SHA)
	if len(m.Seen) > maxMerges {
		m.Seen = append(m.Seen[:1:1], m.Seen[2:]...)
	}
	return &m
}

// byMerge says that a template is named by the pull request's merge. What is deployed to a
// declared environment is a commit as it is, as CI runs at it when it is pushed.
func (e *Environment) byMerge(template string) bool { return !e.Declared() && spec.OfMerge(template) }

// merges are the merges that an image of the template may be named by.
func (e *Environment) merges(template string) []string {
	if !e.byMerge(template) || e.Merge == nil || e.Merge.Head != e.SHA {
		return nil
	}
	return e.Merge.Seen
}

// unmerged says why there is no merge to look for.
func (e *Environment) unmerged(unread error) string {
	switch {
	case unread != nil:
		return "idp cannot tell just now by which commit GitHub would merge the pull request"
	case e.Merge != nil && e.Merge.Conflicts:
		return "the pull request conflicts with its base branch, so GitHub makes no merge commit for CI to build"
	}
	return "GitHub has not made the pull request's merge commit yet"
}

// readMerge has env know how GitHub would merge its revision now, where a template asks for
// that: each time while no merge is known, and then as often as GitHub is asked.
func (w *ImageWatcher) readMerge(ctx context.Context, env *Environment, wanted []sought) error {
	asked := false
	for _, one := range wanted {
		asked = asked || env.byMerge(one.template)
	}
	now := w.Now()
	known := Merge{Head: env.SHA}
	if env.Merge != nil && env.Merge.Head == env.SHA {
		known = *env.Merge
	}
	if !asked || w.Upstream == nil || len(known.Seen) > 0 && now.Sub(known.AskedAt) < upstreamEvery {
		return nil
	}
	seen, err := w.Upstream.TestMerge(ctx, *env, known.Seen)
	if err != nil {
		w.Log.Warn("the merge of a pull request is not known", "env", env.Ref.String(), "error", err)
		return err
	}
	env.Merge = known.with(seen, now)
	return nil
}
