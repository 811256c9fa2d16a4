package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/idp-bot/idp/previews"
)

// Outcome is all that comes of one delivery.
type Outcome struct {
	// Delivery is the GUID that the outcome is keyed by.
	Delivery string
	// Once, when set, names what the outcome is of, such as a comment: whatever the
	// delivery, only the first outcome of it is written.
	Once string
	// Environment is the row as it shall be; nil leaves it as it is. With Version 0
	// it is created, else it replaces the row that has that version. Apply fills in
	// its RowID and new Version.
	Environment *previews.Environment
	// Declared are the parts of declared environments that change with it, each as
	// Environment is.
	Declared []*previews.Environment
	// Taken are previews that go to make room for Environment. They go only where they would
	// still be chosen.
	Taken []Taken
	// Room is by scope how many previews there may be at most beside Environment for it to
	// come. Beside says which they are, for Taken as well.
	Room   map[Scope]int
	Beside LiveOf
	// Effects follow in this order. SaidOnce, when set, names what they say: those of the
	// first outcome that has the name are written, and none of another.
	Effects  []Effect
	SaidOnce string
	// Audit are its entries; Apply fills in At, Delivery and their place in the chain.
	Audit []previews.Audit
	// Result says in a few words what came of the delivery.
	Result string
}

var (
	// errDone ends the transaction of a delivery that was done before.
	errDone = errors.New("delivery is done already")
	// errRepeated ends that of an outcome that another delivery had before.
	errRepeated = errors.New("it was acted on for another delivery")
)

// Apply writes everything of an outcome, or nothing. Applying one to a delivery
// that is done changes nothing and is no error; neither is one of what was acted on
// for another delivery, which only ends the delivery. previews.ErrStale says that an
// environment moved on since it was read, is not the one to be taken any more, or has no
// room any more,
// previews.ErrBreaker that the removal was inferred and is held back, ErrNameTaken that
// the new environment's name belongs to another, previews.ErrNotFound that there is no
// such delivery.
func (s *Store) Apply(ctx context.Context, o Outcome) error {
	now := s.now().UTC()
	environments := o.environments()
	var written []*previews.Environment
	err := s.change(ctx, "apply", func(tx *transaction) error {
		written = nil
		if err := claim(ctx, tx, o, now); err != nil {
			return err
		}
		if err := claimOnce(ctx, tx, o.Once, now); err != nil {
			return err
		}
		if err := stillTaken(ctx, tx, o, now); err != nil {
			return err
		}
		if err := stillRoom(ctx, tx, o); err != nil {
			return err
		}
		for _, e := range environments {
			after, err := s.applyEnvironment(ctx, tx, e)
			if err != nil {
				return err
			}
			written = append(written, after)
		}
		switch err := claimOnce(ctx, tx, o.SaidOnce, now); {
		case errors.Is(err, errRepeated):
		case err != nil:
			return err
		default:
			if err := insertEffects(ctx, tx, o, now); err != nil {
				return err
			}
		}
		return insertAudit(ctx, tx, o.Delivery, now, o.Audit)
	})
	if errors.Is(err, errDone) {
		return nil
	}
	if errors.Is(err, errRepeated) {
		s.log.Warn("a delivery repeats another and is ignored", "delivery", o.Delivery, "of", o.Once)
		return s.Apply(ctx, Outcome{Delivery: o.Delivery, Result: "ignored: " + errRepeated.Error()})
	}
	if err != nil {
		return fmt.Errorf("apply delivery %s: %w", o.Delivery, err)
	}
	for i, after := range written {
		*environments[i] = *after
	}
	return nil
}

// environments are all rows that change.
func (o Outcome) environments() []*previews.Environment {
	var out []*previews.Environment
	if o.Environment != nil {
		out = append(out, o.Environment)
	}
	out = append(out, o.Declared...)
	for _, taken := range o.Taken {
		out = append(out, taken.Environment)
	}
	return out
}

// claim marks the delivery done: who does so first writes the rest.
func claim(ctx context.Context, tx *transaction, o Outcome, now time.Time) error {
	first, err := endDelivery(ctx, tx, o.Delivery, o.Result, now)
	if err != nil || first {
		return err
	}
	var known int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE guid = ?`, o.Delivery).Scan(&known); err != nil {
		return err
	}
	if known == 0 {
		return previews.ErrNotFound
	}
	return errDone
}

// claimOnce takes the key for this outcome; errRepeated when another has it.
func claimOnce(ctx context.Context, tx *transaction, key string, now time.Time) error {
	if key == "" {
		return nil
	}
	first, err := affected(tx.ExecContext(ctx, `INSERT INTO claims (key, at) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`, key, stamp(now)))
	if err == nil && !first {
		return errRepeated
	}
	return err
}

// applyEnvironment writes a copy, so that a transaction that fails leaves the
// caller's row as it was.
func (s *Store) applyEnvironment(ctx context.Context, tx *transaction, e *previews.Environment) (*previews.Environment, error) {
	after := *e
	if e.Version == 0 && e.RowID == 0 {
		return &after, s.create(ctx, tx, &after)
	}
	before, err := oneEnvironment(tx.QueryRowContext, ctx, `id = ?`, e.RowID)
	if err != nil {
		return nil, err
	}
	if before.Version != e.Version {
		return nil, previews.ErrStale
	}
	return &after, s.replace(ctx, tx, before, &after)
}

func insertEffects(ctx context.Context, tx *transaction, o Outcome, now time.Time) error {
	for i, e := range o.Effects {
		_, err := tx.ExecContext(ctx, `INSERT INTO effects (delivery, idx, kind, installation_id, repository_id, owner, repo, pr,
			comment_id, content, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			o.Delivery, i, e.Kind, e.InstallationID, e.RepositoryID, e.Owner, e.Repo, e.PR, e.CommentID, e.Content, stamp(now))
		if err != nil {
			return fmt.Errorf("effect %d: %w", i, err)
		}
	}
	return nil
}
