package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// State is how far a request has come.
type State string

// The states. What was given up is for whoever runs idp: they can have it tried again.
const (
	Pending State = "pending"
	Done    State = "done"
	GivenUp State = "given_up"
)

// Outcome is what came of a request.
type Outcome struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// Results are one for each command and for what it was refused or done about beside,
	// in their order; none while the state is pending.
	Results []Result `json:"results,omitempty"`
	// Answer is what there is to say, in Markdown.
	Answer string `json:"answer,omitempty"`
	// Problem says why nothing was decided, "" otherwise.
	Problem string `json:"problem,omitempty"`
}

// Result is what came of one command.
type Result struct {
	Command string `json:"command"`
	// Environment is "owner/repo/id", SHA the commit it is about.
	Environment string `json:"environment,omitempty"`
	SHA         string `json:"sha,omitempty"`
	// Done is false where it was refused, and then Reason says why.
	Done   bool   `json:"done"`
	Reason string `json:"reason"`
}

// tell answers whoever gave the commands what came of them.
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, who bot.Actor) {
	ctx, id := r.Context(), r.PathValue("id")
	unknown := fault.New(fault.NotFound, "there is no such request of yours; they are kept for three days", "")
	if uuid.Validate(id) != nil {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	delivery, err := h.options.Store.Delivery(ctx, id)
	if errors.Is(err, previews.ErrNotFound) || err == nil && !askedBy(delivery, who) {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	if err != nil {
		h.fail(w, err)
		return
	}
	out := Outcome{ID: id}
	switch delivery.State {
	case store.DeliveryDone:
		out.State = Done
	case store.DeliveryDead:
		out.State, out.Problem = GivenUp, "idp tried it several times and it failed; whoever runs idp can have it tried again"
	default:
		out.State = Pending
		if delivery.Attempts > 0 {
			out.Problem = "it failed, and is tried again"
		}
		write(w, http.StatusOK, out)
		return
	}
	if why, ignored := strings.CutPrefix(delivery.Result, "ignored: "); ignored {
		out.Problem = why
	}
	log, err := h.options.Store.AuditLog(ctx, store.AuditFilter{Delivery: id})
	if err != nil {
		h.fail(w, err)
		return
	}
	for _, entry := range slices.Backward(log) {
		if entry.ActorID == who.ID {
			out.Results = append(out.Results, Result{Command: entry.Action, Environment: entry.Environment, SHA: entry.SHA, Done: entry.Allowed, Reason: entry.Reason})
		}
	}
	answers, err := h.options.Store.Answers(ctx, id, string(bot.EffectAnswer))
	if err != nil {
		h.fail(w, err)
		return
	}
	out.Answer = strings.Join(answers, "\n\n")
	write(w, http.StatusOK, out)
}

// askedBy says that a delivery is this person's request. One whose payload is no longer
// kept is nobody's.
func askedBy(d store.Delivery, who bot.Actor) bool {
	var event bot.Event
	return d.Event == bot.RequestEvent && json.Unmarshal(d.Payload, &event) == nil && event.Actor.ID == who.ID && who.ID > 0
}
