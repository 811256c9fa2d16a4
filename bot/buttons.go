package bot

import (
	"context"
	"fmt"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews/store"
)

// Button is a button of one of idp's checks that somebody pressed. It is another way to
// give the command that stands for it: what follows, who may and what is answered is the
// same, but that there is no comment to react to.
type Button struct {
	// Check is the id of the check run, ExternalID what idp called it: that changes with
	// the generation of its environment.
	Check      int64
	ExternalID string
	// Identifier is which button it was.
	Identifier string
	// Environment is the declared environment that the check is of, "" for a preview; the
	// handler finds it out.
	Environment string
}

// asks says that somebody asks for something by name, with a command, through the API or
// with a button.
func (e Event) asks() bool {
	return e.Kind == EventComment || e.Kind == EventRequest || e.Kind == EventButton
}

// invocations are the commands that an event gives.
func (e Event) invocations() []Invocation {
	switch {
	case e.Kind == EventComment && e.Comment != nil:
		return Parse(e.Comment.Body)
	case e.Kind == EventRequest && e.Request != nil:
		return Parse(e.Request.Text)
	case e.Kind == EventButton && e.Button != nil:
		return e.Button.invocations(e.HeadSHA)
	}
	return nil
}

// invocations is the button's command, none for a button that there is not. What is
// approved is the commit of the check, whatever was pushed since.
func (b Button) invocations(sha string) []Invocation {
	switch b.Identifier {
	case report.ButtonApprove:
		return []Invocation{{Name: "approve", Args: []string{sha}}}
	case report.ButtonRedeploy:
		if b.Environment != "" {
			return []Invocation{{Name: "retry", Args: []string{b.Environment}}}
		}
		return []Invocation{{Name: "preview"}}
	case report.ButtonDestroy:
		if b.Environment == "" {
			return []Invocation{{Name: "destroy"}}
		}
	}
	return nil
}

// button runs the command of a button that was pressed.
func (d *deciding) button() {
	answers := d.invokeAll(d.event.invocations())
	if len(answers) == 0 {
		d.because("there is no such button")
		return
	}
	d.reply(answers)
}

// button decides about the pull request whose environment the check is of. GitHub names
// no pull request for the commit of a fork, so that the check itself has to say.
func (h *Handler) button(ctx context.Context, event Event) error {
	if event.Button == nil || event.CheckOf == "" {
		return h.ignore(ctx, event, "a button of no environment")
	}
	rows, err := h.Store.Environments(ctx, store.Filter{RepositoryID: event.Repository.ID, Name: event.CheckOf})
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return h.ignore(ctx, event, "a button of an environment that is not there")
	}
	row, pressed, number := rows[0], *event.Button, rows[0].PR
	if row.Declared() {
		pressed.Environment = row.Ref.ID
		if event.PR != 0 {
			number = event.PR // one that waits in the queue of another's environment
		}
	}
	if number == 0 {
		return h.ignore(ctx, event, "a button of no pull request")
	}
	event.Button = &pressed
	return h.decide(ctx, event, number)
}

// press names what a button does to one generation of its environment, so that the same
// signed webhook sent again does not do it twice.
func (e Event) press() string {
	return fmt.Sprintf("button %d/%d/%s/%s/%d", e.Repository.ID, e.Button.Check, e.Button.Identifier, e.Button.ExternalID, e.Actor.ID)
}
