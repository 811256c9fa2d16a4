package adopt

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/idp-bot/idp/gitops/platform"
)

// bound is what there is of a resource: for the whole environment, and for a container that
// names no limit.
type bound struct {
	name    corev1.ResourceName
	quota   string
	without string
}

func bounds(q platform.Quota) []bound {
	return []bound{
		{corev1.ResourceCPU, q.CPU, q.DefaultCPU},
		{corev1.ResourceMemory, q.Memory, q.DefaultMem},
		{corev1.ResourceEphemeralStorage, q.EphemeralStorage, q.DefaultEphemeral},
	}
}

// resources has a container ask for what it may get: what is more than the whole
// environment has is left out, so that the class's default counts, and a request above that
// default is the limit too where the container names none. The API server would refuse its
// pods otherwise.
func (a *adopting) resources(c *corev1.Container) {
	for _, b := range bounds(a.in.Class.Quota) {
		quota, err := resource.ParseQuantity(b.quota)
		without, err2 := resource.ParseQuantity(b.without)
		if err != nil || err2 != nil {
			continue // a class that bounds nothing of it
		}
		for _, list := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
			if asked, ok := list[b.name]; ok && asked.Cmp(quota) > 0 {
				delete(list, b.name)
			}
		}
		asked, asks := c.Resources.Requests[b.name]
		_, limited := c.Resources.Limits[b.name]
		if !asks || limited || asked.Cmp(without) <= 0 {
			continue
		}
		if c.Resources.Limits == nil {
			c.Resources.Limits = corev1.ResourceList{}
		}
		c.Resources.Limits[b.name] = asked
	}
}
