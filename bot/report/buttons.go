package report

import (
	"slices"
	"strconv"

	"github.com/idp-bot/idp/previews"
)

// Button is one of the buttons of a check run, shown on the Checks tab. GitHub takes
// three of them, with labels and identifiers of 20 characters and descriptions of 40.
// https://docs.github.com/en/rest/checks/runs#create-a-check-run
type Button struct {
	Label, Description, Identifier string
}

// The identifiers of the buttons. Pressing one does what its command does, with the same
// permissions.
const (
	ButtonApprove  = "approve"
	ButtonRedeploy = "redeploy"
	ButtonDestroy  = "destroy"
)

var (
	approveButton  = Button{"Approve", "Let this very commit be deployed", ButtonApprove}
	redeployButton = Button{"Redeploy", "Try this commit again", ButtonRedeploy}
	returnButton   = Button{"Redeploy", "Bring the preview back", ButtonRedeploy}
	destroyButton  = Button{"Destroy", "Take the preview away", ButtonDestroy}
)

// buttonsOf are the buttons of the check of the environment's newest commit: those whose
// commands mean something now.
func buttonsOf(e *previews.Environment) []Button {
	if e.Declared() {
		if s := e.State(); s == previews.StateFailed || s == previews.StateDegraded {
			return []Button{redeployButton}
		}
		return nil
	}
	var out []Button
	switch p := e.Problem; {
	case p != nil && p.Kind == previews.ProblemFork && p.SHA == e.HeadSHA:
		out = append(out, approveButton)
	case p != nil && p.Kind == previews.ProblemSpec && p.SHA == e.HeadSHA:
		// It takes another commit.
	case e.State() == previews.StateFailed && e.Wanted == previews.Present:
		out = append(out, redeployButton)
	case e.Wanted == previews.Absent && slices.Contains([]previews.RemovalReason{previews.RemovedByCommand, previews.RemovedByOperator, previews.RemovedExpired, previews.RemovedEvicted}, e.Removal.Reason):
		out = append(out, returnButton)
	}
	if e.Wanted == previews.Present || e.State() == previews.StateFailed || e.State() == previews.StateRemoving && e.Problem != nil {
		out = append(out, destroyButton)
	}
	return out
}

// withButtons gives a check its buttons. The environment's generation is in its external
// id then, so that what GitHub tells of a button that is pressed says of what.
func (c Check) withButtons(e *previews.Environment, buttons []Button) Check {
	c.Buttons = buttons
	if len(buttons) > 0 {
		c.ExternalID += "@" + strconv.FormatInt(e.Generation, 10)
	}
	return c
}
