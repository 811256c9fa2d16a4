package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// rerequest decides anew about every environment that the check may be of: that of
// the pull request which GitHub names, those at the commit, and the one whose name
// the check carries. For a check of an older commit that is the pull request's
// newest: an older one never comes back.
func (h *Handler) rerequest(ctx context.Context, event Event) error {
	numbers := map[int]bool{}
	if event.PR != 0 {
		numbers[event.PR] = true
	}
	rows, err := h.Store.Environments(ctx, store.Filter{RepositoryID: event.Repository.ID})
	if err != nil {
		return err
	}
	if err := h.rerequestDeployed(ctx, event, rows); err != nil {
		return err
	}
	for _, row := range rows {
		if row.Declared() {
			continue
		}
		if row.HeadSHA == event.HeadSHA || event.CheckOf != "" && row.Ref.Name() == event.CheckOf {
			numbers[row.PR] = true
		}
	}
	switch len(numbers) {
	case 0:
		return h.ignore(ctx, event, "no environment at this commit")
	case 1:
		for number := range numbers {
			return h.decide(ctx, event, number)
		}
	}
	// Each is decided about, and repeated, by itself.
	for number := range numbers {
		one := event
		one.Name, one.PR, one.HeadSHA, one.CheckOf = RerequestEvent, number, "", ""
		one.Delivery = fmt.Sprintf("%s/%d", event.Delivery, number)
		if _, err := own(ctx, h.Store, one, event.ReceivedAt); err != nil {
			return err
		}
	}
	return h.ignore(ctx, event, fmt.Sprintf("%d environments are at this commit", len(numbers)))
}

// build looks again for the images of environments that wait at the event's commit.
func (h *Handler) build(ctx context.Context, event Event) error {
	rows, err := h.Store.Environments(ctx, store.Filter{RepositoryID: event.Repository.ID, HeadSHA: event.HeadSHA})
	if err != nil {
		return err
	}
	now := h.Now()
	for _, row := range rows {
		_, err := h.Store.Update(ctx, row.RowID, func(e *previews.Environment) error {
			if !e.NeedsImages() || !e.NextImageCheck.After(now) {
				return previews.ErrUnchanged
			}
			e.AskCI()
			e.NextImageCheck = now
			return nil
		})
		if err != nil && !errors.Is(err, previews.ErrUnchanged) {
			return fmt.Errorf("ask for the images of %s: %w", row.Ref, err)
		}
	}
	h.Decided()
	return h.ignore(ctx, event, "images are looked up again")
}

// rerequestDeployed writes the checks again of the parts of declared environments that
// the event is about. Rolling out again takes a command, with its permission.
func (h *Handler) rerequestDeployed(ctx context.Context, event Event, rows []previews.Environment) error {
	var ids []int64
	for _, row := range rows {
		if row.Declared() && (row.HeadSHA == event.HeadSHA || event.CheckOf != "" && row.Ref.Name() == event.CheckOf) {
			ids = append(ids, row.RowID)
		}
	}
	now := h.Now()
	err := h.Store.UpdateAll(ctx, ids, func(e *previews.Environment) error {
		e.RecheckAt = now
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask for the checks of %s: %w", event.HeadSHA, err)
	}
	return nil
}
