package render

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaces renders the environment's own Namespace. It is a manifest like the
// others, so that it goes when they go.
func namespaces(e *environment) ([]object, error) {
	facts := e.facts()
	labels := e.labels()
	maps.Copy(labels, validLabels(facts))
	for _, mode := range []string{"enforce", "audit", "warn"} {
		labels["pod-security.kubernetes.io/"+mode] = e.Class.PodSecurity
	}
	return []object{{"namespace.yaml", &corev1.Namespace{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: e.namespace, Labels: labels, Annotations: facts},
	}}}, nil
}
