// Package platform holds what the platform team declares and idp only reads.
//
// A Class binds a kind of environment to where and how it runs, and an Environment
// is a long-lived one that repositories deploy to, with who may deploy what. Teams
// says which team owns which repository, and Charts are kept for them, pinned. Load reads them from the platform folder of the GitOps repository, strictly and with
// every mistake at once. Without a platform folder there is one class, built from
// the server's configuration, and no environment beside previews.
//
// The package does no input or output and keeps no state.
package platform

import (
	"time"

	"github.com/idp-bot/idp/gitops/provenance"
)

// Class is everything about an environment that its repository has no say in.
type Class struct {
	Name string

	// RepoURL is the GitOps repository's URL as Argo CD reads it; Branch its branch.
	RepoURL, Branch string
	// PushURL is the URL that idp pushes to, as far as that is known. Mode is how a change gets onto the branch, ModePush where it is "".
	PushURL string
	Mode    Mode
	// ArgoCDURL is the root of the API of the Argo CD that follows Branch, without a slash at
	// its end; "" where there is none.
	ArgoCDURL string
	// ArgoCDNamespace is where ApplicationSets live; Project the AppProject of
	// every Application; DestinationServer the cluster's API URL.
	ArgoCDNamespace, Project, DestinationServer string
	// Root is the Application that syncs the lists of environments of the class, "" for
	// that of the server's configuration.
	Root string

	// Zone is the DNS zone of preview hosts; HostTemplate how a host is made of it.
	Zone, HostTemplate string
	// ImageTemplate is the image of a service that names none.
	ImageTemplate string

	Routing Routing
	// ImagePullSecret is the name of a Secret that the platform puts into every
	// preview namespace; "" for none.
	ImagePullSecret string
	// NodePlatforms is what the cluster's nodes are, such as linux/amd64: images have to be
	// there for each of them. None asks nothing of images.
	NodePlatforms []string `json:",omitempty"`
	// PodSecurity is the Pod Security Standard enforced on the namespace.
	PodSecurity string

	// TTL is the default time to live of a preview and counts from the last push.
	// MaxTTL is how far from now an expiry may be moved. WarnBefore is how long ahead of
	// expiry the pull request is told.
	TTL, MaxTTL, WarnBefore time.Duration

	Quota Quota
	// EgressCIDRs are destinations that previews may reach beside DNS and their
	// own namespace. Private ranges are denied unless listed here.
	EgressCIDRs []string
	// EgressDeniedCIDRs are denied even inside what EgressCIDRs lists, such as the
	// public addresses of the cluster's API server and of Argo CD.
	EgressDeniedCIDRs []string

	// BotPreviews gives pull requests of bots previews without a label.
	BotPreviews bool
	// Comment says when the pull request's comment is written.
	Comment CommentMode

	// PrometheusAddress is the root of the Prometheus that rollouts are judged by, ""
	// for none. The queries are templates of {service} {namespace} {canary_hash}, each
	// for a vector: ErrorRateQuery gives the share of failed requests, 0 to 1;
	// ReadyQuery 1 where a pod of the revision is ready, else 0 ("" for
	// DefaultReadyQuery).
	PrometheusAddress, ErrorRateQuery, ReadyQuery string
	// Logs says where log lines of what fails are shown.
	Logs ShowMode
	// Diffs says where it is shown what changes in the manifests, which have the values of
	// environment variables in them.
	Diffs ShowMode
	// Gateway is where its hosts answer; nil where nobody asks whether they do.
	Gateway *Gateway
	// Objects are what its environments get beside what idp makes, by how far their code is
	// trusted.
	Objects []BaseObjects `json:",omitempty"`
	// Gate is what stands in front of its previews; nil where nobody said anything of it, and
	// then no route leads into them but where its objects guard every one.
	Gate *Gate `json:",omitempty"`
	// Provenance is what the images of declared environments have to prove of their build;
	// nil where nothing is asked.
	Provenance *Provenance `json:",omitempty"`
}

// Provenance is what the attestation of an image has to name beside the repository, its
// default branch and the commit.
type Provenance struct {
	// Workflow is a file of the repository, Issuer the URL of who vouches for workflows.
	Workflow, Issuer string
	// Roots are what is believed.
	Roots provenance.Roots `json:"-"`
}

// Gateway is the address that a class's hosts are asked at, whatever they resolve to.
type Gateway struct {
	// Address is HOST:PORT; TLS says that it speaks it.
	Address string
	TLS     bool
}

// ShowMode says where something is shown in pull requests.
type ShowMode string

// The modes of logs and diffs; ShowPrivate, the default, shows them where the repository
// is private, since whoever reads it may then read what its code writes and is given.
const (
	ShowPrivate ShowMode = "private"
	ShowAlways  ShowMode = "always"
	ShowNever   ShowMode = "never"
)

// ShowsLogs says whether log lines are shown in a repository.
func (c Class) ShowsLogs(private bool) bool { return c.Logs.in(private) }

// ShowsDiffs says whether what changes in the manifests is shown in a repository.
func (c Class) ShowsDiffs(private bool) bool { return c.Diffs.in(private) }

func (m ShowMode) in(private bool) bool { return m == ShowAlways || m == ShowPrivate && private }

// Mode is how a change gets onto the branch of the GitOps repository.
type Mode string

// The modes; ModePush is the default.
const (
	ModePush        Mode = "push"
	ModePullRequest Mode = "pull_request"
)

// DefaultReadyQuery asks kube-state-metrics whether any pod of the revision is ready.
const DefaultReadyQuery = `max(kube_pod_status_ready{namespace="{namespace}",pod=~"{service}-{canary_hash}-.*",condition="true"})`

// CommentMode says when the sticky comment is written.
type CommentMode string

// The comment modes; CommentSticky is the default.
const (
	CommentSticky    CommentMode = "sticky"
	CommentOnFailure CommentMode = "on-failure"
	CommentOff       CommentMode = "off"
)

// RoutingKind is the API that publishes a web service at its host.
type RoutingKind string

// The routing kinds; HTTPRoute is the default.
const (
	HTTPRoute RoutingKind = "HTTPRoute"
	Ingress   RoutingKind = "Ingress"
)

// Routing says how a host reaches its Service.
type Routing struct {
	Kind RoutingKind
	// GatewayName, GatewayNamespace and SectionName are the HTTPRoute's parent.
	GatewayName, GatewayNamespace, SectionName string
	// IngressClass is the Ingress's class; TLSSecret the Secret with the zone's
	// wildcard certificate ("" where the controller has a default certificate).
	IngressClass, TLSSecret string
	// ControllerNamespace is the namespace that traffic enters from; the network
	// policy lets it in. The Gateway's namespace when empty.
	ControllerNamespace string
}

// Quota bounds one preview: the ResourceQuota, the LimitRange's defaults and the
// most replicas a service may ask for. Quantities are Kubernetes quantities.
type Quota struct {
	CPU, Memory                        string
	Pods                               int64
	DefaultCPURequest, DefaultCPU      string
	DefaultMemoryRequest, DefaultMem   string
	EphemeralStorage, DefaultEphemeral string
	MaxReplicas                        int32
}
