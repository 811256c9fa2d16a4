package github

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// routes are the templates that requests are counted by; what is none of them is
// "other". {rest...} stands for what follows a repository's id after a redirect.
var routes = [...]string{
	"GET /app",
	"GET /app/hook/deliveries",
	"POST /app/hook/deliveries/{id}/attempts",
	"POST /applications/{client}/token",
	"GET /app/installations",
	"POST /app/installations/{id}/access_tokens",
	"GET /installation/repositories",
	"GET /orgs/{org}/teams/{team}/memberships/{user}",
	"GET /repositories/{id}",
	"GET /repositories/{id}/{rest...}",
	"POST /repositories/{id}/{rest...}",
	"PATCH /repositories/{id}/{rest...}",
	"DELETE /repositories/{id}/{rest...}",
	"GET /repos/{owner}/{repo}",
	"GET /repos/{owner}/{repo}/attestations/{digest}",
	"GET /repos/{owner}/{repo}/check-runs/{id}",
	"PATCH /repos/{owner}/{repo}/check-runs/{id}",
	"POST /repos/{owner}/{repo}/check-runs",
	"GET /repos/{owner}/{repo}/collaborators/{user}/permission",
	"GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
	"GET /repos/{owner}/{repo}/commits/{ref}/status",
	"GET /repos/{owner}/{repo}/commits/{ref...}",
	"GET /repos/{owner}/{repo}/compare/{basehead}",
	"GET /repos/{owner}/{repo}/contents/{path...}",
	"GET /repos/{owner}/{repo}/deployments",
	"POST /repos/{owner}/{repo}/deployments",
	"POST /repos/{owner}/{repo}/deployments/{id}/statuses",
	"GET /repos/{owner}/{repo}/git/ref/{ref...}",
	"GET /repos/{owner}/{repo}/installation",
	"GET /repos/{owner}/{repo}/issues/{number}/comments",
	"POST /repos/{owner}/{repo}/issues/{number}/comments",
	"PATCH /repos/{owner}/{repo}/issues/comments/{id}",
	"DELETE /repos/{owner}/{repo}/issues/comments/{id}",
	"POST /repos/{owner}/{repo}/issues/comments/{id}/reactions",
	"GET /repos/{owner}/{repo}/pulls",
	"POST /repos/{owner}/{repo}/pulls",
	"GET /repos/{owner}/{repo}/pulls/{number}",
	"PATCH /repos/{owner}/{repo}/pulls/{number}",
	"GET /repos/{owner}/{repo}/pulls/{number}/files",
}

// meter counts the requests that really leave: retries and 304s among them,
// answers from memory not.
type meter struct {
	base     *url.URL
	now      func() time.Time
	patterns *http.ServeMux
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMeter(base *url.URL, now func() time.Time, left func() map[string]float64, registerer prometheus.Registerer) (*meter, error) {
	m := &meter{
		base: base, now: now, patterns: http.NewServeMux(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "idp_github_requests_total",
			Help: "Requests sent to GitHub, by route and HTTP status; status 0 got no answer.",
		}, []string{"route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "idp_github_request_seconds",
			Help:    "Time until GitHub's answer began, by route.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"route"}),
	}
	for _, route := range routes {
		m.patterns.Handle(route, http.NotFoundHandler())
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.requests, m.seconds, remaining{left}} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("register GitHub's metrics: %w", err)
		}
	}
	return m, nil
}

// route returns the template of a request.
func (m *meter) route(req *http.Request) string {
	path, ok := strings.CutPrefix(req.URL.Path, strings.TrimSuffix(m.base.Path, "/"))
	if !ok {
		return "other"
	}
	_, pattern := m.patterns.Handler(&http.Request{Method: req.Method, URL: &url.URL{Path: path}})
	if pattern == "" {
		return "other"
	}
	return pattern
}

func (m *meter) around(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		route, begun := m.route(req), m.now()
		resp, err := next.RoundTrip(req)
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
		m.seconds.WithLabelValues(route).Observe(m.now().Sub(begun).Seconds())
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// remaining is the metric of the installation that has least left, of each resource. One of
// each installation would be without bound.
type remaining struct{ left func() map[string]float64 }

var remainingDesc = prometheus.NewDesc("idp_github_rate_remaining",
	"What is left of GitHub's limits, of the installation that has least: core are requests in the current hour, as GitHub says, writes_minute and writes_hour what idp lets itself write now.", []string{"resource"}, nil)

// Describe and Collect make it a prometheus.Collector; it is absent while
// nothing is known.
func (r remaining) Describe(out chan<- *prometheus.Desc) { out <- remainingDesc }

// Collect sends the metric.
func (r remaining) Collect(out chan<- prometheus.Metric) {
	for resource, left := range r.left() {
		out <- prometheus.MustNewConstMetric(remainingDesc, prometheus.GaugeValue, left, resource)
	}
}

// lowestBudget returns the least that an installation has left of each resource, as far as
// that is known.
func (a *App) lowestBudget() map[string]float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, least := a.clock.now(), map[string]float64{}
	note := func(resource string, left float64) {
		if known, ok := least[resource]; !ok || left < known {
			least[resource] = left
		}
	}
	for _, client := range a.clients {
		if left, ok := client.budget.left(now); ok {
			note("core", float64(left))
		}
		if client.budget.perMinute.Limit() != rate.Inf {
			note("writes_minute", max(client.budget.perMinute.TokensAt(now), 0))
			note("writes_hour", max(client.budget.perHour.TokensAt(now), 0))
		}
	}
	return least
}
