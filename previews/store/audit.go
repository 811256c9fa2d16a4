package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
)

const auditColumns = `id, at, delivery, actor_id, actor, action, environment, sha, allowed, reason, rule, prev, hash`

func scanAudit(row interface{ Scan(...any) error }) (previews.Audit, error) {
	var a previews.Audit
	var at int64
	err := row.Scan(&a.Seq, &at, &a.Delivery, &a.ActorID, &a.Actor, &a.Action, &a.Environment, &a.SHA, &a.Allowed, &a.Reason, &a.Rule, &a.Prev, &a.Hash)
	a.At = instant(at)
	return a, err
}

// insertAudit links entries to the end of the chain, in the transaction of what they
// tell of: no other can be between reading that end and moving it.
func insertAudit(ctx context.Context, tx *transaction, delivery string, now time.Time, entries []previews.Audit) error {
	if len(entries) == 0 {
		return nil
	}
	chain, err := auditHead(tx.QueryRowContext, ctx)
	if err != nil {
		return err
	}
	for _, a := range entries {
		a.At, a.Delivery = now.UTC(), delivery
		// The hash is of what the database gives back.
		for _, text := range []*string{&a.Delivery, &a.Actor, &a.Action, &a.Environment, &a.SHA, &a.Reason, &a.Rule} {
			*text = storable(*text)
		}
		a = chain.Append(a)
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (`+auditColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			a.Seq, stamp(a.At), a.Delivery, a.ActorID, a.Actor, a.Action, a.Environment, a.SHA, a.Allowed, a.Reason, a.Rule, a.Prev, a.Hash)
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}

// Record writes down what was decided without changing anything else, such as a refusal; the
// entry's delivery is what asked.
func (s *Store) Record(ctx context.Context, entry previews.Audit) error {
	err := s.change(ctx, "record", func(tx *transaction) error {
		return insertAudit(ctx, tx, entry.Delivery, s.now(), []previews.Audit{entry})
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", entry.Action, err)
	}
	return nil
}

func auditHead(queryRow func(context.Context, string, ...any) *sql.Row, ctx context.Context) (previews.AuditChain, error) {
	var head previews.AuditChain
	err := queryRow(ctx, `SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1`).Scan(&head.Seq, &head.Hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return head, fmt.Errorf("read the end of the audit log: %w", err)
	}
	return head, nil
}

// AuditHead returns the end of the audit log, for copies that idp cannot rewrite.
func (s *Store) AuditHead(ctx context.Context) (previews.AuditChain, error) {
	defer s.metrics.time("audit_head")()
	return auditHead(s.read.QueryRowContext, ctx)
}

// AuditFilter selects audit entries; its zero value selects all.
type AuditFilter struct {
	// Repository is "owner/repo" as environments' paths have it, Environment
	// "owner/repo/id", Actor a login; each whatever its case.
	Repository, Environment, Actor string
	// ActorID is GitHub's id of who asked, 0 for anybody.
	ActorID int64
	// PR is a pull request: of its preview, and of what its events asked for as long as they
	// are kept. It is one of Repository; 0 for any.
	PR int
	// SHA is a commit or its beginning, Delivery the GUID of a webhook.
	SHA, Delivery string
	// Action is the first word of the actions, such as "deploy".
	Action string
	// Refused leaves out what was allowed.
	Refused bool
	// Since and Until bound the time, Until itself excluded; zero for no bound.
	Since, Until time.Time
	// Limit is the most entries, 0 for all.
	Limit int
}

// AuditLog returns the entries that a filter selects, the newest first.
func (s *Store) AuditLog(ctx context.Context, f AuditFilter) ([]previews.Audit, error) {
	var where []string
	var args []any
	add := func(condition string, arg ...any) {
		where, args = append(where, condition), append(args, arg...)
	}
	add(`id > ?`, 0)
	if f.Repository != "" {
		add(`lower(substr(environment, 1, ?)) = lower(?)`, len(f.Repository)+1, f.Repository+"/")
	}
	if f.Environment != "" {
		add(`lower(environment) = lower(?)`, f.Environment)
	}
	if f.Actor != "" {
		add(`lower(actor) = lower(?)`, f.Actor)
	}
	if f.ActorID != 0 {
		add(`actor_id = ?`, f.ActorID)
	}
	if f.PR != 0 {
		add(`(environment LIKE ? OR delivery IN (SELECT guid FROM deliveries WHERE pr = ?))`, fmt.Sprint("%/pr-", f.PR), f.PR)
	}
	if f.SHA != "" {
		add(`substr(sha, 1, ?) = lower(?)`, len(f.SHA), f.SHA)
	}
	if f.Delivery != "" {
		add(`delivery = ?`, f.Delivery)
	}
	if f.Action != "" {
		add(`(action = ? OR substr(action, 1, ?) = ?)`, f.Action, len(f.Action)+1, f.Action+" ")
	}
	if f.Refused {
		add(`allowed = 0`)
	}
	if !f.Since.IsZero() {
		add(`at >= ?`, stamp(f.Since))
	}
	if !f.Until.IsZero() {
		add(`at < ?`, stamp(f.Until))
	}
	var out []previews.Audit
	err := s.eachAudit(ctx, "audit_log", strings.Join(where, " AND ")+` ORDER BY id DESC`, args, f.Limit, func(a previews.Audit) error {
		out = append(out, a)
		return nil
	})
	return out, err
}

// EachAudit calls fn with the entries behind one, at most limit unless that is 0 or
// less, the oldest first. It keeps none of them: a log may be long.
func (s *Store) EachAudit(ctx context.Context, after int64, limit int, fn func(previews.Audit) error) error {
	return s.eachAudit(ctx, "each_audit", `id > ? ORDER BY id`, []any{after}, limit, fn)
}

func (s *Store) eachAudit(ctx context.Context, op, where string, args []any, limit int, fn func(previews.Audit) error) error {
	defer s.metrics.time(op)()
	if limit <= 0 {
		limit = math.MaxInt64
	}
	rows, err := s.read.QueryContext(ctx, `SELECT `+auditColumns+` FROM audit WHERE `+where+` LIMIT ?`, append(args, limit)...)
	if err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanAudit(rows)
		if err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		if err := fn(a); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read audit log: %w", err)
	}
	return nil
}

// AuditExported returns the last entry that a copy at sink has, 0 for none.
func (s *Store) AuditExported(ctx context.Context, sink string) (seq int64, err error) {
	defer s.metrics.time("audit_exported")()
	err = s.read.QueryRowContext(ctx, `SELECT seq FROM audit_exports WHERE sink = ?`, sink).Scan(&seq)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read how far the audit log is copied: %w", err)
	}
	return seq, nil
}

// SetAuditExported remembers the last entry that a copy at sink has.
func (s *Store) SetAuditExported(ctx context.Context, sink string, seq int64) error {
	return s.inTx(ctx, "set_audit_exported", func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit_exports (sink, seq) VALUES (?, ?)
			ON CONFLICT (sink) DO UPDATE SET seq = excluded.seq`, sink, seq)
		return err
	})
}

// chainAudit links the entries of a database from before there was a chain. It runs in
// the step that brings the chain, and never again: an entry without a hash is then one
// that somebody altered.
func chainAudit(ctx context.Context, tx *transaction) error {
	rows, err := tx.QueryContext(ctx, `SELECT `+strings.Replace(auditColumns, "rule", "''", 1)+` FROM audit ORDER BY id`) // there was no rule then
	if err != nil {
		return err
	}
	defer rows.Close()
	type link struct {
		id int64
		previews.Audit
	}
	var chain previews.AuditChain
	var linked []link
	for rows.Next() {
		a, err := scanAudit(rows)
		if err != nil {
			return err
		}
		linked = append(linked, link{a.Seq, chain.Append(a)})
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, l := range linked {
		if _, err := tx.ExecContext(ctx, `UPDATE audit SET id = ?, prev = ?, hash = ? WHERE id = ?`, l.Seq, l.Prev, l.Hash, l.id); err != nil {
			return err
		}
	}
	return nil
}
