package render

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resourceQuotas renders what the environment may use in all. Requests and
// limits have one bound; load balancers and node ports are not to be had at all, and
// volumes that outlive their pod only as the class's base objects ask for them.
func resourceQuotas(e *environment) ([]object, error) {
	total, err := quotaOf(e.Class.Quota)
	if err != nil {
		return nil, err
	}
	_, claims, err := e.baseUse()
	if err != nil {
		return nil, err
	}
	none := resource.MustParse("0")
	return []object{{"resourcequota.yaml", &corev1.ResourceQuota{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"},
		ObjectMeta: e.meta("idp"),
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			corev1.ResourceRequestsCPU:              total.cpu,
			corev1.ResourceLimitsCPU:                total.cpu,
			corev1.ResourceRequestsMemory:           total.memory,
			corev1.ResourceLimitsMemory:             total.memory,
			corev1.ResourceRequestsEphemeralStorage: total.ephemeral,
			corev1.ResourceLimitsEphemeralStorage:   total.ephemeral,
			corev1.ResourcePods:                     *resource.NewQuantity(total.pods, resource.DecimalSI),
			corev1.ResourcePersistentVolumeClaims:   *resource.NewQuantity(claims, resource.DecimalSI),
			corev1.ResourceServicesLoadBalancers:    none,
			corev1.ResourceServicesNodePorts:        none,
		}},
	}}}, nil
}

// limits is an amount of everything that the quota bounds.
type limits struct {
	cpu, memory, ephemeral resource.Quantity
	pods                   int64
}

func (l *limits) add(other limits, times int64) {
	l.pods += other.pods * times
	for range times {
		l.cpu.Add(other.cpu)
		l.memory.Add(other.memory)
		l.ephemeral.Add(other.ephemeral)
	}
}

// exceeds says what of l is beyond the bound, and the bound; "" when nothing is.
func (l *limits) exceeds(bound limits) (asked, allowed string) {
	switch {
	case l.pods > bound.pods:
		return fmt.Sprintf("%d pods", l.pods), fmt.Sprintf("%d pods", bound.pods)
	case l.cpu.Cmp(bound.cpu) > 0:
		return l.cpu.String() + " CPU", bound.cpu.String() + " CPU"
	case l.memory.Cmp(bound.memory) > 0:
		return l.memory.String() + " of memory", bound.memory.String() + " of memory"
	case l.ephemeral.Cmp(bound.ephemeral) > 0:
		return l.ephemeral.String() + " of scratch space", bound.ephemeral.String() + " of scratch space"
	}
	return "", ""
}

// checkQuota refuses an environment whose pods could never all run: the quota
// would hold them back without a word in the pull request. Where the pods fit but
// not those of a new revision beside them, rollouts do without a surge.
//
// It sums all services of the spec, for a single one of a declared environment too:
// they share a namespace, and may well be rolled out together.
func (e *environment) checkQuota() error {
	bound, err := quotaOf(e.Class.Quota)
	if err != nil {
		return err
	}
	steady, _, err := e.baseUse()
	if err != nil {
		return err
	}
	var surge limits
	var wholly []string
	for _, declared := range e.Spec.Services {
		svc := service{Service: override(declared, e.Environment)}
		if svc.limits, err = limitsOf(svc.Service, e.Class.Quota); err != nil {
			return err
		}
		if svc.Replicas > 1 && strategyOf(svc, e.Environment) == spec.BlueGreen {
			wholly = append(wholly, svc.Name)
		}
		pods := int64(svc.Replicas)
		if svc.Kind == spec.Cron {
			pods = 1
		}
		steady.add(svc.limits, pods)
		if svc.Migrate != nil {
			steady.add(svc.limits, 1)
		}
		if svc.Kind != spec.Cron {
			surge.add(svc.limits, surgePods(svc, e.Environment))
		}
	}
	if asked, allowed := steady.exceeds(bound); asked != "" {
		return fault.Newf(fault.Denied, "%s may have %s in all, and needs %s for %s", e.Ref.ID, allowed, asked, serviceNames(e.Spec.Services)).
			WithHint("lower replicas or resources.limits")
	}
	surge.add(steady, 1)
	asked, allowed := surge.exceeds(bound)
	e.surge = asked == ""
	if !e.surge && len(wholly) > 0 {
		return fault.Newf(fault.Denied, "%s may have %s in all, and needs %s while %s runs twice, the old revision beside the new one",
			e.Ref.ID, allowed, asked, strings.Join(wholly, ", ")).WithHint("lower replicas or resources.limits, or use strategy canary or rolling")
	}
	return nil
}

// surgePods is how many pods a rollout of the service adds for its time.
func surgePods(svc service, environment string) int64 {
	if strategyOf(svc, environment) == spec.BlueGreen {
		return int64(svc.Replicas)
	}
	return 1
}

func serviceNames(services []spec.Service) string {
	names := make([]string, len(services))
	for i, svc := range services {
		names[i] = svc.Name
	}
	return strings.Join(names, ", ")
}
