package adopt

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/render"
)

// types are what the kinds read back as; beside Kinds, so that neither grows alone. adopttest
// has the same for tests outside: this one cannot import what imports the package itself.
var types = map[string]func() any{
	"ConfigMap":   func() any { return new(corev1.ConfigMap) },
	"Service":     func() any { return new(corev1.Service) },
	"Deployment":  func() any { return new(appsv1.Deployment) },
	"StatefulSet": func() any { return new(appsv1.StatefulSet) },
	"Job":         func() any { return new(batchv1.Job) },
	"CronJob":     func() any { return new(batchv1.CronJob) },
	"Ingress":     func() any { return new(networkingv1.Ingress) },
	"HTTPRoute":   func() any { return new(gatewayv1.HTTPRoute) },
}

func TestKinds(t *testing.T) {
	t.Parallel()
	if len(types) != len(Kinds()) {
		t.Errorf("%d kinds come through, %d are held to their type", len(Kinds()), len(types))
	}
}

func decoded(t *testing.T, o Object) any {
	t.Helper()
	object := types[o.Kind]()
	if err := yaml.UnmarshalStrict(o.Content, object); err != nil {
		t.Fatalf("%s %s: %v\n%s", o.Kind, o.Name, err, o.Content)
	}
	return object
}

func podOf(t *testing.T, o Object) *corev1.PodSpec {
	t.Helper()
	switch object := decoded(t, o).(type) {
	case *appsv1.Deployment:
		return &object.Spec.Template.Spec
	case *appsv1.StatefulSet:
		if len(object.Spec.VolumeClaimTemplates) > 0 {
			t.Fatalf("%s keeps a volume", o.Name)
		}
		return &object.Spec.Template.Spec
	case *batchv1.Job:
		return &object.Spec.Template.Spec
	case *batchv1.CronJob:
		return &object.Spec.JobTemplate.Spec.Template.Spec
	case *corev1.Service:
		if object.Spec.Type != corev1.ServiceTypeClusterIP || len(object.Spec.ExternalIPs) > 0 {
			t.Fatalf("Service %s is open: %+v", o.Name, object.Spec)
		}
	}
	return nil
}

// checkPod holds what no pod may have.
func checkPod(t *testing.T, p *corev1.PodSpec) {
	t.Helper()
	if p == nil {
		return
	}
	if p.HostNetwork || p.HostPID || p.HostIPC || *p.AutomountServiceAccountToken || p.ServiceAccountName != render.AccountName || !*p.SecurityContext.RunAsNonRoot {
		t.Fatalf("pod has what it may not: %+v", p)
	}
	for _, v := range p.Volumes {
		if v.EmptyDir == nil && v.ConfigMap == nil && v.Projected == nil && v.DownwardAPI == nil || v.HostPath != nil || v.Secret != nil {
			t.Fatalf("volume %+v", v)
		}
	}
	for _, containers := range [][]corev1.Container{p.InitContainers, p.Containers} {
		for _, c := range containers {
			if *c.SecurityContext.Privileged || *c.SecurityContext.AllowPrivilegeEscalation || len(c.SecurityContext.Capabilities.Add) > 0 {
				t.Fatalf("container %s may gain privileges", c.Name)
			}
			if p := c.ReadinessProbe; p != nil && (p.HTTPGet != nil && p.HTTPGet.Host != "" || p.TCPSocket != nil && p.TCPSocket.Host != "") {
				t.Fatalf("the node asks another than container %s", c.Name)
			}
			for _, v := range c.Env {
				if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
					t.Fatalf("container %s reads a secret", c.Name)
				}
			}
		}
	}
}

// routeOf is "HOST SERVICE:PORT" of a route with one of each.
func routeOf(t *testing.T, o Object) string {
	t.Helper()
	h := decoded(t, o).(*gatewayv1.HTTPRoute)
	b := h.Spec.Rules[0].BackendRefs[0]
	return fmt.Sprintf("%s %s:%d", h.Spec.Hostnames[0], b.Name, *b.Port)
}
