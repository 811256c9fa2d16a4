package repo

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	commits     prometheus.Counter
	changes     prometheus.Histogram
	pushes      *prometheus.CounterVec
	retries     prometheus.Counter
	pushSeconds prometheus.Histogram
}

// newMetrics registers the metrics, or takes those that another Repo registered
// before with the same registerer.
func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		commits: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "idp_gitops_commits_total",
			Help: "Commits that landed on the GitOps branch.",
		})),
		changes: registered(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "idp_gitops_commit_changes",
			Help:    "Changes of environments in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		})),
		pushes: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_gitops_pushes_total",
			Help: "Pushes to the GitOps repository by result: ok, refused, unauthorized or unavailable.",
		}, []string{"result"})),
		retries: registered(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "idp_gitops_push_retries_total",
			Help: "Commits planned or pushed again because the tip moved or the push failed.",
		})),
		pushSeconds: registered(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "idp_gitops_push_seconds",
			Help:    "Duration of one git push, whatever its result.",
			Buckets: prometheus.ExponentialBuckets(0.02, 2, 12),
		})),
	}
}

func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if err := reg.Register(c); errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	return c
}
