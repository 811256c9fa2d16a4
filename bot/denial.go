package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// denied says that GitHub lets idp not see or do a thing, and will not when it is
// asked again: it is gone, the App is not installed there any more or suspended, or
// the repository is read only. A rate limit is not that.
func denied(err error) bool { return unreachable(err) || forbidden(err) }

// unreachable says that the whole repository is out of reach.
func unreachable(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrNoAccess) }

// forbidden says that the App has access, and may all the same not do this.
func forbidden(err error) bool {
	var answer interface {
		error
		Forbidden() bool
	}
	return errors.As(err, &answer) && answer.Forbidden()
}

// changer changes rows of the store.
type changer interface {
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*previews.Environment) error) error
}

// lose has rows of one repository say that nothing more is heard of it. The log has it once,
// with the declared environments: they stay until who runs idp takes them away.
func lose(ctx context.Context, rows changer, log *slog.Logger, of []previews.Environment, why previews.LossReason, now time.Time) error {
	var ids []int64
	var kept []string
	for _, row := range of {
		if !row.Lose(why, now) {
			continue
		}
		ids = append(ids, row.RowID)
		if row.Declared() && !slices.Contains(kept, row.Ref.ID) {
			kept = append(kept, row.Ref.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	repo := of[0].Owner + "/" + of[0].Repo
	err := rows.UpdateAll(ctx, ids, func(e *previews.Environment) error {
		if !e.Lose(why, now) {
			return previews.ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note that nothing more is heard of %s: %w", repo, err)
	}
	if len(kept) > 0 {
		log.Warn("nothing more is heard of a repository, and its declared environments stay", "repo", repo, "why", string(why),
			"environments", strings.Join(kept, " "), "remove", "idp env remove "+repo+" "+kept[0])
	}
	return nil
}

// follow brings rows to where their repository is now, and has them know that it is heard of;
// paths and names stay.
func follow(ctx context.Context, rows changer, of []previews.Environment, to place) error {
	var ids []int64
	for _, row := range of {
		if !at(row, to) {
			ids = append(ids, row.RowID)
		}
	}
	err := rows.UpdateAll(ctx, ids, func(e *previews.Environment) error {
		if at(*e, to) {
			return previews.ErrUnchanged
		}
		e.Owner, e.Repo = to.repo.Owner, to.repo.Name
		if to.installationID != 0 {
			e.InstallationID = to.installationID
		}
		if to.finds(*e) {
			e.Lost = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("follow %s/%s: %w", to.repo.Owner, to.repo.Name, err)
	}
	return nil
}

func at(e previews.Environment, p place) bool {
	return e.Owner == p.repo.Owner && e.Repo == p.repo.Name && (p.installationID == 0 || e.InstallationID == p.installationID) && !p.finds(e)
}

// finds says that a row calls its repository lost, which is there after all.
func (p place) finds(e previews.Environment) bool {
	return e.Lost != nil && (!p.unlisted || e.Lost.Reason != previews.LostArchived)
}
