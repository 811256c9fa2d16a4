package render

import (
	"github.com/idp-bot/idp/gitops/spec"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// keepRevisions is how many old ReplicaSets stay; Git has the history.
	keepRevisions = 2
	// progressDeadline is how many seconds a rollout may make no progress where its
	// environment does not say.
	progressDeadline = 600
)

// strategyOf is how a service is rolled out in the environment: previews roll,
// and so does what has no traffic to switch over.
func strategyOf(svc service, environment string) spec.Strategy {
	switch {
	case environment == "", svc.Deploy.Strategy == "":
		return spec.Rolling
	case svc.Deploy.Strategy == spec.BlueGreen && svc.Kind != spec.Web:
		return spec.Rolling
	}
	return svc.Deploy.Strategy
}

// deployments renders web services and workers that roll.
func deployments(e *environment) ([]object, error) {
	var out []object
	for _, svc := range e.services {
		if svc.Kind == spec.Cron || strategyOf(svc, e.Environment) != spec.Rolling {
			continue
		}
		template, err := e.podTemplate(svc, roleApp)
		if err != nil {
			return nil, err
		}
		served(&template, svc)
		unavailable, surge := e.rollingBounds()
		out = append(out, object{svc.Name + "-deployment.yaml", &appsv1.Deployment{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: appsv1.DeploymentSpec{
				Replicas:                ptr(svc.Replicas),
				Selector:                &metav1.LabelSelector{MatchLabels: selector(svc.Name, roleApp)},
				Template:                template,
				RevisionHistoryLimit:    ptr(int32(keepRevisions)),
				ProgressDeadlineSeconds: ptr(e.progressDeadline()),
				Strategy: appsv1.DeploymentStrategy{
					Type:          appsv1.RollingUpdateDeploymentStrategyType,
					RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &unavailable, MaxSurge: &surge},
				},
			},
		}})
	}
	return out, nil
}

// progressDeadline is in seconds. That of a preview is fixed: its pods start, and
// nothing more.
func (e *environment) progressDeadline() int32 {
	if e.Environment == "" || e.RolloutTimeout <= 0 {
		return progressDeadline
	}
	return seconds(e.RolloutTimeout)
}

// rollingBounds lets the old revision serve until the new one is ready. Where the
// quota has no room for both, a pod has to go first, or the rollout would wait
// for ever.
func (e *environment) rollingBounds() (maxUnavailable, maxSurge intstr.IntOrString) {
	if e.surge {
		return intstr.FromInt32(0), intstr.FromInt32(1)
	}
	return intstr.FromInt32(1), intstr.FromInt32(0)
}
