package render

import (
	"strconv"
	"strings"
	"time"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// measureMin and measureMax bound the time between two measurements, and
	// measureDefault is it where the spec says nothing to go by.
	measureMin     = 2 * time.Second
	measureMax     = time.Minute
	measureDefault = 10 * time.Second
	// measuresPerPause is how often a canary is measured in its shortest pause.
	measuresPerPause = 5
	// failuresAllowed is how many measurements may fail; the next one ends the rollout.
	failuresAllowed = 1
	// blueGreenMeasures is how many measurements a switch of revisions waits for.
	blueGreenMeasures = 5
	// noLimit is for what must not end a rollout. Argo Rollouts undoes one after five
	// errors in a row and stops one at the first measurement that says nothing: a
	// Prometheus that is away or has no data is no fault of the revision's.
	noLimit = 1_000_000
	// hashArg is the argument that a Rollout passes: the hash in the names of the pods
	// with the new revision.
	hashArg = "canary-hash"
)

// analysis is one judgement of a service's rollouts.
type analysis struct {
	name   string // of the AnalysisTemplate
	metric rolloutsv1alpha1.Metric
}

// analysisTemplates renders what the rollouts of services that roll out in steps are
// judged by: their error rate, and whether they answer their healthcheck. The latter
// is read off the pods' readiness rather than asked by Argo Rollouts itself: its web
// provider follows redirects to wherever the answer points, and keeps what it finds.
func analysisTemplates(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		for _, a := range e.analyses(svc) {
			m := e.serviceMeta(a.name, svc.Name)
			// Before the Rollout, which is degraded while it refers to one that is not there.
			m.Annotations = map[string]string{waveAnnotation: "-1"}
			out = append(out, object{a.name + "-analysistemplate.yaml", &rolloutsv1alpha1.AnalysisTemplate{
				TypeMeta:   metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "AnalysisTemplate"},
				ObjectMeta: m,
				Spec: rolloutsv1alpha1.AnalysisTemplateSpec{
					Args: []rolloutsv1alpha1.Argument{
						{Name: "service", Value: ptr(svc.Name)}, {Name: "namespace", Value: ptr(e.namespace)}, {Name: hashArg},
					},
					Metrics: []rolloutsv1alpha1.Metric{a.metric},
				},
			}})
		}
	}
	return out, nil
}

// analyses are the judgements of a service, none where it rolls or where there is no
// Prometheus to ask.
func (e *environment) analyses(svc service) []analysis {
	var out []analysis
	if errors, ok := e.errorAnalysis(svc); ok {
		out = append(out, errors)
	}
	if health, ok := e.healthAnalysis(svc); ok {
		out = append(out, health)
	}
	return out
}

func (e *environment) errorAnalysis(svc service) (analysis, bool) {
	if !e.judged(svc) || svc.Rollback.OnErrorRate == 0 || e.Class.ErrorRateQuery == "" {
		return analysis{}, false
	}
	most := share(svc.Rollback.OnErrorRate)
	return analysis{svc.Name + "-errors", e.metric(svc, "error-rate", errorInterval(svc.Deploy), e.Class.ErrorRateQuery,
		"result[0] <= "+most, "result[0] > "+most)}, true
}

func (e *environment) healthAnalysis(svc service) (analysis, bool) {
	if !e.judged(svc) || svc.Healthcheck == nil || !svc.Rollback.Auto {
		return analysis{}, false
	}
	query := e.Class.ReadyQuery
	if query == "" {
		query = platform.DefaultReadyQuery
	}
	interval := min(max(svc.Healthcheck.Interval, measureMin), measureMax)
	return analysis{svc.Name + "-health", e.metric(svc, "healthcheck", interval, query, "result[0] > 0", "result[0] <= 0")}, true
}

func (e *environment) judged(svc service) bool {
	return svc.Kind != spec.Cron && strategyOf(svc, e.Environment) != spec.Rolling && e.Class.PrometheusAddress != ""
}

// metric asks the class's Prometheus. An empty answer and one that is no number say
// neither good nor bad: the first would otherwise be an error of its condition.
func (e *environment) metric(svc service, name string, interval time.Duration, query, good, bad string) rolloutsv1alpha1.Metric {
	const known = "len(result) > 0 && !isNaN(result[0]) && !isInf(result[0]) && "
	m := rolloutsv1alpha1.Metric{
		Name:                  name,
		Interval:              durationOf(interval),
		SuccessCondition:      known + good,
		FailureCondition:      known + bad,
		FailureLimit:          ptr(intstr.FromInt32(failuresAllowed)),
		InconclusiveLimit:     ptr(intstr.FromInt32(noLimit)),
		ConsecutiveErrorLimit: ptr(intstr.FromInt32(noLimit)),
		Provider: rolloutsv1alpha1.MetricProvider{Prometheus: &rolloutsv1alpha1.PrometheusMetric{
			Address: e.Class.PrometheusAddress, Query: withArgs(query),
		}},
	}
	if strategyOf(svc, e.Environment) == spec.BlueGreen {
		m.Count = ptr(intstr.FromInt32(blueGreenMeasures))
	}
	return m
}

// withArgs turns the class's placeholders into arguments of the template, so that
// no name is ever part of the query's text.
func withArgs(query string) string {
	return strings.NewReplacer(
		"{service}", "{{args.service}}", "{namespace}", "{{args.namespace}}", "{canary_hash}", "{{args."+hashArg+"}}",
	).Replace(query)
}

// errorInterval leaves time for several measurements in the shortest pause.
func errorInterval(d spec.Deploy) time.Duration {
	shortest := time.Duration(0)
	for _, step := range d.Canary {
		if step.Pause > 0 && (shortest == 0 || step.Pause < shortest) {
			shortest = step.Pause
		}
	}
	if shortest == 0 {
		return measureDefault
	}
	return min(max(shortest/measuresPerPause, measureMin), measureMax)
}

// share writes a percentage of at most four decimals as a share of one.
func share(percent float64) string {
	return strings.TrimRight(strconv.FormatFloat(percent/100, 'f', 6, 64), "0")
}

// durationOf is whole seconds, at least one, as Argo Rollouts writes them.
func durationOf(d time.Duration) rolloutsv1alpha1.DurationString {
	return rolloutsv1alpha1.DurationString(strconv.Itoa(int(seconds(d))) + "s")
}

// judgedBy refers a rollout to analyses, with the hash of the revision's pods.
func judgedBy(analyses ...analysis) *rolloutsv1alpha1.RolloutAnalysis {
	if len(analyses) == 0 {
		return nil
	}
	latest := rolloutsv1alpha1.Latest
	out := &rolloutsv1alpha1.RolloutAnalysis{Args: []rolloutsv1alpha1.AnalysisRunArgument{
		{Name: hashArg, ValueFrom: &rolloutsv1alpha1.ArgumentValueFrom{PodTemplateHashValue: &latest}},
	}}
	for _, a := range analyses {
		out.Templates = append(out.Templates, rolloutsv1alpha1.AnalysisTemplateRef{TemplateName: a.name})
	}
	return out
}
