package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

// LiveOf says which previews are counted: those beside the environment ID of a
// repository that have the repository, the team or the author in common with it. An
// author is known by AuthorID, and by their login in rows from before that was kept.
type LiveOf struct {
	RepositoryID int64
	ID           string
	Team, Author string
	AuthorID     int64
}

// in is the condition of a scope with its arguments; ok is false where LiveOf has none.
func (of LiveOf) in(scope Scope) (where string, args []any, ok bool) {
	switch scope {
	case OfTeam:
		where, args, ok = `team = ?`, []any{of.Team}, of.Team != ""
	case OfAuthor:
		where, args, ok = `author = ?`, []any{of.Author}, of.Author != ""
		if of.AuthorID != 0 {
			where, args, ok = `(author_id = ? OR author_id = 0 AND author = ?)`, []any{of.AuthorID, of.Author}, true
		}
	default:
		where, args, ok = `repository_id = ?`, []any{of.RepositoryID}, true
	}
	return ` FROM environments WHERE present = 1 AND preview = 1 AND ` + where + ` AND NOT (repository_id = ? AND env_id = ?)`,
		append(args, of.RepositoryID, of.ID), ok
}

// Live is how many previews are wanted, and which might go.
type Live struct {
	Count int
	// Oldest is, of those that are not pinned and may be named in the repository, the one
	// that is longest idle, Idle of those that may be taken
	// (previews.Environment.MayBeTaken); each is nil where there is none.
	Oldest, Idle *previews.Environment
}

// Scope is what previews are counted by.
type Scope string

// The scopes, by what previews have in common.
const (
	OfRepository Scope = "repository"
	OfTeam       Scope = "team"
	OfAuthor     Scope = "author"
)

// Lives is Live by scope. A team or an author without a name has none.
type Lives map[Scope]Live

// LivePreviews counts the previews that are wanted, by what they have in common with one.
func (s *Store) LivePreviews(ctx context.Context, of LiveOf) (Lives, error) {
	defer s.metrics.time("live_previews")()
	return livePreviews(ctx, s.read.QueryContext, of, s.now())
}

type queryRows func(ctx context.Context, query string, args ...any) (*sql.Rows, error)

func livePreviews(ctx context.Context, query queryRows, of LiveOf, now time.Time) (Lives, error) {
	out := Lives{}
	for _, scope := range []Scope{OfRepository, OfTeam, OfAuthor} {
		where, args, ok := of.in(scope)
		if !ok {
			continue
		}
		live, err := oneLive(ctx, query, of.RepositoryID, where, args, now)
		if err != nil {
			return nil, fmt.Errorf("count live previews: %w", err)
		}
		out[scope] = live
	}
	return out, nil
}

func countLive(ctx context.Context, query queryRows, where string, args []any) (n int, err error) {
	err = scanAll(ctx, query, func(rows *sql.Rows) (bool, error) { return false, rows.Scan(&n) }, `SELECT count(*)`+where, args...)
	return n, err
}

// oneLive counts the previews of one scope, for who reads in a repository.
func oneLive(ctx context.Context, query queryRows, reader int64, where string, args []any, now time.Time) (live Live, err error) {
	if live.Count, err = countLive(ctx, query, where, args); err != nil {
		return live, err
	}
	unpinned := where + ` AND expires_at > 0`
	live.Oldest, err = longestIdle(ctx, query, unpinned, args, func(e *previews.Environment) bool {
		return e.Ref.RepositoryID == reader || !e.Private
	})
	if err != nil {
		return live, err
	}
	for _, state := range previews.SettledStates {
		args = append(args, string(state))
	}
	// Who was asked for since then is not idle for long enough.
	args = append(args, stamp(now.Add(-previews.MinIdle)))
	settled := unpinned + ` AND state IN (?` + strings.Repeat(", ?", len(previews.SettledStates)-1) + `) AND wanted_at <= ?`
	live.Idle, err = longestIdle(ctx, query, settled, args, func(e *previews.Environment) bool { return e.MayBeTaken(now) })
	return live, err
}

// longestIdle returns, of the previews that may be, the one that is idle for longest; nil
// for none.
func longestIdle(ctx context.Context, query queryRows, where string, args []any, may func(*previews.Environment) bool) (found *previews.Environment, err error) {
	err = scanAll(ctx, query, func(rows *sql.Rows) (more bool, err error) {
		e, err := scanEnvironment(rows)
		if err != nil || found != nil && !e.WantedAt.Before(found.IdleSince()) {
			return false, err // whatever comes was asked for later
		}
		if may(e) && (found == nil || e.IdleSince().Before(found.IdleSince())) {
			found = e
		}
		return true, nil
	}, `SELECT `+environmentColumns+where+` ORDER BY wanted_at, id`, args...)
	return found, err
}

// scanAll gives each row to fn for as long as it asks for more.
func scanAll(ctx context.Context, query queryRows, fn func(*sql.Rows) (more bool, err error), text string, args ...any) error {
	rows, err := query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := fn(rows); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

func scanEnvironment(rows *sql.Rows) (*previews.Environment, error) {
	e, err := decodeEnvironment(rows)
	return &e, err
}

// Taken is a preview that goes to make room for the one of an outcome.
type Taken struct {
	// Environment is the row as it shall be, like Outcome.Environment.
	Environment *previews.Environment
	// Full says of each scope that has no room how many previews were counted there.
	Full map[Scope]int
}

// stillTaken says that the previews are as they were when it was decided to take some of
// them: each is the longest idle of its scope still, and that has no more and no fewer.
// It is previews.ErrStale where they are not.
func stillTaken(ctx context.Context, tx *transaction, o Outcome, now time.Time) error {
	if len(o.Taken) == 0 {
		return nil
	}
	lives, err := livePreviews(ctx, tx.QueryContext, o.Beside, now)
	if err != nil {
		return err
	}
	for _, taken := range o.Taken {
		for scope, count := range taken.Full {
			live := lives[scope]
			if live.Count != count || live.Idle == nil || live.Idle.RowID != taken.Environment.RowID {
				return fmt.Errorf("take %s for want of room: %w", taken.Environment.Ref, previews.ErrStale)
			}
		}
	}
	return nil
}

// stillRoom says that there are no more previews beside the one that comes than it was let
// come with. It is previews.ErrStale where another one came first.
func stillRoom(ctx context.Context, tx *transaction, o Outcome) error {
	for scope, most := range o.Room {
		where, args, ok := o.Beside.in(scope)
		if !ok {
			continue
		}
		count, err := countLive(ctx, tx.QueryContext, where, args)
		if err != nil {
			return fmt.Errorf("count live previews: %w", err)
		}
		if count > most {
			return fmt.Errorf("%s has %d previews, and at most %d leave room for one more: %w", scope, count, most, previews.ErrStale)
		}
	}
	return nil
}
