package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
)

// given are the class's base objects that the environment has, by how far its code is
// trusted. In a declared environment they stand beside what the services share, whosever
// commit each of them runs: there they are those of the default branch.
func (e *environment) given() []platform.BaseObjects {
	trust := e.Trust
	if e.Environment != "" {
		trust = platform.TrustDefaultBranch
	}
	return slices.DeleteFunc(slices.Clone(e.Class.Objects), func(o platform.BaseObjects) bool { return !o.GivenTo(trust) })
}

// envFrom is where containers of services take environment variables from: of what the
// environment has, what the code that runs in them may have.
func (e *environment) envFrom() []corev1.EnvFromSource {
	var out []corev1.EnvFromSource
	for _, entry := range e.given() {
		name := corev1.LocalObjectReference{Name: entry.EnvFrom.Name}
		switch {
		case name.Name == "" || !entry.GivenTo(e.Trust):
		case entry.EnvFrom.Secret:
			out = append(out, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: name, Optional: ptr(false)}})
		default:
			out = append(out, corev1.EnvFromSource{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: name, Optional: ptr(false)}})
		}
	}
	return out
}

// baseObjects renders what the class gives the environment, in a name of its own for each
// file: with dots, which no service's has.
func baseObjects(e *environment) ([]object, error) {
	var out []object
	for _, entry := range e.given() {
		for _, base := range entry.Objects {
			tree, err := e.baseObject(base)
			if err != nil {
				return nil, fmt.Errorf("%s %s of %s: %w", base.Kind, base.Name, entry.File, err)
			}
			out = append(out, object{"base." + strings.ToLower(base.Kind) + "." + base.Name + ".yaml", tree})
		}
	}
	return out, nil
}

// baseObject makes a base object the environment's own: its namespace, its labels, and for
// what has pods what every pod of idp's has.
func (e *environment) baseObject(base platform.BaseObject) (any, error) {
	switch base.Kind {
	case "StatefulSet":
		set := new(appsv1.StatefulSet)
		err := json.Unmarshal(base.Content, set)
		e.own(&set.ObjectMeta)
		e.ownPods(&set.Spec.Template)
		return set, err
	case "Deployment":
		deployment := new(appsv1.Deployment)
		err := json.Unmarshal(base.Content, deployment)
		e.own(&deployment.ObjectMeta)
		e.ownPods(&deployment.Spec.Template)
		return deployment, err
	}
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(base.Content))
	decoder.UseNumber() // integers stay integers
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	var head struct{ Metadata metav1.ObjectMeta }
	if err := json.Unmarshal(base.Content, &head); err != nil {
		return nil, err
	}
	e.own(&head.Metadata)
	tree["metadata"] = head.Metadata
	return tree, nil
}

func (e *environment) own(m *metav1.ObjectMeta) {
	m.Namespace = e.namespace
	m.Labels = with(m.Labels, e.labels())
}

// ownPods holds pods to what idp's own are held to. Which user they run as stays theirs.
func (e *environment) ownPods(template *corev1.PodTemplateSpec) {
	template.Labels = with(template.Labels, e.labels())
	pod := &template.Spec
	pod.ServiceAccountName, pod.AutomountServiceAccountToken, pod.EnableServiceLinks = AccountName, ptr(false), ptr(false)
	security := podSecurity(e.Class.PodSecurity)
	if own := pod.SecurityContext; own != nil {
		security.RunAsUser, security.RunAsGroup, security.FSGroup = own.RunAsUser, own.RunAsGroup, own.FSGroup
		security.FSGroupChangePolicy, security.SupplementalGroups = own.FSGroupChangePolicy, own.SupplementalGroups
		if security.RunAsNonRoot == nil {
			security.RunAsNonRoot = own.RunAsNonRoot
		}
	}
	pod.SecurityContext = security
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			containers[i].SecurityContext = secured(containers[i].SecurityContext, e.Class.PodSecurity)
		}
	}
}

// secured is the class's security with what a container may say of its own.
func secured(own *corev1.SecurityContext, standard string) *corev1.SecurityContext {
	out := containerSecurity(standard)
	if own == nil {
		return out
	}
	out.RunAsUser, out.RunAsGroup, out.ReadOnlyRootFilesystem = own.RunAsUser, own.RunAsGroup, own.ReadOnlyRootFilesystem
	if standard != platform.Restricted {
		out.RunAsNonRoot = own.RunAsNonRoot
	}
	return out
}

func with(own, over map[string]string) map[string]string {
	out := maps.Clone(own)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, over)
	return out
}

// uniqueObjects refuses a base object that would take the place of a service's own, or of
// one of the repository's.
func (e *environment) uniqueObjects() error {
	for _, entry := range e.Class.Objects {
		for _, base := range entry.Objects {
			for _, svc := range e.Spec.Services {
				if svc.Name == base.Name && slices.Contains([]string{"Service", "Deployment", "StatefulSet"}, base.Kind) {
					return fault.Newf(fault.Conflict, "service %s has the name of a %s that class %s gives its environments (%s)", svc.Name, base.Kind, e.Class.Name, entry.File).
						WithHint("rename the service, or have the platform team rename theirs")
				}
			}
			if e.rendersOf(base) {
				return fault.Newf(fault.Conflict, "the repository renders a %s named %s, and class %s gives its environments one (%s)", base.Kind, base.Name, e.Class.Name, entry.File).
					WithHint("rename yours, or have the platform team rename theirs")
			}
		}
	}
	return nil
}

// rendersOf says that the repository renders an object of a base object's kind and name.
func (e *environment) rendersOf(base platform.BaseObject) bool {
	return slices.ContainsFunc(e.Adopted, func(from Adopted) bool {
		return slices.ContainsFunc(from.Files, func(f gitops.File) bool { return f.Path == AdoptedPath(base.Kind, base.Name) })
	})
}

// baseUse is what the pods of base objects may use in all, and how many volumes of their
// own they have.
func (e *environment) baseUse() (use limits, claims int64, err error) {
	for _, entry := range e.given() {
		for _, base := range entry.Objects {
			tree, err := e.baseObject(base)
			if err != nil {
				return use, claims, err
			}
			switch o := tree.(type) {
			case *appsv1.StatefulSet:
				replicas := replicasOf(o.Spec.Replicas)
				claims += replicas * int64(len(o.Spec.VolumeClaimTemplates))
				err = e.usePods(&use, o.Spec.Template.Spec, replicas)
			case *appsv1.Deployment:
				err = e.usePods(&use, o.Spec.Template.Spec, replicasOf(o.Spec.Replicas))
			default:
				if base.Kind == "PersistentVolumeClaim" {
					claims++
				}
			}
			if err != nil {
				return use, claims, err
			}
		}
	}
	return use, claims, nil
}

func replicasOf(n *int32) int64 {
	if n == nil {
		return 1
	}
	return int64(*n)
}

// usePods adds the limits of pods, those of the class where a container has none.
func (e *environment) usePods(use *limits, pod corev1.PodSpec, replicas int64) error {
	q := e.Class.Quota
	one := limits{pods: 1}
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		for _, of := range []struct {
			to       *resource.Quantity
			name     corev1.ResourceName
			fallback string
		}{
			{&one.cpu, corev1.ResourceCPU, q.DefaultCPU}, {&one.memory, corev1.ResourceMemory, q.DefaultMem}, {&one.ephemeral, corev1.ResourceEphemeralStorage, q.DefaultEphemeral},
		} {
			amount, given := c.Resources.Limits[of.name]
			if !given {
				var err error
				if amount, err = resource.ParseQuantity(of.fallback); err != nil {
					return fmt.Errorf("class %s: %w", e.Class.Name, err)
				}
			}
			of.to.Add(amount)
		}
	}
	use.add(one, replicas)
	return nil
}
