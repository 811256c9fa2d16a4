package adopt

import (
	"fmt"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	k8sjson "sigs.k8s.io/json"

	"github.com/idp-bot/idp/gitops/render"
)

// kinds has one row per kind that is let through: what makes of an object the one that
// is committed, or says why it is dropped.
var kinds = map[string]func(a *adopting, title string, r raw) (object any, dropped string){
	"v1/ConfigMap":                           typed((*adopting).configMap),
	"v1/Service":                             typed((*adopting).service),
	"apps/v1/Deployment":                     typed((*adopting).deployment),
	"apps/v1/StatefulSet":                    typed((*adopting).statefulSet),
	"batch/v1/Job":                           typed((*adopting).job),
	"batch/v1/CronJob":                       typed((*adopting).cronJob),
	"networking.k8s.io/v1/Ingress":           typed((*adopting).ingress),
	"gateway.networking.k8s.io/v1/HTTPRoute": typed((*adopting).httpRoute),
}

// Kinds returns the "apiVersion/kind" of everything that Objects lets through, sorted,
// for AppProjects and admission policies to allow beside what idp renders itself.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// Committed returns the "apiVersion/kind" of everything that idp may commit: what it
// renders itself, and what it lets through.
func Committed() []string {
	out := render.Kinds()
	for _, kind := range Kinds() {
		if !slices.Contains(out, kind) {
			out = append(out, kind)
		}
	}
	return out
}

// reasons are of kinds that people will look for, and that are never let through.
var reasons = map[string]string{
	"Secret":                  "idp commits no secrets; the platform team puts them into the namespace",
	"Namespace":               "the environment has one, and it is idp's",
	"ServiceAccount":          "every pod runs as the environment's own account, which has no rights and no token",
	"Role":                    "nothing of an environment has rights on the cluster",
	"RoleBinding":             "nothing of an environment has rights on the cluster",
	"ClusterRole":             "nothing of an environment has rights on the cluster",
	"ClusterRoleBinding":      "nothing of an environment has rights on the cluster",
	"NetworkPolicy":           "the class's network policy is the only one",
	"ResourceQuota":           "the class's quota is the only one",
	"LimitRange":              "the class's limits are the only ones",
	"PersistentVolumeClaim":   "nothing is kept longer than its pod",
	"PodDisruptionBudget":     "an environment may be disrupted",
	"HorizontalPodAutoscaler": "the spec says how many copies run",
	"DaemonSet":               "an environment has no part in the cluster's nodes",
	"Pod":                     "a pod alone is not replaced when it ends; a Deployment is",
}

// typed reads an object into its type; what the type does not know is dropped and told.
func typed[T any](adopt func(a *adopting, title string, object *T) (dropped string)) func(*adopting, string, raw) (any, string) {
	return func(a *adopting, title string, r raw) (any, string) {
		object := new(T)
		unknown, err := k8sjson.UnmarshalStrict(r.content, object)
		if err != nil {
			return nil, "it is not as Kubernetes has it: " + cut(err.Error())
		}
		was, err := values(object)
		if err != nil {
			return nil, "it cannot be written as Kubernetes has it: " + cut(err.Error())
		}
		if why := adopt(a, title, object); why != "" {
			return nil, why
		}
		is, err := values(object)
		if err != nil {
			return nil, "it cannot be written as Kubernetes has it: " + cut(err.Error())
		}
		for _, one := range unknown {
			a.note(title, "left out: %s", cut(one.Error()))
		}
		a.tell(title, was, is)
		return object, ""
	}
}

func (a *adopting) configMap(_ string, c *corev1.ConfigMap) string {
	if c.Name == "kube-root-ca.crt" {
		return "Kubernetes itself keeps that one"
	}
	a.meta(&c.ObjectMeta)
	return ""
}

func (a *adopting) service(_ string, s *corev1.Service) string {
	a.meta(&s.ObjectMeta)
	s.Annotations = nil // controllers read them
	s.Status = corev1.ServiceStatus{}
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		return "a name of another host would stand for a service of the environment"
	}
	if len(s.Spec.Selector) == 0 {
		return "it selects no pods of the environment"
	}
	spec := corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, Selector: s.Spec.Selector, Ports: s.Spec.Ports,
		PublishNotReadyAddresses: s.Spec.PublishNotReadyAddresses, SessionAffinity: s.Spec.SessionAffinity,
	}
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		spec.ClusterIP = corev1.ClusterIPNone
	}
	for i := range spec.Ports {
		p := &spec.Ports[i]
		p.NodePort = 0
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port) // as the API server would fill it in
		}
	}
	s.Spec = spec
	return ""
}

// selects says why a workload would be refused for the pods that it selects, "" where it
// would not.
func selects(by *metav1.LabelSelector, pods map[string]string) string {
	if by == nil || len(by.MatchLabels)+len(by.MatchExpressions) == 0 {
		return "it has no selector, without which no API server takes it"
	}
	selector, err := metav1.LabelSelectorAsSelector(by)
	if err != nil || !selector.Matches(labels.Set(pods)) {
		return "its selector does not select its own pods, so no API server takes it"
	}
	return ""
}

func (a *adopting) deployment(_ string, d *appsv1.Deployment) string {
	a.meta(&d.ObjectMeta)
	d.Status = appsv1.DeploymentStatus{}
	if why := selects(d.Spec.Selector, d.Spec.Template.Labels); why != "" {
		return why
	}
	svc := a.pod(&d.Spec.Template)
	a.again(&d.Spec.Template)
	d.Spec.Paused = false
	d.Spec.Replicas = a.replicas(d.Spec.Replicas, svc)
	return ""
}

func (a *adopting) statefulSet(_ string, s *appsv1.StatefulSet) string {
	a.meta(&s.ObjectMeta)
	s.Status = appsv1.StatefulSetStatus{}
	if why := selects(s.Spec.Selector, s.Spec.Template.Labels); why != "" {
		return why
	}
	for _, claim := range s.Spec.VolumeClaimTemplates {
		volume := corev1.Volume{Name: claim.Name, VolumeSource: scratch()}
		s.Spec.Template.Spec.Volumes = append(s.Spec.Template.Spec.Volumes, volume)
	}
	s.Spec.VolumeClaimTemplates, s.Spec.PersistentVolumeClaimRetentionPolicy = nil, nil
	svc := a.pod(&s.Spec.Template)
	a.again(&s.Spec.Template)
	s.Spec.Replicas = a.replicas(s.Spec.Replicas, svc)
	return ""
}

// replaceAnnotation has Argo CD delete and make a Job anew that changed: a Job itself
// cannot be.
const (
	replaceAnnotation = "argocd.argoproj.io/sync-options"
	replaceValue      = "Force=true,Replace=true"
)

func (a *adopting) job(_ string, j *batchv1.Job) string {
	a.meta(&j.ObjectMeta)
	if j.Annotations == nil {
		j.Annotations = map[string]string{}
	}
	j.Annotations[replaceAnnotation] = replaceValue
	j.Status = batchv1.JobStatus{}
	return a.run(&j.Spec)
}

func (a *adopting) cronJob(_ string, c *batchv1.CronJob) string {
	a.meta(&c.ObjectMeta)
	c.Status = batchv1.CronJobStatus{}
	c.Spec.JobTemplate.ObjectMeta = bare(c.Spec.JobTemplate.ObjectMeta)
	return a.run(&c.Spec.JobTemplate.Spec)
}

// run is what Jobs and those of a CronJob have alike.
func (a *adopting) run(j *batchv1.JobSpec) string {
	most := a.in.Class.Quota.MaxReplicas
	if j.Parallelism != nil && *j.Parallelism > most {
		return fmt.Sprintf("%d of its pods would run at a time, at most %d may", *j.Parallelism, most)
	}
	j.ManagedBy = nil
	j.TTLSecondsAfterFinished = nil // Argo CD would run it again
	a.pod(&j.Template)
	return ""
}

// replicas are the service's where a workload is of one, and never more than the class
// lets a service have.
func (a *adopting) replicas(asked *int32, svc *Service) *int32 {
	count := int32(1)
	if asked != nil {
		count = *asked
	}
	want := min(max(count, 0), a.in.Class.Quota.MaxReplicas)
	if svc != nil {
		want = svc.Replicas
	}
	return &want
}
