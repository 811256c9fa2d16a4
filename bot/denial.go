package bot

import (
	"context"
	"errors"
	"fmt"

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

// follow brings rows to where their repository is now; paths and names stay.
func follow(ctx context.Context, rows interface {
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*previews.Environment) error) error
}, of []previews.Environment, to place) error {
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
		return nil
	})
	if err != nil {
		return fmt.Errorf("follow %s/%s: %w", to.repo.Owner, to.repo.Name, err)
	}
	return nil
}

func at(e previews.Environment, p place) bool {
	return e.Owner == p.repo.Owner && e.Repo == p.repo.Name && (p.installationID == 0 || e.InstallationID == p.installationID)
}
