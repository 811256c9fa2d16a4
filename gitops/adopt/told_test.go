package adopt_test

import (
	"bytes"
	"maps"
	"os"
	"reflect"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/adopt"
	"github.com/idp-bot/idp/gitops/adopt/adopttest"
	"github.com/idp-bot/idp/gitops/platform"
)

// into is an environment of a class that routes by kind.
func into(kind platform.RoutingKind, standard string) adopt.Input {
	class := platform.Default()
	class.Gate, class.Routing.Kind, class.PodSecurity = &platform.Gate{Public: true}, kind, standard
	return adopt.Input{
		Environment: "idp-shop-pr-7-0123456789", Namespace: "idp-shop-pr-7-0123456789", Class: class,
		Services: []adopt.Service{{Name: "web", Image: "ghcr.io/acme/web:2", Host: "web.localhost", Replicas: 2}},
	}
}

// drawn makes values of any type of Kubernetes, most of their fields set.
func drawn[T any]() *rapid.Generator[T] {
	// Few of what is large: a hundred containers tell nothing that two do not.
	return rapid.MakeCustom[T](few(map[reflect.Type]*rapid.Generator[any]{
		reflect.TypeFor[[]corev1.Container]():                listOf[corev1.Container](2, few(nil)),
		reflect.TypeFor[[]corev1.EphemeralContainer]():       listOf[corev1.EphemeralContainer](1, few(nil)),
		reflect.TypeFor[[]corev1.Volume]():                   listOf[corev1.Volume](2, few(nil)),
		reflect.TypeFor[[]corev1.PersistentVolumeClaim]():    listOf[corev1.PersistentVolumeClaim](1, few(nil)),
		reflect.TypeFor[*corev1.Affinity]():                  rapid.Just[any](&corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}),
		reflect.TypeFor[[]corev1.TopologySpreadConstraint](): listOf[corev1.TopologySpreadConstraint](1, few(nil)),
		reflect.TypeFor[[]gatewayv1.HTTPRouteRule]():         listOf[gatewayv1.HTTPRouteRule](1, few(nil)),
		reflect.TypeFor[[]networkingv1.IngressRule]():        listOf[networkingv1.IngressRule](2, few(nil)),
	}))
}

// few is what values are made by; the lists among types are short.
func few(types map[reflect.Type]*rapid.Generator[any]) rapid.MakeConfig {
	word := rapid.SampledFrom([]string{"web", "cache", "x", "1.2.3.4", "acme.com/team", "argocd.argoproj.io/x"})
	config := rapid.MakeConfig{
		Types: map[reflect.Type]*rapid.Generator[any]{
			reflect.TypeFor[resource.Quantity](): rapid.Custom(func(t *rapid.T) any {
				return resource.MustParse(rapid.SampledFrom([]string{"1", "500m", "100Gi"}).Draw(t, "quantity"))
			}),
			reflect.TypeFor[metav1.Time]():     rapid.Just[any](metav1.Time{}),
			reflect.TypeFor[metav1.FieldsV1](): rapid.Just[any](metav1.FieldsV1{}),
			reflect.TypeFor[intstr.IntOrString](): rapid.Custom(func(t *rapid.T) any {
				return intstr.FromInt32(rapid.Int32Range(1, 9000).Draw(t, "port"))
			}),
		},
		Kinds: map[reflect.Kind]*rapid.Generator[any]{
			reflect.String: word.AsAny(),
			reflect.Int32:  rapid.Int32Range(0, 3).AsAny(), reflect.Int64: rapid.Int64Range(0, 3).AsAny(),
		},
	}
	maps.Copy(config.Types, types)
	return config
}

// listOf makes short lists of what is drawn.
func listOf[T any](most int, config rapid.MakeConfig) *rapid.Generator[any] {
	return rapid.SliceOfN(rapid.MakeCustom[T](config), 0, most).AsAny()
}

// TestTold: whatever objects have, each field that comes out otherwise is named by a note.
func TestTold(t *testing.T) {
	t.Parallel()
	pod := drawn[corev1.PodSpec]()
	meta := drawn[metav1.ObjectMeta]()
	rapid.Check(t, func(t *rapid.T) {
		in := into(rapid.SampledFrom([]platform.RoutingKind{platform.HTTPRoute, platform.Ingress}).Draw(t, "routing"), rapid.SampledFrom([]string{"restricted", "baseline"}).Draw(t, "standard"))
		m := meta.Draw(t, "metadata")
		m.Name = "web"
		template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: pod.Draw(t, "pod")}
		selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
		kind := rapid.SampledFrom([]string{"Deployment", "StatefulSet", "Job", "CronJob", "Service", "Ingress", "HTTPRoute", "ConfigMap"}).Draw(t, "kind")
		object := made(t, kind, m, template, selector)
		document, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		least := 1
		if kind == "Ingress" || kind == "HTTPRoute" {
			least = 0 // it may lead nowhere
		}
		hold(t, [][]byte{document}, in, least)
	})
}

// made is an object of a kind, drawn but for what would keep it from coming through.
func made(t *rapid.T, kind string, m metav1.ObjectMeta, template corev1.PodTemplateSpec, selector *metav1.LabelSelector) any {
	group := func(version string) metav1.TypeMeta { return metav1.TypeMeta{APIVersion: version, Kind: kind} }
	switch kind {
	case "Deployment":
		spec := drawn[appsv1.DeploymentStrategy]().Draw(t, "strategy")
		return appsv1.Deployment{TypeMeta: group("apps/v1"), ObjectMeta: m, Spec: appsv1.DeploymentSpec{Paused: true, Strategy: spec, Selector: selector, Template: template}}
	case "StatefulSet":
		spec := drawn[appsv1.StatefulSetSpec]().Draw(t, "spec")
		spec.Selector, spec.Template = selector, template
		return appsv1.StatefulSet{TypeMeta: group("apps/v1"), ObjectMeta: m, Spec: spec}
	case "Job":
		spec := drawn[batchv1.JobSpec]().Draw(t, "spec")
		spec.Template = template
		return batchv1.Job{TypeMeta: group("batch/v1"), ObjectMeta: m, Spec: spec}
	case "CronJob":
		spec := drawn[batchv1.CronJobSpec]().Draw(t, "spec")
		spec.JobTemplate.Spec.Template = template
		return batchv1.CronJob{TypeMeta: group("batch/v1"), ObjectMeta: m, Spec: spec}
	case "Service":
		spec := drawn[corev1.ServiceSpec]().Draw(t, "spec")
		spec.Selector = map[string]string{"app": "web"}
		return corev1.Service{TypeMeta: group("v1"), ObjectMeta: m, Spec: spec}
	case "Ingress":
		return networkingv1.Ingress{TypeMeta: group("networking.k8s.io/v1"), ObjectMeta: m, Spec: drawn[networkingv1.IngressSpec]().Draw(t, "spec")}
	case "HTTPRoute":
		return gatewayv1.HTTPRoute{TypeMeta: group("gateway.networking.k8s.io/v1"), ObjectMeta: m, Spec: drawn[gatewayv1.HTTPRouteSpec]().Draw(t, "spec")}
	}
	return corev1.ConfigMap{TypeMeta: group("v1"), ObjectMeta: m, Data: map[string]string{"a": "b"}}
}

// hold adopts documents and holds its notes to what it did; at least so many objects come out.
func hold(t interface {
	Fatal(...any)
	Errorf(string, ...any)
}, documents [][]byte, in adopt.Input, least int,
) {
	got, err := adopt.Told(documents, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Objects) < least {
		t.Errorf("%d objects came out", len(got.Objects))
	}
	untold, err := adopttest.Untold(documents, got)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range untold {
		t.Errorf("not told: %s", one)
	}
	if len(untold) > 0 {
		for _, n := range got.Notes {
			t.Errorf("told: %s", n)
		}
	}
}

// TestToldOfHostile: nor is anything done in silence to what means harm.
func TestToldOfHostile(t *testing.T) {
	t.Parallel()
	hostile, err := os.ReadFile("testdata/hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []platform.RoutingKind{platform.HTTPRoute, platform.Ingress} {
		hold(t, bytes.Split(hostile, []byte("\n---\n")), into(kind, platform.Restricted), 5)
	}
}
