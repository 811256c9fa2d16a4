package adopt

import (
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops"
)

// hooks are the annotations that make of an object something that is run and not kept.
var hooks = []string{"helm.sh/hook", "argocd.argoproj.io/hook"}

// hook is the annotation that makes an object a hook, "" for none.
func hook(annotations map[string]string) string {
	for _, key := range hooks {
		if _, ok := annotations[key]; ok {
			return key
		}
	}
	return ""
}

// refusedLabels begin the keys of labels that controllers act on, or that are idp's.
var refusedLabels = []string{
	"idp.dev/", "argocd.argoproj.io/", "sidecar.istio.io/", "istio.io/", "pod-security.kubernetes.io/", "azure.workload.identity/", "admission.",
}

// keptAnnotations begin the keys of annotations that only say something. All others go:
// controllers take orders from them, such as to put secrets or other containers into a pod.
var keptAnnotations = []string{"checksum/", "prometheus.io/", "kubectl.kubernetes.io/default-container", "app.kubernetes.io/"}

// meta leaves an object its name and what may be said of it, and says whose it is.
func (a *adopting) meta(m *metav1.ObjectMeta) {
	*m = said(*m)
	m.Namespace = a.in.Namespace
	if m.Labels == nil {
		m.Labels = map[string]string{}
	}
	m.Labels[gitops.LabelManagedBy] = gitops.ManagedBy
	a.own(m.Labels)
}

// own says of an object, or of the pods of one, whose it is.
func (a *adopting) own(labels map[string]string) {
	labels[gitops.LabelEnvironment] = a.in.Environment
	if a.in.Owner != "" {
		labels[gitops.LabelService] = a.in.Owner
	}
}

// said is metadata without what has an effect beyond its object.
func said(m metav1.ObjectMeta) metav1.ObjectMeta {
	out := bare(m)
	maps.DeleteFunc(out.Labels, func(key, _ string) bool { return begins(key, refusedLabels) })
	maps.DeleteFunc(out.Annotations, func(key, _ string) bool { return !begins(key, keptAnnotations) })
	return out
}

// bare is metadata of nothing but the name, labels and annotations.
func bare(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: m.Name, Labels: maps.Clone(m.Labels), Annotations: maps.Clone(m.Annotations)}
}

func begins(key string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}
