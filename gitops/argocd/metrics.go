package argocd

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count and time the requests of Clients. Labels are the operations and six
// classes of status.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics returns metrics that r shows; nil for nobody.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_argocd_requests_total",
			Help: "Requests to Argo CD's API by operation (version, refresh, application, list, watch, resource, tree, events, logs) and status (2xx to 5xx, or error for none).",
		}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "idp_argocd_request_duration_seconds",
			Help:    "How long requests to Argo CD's API took, by operation.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"operation"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register argo cd metrics: %w", err)
		}
	}
	return m, nil
}

func (m *Metrics) observe(operation, status string, took time.Duration) {
	m.requests.WithLabelValues(operation, status).Inc()
	m.seconds.WithLabelValues(operation).Observe(took.Seconds())
}

func statusClass(code int) string { return strconv.Itoa(code/100) + "xx" }
