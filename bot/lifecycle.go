package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// repository follows what became of a whole repository.
//
// One that was archived keeps its previews until they expire: it is read only, its
// pull requests are as open as before, and it can be brought back. What is to be
// said of them meanwhile GitHub refuses, and that ends there; see Reporter.
func (h *Handler) repository(ctx context.Context, event Event) error {
	rows, err := h.Store.Environments(ctx, store.Filter{RepositoryID: event.Repository.ID})
	if err != nil {
		return err
	}
	switch event.Action {
	case "deleted":
		return h.deleted(ctx, event, rows)
	case "archived":
		if err := errors.Join(h.unpin(ctx, rows), h.lose(ctx, rows, previews.LostArchived)); err != nil {
			return err
		}
		return h.ignore(ctx, event, "previews of an archived repository stay until they expire")
	}
	if err := follow(ctx, h.Store, rows, place{installationID: event.InstallationID, repo: event.Repository}); err != nil {
		return err
	}
	if _, err := h.Store.ResumeReports(ctx, event.Repository.ID); err != nil {
		return err
	}
	// A row that changed is reported, even where that comes to nothing.
	h.Decided()
	return h.ignore(ctx, event, "names are updated")
}

// deleted takes the previews of a deleted repository away; there is nowhere left to
// say so. Should it be restored, the sweep finds its pull requests again. What serves people
// goes by the word of who runs idp alone: its rows say that the repository is gone.
func (h *Handler) deleted(ctx context.Context, event Event, rows []previews.Environment) error {
	ids := rowIDs(rows)
	if err := h.Store.ParkReports(ctx, ids); err != nil {
		return err
	}
	now := h.Now()
	err := h.Store.UpdateAll(ctx, ids, func(e *previews.Environment) error {
		if e.Declared() {
			return previews.ErrUnchanged
		}
		e.Looks = ""
		if e.Remove(previews.Removal{Reason: previews.RemovedDeleted, By: event.Actor.Login, ByID: event.Actor.ID}, now) {
			e.AskedAt, e.Actor = event.ReceivedAt, event.Actor.Login
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove the previews of %s/%s: %w", event.Repository.Owner, event.Repository.Name, err)
	}
	if err := h.lose(ctx, rows, previews.LostDeleted); err != nil {
		return err
	}
	h.Decided()
	return h.Store.Apply(ctx, store.Outcome{Delivery: event.Delivery, Result: "decided"})
}

// installation follows what idp is given access to. Reports wait while there is
// none; nothing else stops: what expires is removed all the same.
func (h *Handler) installation(ctx context.Context, event Event) error {
	rows, err := h.Store.Environments(ctx, store.Filter{})
	if err != nil {
		return err
	}
	lost := slices.Contains([]string{"deleted", "suspend", "removed"}, event.Action)
	concerned := map[RepositoryRef][]previews.Environment{}
	for _, row := range rows {
		repo, ok := event.concerns(row, lost)
		if ok {
			concerned[repo] = append(concerned[repo], row)
		}
	}
	for repo, rows := range concerned {
		if lost {
			err = h.cutOff(ctx, rows, event.Action)
		} else if err = follow(ctx, h.Store, rows, place{installationID: event.InstallationID, repo: repo}); err == nil {
			_, err = h.Store.ResumeReports(ctx, repo.ID)
		}
		if err != nil {
			return err
		}
	}
	h.Decided()
	return h.ignore(ctx, event, fmt.Sprintf("access to %d repositories with previews noted", len(concerned)))
}

// cutOff notes that the App has no access any more to the repository of the rows.
func (h *Handler) cutOff(ctx context.Context, rows []previews.Environment, action string) error {
	if err := h.Store.ParkReports(ctx, rowIDs(rows)); err != nil {
		return err
	}
	if action == "suspend" {
		return h.lose(ctx, rows, previews.LostSuspended)
	}
	return errors.Join(h.unpin(ctx, rows), h.lose(ctx, rows, previews.LostUninstalled))
}

// lose has rows say that nothing more is heard of their repository.
func (h *Handler) lose(ctx context.Context, rows []previews.Environment, why previews.LossReason) error {
	return lose(ctx, h.Store, h.Log, rows, why, h.Now())
}

// unpin gives previews their time to live again that nobody can unpin any more, or close the
// pull request of so that idp hears of it: they would stay for good. A suspension is
// something that ends.
func (h *Handler) unpin(ctx context.Context, rows []previews.Environment) error {
	err := h.Store.UpdateAll(ctx, rowIDs(rows), func(e *previews.Environment) error {
		if e.Declared() || !e.Unpin(h.Now()) {
			return previews.ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the pins of previews that are out of reach: %w", err)
	}
	return nil
}

// concerns says whether access to a row's repository changed, and where that is now.
// What another installation lost meanwhile is no loss.
func (e Event) concerns(row previews.Environment, lost bool) (RepositoryRef, bool) {
	mine := row.InstallationID == e.InstallationID
	for _, repo := range e.Repositories {
		if repo.ID == row.Ref.RepositoryID {
			return repo, mine || !lost
		}
	}
	// Some of GitHub's events about whole installations list no repositories.
	repo := RepositoryRef{ID: row.Ref.RepositoryID, Owner: row.Owner, Name: row.Repo, Private: row.Private}
	return repo, mine && e.Name == "installation"
}

func rowIDs(rows []previews.Environment) []int64 {
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.RowID
	}
	return ids
}
