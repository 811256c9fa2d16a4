package github

import (
	"context"
	"net/http"
	"slices"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// FailedDelivery is a webhook delivery that never arrived.
type FailedDelivery struct {
	// ID is the newest attempt's, which Redeliver wants; GUID is the same for all.
	ID            int64
	GUID          string
	Event, Action string
	At            time.Time
}

// FailedDeliveries lists the App's webhook deliveries since a time that no
// attempt brought home, newest first. GitHub keeps them redeliverable for three
// days and never redelivers by itself.
// Source: docs.github.com/webhooks/using-webhooks/handling-failed-webhook-deliveries.
func (a *App) FailedDeliveries(ctx context.Context, since time.Time) ([]FailedDelivery, error) {
	client := a.rest()
	arrived, failed := map[string]bool{}, []FailedDelivery{}
	for opts := (gh.ListCursorOptions{PerPage: perPage}); ; {
		page, resp, err := client.Apps.ListHookDeliveries(ctx, &opts)
		if err != nil {
			return nil, wrap(err, "list webhook deliveries")
		}
		older := false
		for _, one := range page {
			older = older || one.GetDeliveredAt().Before(since)
			if code := one.GetStatusCode(); code >= 200 && code < 300 {
				arrived[one.GetGUID()] = true
			} else if !older {
				failed = append(failed, FailedDelivery{
					ID: one.GetID(), GUID: one.GetGUID(), Event: one.GetEvent(), Action: one.GetAction(), At: one.GetDeliveredAt().Time,
				})
			}
		}
		if older || resp.Cursor == "" || resp.Cursor == opts.Cursor {
			return newestOf(failed, arrived), nil
		}
		opts.Cursor = resp.Cursor
	}
}

// newestOf keeps the first, newest, failure of each delivery that never arrived.
func newestOf(failed []FailedDelivery, arrived map[string]bool) []FailedDelivery {
	out := failed[:0]
	for _, one := range failed {
		if !arrived[one.GUID] {
			arrived[one.GUID] = true
			out = append(out, one)
		}
	}
	return out
}

// Redeliver asks GitHub to deliver again. It answers before it has done so.
func (a *App) Redeliver(ctx context.Context, id int64) error {
	_, resp, err := a.rest().Apps.RedeliverHookDelivery(ctx, id)
	if err != nil {
		// 202, "accepted", is an error to go-github.
		if resp != nil && resp.StatusCode == http.StatusAccepted {
			return nil
		}
		return wrap(err, "redeliver %d", id)
	}
	return nil
}

// maxRedeliveries bounds the requests of one RedeliverFailed.
const maxRedeliveries = 200

// RedeliverFailed asks GitHub to deliver again what was sent since a time and never
// arrived, the oldest first and a few hundred at most, and returns how many
// deliveries that were.
func (a *App) RedeliverFailed(ctx context.Context, since time.Time) (int, error) {
	failed, err := a.FailedDeliveries(ctx, since)
	if err != nil {
		return 0, err
	}
	slices.Reverse(failed)
	for i, one := range failed[:min(len(failed), maxRedeliveries)] {
		if err := a.Redeliver(ctx, one.ID); err != nil {
			return i, err
		}
	}
	return min(len(failed), maxRedeliveries), nil
}
