package bot_test

import (
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/previews"
)

// pressed is the press of a button of the newest check of idp's by alice.
func (w *world) pressed(guid, identifier string) bot.Event {
	w.Helper()
	runs := w.repo.CheckRuns()
	run := runs[len(runs)-1]
	return w.event(guid, func(e *bot.Event) {
		e.Kind, e.Name, e.Action, e.PR, e.HeadSHA = bot.EventButton, "check_run", "requested_action", 0, run.HeadSHA
		e.CheckOf, _, _ = strings.Cut(run.ExternalID, "@")
		e.Button = &bot.Button{Check: run.ID, Identifier: identifier, ExternalID: run.ExternalID}
	})
}

// A signed webhook that somebody sends again under another GUID takes away no preview
// that was brought back since; pressing the button again does.
func TestButtonIsPressedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.committed()
	w.report()
	press := w.pressed("press", "destroy")
	w.handle(press)
	w.equal("after the press", string(w.row().Wanted), string(previews.Absent))
	w.committed()
	w.handle(w.said("back", "/idp preview"))
	w.committed()
	w.report()
	again := press
	again.Delivery = w.event("replayed").Delivery
	w.handle(again)
	w.equal("after the same once more", string(w.row().Wanted), string(previews.Present))
	w.handle(w.pressed("press again", "destroy"))
	w.equal("after another press", string(w.row().Wanted), string(previews.Absent))
}

// What is no button of an environment is ignored.
func TestButtonOfNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.committed()
	w.report()
	for name, change := range map[string]func(*bot.Event){
		"another environment": func(e *bot.Event) { e.CheckOf = "idp-other-pr-1" },
		"no environment":      func(e *bot.Event) { e.CheckOf = "" },
		"no button":           func(e *bot.Event) { e.Button = nil },
		"unknown":             func(e *bot.Event) { e.Button.Identifier = "merge" },
		"another repository":  func(e *bot.Event) { e.Repository.ID++ },
	} {
		before := w.row()
		e := w.pressed(name, "destroy")
		change(&e)
		w.handle(e)
		if after := w.row(); after.Version != before.Version || after.Wanted != previews.Present {
			t.Errorf("%s: %+v", name, after)
		}
	}
}
