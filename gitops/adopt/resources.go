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
func (a *adopting) resources(title string, c *corev1.Container) {
	for _, b := range bounds(a.in.Class.Quota) {
		quota, err := resource.ParseQuantity(b.quota)
		without, err2 := resource.ParseQuantity(b.without)
		if err != nil || err2 != nil {
			continue // a class that bounds nothing of it
		}
		for _, list := range []struct {
			of   string
			some corev1.ResourceList
		}{{"request", c.Resources.Requests}, {"limit", c.Resources.Limits}} {
			if asked, ok := list.some[b.name]; ok && asked.Cmp(quota) > 0 {
				a.note(title, "%s %s %s of container %s left out: the environment has %s", b.name, list.of, cut(asked.String()), cut(c.Name), b.quota)
				delete(list.some, b.name)
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
		a.note(title, "%s limit of container %s is the %s that it requests: it names none, and the class's is %s", b.name, cut(c.Name), cut(asked.String()), b.without)
	}
}
