package previews

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo"
)

const (
	// DefaultBatch is how many environments go into one commit at most.
	DefaultBatch = 200
	// RemovalBatch is how many do where all of them are removals, of which nothing is
	// rendered: many previews expire at once, and each push has a cost of its own.
	RemovalBatch = 5000
	// updateAtOnce bounds how many rows one transaction changes, for others wait for it.
	updateAtOnce = 500
	idleCommits  = 15 * time.Second
	// maxDiff is how much of a manifest diff is kept, in bytes: what fits a check
	// run's text (65,535 characters) beside its fences.
	maxDiff = 60_000
)

// CommitStore is what the committer needs of the store.
type CommitStore interface {
	Uncommitted(ctx context.Context, lane gitops.Lane, limit int) ([]Environment, error)
	CommittedIn(ctx context.Context, repositoryID int64) ([]Environment, error)
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*Environment) error) error
	AuditHead(ctx context.Context) (AuditChain, error)
}

// Writer is the one writer of the GitOps repository.
type Writer interface {
	// Delay returns how long a Commit made now would wait for its turn to push.
	Delay() time.Duration
	Commit(ctx context.Context, c repo.Commit, intent func(repo.Prepared) error) (repo.Result, error)
	// Diff returns the diff of a folder between two commits; from may be "".
	Diff(ctx context.Context, from, to, dir string, maxBytes int) (string, error)
	// Files returns the files that a folder has in a commit.
	Files(ctx context.Context, commit, dir string) ([]gitops.File, error)
	// Parent returns a commit's first parent, "" where it has none.
	Parent(ctx context.Context, commit string) (string, error)
}

// Committer brings the GitOps repository to what the rows want: it takes the
// rows that need a commit, renders them, and writes them all in one. There is one
// Committer per (repository, branch).
type Committer struct {
	Store CommitStore
	Git   Writer
	// Lane is that of the rows that it takes; Git writes to where it leads.
	Lane gitops.Lane
	// Render renders an environment. A *LaterError leaves it due.
	Render func(context.Context, Environment) (Rendered, error)
	// Policies, when set, returns what judges rendered files now; it is asked once a batch.
	Policies func(context.Context) Judge
	// Prove, when set, says whose images are not proven to be what their class asks for.
	Prove Prove
	// List returns the ApplicationSet that lists a repository's previews, or the one
	// that lists its declared environments: those of the rows, which are all of one kind.
	// repo is the repository's name in paths.
	List func(of Listed, rows []Environment) (gitops.File, error)
	// Paused, when set, says whether anything may be written at all.
	Paused func(context.Context) (Pause, error)
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
	rows, err := c.Store.Uncommitted(ctx, c.Lane, 1)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	if held, err := c.hold(ctx); held || err != nil {
		return false, err
	}
	// Whatever arrives while the pace makes us wait joins the batch.
	if err := pause(ctx, c.Git.Delay()); err != nil {
		return false, err
	}
	if rows, err = c.Store.Uncommitted(ctx, c.Lane, c.Batch); err != nil || len(rows) == 0 {
		return false, err
	}
	more = len(rows) == c.Batch
	if more && !slices.ContainsFunc(rows, deploys) {
		if rows, err = c.removals(ctx); err != nil {
			return false, err
		}
	}
	batch, err := c.plan(ctx, rows)
	if err != nil {
		return false, err
	}
	if len(batch.rows) == 0 {
		return len(batch.later) == 0, errors.Join(batch.later...)
	}
	return c.write(ctx, batch, more)
}

func deploys(row Environment) bool { return row.Wanted == Present }

// removals are the rows whose environments are to be removed, as many as one commit takes.
func (c *Committer) removals(ctx context.Context) ([]Environment, error) {
	rows, err := c.Store.Uncommitted(ctx, c.Lane, max(RemovalBatch, c.Batch))
	return slices.DeleteFunc(rows, deploys), err
}

// updateAll is the store's, a bounded number of rows at a time. What is written of a batch
// whose rest is not does no harm: an intent allows, and what is not recorded is found to be
// in Git.
func (c *Committer) updateAll(ctx context.Context, ids []int64, fn func(*Environment) error) error {
	for some := range slices.Chunk(ids, updateAtOnce) {
		if err := c.Store.UpdateAll(ctx, some, fn); err != nil {
			return err
		}
	}
	return nil
}

// batch is one commit in the making.
type batch struct {
	rows   map[string]Environment // by the change's key
	commit repo.Commit
	// rendered are what the rows were rendered to, by the row's key.
	rendered map[int64]Rendered
	// later is why rows that stay due could not be rendered now.
	later []error
}

func (b *batch) ids() []int64 {
	ids := make([]int64, 0, len(b.rows))
	for _, row := range b.rows {
		ids = append(ids, row.RowID)
	}
	return ids
}

// updates says that a row is of those whose deployments change values in files of others.
func (b *batch) updates(row Environment) bool {
	return row.Update != nil || b.rendered[row.RowID].Update != nil
}

func (c *Committer) write(ctx context.Context, b *batch, more bool) (bool, error) {
	result, err := c.Git.Commit(ctx, b.commit, func(p repo.Prepared) error {
		intents, revisions := make(map[int64]string, len(b.rows)), make(map[int64]string, len(b.rows))
		generations := make(map[int64]int64, len(b.rows))
		for key, row := range b.rows {
			intents[row.RowID], generations[row.RowID] = p.Trees[key], row.Generation
			if row.Wanted == Present {
				revisions[row.RowID] = row.SHA
			}
		}
		return c.updateAll(ctx, b.ids(), func(e *Environment) error {
			if sha, deploys := revisions[e.RowID]; deploys && !e.Cleared(sha) {
				return errUncleared // another commit was approved while this one was prepared
			}
			e.Intend(intents[e.RowID])
			e.setOut(b.rendered[e.RowID], generations[e.RowID])
			return nil
		})
	})
	var refused *repo.RefusedError
	var shared *repo.SharedError
	switch {
	case errors.Is(err, errUncleared):
		return true, nil // the next step reads the rows anew
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
	b := &batch{rows: make(map[string]Environment, len(rows)), commit: repo.Commit{Whole: true}, rendered: map[int64]Rendered{}}
	var judge Judge
	if c.Policies != nil {
		judge = c.Policies(ctx)
	}
	for _, row := range rows {
		change, rendered, err := c.change(ctx, row)
		if err == nil && row.Wanted == Present {
			err = c.judge(ctx, judge, row, change.Files)
		}
		if err == nil && row.Wanted == Present {
			err = c.prove(ctx, row)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if isLater(err) {
			// Where others of the batch are committed, nobody else says so.
			c.Log.Warn("cannot be rendered now", "env", row.Ref.String(), "error", err)
			b.later = append(b.later, fmt.Errorf("render %s: %w", row.Ref, err))
			continue
		}
		if err != nil {
			c.Log.Warn("cannot be rendered", "env", row.Ref.String(), "error", err)
			if err := c.failRow(ctx, row, renderProblem(err)); err != nil {
				return nil, err
			}
			continue
		}
		b.rows[change.Key], b.rendered[row.RowID] = row, rendered
		b.commit.Changes = append(b.commit.Changes, change)
	}
	if err := c.apart(ctx, b); err != nil {
		return nil, err
	}
	if err := c.listAll(ctx, b); err != nil {
		return nil, err
	}
	b.commit.Subject = subject(b)
	head, err := c.Store.AuditHead(ctx)
	if err != nil {
		return nil, err
	}
	if head != (AuditChain{}) {
		b.commit.Trailers = [][2]string{{AuditTrailer, head.String()}}
	}
	return b, nil
}

// changeKey is what the commit of a row's generation is found again by.
func changeKey(row Environment) string {
	return fmt.Sprintf("%d/%s@%d", row.Ref.RepositoryID, row.Ref.Key(), row.Generation)
}

// change renders a row, and returns what it is rendered to beside.
func (c *Committer) change(ctx context.Context, row Environment) (repo.Change, Rendered, error) {
	change := repo.Change{
		Key:     changeKey(row),
		Dir:     row.Ref.Dir(),
		Accept:  accepted(row),
		Subject: describe(row),
		Trailers: [][2]string{
			{"Idp-Environment", row.Ref.String() + " generation " + strconv.FormatInt(row.Generation, 10)},
			{"Idp-Actor", cmp.Or(row.Actor, "idp")},
		},
	}
	if row.Wanted == Absent {
		return change, Rendered{}, nil
	}
	if !row.Cleared(row.SHA) {
		return repo.Change{}, Rendered{}, errUncleared
	}
	change.Trailers = append(change.Trailers, [2]string{"Idp-Revision", row.SHA})
	rendered, err := c.Render(ctx, row)
	if err != nil {
		return repo.Change{}, Rendered{}, err
	}
	change.Files, change.Edits = rendered.Files, edits(row, rendered.Update)
	if rendered.Update != nil {
		return change, rendered, nil
	}
	// One that cannot be listed must not keep its repository's list from being written.
	if _, err := c.List(listOf(row), []Environment{row}); err != nil {
		return repo.Change{}, Rendered{}, err
	}
	return change, rendered, nil
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
	// Target is where the list stands, and the environments with it.
	Target gitops.Lane
}

// listOf is the list that an environment stands in.
func listOf(row Environment) Listed {
	return Listed{RepositoryID: row.Ref.RepositoryID, Repo: row.Ref.Repo, Declared: row.Declared(), Target: row.Lane.Target()}
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
		if b.updates(b.rows[change.Key]) {
			continue
		}
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
		if listOf(row) == of && !changing[row.RowID] && row.Update == nil {
			listed = append(listed, row)
		}
	}
	for _, row := range b.rows {
		if listOf(row) == of && row.Wanted == Present && !b.updates(row) {
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
		row.setOut(b.rendered[row.RowID], row.Generation)
		a := Applied{Generation: row.Generation, Commit: done.Commit, Tree: done.Tree, Watched: c.Watched && row.followed(), At: now}
		if row.Wanted == Present {
			a.SHA, a.Base, a.Diff = row.SHA, row.Source.base(), c.diff(ctx, row, done)
			a.Unrouted = b.rendered[row.RowID].Unrouted
			if c.Latency != nil && row.AppliedSHA != row.SHA {
				c.Latency.Observe(now.Sub(row.AskedAt).Seconds())
			}
		}
		applied[row.RowID] = a
		changed = append(changed, row)
	}
	err := c.updateAll(ctx, b.ids(), func(e *Environment) error {
		a, ok := applied[e.RowID]
		if !ok {
			return ErrUnchanged
		}
		e.Commit(a)
		if e.Generation == a.Generation {
			e.noted(b.rendered[e.RowID])
		}
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
// commit before of that environment, if that was of another revision or made of another
// source. A deployment stands without its diff.
func (c *Committer) diff(ctx context.Context, row Environment, done repo.Applied) string {
	if row.AppliedSHA == row.SHA && row.AppliedBase == row.Source.base() {
		return ""
	}
	diff, err := c.diffOf(ctx, row, done)
	if err != nil {
		c.Log.Warn("no manifest diff", "env", row.Ref.String(), "error", err)
	}
	return diff
}

// diffOf returns what a commit changed in an environment's manifests, or in its team's files.
func (c *Committer) diffOf(ctx context.Context, row Environment, done repo.Applied) (string, error) {
	if row.Update == nil {
		return c.Git.Diff(ctx, row.AppliedCommit, done.Commit, row.Ref.ManifestsDir(), maxDiff)
	}
	parent, err := c.Git.Parent(ctx, done.Commit)
	if err != nil {
		return "", err
	}
	diff := ""
	for _, file := range row.Update.Files() {
		one, err := c.Git.Diff(ctx, parent, done.Commit, file, maxDiff-len(diff))
		if err != nil {
			return diff, err
		}
		diff += one
	}
	return diff, nil
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
