package api

import (
	"context"
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
	// Note says why nothing comes of what was decided for now, such as that idp is paused.
	Note string `json:"note,omitempty"`
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
func (h *Handler) tell(w http.ResponseWriter, r *http.Request, who person) {
	unknown := fault.New(fault.NotFound, "there is no such request of yours; they are kept for three days after they were decided", "")
	id := r.PathValue("id")
	if uuid.Validate(id) != nil {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	delivery, err := h.options.Store.Delivery(r.Context(), id)
	if err == nil {
		if _, theirs := askedBy(delivery, who.Actor); !theirs {
			err = previews.ErrNotFound
		}
	}
	if errors.Is(err, previews.ErrNotFound) {
		refuse(w, http.StatusNotFound, unknown)
		return
	}
	var out Outcome
	if err == nil {
		out, err = h.outcome(r.Context(), delivery, who.Actor)
	}
	if err != nil {
		h.fail(w, err)
		return
	}
	write(w, http.StatusOK, out)
}

// outcome is what came of a request of somebody's.
func (h *Handler) outcome(ctx context.Context, delivery store.Delivery, who bot.Actor) (Outcome, error) {
	out := Outcome{ID: delivery.GUID}
	if h.options.Note != nil {
		out.Note = h.options.Note(ctx)
	}
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
		return out, nil
	}
	if why, ignored := strings.CutPrefix(delivery.Result, "ignored: "); ignored {
		out.Problem = why
	}
	log, err := h.options.Store.AuditLog(ctx, store.AuditFilter{Delivery: delivery.GUID})
	if err != nil {
		return out, err
	}
	for _, entry := range slices.Backward(log) {
		if entry.ActorID == who.ID {
			out.Results = append(out.Results, Result{Command: entry.Action, Environment: entry.Environment, SHA: entry.SHA, Done: entry.Allowed, Reason: entry.Reason})
		}
	}
	answers, err := h.options.Store.Answers(ctx, delivery.GUID, string(bot.EffectAnswer))
	out.Answer = strings.Join(answers, "\n\n")
	return out, err
}

// askedBy says whether a delivery is this person's request, and returns it. One whose
// payload is no longer kept is nobody's.
func askedBy(d store.Delivery, who bot.Actor) (event bot.Event, ok bool) {
	ok = d.Event == bot.RequestEvent && json.Unmarshal(d.Payload, &event) == nil && event.Actor.ID == who.ID && who.ID > 0
	return event, ok
}
