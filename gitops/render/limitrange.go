package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// limitRanges renders what a container gets that names no resources: without
// them the quota would refuse its pod.
func limitRanges(e *environment) ([]object, error) {
	q, err := parseQuantities(e.Class.Quota)
	if err != nil {
		return nil, err
	}
	return []object{{"limitrange.yaml", &corev1.LimitRange{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "LimitRange"},
		ObjectMeta: e.meta("idp"),
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type: corev1.LimitTypeContainer,
			Default: corev1.ResourceList{
				corev1.ResourceCPU:              q.cpu,
				corev1.ResourceMemory:           q.memory,
				corev1.ResourceEphemeralStorage: q.ephemeral,
			},
			// The API server would fill in the ephemeral request with the limit; written
			// out, what is live is what is in Git.
			DefaultRequest: corev1.ResourceList{
				corev1.ResourceCPU:              q.cpuRequest,
				corev1.ResourceMemory:           q.memoryRequest,
				corev1.ResourceEphemeralStorage: q.ephemeral,
			},
		}}},
	}}}, nil
}
