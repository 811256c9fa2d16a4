package adopt

import (
	"strconv"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
)

// scratchSize is the size of scratch space that names none, as in a spec.
const scratchSize = "1Gi"

// scratch is a volume that goes with its pod.
func scratch() corev1.VolumeSource {
	size := resource.MustParse(scratchSize)
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &size}}
}

// pod makes a pod one that may run in an environment, and returns the service that it is
// of: the first that one of its containers has the image of, nil for none.
func (a *adopting) pod(title string, t *corev1.PodTemplateSpec) *Service {
	t.ObjectMeta = a.said(title, t.ObjectMeta)
	t.Name = ""
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	a.own(t.Labels)
	p := &t.Spec
	a.host(title, p)
	a.scheduling(title, p)
	if n := p.ServiceAccountName; n != "" && n != render.AccountName {
		a.note(title, "service account %s became the environment's own, which has no rights", cut(n))
	}
	p.ServiceAccountName, p.DeprecatedServiceAccount = render.AccountName, ""
	p.AutomountServiceAccountToken = ptr(false)
	if len(p.ImagePullSecrets) > 0 {
		a.note(title, "imagePullSecrets left out: the environment's account has the class's")
		p.ImagePullSecrets = nil
	}
	a.podSecurity(title, p)
	a.volumes(title, p)
	p.EphemeralContainers = nil
	var of *Service
	for i := range p.InitContainers {
		a.container(title, &p.InitContainers[i])
	}
	for i := range p.Containers {
		if svc := a.container(title, &p.Containers[i]); of == nil {
			of = svc
		}
	}
	return of
}

// again makes other pods of a template that is rolled out again as it is.
func (a *adopting) again(t *corev1.PodTemplateSpec) {
	if a.in.Attempt == 0 {
		return
	}
	if t.Annotations == nil {
		t.Annotations = map[string]string{}
	}
	t.Annotations[gitops.KeyAttempt] = strconv.Itoa(a.in.Attempt)
}

// host keeps a pod out of its node.
func (a *adopting) host(title string, p *corev1.PodSpec) {
	for _, share := range []struct {
		name string
		on   *bool
	}{{"hostNetwork", &p.HostNetwork}, {"hostPID", &p.HostPID}, {"hostIPC", &p.HostIPC}} {
		if *share.on {
			a.note(title, "%s left out", share.name)
			*share.on = false
		}
	}
	p.HostUsers = nil
	if len(p.HostAliases) > 0 {
		a.note(title, "hostAliases left out")
		p.HostAliases = nil
	}
	if p.DNSPolicy == corev1.DNSClusterFirstWithHostNet {
		p.DNSPolicy = corev1.DNSClusterFirst
	}
}

// scheduling leaves to the cluster where pods run and before which others.
func (a *adopting) scheduling(title string, p *corev1.PodSpec) {
	for _, left := range []struct {
		name  string
		given bool
	}{
		{"nodeName", p.NodeName != ""}, {"nodeSelector", len(p.NodeSelector) > 0}, {"affinity", p.Affinity != nil},
		{"tolerations", len(p.Tolerations) > 0}, {"priorityClassName", p.PriorityClassName != "" || p.Priority != nil},
		{"runtimeClassName", p.RuntimeClassName != nil}, {"schedulerName", p.SchedulerName != ""},
		{"topologySpreadConstraints", len(p.TopologySpreadConstraints) > 0}, {"resourceClaims", len(p.ResourceClaims) > 0},
		{"overhead", len(p.Overhead) > 0},
	} {
		if left.given {
			a.note(title, "%s left out", left.name)
		}
	}
	p.NodeName, p.NodeSelector, p.Affinity, p.Tolerations, p.PriorityClassName, p.Priority = "", nil, nil, nil, "", nil
	p.RuntimeClassName, p.SchedulerName, p.TopologySpreadConstraints, p.ResourceClaims = nil, "", nil, nil
	p.Overhead, p.PreemptionPolicy, p.SchedulingGates, p.ReadinessGates = nil, nil, nil, nil
}

// podSecurity holds a pod to the class's Pod Security Standard.
func (a *adopting) podSecurity(title string, p *corev1.PodSpec) {
	s := p.SecurityContext
	if s == nil {
		s = &corev1.PodSecurityContext{}
	}
	if len(s.Sysctls) > 0 {
		a.note(title, "sysctls left out")
	}
	s.Sysctls, s.SELinuxOptions, s.WindowsOptions, s.AppArmorProfile = nil, nil, nil, nil
	s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if a.restricted() {
		s.RunAsNonRoot = ptr(true)
		if s.RunAsUser != nil && *s.RunAsUser == 0 {
			a.note(title, "runAsUser 0 left out: nothing runs as root")
			s.RunAsUser = nil
		}
	}
	p.SecurityContext = s
}

func (a *adopting) restricted() bool { return a.in.Class.PodSecurity == platform.Restricted }

// container makes a container one that may run, and returns the service whose image it
// has, nil for none.
func (a *adopting) container(title string, c *corev1.Container) *Service {
	a.containerSecurity(title, c)
	for i := range c.Ports {
		if c.Ports[i].HostPort != 0 {
			a.note(title, "hostPort %d of container %s left out", c.Ports[i].HostPort, cut(c.Name))
		}
		c.Ports[i].HostPort, c.Ports[i].HostIP = 0, ""
	}
	c.VolumeDevices, c.Resources.Claims = nil, nil
	a.resources(title, c)
	a.env(title, c)
	a.asked(title, c)
	of := a.serviceOf(c.Image)
	if of == nil {
		return nil
	}
	a.placed[of.Name] = true
	if c.Image != of.Image {
		c.Image = of.Image
	}
	c.ImagePullPolicy = corev1.PullIfNotPresent
	return of
}

// asked has the kubelet ask a container itself and nobody else: it does so from the node,
// which reaches what a pod does not.
func (a *adopting) asked(title string, c *corev1.Container) {
	own := func(get *corev1.HTTPGetAction, socket *corev1.TCPSocketAction) {
		if get != nil && get.Host != "" || socket != nil && socket.Host != "" {
			a.note(title, "the host that container %s is asked at left out: it is asked itself", cut(c.Name))
		}
		if get != nil {
			get.Host = ""
		}
		if socket != nil {
			socket.Host = ""
		}
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		if probe != nil {
			own(probe.HTTPGet, probe.TCPSocket)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for _, handler := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
		if handler != nil {
			own(handler.HTTPGet, handler.TCPSocket)
		}
	}
}

// containerSecurity lets no container gain privileges.
func (a *adopting) containerSecurity(title string, c *corev1.Container) {
	s := c.SecurityContext
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	if s.Privileged != nil && *s.Privileged {
		a.note(title, "container %s is not privileged", cut(c.Name))
	}
	if s.Capabilities != nil && len(s.Capabilities.Add) > 0 {
		a.note(title, "container %s gets no capabilities", cut(c.Name))
	}
	s.Privileged, s.AllowPrivilegeEscalation, s.ProcMount = ptr(false), ptr(false), nil
	s.SELinuxOptions, s.WindowsOptions, s.AppArmorProfile, s.SeccompProfile, s.Capabilities = nil, nil, nil, nil, nil
	if a.restricted() {
		s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		s.RunAsNonRoot = nil // the pod says so
		if s.RunAsUser != nil && *s.RunAsUser == 0 {
			a.note(title, "runAsUser 0 of container %s left out: nothing runs as root", cut(c.Name))
			s.RunAsUser = nil
		}
	}
	c.SecurityContext = s
}

// env takes what comes from secrets: a namespace may hold some that are not the chart's,
// such as the one that images are pulled with.
func (a *adopting) env(title string, c *corev1.Container) {
	var vars []corev1.EnvVar
	for _, v := range c.Env {
		if v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil {
			a.note(title, "variable %s left out: nothing of a secret is read", cut(v.Name))
			continue
		}
		vars = append(vars, v)
	}
	c.Env = vars
	var from []corev1.EnvFromSource
	for _, f := range c.EnvFrom {
		if f.SecretRef != nil {
			a.note(title, "variables of secret %s left out: nothing of a secret is read", cut(f.SecretRef.Name))
			continue
		}
		from = append(from, f)
	}
	c.EnvFrom = from
}

// volumes leaves what the environment itself holds; all else is scratch space, so that
// what is mounted can be.
func (a *adopting) volumes(title string, p *corev1.PodSpec) {
	for i := range p.Volumes {
		v := &p.Volumes[i]
		switch {
		case v.ConfigMap != nil && only(v.VolumeSource, corev1.VolumeSource{ConfigMap: v.ConfigMap}):
		case v.DownwardAPI != nil && only(v.VolumeSource, corev1.VolumeSource{DownwardAPI: v.DownwardAPI}):
		case v.Projected != nil && only(v.VolumeSource, corev1.VolumeSource{Projected: v.Projected}) && harmless(v.Projected):
		case v.EmptyDir != nil && only(v.VolumeSource, corev1.VolumeSource{EmptyDir: v.EmptyDir}):
			if v.EmptyDir.SizeLimit == nil || v.EmptyDir.SizeLimit.Sign() <= 0 {
				v.EmptyDir.SizeLimit = scratch().EmptyDir.SizeLimit
			}
		default:
			a.note(title, "volume %s is scratch space: pods get files of the environment's ConfigMaps, and of nothing else", cut(v.Name))
			v.VolumeSource = scratch()
		}
	}
}

// harmless says that a projected volume holds no token and nothing of a secret.
func harmless(p *corev1.ProjectedVolumeSource) bool {
	for _, s := range p.Sources {
		if s.Secret != nil || s.ServiceAccountToken != nil || s.ClusterTrustBundle != nil {
			return false
		}
	}
	return true
}

// only says that a volume has no second source.
func only(v, alone corev1.VolumeSource) bool { return v == alone }

// serviceOf is the service whose image a reference names, whatever its tag.
func (a *adopting) serviceOf(reference string) *Service {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil
	}
	for i := range a.in.Services {
		svc := &a.in.Services[i]
		if own, err := name.ParseReference(svc.Image); err == nil && own.Context().Name() == ref.Context().Name() {
			return svc
		}
	}
	return nil
}

func ptr[T any](v T) *T { return &v }
