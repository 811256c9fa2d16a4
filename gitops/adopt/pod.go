package adopt

import (
	"slices"
	"strconv"
	"strings"

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
func (a *adopting) pod(t *corev1.PodTemplateSpec) *Service {
	t.ObjectMeta = said(t.ObjectMeta)
	t.Name = ""
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	a.own(t.Labels)
	p := &t.Spec
	host(p)
	scheduling(p)
	p.ServiceAccountName, p.DeprecatedServiceAccount = render.AccountName, ""
	p.AutomountServiceAccountToken = ptr(false)
	p.ImagePullSecrets = nil // the environment's account has the class's
	a.podSecurity(p)
	volumes(p)
	p.EphemeralContainers = nil
	var of *Service
	for i := range p.InitContainers {
		a.container(&p.InitContainers[i])
	}
	for i := range p.Containers {
		if svc := a.container(&p.Containers[i]); of == nil {
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
func host(p *corev1.PodSpec) {
	p.HostNetwork, p.HostPID, p.HostIPC = false, false, false
	if p.HostUsers != nil && *p.HostUsers {
		p.HostUsers = nil // users of its own keep it apart
	}
	p.HostAliases = nil
	if p.DNSPolicy == corev1.DNSClusterFirstWithHostNet {
		p.DNSPolicy = corev1.DNSClusterFirst
	}
}

// scheduling leaves to the cluster where pods run and before which others.
func scheduling(p *corev1.PodSpec) {
	p.NodeName, p.NodeSelector, p.Affinity, p.Tolerations, p.PriorityClassName, p.Priority = "", nil, nil, nil, "", nil
	p.RuntimeClassName, p.SchedulerName, p.TopologySpreadConstraints, p.ResourceClaims = nil, "", nil, nil
	p.Overhead, p.PreemptionPolicy, p.SchedulingGates, p.ReadinessGates = nil, nil, nil, nil
}

// podSecurity holds a pod to the class's Pod Security Standard.
func (a *adopting) podSecurity(p *corev1.PodSpec) {
	s := p.SecurityContext
	if s == nil {
		s = &corev1.PodSecurityContext{}
	}
	s.Sysctls, s.SELinuxOptions, s.WindowsOptions, s.AppArmorProfile = nil, nil, nil, ownAppArmor(s.AppArmorProfile)
	s.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	if a.restricted() {
		s.RunAsNonRoot = ptr(true)
		s.RunAsUser = notRoot(s.RunAsUser)
	}
	p.SecurityContext = s
}

// ownAppArmor and ownSeccomp leave the container runtime's own profile, which confines; any
// other may allow more.
func ownAppArmor(p *corev1.AppArmorProfile) *corev1.AppArmorProfile {
	if p == nil || p.Type != corev1.AppArmorProfileTypeRuntimeDefault {
		return nil
	}
	return &corev1.AppArmorProfile{Type: p.Type}
}

func ownSeccomp(p *corev1.SeccompProfile) *corev1.SeccompProfile {
	if p == nil || p.Type != corev1.SeccompProfileTypeRuntimeDefault {
		return nil
	}
	return &corev1.SeccompProfile{Type: p.Type}
}

// notRoot is a user who is not root.
func notRoot(user *int64) *int64 {
	if user != nil && *user == 0 {
		return nil
	}
	return user
}

func (a *adopting) restricted() bool { return a.in.Class.PodSecurity == platform.Restricted }

// container makes a container one that may run, and returns the service whose image it
// has, nil for none.
func (a *adopting) container(c *corev1.Container) *Service {
	a.containerSecurity(c)
	for i := range c.Ports {
		c.Ports[i].HostPort, c.Ports[i].HostIP = 0, ""
	}
	c.VolumeDevices, c.Resources.Claims = nil, nil
	a.resources(c)
	env(c)
	asked(c)
	of := a.serviceOf(c.Image)
	if of == nil {
		a.pin(c)
		return nil
	}
	a.placed[of.Name] = true
	if c.Image != of.Image {
		c.Image = of.Image
	}
	c.ImagePullPolicy = corev1.PullIfNotPresent
	return of
}

// pin gives an image of no service its digest, where that is known.
func (a *adopting) pin(c *corev1.Container) {
	switch digest := a.in.Pins[c.Image]; {
	case strings.Contains(c.Image, "@"):
	case digest != "":
		c.Image += "@" + digest
	case c.Image != "" && len(c.Image) <= maxReference: // no registry has a longer one
		a.unpinned[c.Image] = true
	}
}

// asked has the kubelet ask a container itself and nobody else: it does so from the node,
// which reaches what a pod does not.
func asked(c *corev1.Container) {
	own := func(get *corev1.HTTPGetAction, socket *corev1.TCPSocketAction) {
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

// containerSecurity lets no container gain privileges, and leaves it what confines it more.
func (a *adopting) containerSecurity(c *corev1.Container) {
	s := c.SecurityContext
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	s.Privileged, s.AllowPrivilegeEscalation, s.ProcMount = ptr(false), ptr(false), nil
	s.SELinuxOptions, s.WindowsOptions = nil, nil
	s.AppArmorProfile, s.SeccompProfile = ownAppArmor(s.AppArmorProfile), ownSeccomp(s.SeccompProfile)
	s.Capabilities = dropping(s.Capabilities)
	if a.restricted() {
		s.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		s.RunAsNonRoot = nil // the pod says so
		s.RunAsUser = notRoot(s.RunAsUser)
	}
	c.SecurityContext = s
}

// dropping are the capabilities that are dropped; none is added.
func dropping(c *corev1.Capabilities) *corev1.Capabilities {
	if c == nil || len(c.Drop) == 0 {
		return nil
	}
	return &corev1.Capabilities{Drop: c.Drop}
}

// env leaves out what comes from secrets: a namespace may hold some that are not the chart's,
// such as the one that images are pulled with.
func env(c *corev1.Container) {
	c.Env = slices.DeleteFunc(c.Env, func(v corev1.EnvVar) bool { return v.ValueFrom != nil && v.ValueFrom.SecretKeyRef != nil })
	c.EnvFrom = slices.DeleteFunc(c.EnvFrom, func(f corev1.EnvFromSource) bool { return f.SecretRef != nil })
}

// volumes leaves what the environment itself holds; all else is scratch space, so that
// what is mounted can be.
func volumes(p *corev1.PodSpec) {
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
