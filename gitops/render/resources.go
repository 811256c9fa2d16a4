package render

import (
	"fmt"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quantities are a class's defaults for one container.
type quantities struct {
	cpu, cpuRequest, memory, memoryRequest, ephemeral resource.Quantity
}

func parseQuantities(q platform.Quota) (quantities, error) {
	var out quantities
	err := parseAll([]parse{
		{"default cpu", q.DefaultCPU, &out.cpu},
		{"default cpu request", q.DefaultCPURequest, &out.cpuRequest},
		{"default memory", q.DefaultMem, &out.memory},
		{"default memory request", q.DefaultMemoryRequest, &out.memoryRequest},
		{"default ephemeral storage", q.DefaultEphemeral, &out.ephemeral},
	})
	return out, err
}

// quotaOf is what the class allows one environment in all.
func quotaOf(q platform.Quota) (limits, error) {
	out := limits{pods: q.Pods}
	err := parseAll([]parse{
		{"cpu", q.CPU, &out.cpu}, {"memory", q.Memory, &out.memory}, {"ephemeral storage", q.EphemeralStorage, &out.ephemeral},
	})
	return out, err
}

type parse struct {
	what, text string
	into       *resource.Quantity
}

func parseAll(all []parse) error {
	for _, p := range all {
		q, err := resource.ParseQuantity(p.text)
		if err != nil {
			return fmt.Errorf("read %s %q: %w", p.what, p.text, err)
		}
		*p.into = q
	}
	return nil
}

// limitsOf is what one pod of the service may use: what it names, else the
// class's defaults; its volumes count as scratch space.
func limitsOf(svc spec.Service, q platform.Quota) (limits, error) {
	requirements, err := requirementsOf(svc, q)
	if err != nil {
		return limits{}, err
	}
	defaults, err := parseQuantities(q)
	if err != nil {
		return limits{}, err
	}
	out := limits{pods: 1, cpu: defaults.cpu, memory: defaults.memory, ephemeral: defaults.ephemeral}
	for name, into := range map[corev1.ResourceName]*resource.Quantity{
		corev1.ResourceCPU: &out.cpu, corev1.ResourceMemory: &out.memory, corev1.ResourceEphemeralStorage: &out.ephemeral,
	} {
		if limit, ok := requirements.Limits[name]; ok {
			*into = limit
		}
	}
	return out, nil
}

// requirementsOf renders the resources that the service names. Where it names
// one of request and limit, the other is written out as well: the default limit
// of the LimitRange may be below the request, which Kubernetes refuses, and a
// request left out beside a limit would become as large as the limit.
func requirementsOf(svc spec.Service, q platform.Quota) (corev1.ResourceRequirements, error) {
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	defaults, err := parseQuantities(q)
	if err != nil {
		return out, err
	}
	r := svc.Resources
	for _, pair := range []struct {
		name                         corev1.ResourceName
		request, limit               string
		defaultRequest, defaultLimit resource.Quantity
	}{
		{corev1.ResourceCPU, r.Requests.CPU, r.Limits.CPU, defaults.cpuRequest, defaults.cpu},
		{corev1.ResourceMemory, r.Requests.Memory, r.Limits.Memory, defaults.memoryRequest, defaults.memory},
	} {
		if pair.request == "" && pair.limit == "" {
			continue
		}
		request, limit, err := complete(pair.request, pair.limit, pair.defaultRequest, pair.defaultLimit)
		if err != nil {
			return out, fault.Wrap(err, fault.Invalid, fmt.Sprintf("service %s: resources: %s: %v", svc.Name, pair.name, err), "")
		}
		out.Requests[pair.name], out.Limits[pair.name] = request, limit
	}
	if len(svc.Volumes) > 0 {
		total := defaults.ephemeral.DeepCopy()
		for _, v := range svc.Volumes {
			size, err := resource.ParseQuantity(v.Size)
			if err != nil {
				return out, fault.Wrap(err, fault.Invalid, fmt.Sprintf("service %s: volume %s: %q is no size", svc.Name, v.Name, v.Size), "")
			}
			total.Add(size)
		}
		out.Requests[corev1.ResourceEphemeralStorage], out.Limits[corev1.ResourceEphemeralStorage] = defaults.ephemeral, total
	}
	return out, nil
}

// complete reads a request and a limit of which one may be missing.
func complete(request, limit string, defaultRequest, defaultLimit resource.Quantity) (r, l resource.Quantity, err error) {
	r, l = defaultRequest, defaultLimit
	if request != "" {
		if r, err = resource.ParseQuantity(request); err != nil {
			return r, l, fmt.Errorf("request %q is no quantity", request)
		}
	}
	if limit != "" {
		if l, err = resource.ParseQuantity(limit); err != nil {
			return r, l, fmt.Errorf("limit %q is no quantity", limit)
		}
	}
	switch {
	case r.Cmp(l) <= 0:
		return r, l, nil
	case request == "":
		return l, l, nil
	case limit == "":
		return r, r, nil
	}
	return r, l, fmt.Errorf("the request of %s is more than the limit of %s", request, limit)
}
