package argocd

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
)

// rolloutGroup is the API group of Argo Rollouts.
const rolloutGroup = "argoproj.io"

// Rollout is how far an Argo Rollouts Rollout has brought its newest revision.
type Rollout struct {
	Name string
	// Canary tells a canary from a blue-green rollout.
	Canary bool
	// Step counts the weights up to the one that is set or being set, of Steps; Weight
	// is that one, in percent. All are 0 where there are no steps to speak of: on a first
	// deployment, which skips them, and once all is done.
	Step, Steps, Weight int
	// Phase is "Healthy", "Progressing", "Paused" or "Degraded", and Message says why.
	Phase, Message string
	// Aborted says that the old revision has taken over again.
	Aborted bool
	// Pauses is how long its pauses are together, and Left what is left of them: the
	// work between them takes time of its own. Waits says that a pause among those has
	// no end of its own: somebody has to let it go on.
	Pauses, Left time.Duration
	Waits        bool
}

// rollout is the part of a live Rollout that is read.
type rollout struct {
	Metadata struct {
		Name       string `json:"name"`
		Generation int64  `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Strategy struct {
			Canary *struct {
				Steps []v1alpha1.CanaryStep `json:"steps"`
			} `json:"canary"`
		} `json:"strategy"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration string                    `json:"observedGeneration"`
		CurrentPodHash     string                    `json:"currentPodHash"`
		StableRS           string                    `json:"stableRS"`
		CurrentStepIndex   *int32                    `json:"currentStepIndex"`
		PauseConditions    []v1alpha1.PauseCondition `json:"pauseConditions"`
		Abort              bool                      `json:"abort"`
		Phase              v1alpha1.RolloutPhase     `json:"phase"`
		Message            string                    `json:"message"`
		Canary             struct {
			Weights *v1alpha1.TrafficWeights `json:"weights"`
		} `json:"canary"`
	} `json:"status"`
}

// Rollouts returns the live Rollouts of an Application, of those that it lists. Now is
// what the pauses' rest is counted from.
func (c *Client) Rollouts(ctx context.Context, application string, now time.Time) ([]Rollout, error) {
	app, err := c.objects(ctx, application)
	if err != nil {
		return nil, err
	}
	var out []Rollout
	for _, o := range app.Status.Resources {
		if o.Group != rolloutGroup || o.Kind != "Rollout" {
			continue
		}
		var r rollout
		if err := c.manifest(ctx, application, o, &r); err != nil {
			return nil, err
		}
		out = append(out, r.summary(now))
	}
	return out, nil
}

func (r *rollout) summary(now time.Time) Rollout {
	s := &r.Status
	out := Rollout{Name: r.Metadata.Name, Canary: r.Spec.Strategy.Canary != nil, Phase: string(s.Phase), Message: oneLine(s.Message), Aborted: s.Abort}
	if r.unseen() {
		// What it tells is of the revision before.
		out.Phase, out.Message, out.Aborted = string(v1alpha1.RolloutPhaseProgressing), "", false
		return out
	}
	if !out.Canary || s.StableRS == "" || s.StableRS == s.CurrentPodHash || s.CurrentStepIndex == nil {
		return out
	}
	r.steps(&out, now)
	if weights := s.Canary.Weights; weights != nil && !s.Abort {
		out.Weight = int(weights.Canary.Weight)
	}
	return out
}

// unseen says that Argo Rollouts has not read the newest spec yet.
func (r *rollout) unseen() bool {
	seen, err := strconv.ParseInt(r.Status.ObservedGeneration, 10, 64)
	return err != nil || seen < r.Metadata.Generation
}

// steps counts weights and pauses. A step is a weight, as it is in a spec: the
// pause after it is part of it.
func (r *rollout) steps(out *Rollout, now time.Time) {
	current := int(*r.Status.CurrentStepIndex)
	for i, step := range r.Spec.Strategy.Canary.Steps {
		switch {
		case step.SetWeight != nil:
			out.Steps++
			if i <= current {
				out.Step, out.Weight = out.Steps, int(*step.SetWeight)
			}
		case step.Pause != nil && step.Pause.Duration == nil:
			out.Waits = out.Waits || i >= current
		case step.Pause != nil:
			pause := time.Duration(step.Pause.DurationSeconds()) * time.Second
			out.Pauses += pause
			switch {
			case i > current:
				out.Left += pause
			case i == current:
				out.Left += max(pause-r.paused(now), 0)
			}
		}
	}
}

// paused is for how long the pause of the current step has lasted.
func (r *rollout) paused(now time.Time) time.Duration {
	for _, p := range r.Status.PauseConditions {
		if p.Reason == v1alpha1.PauseReasonCanaryPauseStep {
			return max(now.Sub(p.StartTime.Time), 0)
		}
	}
	return 0
}

// Measured is a metric of a failed analysis: what was measured, and what was asked.
type Measured struct {
	Metric string
	// Value is the newest measurement that failed, as it is written. Limit is what it went
	// beyond, such as "> 0.01", where the condition tells.
	Value, Limit string
	Message      string
}

// analysisRun is the part of a live AnalysisRun that is read.
type analysisRun struct {
	Spec struct {
		Metrics []struct {
			Name             string `json:"name"`
			SuccessCondition string `json:"successCondition"`
			FailureCondition string `json:"failureCondition"`
		} `json:"metrics"`
	} `json:"spec"`
	Status struct {
		MetricResults []v1alpha1.MetricResult `json:"metricResults"`
	} `json:"status"`
}

// measured returns the first metric that failed; its zero value where none did.
func (a *analysisRun) measured() Measured {
	for _, result := range a.Status.MetricResults {
		if result.Phase != v1alpha1.AnalysisPhaseFailed && result.Phase != v1alpha1.AnalysisPhaseError || result.DryRun {
			continue
		}
		m := Measured{Metric: result.Name, Message: oneLine(result.Message)}
		for _, one := range result.Measurements {
			if one.Phase == result.Phase {
				m.Value = one.Value
				if m.Message == "" {
					m.Message = oneLine(one.Message)
				}
			}
		}
		for _, metric := range a.Spec.Metrics {
			if metric.Name == result.Name {
				m.Limit = limit(metric.FailureCondition, metric.SuccessCondition)
			}
		}
		return m
	}
	return Measured{}
}

// comparison is the last one in a condition such as "len(result) == 0 || result[0] <= 0.01".
var comparison = regexp.MustCompile(`(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)[^0-9<>=]*$`)

// limit is what a measurement is when it fails; "" where the conditions do not tell.
func limit(failure, success string) string {
	if m := comparison.FindStringSubmatch(failure); m != nil {
		return m[1] + " " + m[2]
	}
	opposite := map[string]string{"<=": ">", "<": ">=", ">=": "<", ">": "<="}
	if m := comparison.FindStringSubmatch(success); m != nil {
		return opposite[m[1]] + " " + m[2]
	}
	return ""
}

// String is in one line what was measured, in percent where that is what the metric
// is: "error-rate 4.7% > 1%".
func (m Measured) String() string {
	if m.Value == "" {
		return strings.TrimSuffix(m.Metric+": "+m.Message, ": ")
	}
	text := m.Metric + " " + m.figure(strings.Trim(m.Value, "[]"))
	if than, figure, ok := strings.Cut(m.Limit, " "); ok {
		text += " " + than + " " + m.figure(figure)
	}
	return text
}

// figure words a number that was measured or asked for.
func (m Measured) figure(text string) string {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !strings.Contains(m.Metric, "rate") || n < 0 || n > 1 {
		return text
	}
	return strconv.FormatFloat(float64(int64(n*1e5+0.5))/1e3, 'f', -1, 64) + "%"
}
