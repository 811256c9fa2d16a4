package previews

import (
	"context"
	"fmt"
	"time"
)

// Pause is an operator's word that idp changes nothing until it is resumed: nothing is
// committed, proposed, reaped or swept. Webhooks are taken, decided and answered all the
// same, so that nothing is lost and pull requests say what they wait for.
type Pause struct {
	Paused bool `json:"paused"`
	// Observes says that idp was never meant to write anything here; nobody resumes it.
	Observes bool `json:"observes,omitempty"`
	// Reason is the operator's, for the people whose pull requests wait; "" if none.
	Reason string    `json:"reason,omitempty"`
	By     string    `json:"by,omitempty"`
	At     time.Time `json:"at"`
}

// maxHeld is how many waiting rows are told of a pause by one step.
const maxHeld = 1000

// problem tells a pull request of the pause.
func (p Pause) problem(sha string) Problem {
	if p.Observes {
		return Problem{Kind: ProblemPaused, SHA: sha, Message: "idp only observes here, and commits nothing", Hint: "It would be committed now."}
	}
	message := "paused by the platform team since " + p.At.UTC().Format("15:04 UTC on 2 January")
	if p.Reason != "" {
		message += ": " + p.Reason
	}
	return Problem{Kind: ProblemPaused, SHA: sha, Message: message, Hint: "Nothing is lost: it goes on by itself once they let idp go on."}
}

// hold says whether idp is paused, and then has the rows that wait for a commit say so.
// A removal waits in silence: few read a pull request that is closed.
func (c *Committer) hold(ctx context.Context) (held bool, err error) {
	if c.Paused == nil {
		return false, nil
	}
	paused, err := c.Paused(ctx)
	if err != nil || !paused.Paused {
		return false, err
	}
	rows, err := c.Store.Uncommitted(ctx, c.Lane, maxHeld)
	if err != nil {
		return true, err
	}
	var waiting []int64
	for _, row := range rows {
		if row.Wanted == Present && (row.Problem == nil || row.Problem.Kind == ProblemPaused) {
			waiting = append(waiting, row.RowID)
		}
	}
	now, told := c.Now(), false
	err = c.Store.UpdateAll(ctx, waiting, func(e *Environment) error {
		if !e.NeedsCommit() || e.Wanted != Present || !e.Refuse(paused.problem(e.SHA), now) {
			return ErrUnchanged
		}
		told = true
		return nil
	})
	if err != nil {
		return true, fmt.Errorf("tell of the pause: %w", err)
	}
	if told {
		c.Pushed(nil)
	}
	return true, nil
}
