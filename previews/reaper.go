package previews

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/idp-bot/idp/gitops/platform"
)

const defaultReapBatch = 500

// ReapStore is what the reaper needs of the store.
type ReapStore interface {
	// Expiring pages through present, unpinned environments by expiry.
	Expiring(ctx context.Context, before time.Time, after Environment, limit int) ([]Environment, error)
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*Environment) error) error
}

// ReaperOptions say how environments are taken away.
type ReaperOptions struct {
	Store ReapStore
	// Class says with WarnBefore how long ahead of its expiry an environment's pull
	// request is told; environments that live shorter than four times that are told
	// a quarter of their life ahead.
	Class platform.Class
	// Batch is how many environments one transaction changes, so that the committer
	// takes their removals in as few commits; 0 means 500.
	Batch int
	// Removed, when set, is called after rows changed, to wake who acts on them.
	Removed func()
	Now     func() time.Time
	Log     *slog.Logger
	// Registerer gets the reaper's metrics; nil means none.
	Registerer prometheus.Registerer
}

// Reaper takes away what has expired. It works on rows alone: a row that is past
// its expiry, unpinned, and was announced in time is wanted absent from then on.
// It infers nothing, deletes nothing by itself, and judges every row again inside
// the transaction that changes it, so that an extension, a pin or a push that
// comes in between always wins. Sweeping twice at once is harmless.
type Reaper struct {
	o        ReaperOptions
	reaped   *prometheus.CounterVec
	warnings prometheus.Counter
	lag      prometheus.Histogram
}

// NewReaper returns a Reaper. It panics when its metrics are registered already.
func NewReaper(o ReaperOptions) *Reaper {
	if o.Batch == 0 {
		o.Batch = defaultReapBatch
	}
	metrics := promauto.With(o.Registerer)
	return &Reaper{
		o: o,
		reaped: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_reaped_total", Help: "Environments that the reaper took away, by reason.",
		}, []string{"reason"}),
		warnings: metrics.NewCounter(prometheus.CounterOpts{
			Name: "idp_reap_warnings_total", Help: "Environments whose expiry the reaper announced.",
		}),
		lag: metrics.NewHistogram(prometheus.HistogramOpts{
			Name: "idp_reap_lag_seconds", Help: "Time from when an environment was due to go until the reaper took it.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
	}
}

// ReapAction is what a sweep does about one environment.
type ReapAction string

// The actions. Postponing is warning of an environment that is past its expiry
// already, because nobody was there to warn in time: it gets the time that the
// warning would have given.
const (
	ReapNothing  ReapAction = ""
	ReapWarn     ReapAction = "warn"
	ReapPostpone ReapAction = "postpone"
	ReapRemove   ReapAction = "remove"
)

// Reaping is what a sweep would do about an environment, and why.
type Reaping struct {
	Environment Environment
	Action      ReapAction
	Reason      string
}

// Reaped counts what one sweep did.
type Reaped struct{ Warned, Postponed, Removed int }

// Sweep warns and removes whatever is due, in batches. What was done before an
// error stays done; the next sweep goes on from there.
func (r *Reaper) Sweep(ctx context.Context) (Reaped, error) {
	var total Reaped
	err := r.pages(ctx, func(due []Reaping) error {
		done, err := r.batch(ctx, due)
		total.Warned += done.Warned
		total.Postponed += done.Postponed
		total.Removed += done.Removed
		return err
	})
	if total != (Reaped{}) {
		r.o.Log.Info("reaped", "removed", total.Removed, "warned", total.Warned, "postponed", total.Postponed)
		if r.o.Removed != nil {
			r.o.Removed()
		}
	}
	return total, err
}

// DryRun returns what a sweep would do now, soonest expiry first.
func (r *Reaper) DryRun(ctx context.Context) ([]Reaping, error) {
	var all []Reaping
	err := r.pages(ctx, func(due []Reaping) error {
		all = append(all, due...)
		return nil
	})
	return all, err
}

// pages calls fn with what is due, a bounded page at a time.
func (r *Reaper) pages(ctx context.Context, fn func([]Reaping) error) error {
	now := r.o.Now()
	var last Environment
	for {
		page, err := r.o.Store.Expiring(ctx, now.Add(r.o.Class.WarnBefore), last, r.o.Batch)
		if err != nil {
			return fmt.Errorf("reap: %w", err)
		}
		var due []Reaping
		for _, e := range page {
			if action, reason := r.judge(&e, now); action != ReapNothing {
				due = append(due, Reaping{Environment: e, Action: action, Reason: reason})
			}
		}
		if len(due) > 0 {
			if err := fn(due); err != nil {
				return fmt.Errorf("reap: %w", err)
			}
		}
		if len(page) < r.o.Batch {
			return nil
		}
		last = page[len(page)-1]
	}
}

// batch changes one page's rows in one transaction, each judged anew as it then
// stands.
func (r *Reaper) batch(ctx context.Context, due []Reaping) (Reaped, error) {
	ids := make([]int64, len(due))
	for i, d := range due {
		ids[i] = d.Environment.RowID
	}
	now := r.o.Now()
	// By row: the store may begin anew, and then judges each once more.
	acted, overdue := map[int64]ReapAction{}, map[int64]time.Duration{}
	err := r.o.Store.UpdateAll(ctx, ids, func(e *Environment) error {
		action, _ := r.judge(e, now)
		acted[e.RowID], overdue[e.RowID] = action, now.Sub(later(e.ExpiresAt, e.WarnedAt.Add(r.lead(e))))
		switch action {
		case ReapWarn:
			e.Warn(now)
		case ReapPostpone:
			e.Postpone(now.Add(r.lead(e)), now)
		case ReapRemove:
			e.Remove(Removal{Reason: RemovedExpired}, now)
		default:
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return Reaped{}, err
	}
	var done Reaped
	var lags []time.Duration
	for row, action := range acted {
		switch action {
		case ReapWarn:
			done.Warned++
		case ReapPostpone:
			done.Postponed++
		case ReapRemove:
			done.Removed++
			lags = append(lags, overdue[row])
		}
	}
	r.observe(done, lags)
	return done, nil
}

func (r *Reaper) observe(done Reaped, lags []time.Duration) {
	r.reaped.WithLabelValues(string(RemovedExpired)).Add(float64(done.Removed))
	r.warnings.Add(float64(done.Warned + done.Postponed))
	for _, lag := range lags {
		r.lag.Observe(lag.Seconds())
	}
}

// judge says what is due about an environment, and why.
func (r *Reaper) judge(e *Environment, now time.Time) (ReapAction, string) {
	lead := r.lead(e)
	expired := !e.ExpiresAt.After(now)
	switch {
	case e.Wanted != Present || e.Pinned || e.ExpiresAt.IsZero():
		return ReapNothing, ""
	case e.WarnedAt.IsZero() && expired:
		return ReapPostpone, fmt.Sprintf("expired %s ago unannounced: it gets %s more", span(now.Sub(e.ExpiresAt)), span(lead))
	case e.WarnedAt.IsZero() && !e.ExpiresAt.Add(-lead).After(now):
		return ReapWarn, fmt.Sprintf("expires in %s", span(e.ExpiresAt.Sub(now)))
	case !e.WarnedAt.IsZero() && expired && !e.WarnedAt.Add(lead).After(now):
		return ReapRemove, fmt.Sprintf("expired %s ago, announced %s ago", span(now.Sub(e.ExpiresAt)), span(now.Sub(e.WarnedAt)))
	default:
		return ReapNothing, ""
	}
}

// lead is how long ahead of its expiry an environment is announced.
func (r *Reaper) lead(e *Environment) time.Duration {
	if quarter := e.TTL / 4; quarter > 0 {
		return min(r.o.Class.WarnBefore, quarter)
	}
	return r.o.Class.WarnBefore
}

// Warn records that the environment's expiry is announced.
func (e *Environment) Warn(now time.Time) { e.WarnedAt = now }

// Postpone announces an expiry that nobody was told of before, and moves it to
// give the time that the announcement promises.
func (e *Environment) Postpone(expires, now time.Time) {
	e.expireAt(expires)
	e.WarnedAt = now
	e.renew(now)
}

// span writes a duration to the second, and to the minute once there is one.
func span(d time.Duration) string {
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	text := strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
