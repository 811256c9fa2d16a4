package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/previews"
)

const (
	// gaugesFor is how long counted gauges are served again before they are counted
	// anew, so that no number of scrapers makes the database work.
	gaugesFor     = 3 * time.Second
	gaugesTimeout = 2 * time.Second
)

// metrics are the store's own; it is also the collector of what is counted in the
// database.
type metrics struct {
	store      *Store
	registerer prometheus.Registerer

	batch   prometheus.Histogram
	seconds *prometheus.HistogramVec
	leases  *prometheus.GaugeVec

	depth, oldest, dead, environments, effects, latched, paused *prometheus.Desc
	releases, provisioning, lead, restore                       *prometheus.Desc

	mu      sync.Mutex
	counted gauges
	at      time.Time
	// tally has the releases up to the row tallied.
	tally   previews.Tally
	tallied int64
}

// gauges is what was last counted.
type gauges struct {
	depth, dead, effects int
	oldest               time.Time
	environments         map[previews.State]int
	latched, paused      bool
	measures             []previews.Measures
}

func newMetrics(s *Store, r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		store: s, registerer: r,
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "idp_store_commit_batch", Help: "Deliveries committed by one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 9),
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "idp_store_seconds", Help: "Time taken by operations of the store.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
		}, []string{"op"}),
		leases: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "idp_lease_held", Help: "1 while this process does what only one may do at a time, by its name.",
		}, []string{"lease"}),
		depth:        prometheus.NewDesc("idp_queue_depth", "Deliveries accepted and not yet done.", nil, nil),
		oldest:       prometheus.NewDesc("idp_queue_oldest_seconds", "Age of the oldest delivery that is not yet done.", nil, nil),
		dead:         prometheus.NewDesc("idp_deliveries_dead", "Deliveries given up after their last attempt.", nil, nil),
		environments: prometheus.NewDesc("idp_environments", "Environments by state.", []string{"state"}, nil),
		effects:      prometheus.NewDesc("idp_effects_pending", "Reactions and replies still to be made.", nil, nil),
		latched:      prometheus.NewDesc("idp_breaker_latched", "1 while inferred removals are held back.", nil, nil),
		paused:       prometheus.NewDesc("idp_paused", "1 while an operator has paused idp.", nil, nil),
		releases:     prometheus.NewDesc("idp_releases_total", "Releases that ended, by environment (preview, or a declared environment's name) and outcome (healthy, failed, superseded, stopped, or back for a return to an older revision).", []string{"environment", "outcome"}, nil),
		provisioning: prometheus.NewDesc("idp_provisioning_seconds", "Time from asking for a release until it was healthy.", []string{"environment"}, nil),
		lead:         prometheus.NewDesc("idp_lead_seconds", "Time from a commit until its release was healthy.", []string{"environment"}, nil),
		restore:      prometheus.NewDesc("idp_restore_seconds", "Time from a failed release until its service was healthy again.", []string{"environment"}, nil),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range m.collectors() {
		if err := r.Register(c); err != nil {
			m.unregister()
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.batch, m.seconds, m.leases, m}
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.collectors() {
		m.registerer.Unregister(c)
	}
}

// time measures an operation from now until the returned function is called.
func (m *metrics) time(op string) func() {
	start := time.Now()
	return func() { m.seconds.WithLabelValues(op).Observe(time.Since(start).Seconds()) }
}

// Describe names the metrics that are counted in the database.
func (m *metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.depth, m.oldest, m.dead, m.environments, m.effects, m.latched, m.paused, m.releases, m.provisioning, m.lead, m.restore} {
		c <- d
	}
}

// Collect counts, by index. When the database does not answer the metrics are
// left out of the scrape.
func (m *metrics) Collect(c chan<- prometheus.Metric) {
	g, err := m.gauges()
	if err != nil {
		m.store.log.Warn("metrics could not be counted", "error", err)
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	age := 0.0
	if !g.oldest.IsZero() {
		age = max(m.store.now().Sub(g.oldest).Seconds(), 0)
	}
	gauge(m.depth, float64(g.depth))
	gauge(m.oldest, age)
	gauge(m.dead, float64(g.dead))
	gauge(m.effects, float64(g.effects))
	gauge(m.latched, oneIf(g.latched))
	gauge(m.paused, oneIf(g.paused))
	for _, state := range previews.States {
		gauge(m.environments, float64(g.environments[state]), string(state))
	}
	for _, measured := range g.measures {
		m.collectMeasures(c, measured)
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// collectMeasures tells the measures of one environment. They are counted from the
// database, so that a restart does not set them back.
func (m *metrics) collectMeasures(c chan<- prometheus.Metric, of previews.Measures) {
	for outcome, n := range map[string]int{
		string(previews.OutcomeHealthy): of.Healthy, string(previews.OutcomeFailed): of.Failed, "back": of.WentBack,
		string(previews.OutcomeSuperseded): of.Superseded, string(previews.OutcomeStopped): of.Stopped,
	} {
		c <- prometheus.MustNewConstMetric(m.releases, prometheus.CounterValue, float64(n), of.Environment, outcome)
	}
	for desc, d := range map[*prometheus.Desc]previews.Durations{m.provisioning: of.Provisioning, m.lead: of.Lead, m.restore: of.Restore} {
		c <- prometheus.MustNewConstSummary(desc, uint64(len(d)), d.Sum().Seconds(), nil, of.Environment)
	}
}

func (m *metrics) gauges() (gauges, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.at.IsZero() && time.Since(m.at) < gaugesFor {
		return m.counted, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), gaugesTimeout)
	defer cancel()
	g, err := m.store.count(ctx)
	if err != nil {
		return g, err
	}
	if err := m.addReleases(ctx); err != nil {
		return g, err
	}
	g.measures = m.tally.Measures()
	m.counted, m.at = g, time.Now()
	return g, nil
}

// addReleases takes in the releases that ended since the last time.
func (m *metrics) addReleases(ctx context.Context) error {
	ended, last, err := m.store.releasesAfter(ctx, m.tallied)
	if err != nil {
		return err
	}
	for _, f := range ended {
		m.tally.Add(f)
	}
	m.tallied = last
	return nil
}

func (s *Store) count(ctx context.Context) (gauges, error) {
	g := gauges{environments: map[previews.State]int{}}
	var oldest sql.NullInt64
	err := errors.Join(
		s.read.QueryRowContext(ctx, `SELECT count(*), min(received_at) FROM deliveries WHERE state = 'pending'`).Scan(&g.depth, &oldest),
		s.read.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE state = 'dead'`).Scan(&g.dead),
		s.read.QueryRowContext(ctx, `SELECT count(*) FROM effects WHERE done_at = 0`).Scan(&g.effects),
	)
	if err != nil {
		return g, err
	}
	g.oldest = instant(oldest.Int64)
	breaker, err := readBreaker(s.read.QueryRowContext, ctx)
	if err != nil {
		return g, err
	}
	g.latched = breaker.Latched
	paused, err := readPause(s.read.QueryRowContext, ctx)
	if err != nil {
		return g, err
	}
	g.paused = paused.Paused
	rows, err := s.read.QueryContext(ctx, `SELECT state, count(*) FROM environments GROUP BY state`)
	if err != nil {
		return g, err
	}
	defer rows.Close()
	for rows.Next() {
		var state previews.State
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return g, err
		}
		g.environments[state] = n
	}
	return g, rows.Err()
}

// QueueDepth returns how many deliveries are stored and not done yet.
func (s *Store) QueueDepth(ctx context.Context) (int, error) {
	var depth int
	if err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE state = 'pending'`).Scan(&depth); err != nil {
		return 0, fmt.Errorf("count pending deliveries: %w", err)
	}
	return depth, nil
}
