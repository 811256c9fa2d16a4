package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// LiveOf says which previews are counted: those beside the environment ID of a
// repository that have the repository, the team or the author in common with it.
type LiveOf struct {
	RepositoryID int64
	ID           string
	Team, Author string
}

// Live is how many previews are wanted, and of those that are not pinned the one that
// nothing new was wanted of for longest; nil where there is none.
type Live struct {
	Count  int
	Oldest *previews.Environment
}

// LivePreviews counts the previews that are wanted, by what they have in common with
// one. A team or an author without a name has none.
func (s *Store) LivePreviews(ctx context.Context, of LiveOf) (repository, team, author Live, err error) {
	defer s.metrics.time("live_previews")()
	one := func(column string) string {
		where := ` FROM environments WHERE present = 1 AND preview = 1 AND ` + column + ` = ? AND NOT (repository_id = ? AND env_id = ?)`
		return `SELECT (SELECT count(*)` + where + `), (SELECT doc` + where + ` AND expires_at > 0 ORDER BY wanted_at, id LIMIT 1)`
	}
	var args []any
	for _, value := range []any{of.RepositoryID, of.Team, of.Author} {
		for range 2 {
			args = append(args, value, of.RepositoryID, of.ID)
		}
	}
	rows, err := s.read.QueryContext(ctx, one("repository_id")+" UNION ALL "+one("team")+" UNION ALL "+one("author"), args...)
	if err != nil {
		return repository, team, author, fmt.Errorf("count live previews: %w", err)
	}
	defer rows.Close()
	for _, to := range []*Live{&repository, &team, &author} {
		if !rows.Next() {
			break
		}
		if err := scanLive(rows, to); err != nil {
			return repository, team, author, fmt.Errorf("count live previews: %w", err)
		}
	}
	if of.Team == "" {
		team = Live{}
	}
	if of.Author == "" {
		author = Live{}
	}
	if err := rows.Err(); err != nil {
		return repository, team, author, fmt.Errorf("count live previews: %w", err)
	}
	return repository, team, author, nil
}

func scanLive(rows *sql.Rows, to *Live) error {
	var doc sql.NullString
	if err := rows.Scan(&to.Count, &doc); err != nil || !doc.Valid {
		return err
	}
	to.Oldest = &previews.Environment{}
	return json.Unmarshal([]byte(doc.String), to.Oldest)
}
