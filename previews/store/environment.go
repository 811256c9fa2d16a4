package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// Filter selects environments; its zero value selects all.
type Filter struct {
	RepositoryID int64
	// HeadSHA is the pull request's newest commit.
	HeadSHA string
	State   previews.State
	// Live leaves those out that have no files in the GitOps repository.
	Live bool
	// Name is that of the namespace and the Application.
	Name string
}

// environmentColumns is what decodeEnvironment reads. Lists leave the diff out:
// it is large, and a row without it keeps the one it has when it is written.
const environmentColumns = `id, version, doc`

func decodeEnvironment(row interface{ Scan(...any) error }, more ...any) (previews.Environment, error) {
	var e previews.Environment
	var id, version int64
	var doc []byte
	if err := row.Scan(append([]any{&id, &version, &doc}, more...)...); err != nil {
		return e, err
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		return e, fmt.Errorf("decode environment %d: %w", id, err)
	}
	e.RowID, e.Version = id, version
	return e, nil
}

// Environment returns one environment by its key in the repository
// (gitops.EnvironmentRef.Key), or previews.ErrNotFound.
func (s *Store) Environment(ctx context.Context, repositoryID int64, id string) (previews.Environment, error) {
	defer s.metrics.time("environment")()
	e, err := oneEnvironment(s.read.QueryRowContext, ctx, `repository_id = ? AND env_id = ?`, repositoryID, id)
	if err != nil {
		return e, fmt.Errorf("read environment %s of repository %d: %w", id, repositoryID, err)
	}
	return e, nil
}

// Paths returns the owner and the repository that the environments of a repository
// have in their paths: those of its first one. A repository that has none yet takes
// its names of today or, where another repository has taken them, distinct ones.
func (s *Store) Paths(ctx context.Context, repositoryID int64, owner, repo string) (gitops.EnvironmentRef, error) {
	defer s.metrics.time("paths")()
	ref := gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: owner, Repo: repo}
	first, err := oneEnvironment(s.read.QueryRowContext, ctx, `repository_id = ? ORDER BY id LIMIT 1`, repositoryID)
	if err == nil {
		ref.Owner, ref.Repo = first.Ref.Owner, first.Ref.Repo
		return ref, nil
	}
	var taken bool
	if errors.Is(err, previews.ErrNotFound) {
		err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM environments WHERE folder = ?)`, owner+"/"+repo).Scan(&taken)
	}
	if err != nil {
		return ref, fmt.Errorf("read the paths of repository %d: %w", repositoryID, err)
	}
	if taken {
		ref.Repo = gitops.DistinctRepo(repositoryID, repo)
	}
	return ref, nil
}

type queryRow func(ctx context.Context, query string, args ...any) *sql.Row

func oneEnvironment(query queryRow, ctx context.Context, where string, args ...any) (previews.Environment, error) {
	var diff string
	e, err := decodeEnvironment(query(ctx, `SELECT `+environmentColumns+`, diff FROM environments WHERE `+where, args...), &diff)
	if errors.Is(err, sql.ErrNoRows) {
		return e, previews.ErrNotFound
	}
	e.Diff = diff
	return e, err
}

// Environments returns the environments that pass the filter, in the order they
// were first seen, without their diffs.
func (s *Store) Environments(ctx context.Context, f Filter) ([]previews.Environment, error) {
	where := []string{"1 = 1"}
	var args []any
	add := func(clause string, arg ...any) { where, args = append(where, clause), append(args, arg...) }
	if f.RepositoryID != 0 {
		add("repository_id = ?", f.RepositoryID)
	}
	if f.HeadSHA != "" {
		add("head_sha = ?", f.HeadSHA)
	}
	if f.State != "" {
		add("state = ?", string(f.State))
	}
	if f.Live {
		add("committed = 1")
	}
	if f.Name != "" {
		add("name = ?", f.Name)
	}
	return s.environments(ctx, "environments", strings.Join(where, " AND ")+" ORDER BY id", args...)
}

func (s *Store) environments(ctx context.Context, op, where string, args ...any) ([]previews.Environment, error) {
	defer s.metrics.time(op)()
	rows, err := s.read.QueryContext(ctx, `SELECT `+environmentColumns+` FROM environments WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	defer rows.Close()
	var out []previews.Environment
	for rows.Next() {
		e, err := decodeEnvironment(rows)
		if err != nil {
			return nil, fmt.Errorf("list environments: %w", err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list environments: %w", err)
	}
	return out, nil
}

// Update reads an environment and lets fn check and change it, all in one write
// transaction, and returns it as it then stands. With previews.ErrUnchanged from
// fn the row stays as it is and Update returns nil; any other error of fn is
// returned. previews.ErrBreaker says that fn inferred a removal that the breaker
// refuses.
func (s *Store) Update(ctx context.Context, rowID int64, fn func(*previews.Environment) error) (previews.Environment, error) {
	var out previews.Environment
	err := s.change(ctx, "update", func(tx *transaction) (err error) {
		out, err = s.updateRow(ctx, tx, rowID, fn)
		return err
	})
	if err != nil {
		return previews.Environment{}, fmt.Errorf("update environment %d: %w", rowID, err)
	}
	return out, nil
}

// UpdateAll is Update for many rows in one transaction: all of them or, when fn
// fails for one, none.
func (s *Store) UpdateAll(ctx context.Context, rowIDs []int64, fn func(*previews.Environment) error) error {
	if len(rowIDs) == 0 {
		return nil
	}
	err := s.change(ctx, "update_all", func(tx *transaction) error {
		for _, id := range rowIDs {
			if _, err := s.updateRow(ctx, tx, id, fn); err != nil {
				return fmt.Errorf("environment %d: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("update %d environments: %w", len(rowIDs), err)
	}
	return nil
}

// change is inTx for what touches environments or effects: it latches the breaker
// when that refused, and wakes the subscribers.
func (s *Store) change(ctx context.Context, op string, fn func(*transaction) error) error {
	err := s.alone(ctx, op, func(tx *transaction) error {
		if err := fn(tx); err != nil || s.db.tell == nil {
			return err
		}
		return s.db.tell(ctx, tx, s.holder)
	})
	if tripped, ok := errors.AsType[*trippedError](err); ok {
		return errors.Join(err, s.LatchBreaker(ctx, tripped.reason))
	}
	if err == nil {
		s.announce()
	}
	return err
}

func (s *Store) updateRow(ctx context.Context, tx *transaction, rowID int64, fn func(*previews.Environment) error) (previews.Environment, error) {
	before, err := oneEnvironment(tx.QueryRowContext, ctx, `id = ?`, rowID)
	if err != nil {
		return before, err
	}
	after := before
	switch err := fn(&after); {
	case errors.Is(err, previews.ErrUnchanged):
		return before, nil
	case err != nil:
		return before, err
	}
	if err := s.replace(ctx, tx, before, &after); err != nil {
		return after, err
	}
	return after, insertAudit(ctx, tx, "", s.now(), previews.Decided(before, after))
}

// replace writes after where before stands. The identity of a row never changes.
func (s *Store) replace(ctx context.Context, tx *transaction, before previews.Environment, after *previews.Environment) error {
	if err := s.passBreaker(ctx, tx, before, *after); err != nil {
		return err
	}
	after.RowID, after.Ref, after.Version = before.RowID, before.Ref, before.Version+1
	after.CreatedAt, after.UpdatedAt = before.CreatedAt, s.now().UTC()
	if err := insertFinished(ctx, tx, after); err != nil {
		return err
	}
	if after.Diff == "" && after.AppliedCommit == before.AppliedCommit {
		after.Diff = before.Diff
	}
	p, err := project(after)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE environments SET
		version = ?, doc = ?, diff = ?, head_sha = ?, state = ?, present = ?, committed = ?, needs_commit = ?, lane = ?, proposed = ?, preview = ?, author = ?, author_id = ?, team = ?,
		wanted_at = ?, image_check_at = ?, expires_at = ?, report_rank = ?,
		unreported_since = CASE WHEN version = reported_version THEN CAST(? AS BIGINT) ELSE unreported_since END,
		report_not_before = CASE WHEN report_not_before = ? OR report_not_before < 0 AND ? = 1 THEN 0 ELSE report_not_before END
		WHERE id = ?`, append(p, stamp(after.UpdatedAt), givenUp, outpaces(before, after), after.RowID)...)
	return err
}

// outpaces says that there is more to say of an environment than how far it has come.
func outpaces(before previews.Environment, after *previews.Environment) bool {
	return after.State() != before.State() || after.HeadSHA != before.HeadSHA || after.RecheckAt != before.RecheckAt || requeued(before, after)
}

// requeued says that there is something new to say to those who wait for their turn.
func requeued(before previews.Environment, after *previews.Environment) bool {
	if !before.Declared() || !after.Declared() {
		return false
	}
	was, is := before.Deployed, after.Deployed
	return !reflect.DeepEqual(was.Queue, is.Queue) || !reflect.DeepEqual(was.Lock, is.Lock)
}

// create writes a new row and fills in its RowID and Version.
func (s *Store) create(ctx context.Context, tx *transaction, e *previews.Environment) error {
	now := s.now().UTC()
	e.RowID, e.Version, e.CreatedAt, e.UpdatedAt = 0, 1, now, now
	if err := insertFinished(ctx, tx, e); err != nil {
		return err
	}
	p, err := project(e)
	if err != nil {
		return err
	}
	err = tx.QueryRowContext(ctx, `INSERT INTO environments (
		version, doc, diff, head_sha, state, present, committed, needs_commit, lane, proposed, preview, author, author_id, team,
		wanted_at, image_check_at, expires_at, report_rank, unreported_since, repository_id, env_id, name, folder)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) 
		ON CONFLICT DO NOTHING RETURNING id`,
		append(p, stamp(now), e.Ref.RepositoryID, e.Ref.Key(), e.Ref.Name(), e.Ref.Owner+"/"+e.Ref.Repo)...).Scan(&e.RowID)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var owner string
	if err := tx.QueryRowContext(ctx, `SELECT repository_id || '/' || env_id FROM environments WHERE name = ?`, e.Ref.Name()).Scan(&owner); err != nil {
		return fmt.Errorf("look for the environment that has the name %s: %w", e.Ref.Name(), err)
	}
	if owner == fmt.Sprintf("%d/%s", e.Ref.RepositoryID, e.Ref.Key()) {
		return previews.ErrStale
	}
	return fmt.Errorf("%w: %s, wanted by %s, belongs to environment %s (repository id/environment)", ErrNameTaken, e.Ref.Name(), e.Ref, owner)
}

// project returns the columns of an environment, in the order that replace and
// create list them.
func project(e *previews.Environment) ([]any, error) {
	stored := *e
	stored.Diff = ""
	doc, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("encode environment %s: %w", e.Ref, err)
	}
	lane, err := laneColumn(e.Lane)
	if err != nil {
		return nil, err
	}
	var imageCheck, expires int64
	if e.NeedsImages() {
		imageCheck = max(stamp(e.NextImageCheck), 1)
	}
	if e.Wanted == previews.Present && !e.Pinned {
		expires = stamp(e.ExpiresAt)
	}
	return []any{
		e.Version, string(doc), e.Diff, e.HeadSHA, string(e.State()), e.Wanted == previews.Present, e.Live(), e.NeedsCommit(), lane, e.Proposal != nil, !e.Declared(), e.Author, e.AuthorID, e.Team,
		stamp(e.WantedAt), imageCheck, expires, reportRank(e.State()),
	}, nil
}

// reportRank orders reports: failures first, then ends, then progress.
func reportRank(state previews.State) int {
	switch state {
	case previews.StateRefused, previews.StateFailed, previews.StateDegraded:
		return 0
	case previews.StateReady, previews.StateCommitted, previews.StateGone:
		return 1
	default:
		return 2
	}
}
