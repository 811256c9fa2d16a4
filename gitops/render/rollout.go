package render

import (
	"time"

	rolloutsv1alpha1 "github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/idp-bot/idp/gitops/spec"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rollouts renders the services of a declared environment whose strategy is
// canary or blueGreen. Without a traffic router Argo Rollouts makes a canary's
// weight a share of the replicas.
func rollouts(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		strategy := strategyOf(svc, e.Environment)
		if svc.Kind == spec.Cron || strategy == spec.Rolling {
			continue
		}
		template, err := e.podTemplate(svc, roleApp)
		if err != nil {
			return nil, err
		}
		served(&template, svc)
		out = append(out, object{svc.Name + "-rollout.yaml", &rolloutsv1alpha1.Rollout{
			TypeMeta:   metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: rolloutsv1alpha1.RolloutSpec{
				Replicas:                ptr(svc.Replicas),
				Selector:                &metav1.LabelSelector{MatchLabels: selector(svc.Name, roleApp)},
				Template:                template,
				RevisionHistoryLimit:    ptr(int32(keepRevisions)),
				ProgressDeadlineSeconds: ptr(e.progressDeadline()),
				ProgressDeadlineAbort:   svc.Rollback.Auto,
				Strategy:                e.rolloutStrategy(svc, strategy),
			},
		}})
	}
	return out, nil
}

func (e *environment) rolloutStrategy(svc service, strategy spec.Strategy) rolloutsv1alpha1.RolloutStrategy {
	if strategy == spec.BlueGreen {
		out := &rolloutsv1alpha1.BlueGreenStrategy{
			ActiveService: svc.Name, AutoPromotionEnabled: ptr(true), PostPromotionAnalysis: judgedBy(e.analyses(svc)...),
		}
		if health, ok := e.healthAnalysis(svc); ok {
			out.PrePromotionAnalysis = judgedBy(health) // without traffic there is no error rate
		}
		return rolloutsv1alpha1.RolloutStrategy{BlueGreen: out}
	}
	unavailable, surge := e.rollingBounds()
	out := &rolloutsv1alpha1.CanaryStrategy{
		Steps: canarySteps(svc.Deploy.Canary), MaxUnavailable: &unavailable, MaxSurge: &surge,
	}
	if background := judgedBy(e.analyses(svc)...); background != nil {
		// From the second step on: there are no pods to judge before the first is done.
		out.Analysis = &rolloutsv1alpha1.RolloutAnalysisBackground{RolloutAnalysis: *background, StartingStep: ptr(int32(1))}
	}
	return rolloutsv1alpha1.RolloutStrategy{Canary: out}
}

// canarySteps sets each weight and pauses after it where the spec says so.
func canarySteps(steps []spec.CanaryStep) []rolloutsv1alpha1.CanaryStep {
	var out []rolloutsv1alpha1.CanaryStep
	for _, step := range steps {
		out = append(out, rolloutsv1alpha1.CanaryStep{SetWeight: ptr(step.Weight)})
		if step.Pause > 0 {
			pause := rolloutsv1alpha1.DurationFromInt(int(max(step.Pause.Round(time.Second)/time.Second, 1)))
			out = append(out, rolloutsv1alpha1.CanaryStep{Pause: &rolloutsv1alpha1.RolloutPause{Duration: pause}})
		}
	}
	return out
}
