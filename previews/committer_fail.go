package previews

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo"
)

// failChanged gives up the rows whose folders somebody else wrote to. The next
// step writes the others.
func (c *Committer) failChanged(ctx context.Context, b *batch, conflicts []repo.Conflict) error {
	for _, conflict := range conflicts {
		row := b.rows[conflict.Key]
		if conflict.File != "" {
			if err := c.failRow(ctx, row, editProblem(conflict)); err != nil {
				return err
			}
			continue
		}
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
		return "The platform team has to mend that; then comment " + again(row) + "."
	case row.Wanted == Absent:
		return "Comment /idp destroy to remove the folder with that change."
	default:
		return "Comment " + again(row) + " to go on and replace that change."
	}
}

// again is the command that has what was given up tried again.
func again(row Environment) string {
	if row.Declared() {
		return "/idp retry " + row.Ref.ID
	}
	return "/idp preview"
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
			Hint:    "The platform team has to mend that; then comment " + again(row) + ".",
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
			Hint: "The platform team has to mend that; then comment " + again(row) + ".",
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
	if refused, ok := errors.AsType[*refusedError](err); ok {
		return refused.problem
	}
	p := Problem{Kind: ProblemSpec, Message: "this revision cannot be rendered", Hint: "The platform team finds the reason in idp's log."}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		p.Message, p.Hint = f.Message, f.Hint
	}
	if _, ofChart := errors.AsType[*ChartError](err); ofChart {
		p.Kind = ProblemChart
	}
	return p
}
