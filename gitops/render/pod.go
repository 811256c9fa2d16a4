package render

import (
	"strconv"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// portName is the container port of a web service; the network policy lets
// traffic in to ports of this name alone.
const portName = "http"

// podTemplate is the pod of a service in one of its roles.
func (e *environment) podTemplate(svc service, role string) (corev1.PodTemplateSpec, error) {
	container, err := e.container(svc)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: e.podLabels(svc.Name, role)},
		Spec: corev1.PodSpec{
			ServiceAccountName:           AccountName,
			AutomountServiceAccountToken: ptr(false),
			EnableServiceLinks:           ptr(false),
			SecurityContext:              podSecurity(e.Class.PodSecurity),
			Containers:                   []corev1.Container{container},
			Volumes:                      volumes(svc.Volumes),
		},
	}
	if !pinned(svc.image) {
		// A tag may stay the same from push to push; the revision makes the pods new.
		template.Annotations = map[string]string{gitops.KeySHA: e.SHA}
	}
	if e.Attempt > 0 {
		if template.Annotations == nil {
			template.Annotations = map[string]string{}
		}
		template.Annotations[gitops.KeyAttempt] = strconv.Itoa(e.Attempt)
	}
	return template, nil
}

func (e *environment) container(svc service) (corev1.Container, error) {
	resources, err := requirementsOf(svc.Service, e.Class.Quota)
	if err != nil {
		return corev1.Container{}, err
	}
	c := corev1.Container{
		Name:                     svc.Name,
		Image:                    svc.image,
		ImagePullPolicy:          corev1.PullIfNotPresent,
		Command:                  svc.Command,
		Args:                     svc.Args,
		Resources:                resources,
		SecurityContext:          containerSecurity(e.Class.PodSecurity),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	if !pinned(svc.image) {
		c.ImagePullPolicy = corev1.PullAlways
	}
	for _, v := range svc.env {
		c.Env = append(c.Env, corev1.EnvVar{Name: v.Name, Value: v.Value})
	}
	c.EnvFrom = e.envFrom()
	for _, v := range svc.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: v.MountPath})
	}
	return c, nil
}

// served adds what only the long-running role of a service has: its port and
// probes.
func served(template *corev1.PodTemplateSpec, svc service) {
	c := &template.Spec.Containers[0]
	if svc.Port > 0 {
		c.Ports = []corev1.ContainerPort{{Name: portName, ContainerPort: svc.Port, Protocol: corev1.ProtocolTCP}}
	}
	setProbes(c, svc.Service)
}

// podSecurity is the pod's half of the class's Pod Security Standard. Under the
// restricted one an image that would run as root is refused by the kubelet.
func podSecurity(standard string) *corev1.PodSecurityContext {
	out := &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	if standard == platform.Restricted {
		out.RunAsNonRoot = ptr(true)
	}
	return out
}

// containerSecurity is the container's half. No class lets a container gain
// privileges; the root file system stays writable, since most images need it.
func containerSecurity(standard string) *corev1.SecurityContext {
	out := &corev1.SecurityContext{AllowPrivilegeEscalation: ptr(false), Privileged: ptr(false)}
	if standard == platform.Restricted {
		out.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}
	return out
}

// volumes are scratch space of a bounded size. Sizes were parsed when the limits
// were (limitsOf), so that none fails here.
func volumes(declared []spec.Volume) []corev1.Volume {
	var out []corev1.Volume
	for _, v := range declared {
		size := resource.MustParse(v.Size)
		out = append(out, corev1.Volume{
			Name:         v.Name,
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}},
		})
	}
	return out
}

func ptr[T any](v T) *T { return &v }
