package render

import (
	"time"

	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// startLimit is how long a service may take to answer for the first time.
	// Until then neither other probe counts.
	startLimit = 5 * time.Minute
	// startInterval is the longest pause between two tries while it starts.
	startInterval = 5 * time.Second
	// probeTimeout is the longest that one answer may take.
	probeTimeout = 5 * time.Second
	// livenessFactor is how many times more failures restart a pod than take it out
	// of service: a pod that is slow should lose traffic before it loses its life.
	livenessFactor = 3
	// portInterval is the pause between two tries of a port without a healthcheck.
	portInterval = 10 * time.Second
)

// setProbes turns the healthcheck into probes. Without one, a web service is
// ready when its port takes connections, and nothing restarts it.
func setProbes(c *corev1.Container, svc spec.Service) {
	switch {
	case svc.Port == 0:
	case svc.Healthcheck != nil:
		check := *svc.Healthcheck
		handler := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: check.Path, Port: intstr.FromString(portName), Scheme: corev1.URISchemeHTTP,
		}}
		every := min(check.Interval, startInterval)
		c.StartupProbe = probe(handler, every, int32(startLimit/max(every, time.Second)))
		c.ReadinessProbe = probe(handler, check.Interval, check.Threshold)
		c.LivenessProbe = probe(handler, check.Interval, check.Threshold*livenessFactor)
	case svc.Kind == spec.Web:
		handler := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString(portName)}}
		c.ReadinessProbe = probe(handler, portInterval, 3)
	}
}

// probe asks every interval; one answer may take as long, up to probeTimeout.
func probe(handler corev1.ProbeHandler, interval time.Duration, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     handler,
		PeriodSeconds:    seconds(interval),
		TimeoutSeconds:   seconds(min(interval, probeTimeout)),
		FailureThreshold: max(failures, 1),
		SuccessThreshold: 1,
	}
}

// seconds rounds to whole seconds, at least one: Kubernetes knows no less.
func seconds(d time.Duration) int32 { return int32(max(d.Round(time.Second)/time.Second, 1)) }
