package previews

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo"
)

const (
	// DefaultBatch is how many environments go into one commit at most.
	DefaultBatch = 200
	idleCommits  = 15 * time.Second
	// maxDiff is how much of a manifest diff is kept, in bytes: what fits a check
	// run's text (65,535 characters) beside its fences.
	maxDiff = 60_000
)

// CommitStore is what the committer needs of the store.
type CommitStore interface {
	Uncommitted(ctx context.Context, limit int) ([]Environment, error)
	CommittedIn(ctx context.Context, repositoryID int64) ([]Environment, error)
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*Environment) error) error
}

// Writer is the one writer of the GitOps repository.
type Writer interface {
	// Delay returns how long a Commit made now would wait for its turn to push.
	Delay() time.Duration
	Commit(ctx context.Context, c repo.Commit, intent func(repo.Prepared) error) (repo.Result, error)
	// Diff returns the diff of a folder between two commits; from may be "".
	Diff(ctx context.Context, from, to, dir string, maxBytes int) (string, error)
}

// Committer brings the GitOps repository to what the rows want: it takes the
// rows that need a commit, renders them, and writes them all in one. There is one
// Committer per (repository, branch).
type Committer struct {
	Store CommitStore
	Git   Writer
	// Render returns every file below the environment's folder.
	Render func(Environment) ([]gitops.File, error)
	// List returns the ApplicationSet that lists a repository's previews, or the one
	// that lists its declared environments: those of the rows, which are all of one kind.
	// repo is the repository's name in paths.
	List func(of Listed, rows []Environment) (gitops.File, error)
	// Latency, when set, observes the seconds from the arrival of a webhook to having
	// pushed what it asked for, waiting for images included.
	Latency interface{ Observe(float64) }
	// Watched says that an Observer follows what is committed.
	Watched bool
	// Pushed is called with what was written, to refresh it in Argo CD and wake the
	// reporter. It must not block.
	Pushed func(changed []Environment)
	// Failed, when set, counts the environments whose commit was given up.
	Failed func()
	Batch  int
	Now    func() time.Time
	Log    *slog.Logger
}

// Loop returns the committer's loop, woken by wake.
func (c *Committer) Loop(wake Signal) Loop {
	return Loop{Name: "commits", Step: c.Step, Wake: wake, Idle: idleCommits, Log: c.Log}
}

// Step writes one batch.
func (c *Committer) Step(ctx context.Context) (more bool, err error) {
	rows, err := c.Store.Uncommitted(ctx, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	// Whatever arrives while the pace makes us wait joins the batch.
	if err := pause(ctx, c.Git.Delay()); err != nil {
		return false, err
	}
	if rows, err = c.Store.Uncommitted(ctx, c.Batch); err != nil || len(rows) == 0 {
		return false, err
	}
	batch, err := c.plan(ctx, rows)
	if err != nil {
		return false, err
	}
	if len(batch.rows) == 0 {
		return true, nil
	}
	return c.write(ctx, batch, len(rows) == c.Batch)
}

// batch is one commit in the making.
type batch struct {
	rows   map[string]Environment // by the change's key
	commit repo.Commit
}

func (b *batch) ids() []int64 {
	ids := make([]int64, 0, len(b.rows))
	for _, row := range b.rows {
		ids = append(ids, row.RowID)
	}
	return ids
}

func (c *Committer) write(ctx context.Context, b *batch, more bool) (bool, error) {
	result, err := c.Git.Commit(ctx, b.commit, func(p repo.Prepared) error {
		intents := make(map[int64]string, len(b.rows))
		for key, row := range b.rows {
			intents[row.RowID] = p.Trees[key]
		}
		return c.Store.UpdateAll(ctx, b.ids(), func(e *Environment) error {
			e.Intend(intents[e.RowID])
			return nil
		})
	})
	var refused *repo.RefusedError
	var shared *repo.SharedError
	switch {
	case errors.As(err, &refused):
		return false, errors.Join(err, c.failRefused(ctx, b, refused))
	case errors.As(err, &shared):
		return true, c.failShared(ctx, b, shared)
	case err != nil:
		return false, errors.Join(fmt.Errorf("commit %d environments: %w", len(b.rows), err), c.tellStuck(ctx, b))
	case len(result.Conflicts) > 0:
		// Nothing was written: the ApplicationSet would have listed these too.
		return true, c.failChanged(ctx, b, result.Conflicts)
	}
	return more, c.record(ctx, b, result)
}

// plan renders the rows. One that cannot be rendered is given up with its reason
// and left out; the others go on.
func (c *Committer) plan(ctx context.Context, rows []Environment) (*batch, error) {
	b := &batch{rows: make(map[string]Environment, len(rows)), commit: repo.Commit{Whole: true}}
	for _, row := range rows {
		change, err := c.change(row)
		if err != nil {
			c.Log.Warn("cannot be rendered", "env", row.Ref.String(), "error", err)
			if err := c.failRow(ctx, row, renderProblem(err)); err != nil {
				return nil, err
			}
			continue
		}
		b.rows[change.Key] = row
		b.commit.Changes = append(b.commit.Changes, change)
	}
	if err := c.listAll(ctx, b); err != nil {
		return nil, err
	}
	b.commit.Subject = subject(b)
	return b, nil
}

func (c *Committer) change(row Environment) (repo.Change, error) {
	change := repo.Change{
		Key:     fmt.Sprintf("%d/%s@%d", row.Ref.RepositoryID, row.Ref.Key(), row.Generation),
		Dir:     row.Ref.Dir(),
		Accept:  accepted(row),
		Subject: describe(row),
		Trailers: [][2]string{
			{"Idp-Environment", row.Ref.String() + " generation " + strconv.FormatInt(row.Generation, 10)},
			{"Idp-Actor", cmp.Or(row.Actor, "idp")},
		},
	}
	if row.Wanted == Absent {
		return change, nil
	}
	change.Trailers = append(change.Trailers, [2]string{"Idp-Revision", row.SHA})
	files, err := c.Render(row)
	if err != nil {
		return repo.Change{}, err
	}
	change.Files = files
	// One that cannot be listed must not keep its repository's list from being written.
	if _, err := c.List(listOf(row), []Environment{row}); err != nil {
		return repo.Change{}, err
	}
	return change, nil
}

// accepted are the trees that the folder may have before we write it: what we
// wrote last, nothing at all for a folder that is not ours yet, and all that we set
// out to write since without learning what became of it.
func accepted(row Environment) []string {
	if row.Overwrite {
		return []string{repo.AnyTree}
	}
	return append([]string{row.Tree}, row.Intents...)
}

func describe(row Environment) string {
	if row.Wanted == Absent {
		return fmt.Sprintf("Remove %s: %s", row.Ref, row.Removal.Reason)
	}
	return fmt.Sprintf("Deploy %s at %.7s", row.Ref, row.SHA)
}

func subject(b *batch) string {
	if len(b.commit.Changes) == 1 {
		return b.commit.Changes[0].Subject
	}
	return fmt.Sprintf("Change %d environments", len(b.commit.Changes))
}

// Listed says which list of environments is meant.
type Listed struct {
	RepositoryID int64
	// Repo is the repository's name in paths.
	Repo string
	// Declared tells the list of declared environments from that of previews.
	Declared bool
}

// listOf is the list that an environment stands in.
func listOf(row Environment) Listed {
	return Listed{RepositoryID: row.Ref.RepositoryID, Repo: row.Ref.Repo, Declared: row.Declared()}
}

// path is where the list stands in the GitOps repository.
func (l Listed) path() string {
	name := gitops.PreviewsApplicationSet
	if l.Declared {
		name = gitops.DeployedApplicationSet
	}
	file, _ := name(l.RepositoryID, l.Repo)
	return file
}

// listAll adds the ApplicationSets that the batch touches: what each has in Git
// already, with the batch's changes applied.
func (c *Committer) listAll(ctx context.Context, b *batch) error {
	done := map[Listed]bool{}
	for _, change := range b.commit.Changes {
		of := listOf(b.rows[change.Key])
		if done[of] {
			continue
		}
		done[of] = true
		listed, err := c.listed(ctx, b, of)
		if err != nil {
			return err
		}
		file, err := c.List(of, listed)
		if err != nil {
			return fmt.Errorf("list the environments of %s: %w", of.path(), err)
		}
		b.commit.Shared = append(b.commit.Shared, file)
	}
	return nil
}

func (c *Committer) listed(ctx context.Context, b *batch, of Listed) ([]Environment, error) {
	committed, err := c.Store.CommittedIn(ctx, of.RepositoryID)
	if err != nil {
		return nil, fmt.Errorf("read committed environments of repository %d: %w", of.RepositoryID, err)
	}
	var listed []Environment
	changing := make(map[int64]bool, len(b.rows))
	for _, row := range b.rows {
		changing[row.RowID] = true
	}
	for _, row := range committed {
		if listOf(row) == of && !changing[row.RowID] {
			listed = append(listed, row)
		}
	}
	for _, row := range b.rows {
		if listOf(row) == of && row.Wanted == Present {
			listed = append(listed, row)
		}
	}
	return listed, nil
}

// record writes what was pushed into the rows, whatever they have come to want
// meanwhile, and even when the program is being stopped.
func (c *Committer) record(ctx context.Context, b *batch, result repo.Result) error {
	ctx = context.WithoutCancel(ctx)
	now := c.Now()
	applied := make(map[int64]Applied, len(result.Applied))
	changed := make([]Environment, 0, len(result.Applied))
	for _, done := range result.Applied {
		row := b.rows[done.Key]
		a := Applied{Generation: row.Generation, Commit: done.Commit, Tree: done.Tree, Watched: c.Watched, At: now}
		if row.Wanted == Present {
			a.SHA, a.Diff = row.SHA, c.diff(ctx, row, done)
			if c.Latency != nil && row.AppliedSHA != row.SHA {
				c.Latency.Observe(now.Sub(row.AskedAt).Seconds())
			}
		}
		applied[row.RowID] = a
		changed = append(changed, row)
	}
	err := c.Store.UpdateAll(ctx, b.ids(), func(e *Environment) error {
		a, ok := applied[e.RowID]
		if !ok {
			return ErrUnchanged
		}
		e.Commit(a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("record commit %s: %w", result.Commit, err)
	}
	c.Log.Info("committed", "commit", result.Commit, "environments", len(changed), "nothing_new", result.NoOp)
	c.Pushed(changed)
	return nil
}

// diff returns what a commit changed in an environment's manifests since the
// commit before of that environment, if that was of another revision. A deployment stands without its diff.
func (c *Committer) diff(ctx context.Context, row Environment, done repo.Applied) string {
	if row.AppliedSHA == row.SHA {
		return ""
	}
	diff, err := c.Git.Diff(ctx, row.AppliedCommit, done.Commit, row.Ref.ManifestsDir(), maxDiff)
	if err != nil {
		c.Log.Warn("no manifest diff", "env", row.Ref.String(), "error", err)
	}
	return diff
}

// failChanged gives up the rows whose folders somebody else wrote to. The next
// step writes the others.
func (c *Committer) failChanged(ctx context.Context, b *batch, conflicts []repo.Conflict) error {
	for _, conflict := range conflicts {
		row := b.rows[conflict.Key]
		err := c.failRow(ctx, row, Problem{Kind: ProblemChanged, Message: conflictMessage(conflict), Hint: conflictHint(conflict, row)})
		if err != nil {
			return err
		}
	}
	return nil
}

func conflictMessage(c repo.Conflict) string {
	if !errors.Is(c.Err, repo.ErrConflict) {
		return fmt.Sprintf("%s in the GitOps repository cannot be written: %v", c.Dir, c.Err)
	}
	if c.Commit == "" {
		return fmt.Sprintf("%s in the GitOps repository is not what idp wrote there, so idp left it alone", c.Dir)
	}
	return fmt.Sprintf("%s in the GitOps repository was changed by %s in commit %.7s, so idp left it alone", c.Dir, c.Author, c.Commit)
}

func conflictHint(c repo.Conflict, row Environment) string {
	switch {
	case !errors.Is(c.Err, repo.ErrConflict):
		// No command overwrites what is no folder.
		return "The platform team has to mend that; then comment /idp preview."
	case row.Wanted == Absent:
		return "Comment /idp destroy to remove the folder with that change."
	default:
		return "Comment /idp preview to go on and replace that change."
	}
}

// failRefused tells the pull requests that the GitOps repository takes no pushes.
// Removals stay due: nobody looks at a closed pull request to ask again.
func (c *Committer) failRefused(ctx context.Context, b *batch, refused *repo.RefusedError) error {
	for _, row := range b.rows {
		if row.Wanted == Absent {
			continue
		}
		err := c.failRow(ctx, row, Problem{
			Kind:    ProblemPush,
			Message: "the GitOps repository refuses the push: " + refused.Message,
			Hint:    "The platform team has to mend that; then comment /idp preview.",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stuckAfter is how long a commit may fail before its pull request is told.
const stuckAfter = 5 * time.Minute

// tellStuck tells the pull requests whose commits have failed for long, so that no
// check hangs. They stay due: the commit goes on by itself once it can.
func (c *Committer) tellStuck(ctx context.Context, b *batch) error {
	now := c.Now()
	for _, row := range b.rows {
		if row.Wanted == Absent || row.Problem != nil || now.Sub(row.ResolvedAt) < stuckAfter {
			continue
		}
		err := c.Store.UpdateAll(ctx, []int64{row.RowID}, func(e *Environment) error {
			if e.Generation != row.Generation || e.Problem != nil {
				return ErrUnchanged
			}
			e.Refuse(Problem{
				Kind: ProblemPush, SHA: e.SHA, Message: "the GitOps repository cannot be written to",
				Hint: "The platform team finds the reason in idp's log. It goes on by itself once that is mended.",
			}, now)
			return nil
		})
		if err != nil {
			return fmt.Errorf("record the problem of %s: %w", row.Ref, err)
		}
	}
	c.Pushed(nil)
	return nil
}

// failShared gives up the rows of the repository whose list of previews cannot be
// written. The next step writes those of the others.
func (c *Committer) failShared(ctx context.Context, b *batch, shared *repo.SharedError) error {
	for _, row := range b.rows {
		if listOf(row).path() != shared.Path {
			continue
		}
		err := c.failRow(ctx, row, Problem{
			Kind: ProblemPush, Message: shared.Path + " in the GitOps repository is not a file that idp can write",
			Hint: "The platform team has to mend that; then comment /idp preview.",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Committer) failRow(ctx context.Context, row Environment, p Problem) error {
	if c.Failed != nil {
		c.Failed()
	}
	now := c.Now()
	err := c.Store.UpdateAll(ctx, []int64{row.RowID}, func(e *Environment) error {
		if e.Generation != row.Generation {
			return ErrUnchanged
		}
		e.Fail(p, now)
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the problem of %s: %w", row.Ref, err)
	}
	c.Pushed(nil)
	return nil
}

// renderProblem tells the pull request why its revision cannot be rendered: in the
// words meant for users, where there are any.
func renderProblem(err error) Problem {
	p := Problem{Kind: ProblemSpec, Message: "this revision cannot be rendered", Hint: "The platform team finds the reason in idp's log."}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		p.Message, p.Hint = f.Message, f.Hint
	}
	return p
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
