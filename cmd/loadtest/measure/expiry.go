package measure

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	// shortLife is how long a preview lives that is to expire, and between how long
	// they are opened, so that each goes alone. Its last quarter is its announcement.
	shortLife = 40 * time.Second
	between   = 15 * time.Second
)

// short is a service whose previews expire soon.
const short = plain + "preview:\n  ttl: %s\n"

// expiries lets previews expire, one after the other, and deletes as many Applications
// by hand.
func (m *measuring) expiries(ctx context.Context) error {
	var alone []time.Duration
	for range m.o.Expiries {
		ref, err := m.hand.alone(ctx)
		if err != nil {
			return err
		}
		took, err := m.hand.deleteAlone(ctx, ref)
		if err != nil {
			return err
		}
		alone = append(alone, took)
	}
	if m.o.Expiries == 0 {
		return nil
	}
	m.record(handDeleted, len(m.repositories), alone)
	r := m.newRepository("short", fmt.Sprintf(short, shortLife))
	changes := make([]*change, m.o.Expiries)
	due := map[string]time.Time{}
	for i := range changes {
		c, err := r.prepare(ctx)
		if err != nil {
			return err
		}
		if err := wait(ctx, time.Until(next(changes, i))); err != nil {
			return err
		}
		if _, _, err := openAll(ctx, []*change{c}); err != nil {
			return err
		}
		changes[i] = c
		if err := m.expires(ctx, due); err != nil {
			return err
		}
	}
	var gone []time.Duration
	for _, c := range changes {
		at, err := m.seen.await(ctx, left(c.ref().Namespace()))
		if err != nil {
			return err
		}
		expired, known := due[c.ref().Namespace()]
		if !known {
			return fmt.Errorf("idp env list does not tell when %s expires", c.ref())
		}
		gone = append(gone, at.Sub(expired))
	}
	m.record(idpExpired, len(m.repositories), gone)
	return m.settle(ctx)
}

// next is when the pull request at i is opened.
func next(changes []*change, i int) time.Time {
	if i == 0 {
		return time.Now()
	}
	return changes[i-1].opened.Add(between)
}

// expires asks idp when previews expire, by their namespaces.
func (m *measuring) expires(ctx context.Context, due map[string]time.Time) error {
	printed, err := m.run(ctx, "env", "list", "--repo", org+"/short", "-o", "json")
	if err != nil {
		return err
	}
	var rows []struct {
		Namespace string
		Expires   *time.Time
	}
	if err := json.Unmarshal(printed, &rows); err != nil {
		return fmt.Errorf("read what idp env list prints: %w", err)
	}
	for _, row := range rows {
		if row.Expires != nil {
			due[row.Namespace] = *row.Expires
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
