package webhooks

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	ack        prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_deliveries_total",
			Help: "Webhook requests by event and by what became of them; the event is unverified until the signature is.",
		}, []string{"event", "result"}),
		ack: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "idp_ack_seconds",
			Help:    "Time from a webhook's header to its answer, for deliveries that are stored or were before.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.deliveries, m.ack} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register the webhooks' metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(a answer, took time.Duration) {
	event := a.event
	if event == "" {
		event = "unverified"
	}
	m.deliveries.WithLabelValues(event, a.result).Inc()
	if a.result == "stored" || a.result == "duplicate" {
		m.ack.Observe(took.Seconds())
	}
}

// label is the event where idp has a decoder for it, else "other": names come
// from outside and labels must be bounded.
func label(event string) string {
	if _, ok := decoders[event]; ok {
		return event
	}
	return "other"
}
