package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/idp-bot/idp/previews"
)

// Report is what idp has said on GitHub about one environment, and when it may
// say more.
type Report struct {
	// CommentID is the comment that is edited, CommentHash the hash of its content, and
	// CommentPR the pull request that it stands on.
	CommentID   int64
	CommentHash string
	CommentPR   int
	// CheckRunID is the check run on CheckSHA; CheckDone says that it concluded.
	CheckRunID          int64
	CheckSHA, CheckHash string
	CheckDone           bool
	// Queued are the check runs of commits that wait for their turn.
	Queued []QueuedCheck `json:",omitempty"`
	// An id of 0 beside a commit says that one was about to be created: it may exist.
	// DeploymentID is the deployment of DeploymentSHA, DeploymentState its last status.
	DeploymentID                   int64
	DeploymentSHA, DeploymentState string
	// Whole says that everything that was ever set out to be created for the environment is
	// known here: a commit that is neither CheckSHA nor DeploymentSHA, and not in Before, has
	// neither a check run nor a deployment.
	Whole  bool     `json:",omitempty"`
	Before []string `json:",omitempty"`
	// ReportedVersion is the environment's version that all of this is about.
	ReportedVersion int64
	// NotBefore holds the next report back, after a failure or, where Paced says so, to keep
	// the pace: that holds back what else there is to say of a rollout under way, and never a
	// verdict, a newer commit or what waits for its turn.
	NotBefore time.Time
	Paced     bool
	// Parked holds it back until ResumeReports: the repository is out of reach. GivenUp
	// holds it back until then or until the environment changes: GitHub refuses it.
	Parked, GivenUp bool

	Attempts  int
	LastError string
	// HeldUntil is until when GitHub's limits last held it back; zero once it was said.
	HeldUntil time.Time `json:",omitzero"`
	UpdatedAt time.Time
}

// QueuedCheck is the check run, by the name that it has, of a commit that waits for its
// turn with a pull request, 0 for none. Hash is of its content, "" before it is written.
type QueuedCheck struct {
	SHA, Name string
	PR        int
	RunID     int64
	Hash      string
}

// Reportable is an environment about which there is something new to say.
type Reportable struct {
	Environment previews.Environment
	Report      Report
}

// parked and givenUp are the report_not_before of what waits for access, or for
// something new to say, instead of for a time. A time is negative where it keeps the
// pace: replace takes it away once there is more to say than progress.
const (
	parked  int64 = math.MaxInt64
	givenUp int64 = parked - 1
)

// Unreported returns the environments that changed since they were last reported
// and may be reported now: failures before ends before progress, and of each those
// first that have waited longest, however often others change.
func (s *Store) Unreported(ctx context.Context, now time.Time, limit int) ([]Reportable, error) {
	defer s.metrics.time("unreported")()
	rows, err := s.read.QueryContext(ctx, `SELECT e.id, e.version, e.doc, e.diff, r.doc
		FROM environments AS e LEFT JOIN reports AS r ON r.environment_id = e.id
		WHERE e.version <> e.reported_version AND abs(e.report_not_before) <= ?
		ORDER BY e.report_rank, e.unreported_since, e.id LIMIT ?`, stamp(now), limit)
	if err != nil {
		return nil, fmt.Errorf("list unreported environments: %w", err)
	}
	defer rows.Close()
	var out []Reportable
	for rows.Next() {
		var item Reportable
		var diff string
		var report []byte
		if item.Environment, err = decodeEnvironment(rows, &diff, &report); err != nil {
			return nil, fmt.Errorf("list unreported environments: %w", err)
		}
		item.Environment.Diff = diff
		if err := decodeReport(report, &item.Report); err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list unreported environments: %w", err)
	}
	return out, nil
}

// NextReport returns when the next report may be written, and false when there is
// nothing to say.
func (s *Store) NextReport(ctx context.Context) (time.Time, bool, error) {
	defer s.metrics.time("next_report")()
	var next sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT min(abs(report_not_before)) FROM environments
		WHERE version <> reported_version AND report_not_before < ?`, givenUp).Scan(&next)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("read next report: %w", err)
	}
	return instant(next.Int64), next.Valid, nil
}

// Report returns the report of an environment; its zero value when nothing has
// been said yet.
func (s *Store) Report(ctx context.Context, rowID int64) (Report, error) {
	defer s.metrics.time("report")()
	var doc []byte
	var report Report
	err := s.read.QueryRowContext(ctx, `SELECT doc FROM reports WHERE environment_id = ?`, rowID).Scan(&doc)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return report, fmt.Errorf("read report of environment %d: %w", rowID, err)
	}
	return report, decodeReport(doc, &report)
}

func decodeReport(doc []byte, into *Report) error {
	if doc == nil {
		return nil
	}
	if err := json.Unmarshal(doc, into); err != nil {
		return fmt.Errorf("decode report: %w", err)
	}
	return nil
}

// SaveReport records what has been said about an environment. It leaves the
// environment's version alone and does not wake subscribers.
func (s *Store) SaveReport(ctx context.Context, rowID int64, r Report) error {
	r.UpdatedAt = s.now().UTC()
	doc, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report of environment %d: %w", rowID, err)
	}
	notBefore := stamp(r.NotBefore)
	switch {
	case r.Parked:
		notBefore = parked
	case r.GivenUp:
		notBefore = givenUp
	case r.Paced:
		notBefore = -notBefore
	}
	err = s.inTx(ctx, "save_report", func(tx *transaction) error {
		// What changed meanwhile waits from now on: it has just been heard.
		found, err := affected(tx.ExecContext(ctx, `UPDATE environments SET
			unreported_since = CASE WHEN reported_version = ? THEN unreported_since ELSE CAST(? AS BIGINT) END,
			reported_version = ?,
			report_not_before = CASE WHEN CAST(? AS BIGINT) < 0 AND (state <> ? OR head_sha <> ?) THEN 0 ELSE CAST(? AS BIGINT) END WHERE id = ?`,
			r.ReportedVersion, stamp(r.UpdatedAt), r.ReportedVersion,
			notBefore, string(previews.StateSyncing), r.CheckSHA, notBefore, rowID))
		if err != nil {
			return err
		}
		if !found {
			return previews.ErrNotFound
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO reports (environment_id, doc) VALUES (?, ?)
			ON CONFLICT (environment_id) DO UPDATE SET doc = excluded.doc`, rowID, string(doc))
		return err
	})
	if err != nil {
		return fmt.Errorf("save report of environment %d: %w", rowID, err)
	}
	return nil
}

// ParkReports holds the reports about environments back until ResumeReports.
func (s *Store) ParkReports(ctx context.Context, rowIDs []int64) error {
	err := s.alone(ctx, "park_reports", func(tx *transaction) error {
		for _, id := range rowIDs {
			if _, err := tx.ExecContext(ctx, `UPDATE environments SET report_not_before = ? WHERE id = ?`, parked, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("park the reports of %d environments: %w", len(rowIDs), err)
	}
	return nil
}

// ResumeReports makes the reports due about a repository's environments that were
// parked or given up, and returns how many those are.
func (s *Store) ResumeReports(ctx context.Context, repositoryID int64) (resumed int, err error) {
	err = s.change(ctx, "resume_reports", func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `UPDATE environments SET report_not_before = 0
			WHERE repository_id = ? AND report_not_before >= ?`, repositoryID, givenUp)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		resumed = int(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("resume the reports about repository %d: %w", repositoryID, err)
	}
	return resumed, nil
}
