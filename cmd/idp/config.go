package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret"
)

// Config is everything that an operator can set. This file is its only source:
// a key is added by adding a field here. The field's tags and doc comment give
// its name in the file (and IDP_… in the environment, --… as a flag), its
// default, its help, its row in the README and its place in the JSON Schema.
//
// Tags: key is the name; default the default as one would write it; oneof the
// only values, comma-separated; required what to set a key to that serving cannot
// do without; check a rule of config_rules.go. Doc comments start with the
// field's name and "is" or "are".
type Config struct {
	ServerConfig
	GitHubConfig
	GitOpsConfig
	ArgoCDConfig
	PreviewConfig
	RoutingConfig
	QuotaConfig
}

// ServerConfig is the process: where it listens and what it keeps.
type ServerConfig struct {
	// Listen is the address that webhooks, /healthz and /readyz are served at.
	Listen string `key:"listen" default:":8080" check:"address"`
	// PublicURL is the root of idp's URL as others reach it, such as https://idp.example.com; workflows report
	// images with tokens that are meant for it, and without it they cannot.
	PublicURL string `key:"public_url" check:"url"`
	// TLSCertFile is the file of the certificate, in PEM, that webhooks are served with; it is read again when
	// it changes. Without one a proxy has to speak TLS for idp.
	TLSCertFile string `key:"tls_cert_file"`
	// TLSKeyFile is the file of that certificate's private key, in PEM.
	TLSKeyFile string `key:"tls_key_file"`
	// TrustedProxies are the address ranges, separated by commas, of the proxies in front of idp, whose
	// X-Forwarded-For is believed: senders of webhooks without a good signature are then slowed down each by
	// itself. Addresses of private networks are taken for a proxy's, and are never slowed.
	TrustedProxies []string `key:"trusted_proxies" check:"cidrs"`
	// MetricsListen is the address that /metrics is served at; keep it inside.
	MetricsListen string `key:"metrics_listen" default:":9090" check:"address"`
	// DatabaseURL is the database: sqlite://FILE, relative to the working directory, or
	// sqlite:///ABSOLUTE/FILE, on a local disk, or postgres://USER:PASSWORD@HOST:PORT/DATABASE,
	// PostgreSQL 15 or newer.
	DatabaseURL secret.String `key:"database_url" default:"sqlite://idp.db"`
	// StateDir is the folder of the GitOps clone, which can be made anew at any time; by default
	// idp-state beside the database's file, and with PostgreSQL in the working directory.
	StateDir string `key:"state_dir"`
	// Mode is act, or observe: webhooks are then taken and decided on what is read, and nothing is written to
	// GitHub, the GitOps repository or Argo CD; idp env list shows what would be. It takes a database of its own.
	Mode string `key:"mode" default:"act" oneof:"act,observe"`
	// LogFormat is how log lines are written to standard error.
	LogFormat string `key:"log_format" default:"text" oneof:"text,json"`
	// LogLevel is the least severe level that is logged.
	LogLevel slog.Level `key:"log_level" default:"info" oneof:"debug,info,warn,error"`
	// AuditLog is the file that the audit log is copied to as it grows, a JSON object in each line;
	// - is standard output.
	AuditLog string `key:"audit_log"`
	// DrainTimeout is how long SIGTERM waits for what is under way.
	DrainTimeout time.Duration `key:"drain_timeout" default:"30s"`
}

// observes says that nothing is written but the server's own database.
func (c *Config) observes() bool { return c.Mode == "observe" }

// GitHubConfig is the GitHub App.
type GitHubConfig struct {
	// GitHubAPIURL is the REST API's root, used as it is; https://HOST/api/v3/ on GitHub
	// Enterprise Server.
	GitHubAPIURL string `key:"github_api_url" default:"https://api.github.com/" check:"url"`
	// GitHubAppID is the App's id, a number.
	GitHubAppID int64 `key:"github_app_id" required:"the App ID on the App's settings page"`
	// GitHubWritesPerMinute is the most requests that write to GitHub, for one installation in a minute (GitHub takes 80, and 500 in an hour); 0 is no limit.
	GitHubWritesPerMinute int `key:"github_writes_per_minute" default:"80" check:"natural"`
	// GitHubPrivateKeyFile is the file of the App's private key, in PEM.
	GitHubPrivateKeyFile string `key:"github_private_key_file" required:"the path of the key that the App's settings page generates"`
	// GitHubWebhookSecret are the secrets that deliveries may be signed with, of at least 32 bytes
	// each: one, and a second one while it is rotated.
	GitHubWebhookSecret []secret.String `key:"github_webhook_secret" required:"what \"openssl rand -hex 32\" prints, and enter the same in the App's settings"`
	// GitHubClientID is the App's client id, which people sign in to idp's API with; without it there is no API.
	GitHubClientID string `key:"github_client_id"`
	// GitHubClientSecretFile is the file of a client secret of the App, used to ask GitHub whose a token is.
	GitHubClientSecretFile string `key:"github_client_secret_file"`
}

// GitOpsConfig is the repository that environments are committed to.
type GitOpsConfig struct {
	// GitOpsURL is the GitOps repository: an http, https, ssh or file URL. It may be empty to
	// begin with.
	GitOpsURL string `key:"gitops_url" required:"the repository that Argo CD reads, such as https://github.com/acme/gitops.git"`
	// GitOpsReadURL is the same repository's URL as Argo CD reads it; gitops_url by default.
	GitOpsReadURL string `key:"gitops_read_url"`
	// GitOpsBranch is the branch that is committed to.
	GitOpsBranch string `key:"gitops_branch" default:"main" check:"branch"`
	// GitOpsTokenFile is a file with the token to push with; by default the App's own token is used.
	GitOpsTokenFile string `key:"gitops_token_file"`
	// GitOpsTokenFiles are the files with the tokens for the GitOps repositories that classes name, as
	// URL=FILE, separated by commas; so that who writes previews cannot write production.
	GitOpsTokenFiles []string `key:"gitops_token_files"`
	// GitOpsAppID is the id of a second App, which writes the GitOps repositories with tokens for one of them and
	// Contents write alone, that end within the hour; idp setup github --writer registers one. Where there is neither
	// this nor gitops_token_file, the App of github_app_id writes them.
	GitOpsAppID int64 `key:"gitops_app_id"`
	// GitOpsPrivateKeyFile is the file of that App's private key, in PEM.
	GitOpsPrivateKeyFile string `key:"gitops_private_key_file"`
	// GitOpsApps are the Apps that write the GitOps repositories that classes name, as URL=ID=FILE with the App's
	// id and the file of its private key, separated by commas; so that who writes previews cannot write production.
	GitOpsApps []string `key:"gitops_apps"`
	// PlatformURL is the repository that the platform folder is read from, gitops_url by default; one that idp
	// cannot write keeps policies, teams and classes out of its reach.
	PlatformURL string `key:"platform_url"`
	// PlatformBranch is the branch of platform_url that is read.
	PlatformBranch string `key:"platform_branch" default:"main" check:"branch"`
	// PlatformTokenFile is a file with the token to read platform_url with; by default a token of the App that
	// can only read it is used.
	PlatformTokenFile string `key:"platform_token_file"`
	// GitOpsPushesPerMinute is the most pushes in a minute (GitHub recommends 6 at most for one
	// repository); 0 is no limit.
	GitOpsPushesPerMinute int `key:"gitops_pushes_per_minute" default:"6" check:"natural"`
}

// ArgoCDConfig is the Argo CD that syncs the repository. Without its URL the
// story of a preview ends at "committed".
type ArgoCDConfig struct {
	// ArgoCDURL is the root of Argo CD's API, such as https://argocd.example.com.
	ArgoCDURL string `key:"argocd_url" check:"url"`
	// ArgoCDToken is an API token whose account may get applications, and nothing more; where
	// log lines shall be shown, logs as well (idp bootstrap --logs).
	ArgoCDToken secret.String `key:"argocd_token"`
	// ArgoCDTokenFiles are the files with the tokens for the Argo CDs that classes name
	// (argocd_url), as URL=FILE, separated by commas; idp asks no other.
	ArgoCDTokenFiles []string `key:"argocd_token_files"`
	// ArgoCDNamespace is the namespace that ApplicationSets live in.
	ArgoCDNamespace string `key:"argocd_namespace" default:"argocd" check:"name"`
	// ArgoCDRoot is the Application that syncs the applicationsets folder; it is refreshed when an
	// environment comes or goes.
	ArgoCDRoot string `key:"argocd_root" default:"idp-root" check:"name"`
	// ArgoCDProject is the AppProject that previews belong to.
	ArgoCDProject string `key:"argocd_project" default:"idp-previews" check:"name"`
	// RolloutTimeout is how long Argo CD may take to bring a commit to health before its check fails.
	RolloutTimeout time.Duration `key:"rollout_timeout" default:"15m"`
	// ArgoCDDestination is the API server of the cluster that previews run on, as Argo CD knows it.
	ArgoCDDestination string `key:"argocd_destination" default:"https://kubernetes.default.svc" check:"url"`
}

// PreviewConfig is which pull requests get what, for how long, and how it is told.
type PreviewConfig struct {
	// PreviewDomain is the DNS zone of preview hosts.
	PreviewDomain string `key:"preview_domain" default:"preview.localhost" check:"domain"`
	// PreviewHost is the template of a service's host, of {service} {env} {hash} {repo} {owner} {zone}; {hash} has to be in it, since it keeps two repositories' hosts apart.
	PreviewHost string `key:"preview_host" default:"{service}-{env}-{hash}.{zone}" check:"host"`
	// PreviewTTL is how long a preview lives after the last push.
	PreviewTTL time.Duration `key:"preview_ttl" default:"72h"`
	// PreviewMaxTTL is how far from now /idp extend may move the end.
	PreviewMaxTTL time.Duration `key:"preview_max_ttl" default:"14d"`
	// PreviewWarnBefore is how long ahead of its end a preview's pull request is told.
	PreviewWarnBefore time.Duration `key:"preview_warn_before" default:"1h"`
	// PreviewImage is the template of the image of a service that names none, of {owner} {repo}
	// {service} {sha} {short_sha} {merge_sha} {short_merge_sha} {pr} {env}.
	PreviewImage string `key:"preview_image" default:"ghcr.io/{owner}/{repo}:{sha}" check:"image"`
	// PreviewComment is when the pull request's comment is written.
	PreviewComment platform.CommentMode `key:"preview_comment" default:"sticky" oneof:"sticky,on-failure,off"`
	// PreviewLogs is where the last log lines of what fails are shown: where the repository is
	// private, always, or never.
	PreviewLogs platform.ShowMode `key:"preview_logs" default:"private" oneof:"private,always,never"`
	// PreviewDiffs is where it is shown what changes in the manifests, in which the values of variables are:
	// where the repository is private, always, or never.
	PreviewDiffs platform.ShowMode `key:"preview_diffs" default:"private" oneof:"private,always,never"`
	// PreviewAccess is who gets to see previews where access of platform/classes/preview.yaml says nothing of
	// it: guarded, only what something stands in front of, so that others get no address; or public, everybody.
	PreviewAccess string `key:"preview_access" default:"guarded" oneof:"guarded,public"`
	// PreviewBots is what a bot's pull request needs for a preview: the label, or nothing more
	// than a person's.
	PreviewBots string `key:"preview_bots" default:"label" oneof:"label,auto"`
	// ImageCheck is whether a preview waits until its images exist, and is pinned to their digests.
	ImageCheck string `key:"image_check" default:"wait" oneof:"wait,off"`
	// ImageTimeout is how long an image may take to appear.
	ImageTimeout time.Duration `key:"image_timeout" default:"30m"`
	// ImagesDockerConfigFile is a Docker config.json with the credentials to look for images with,
	// per registry; by default Docker's own. A registry inside the network is asked only where it
	// is in this file, in the image of a class or among the registries of the policies.
	ImagesDockerConfigFile string `key:"images_docker_config_file"`
	// ReapSchedule is when expired previews are looked for, as a cron expression.
	ReapSchedule string `key:"reap_schedule" default:"@every 1m" check:"schedule"`
	// SweepSchedule is when missed deliveries and pull requests are looked for, as a cron expression.
	SweepSchedule string `key:"sweep_schedule" default:"@every 10m" check:"schedule"`
}

// RoutingConfig is how traffic reaches a preview, and where one may go.
type RoutingConfig struct {
	// Routing is the API that publishes a service at its host.
	Routing platform.RoutingKind `key:"routing" default:"HTTPRoute" oneof:"HTTPRoute,Ingress"`
	// GatewayName is the Gateway that an HTTPRoute attaches to.
	GatewayName string `key:"gateway_name" default:"previews" check:"name"`
	// GatewayNamespace is the Gateway's namespace.
	GatewayNamespace string `key:"gateway_namespace" default:"gateway" check:"name"`
	// GatewaySection is the Gateway's listener; every listener that fits by default.
	GatewaySection string `key:"gateway_section" check:"name"`
	// GatewayAddress is HOST:PORT of the Gateway or ingress controller. Where it is set, a preview is
	// called ready once each web service answers at its host there: 2xx on its health path, or
	// 3xx, 401 or 403 where access guards previews; where it declares none, less than 500 on /. One that has no address is not asked.
	GatewayAddress string `key:"gateway_address" check:"address"`
	// GatewayTLS is whether gateway_address speaks TLS, with a certificate for the hosts.
	GatewayTLS string `key:"gateway_tls" default:"on" oneof:"on,off"`
	// IngressClass is the class of an Ingress; the cluster's default class by default.
	IngressClass string `key:"ingress_class" check:"name"`
	// TLSSecret is the Secret, in every preview's namespace, with the zone's wildcard certificate;
	// by default the controller's own is used.
	TLSSecret string `key:"tls_secret" check:"name"`
	// RoutingNamespace is the namespace that traffic enters from, which network policies let in;
	// gateway_namespace by default.
	RoutingNamespace string `key:"routing_namespace" check:"name"`
	// ImagePullSecret is the Secret that the platform puts into every preview's namespace to pull
	// images with.
	ImagePullSecret string `key:"image_pull_secret" check:"name"`
	// PodSecurity is the Pod Security Standard that is enforced on previews.
	PodSecurity string `key:"pod_security" default:"restricted" oneof:"restricted,baseline,privileged"`
	// NodePlatforms are what the cluster's nodes are, such as linux/amd64: an image that lacks one
	// of them is not committed, and people are told. Without any, images of every kind are.
	NodePlatforms []string `key:"node_platforms" check:"platforms"`
	// EgressCIDRs are the destinations that previews may reach beside DNS and their own namespace,
	// such as 0.0.0.0/0 for the internet; private ranges within them stay denied unless listed
	// themselves.
	EgressCIDRs []string `key:"egress_cidrs" check:"cidrs"`
	// EgressDeniedCIDRs are denied even within egress_cidrs, such as the public addresses of
	// the cluster's API server and of Argo CD.
	EgressDeniedCIDRs []string `key:"egress_denied_cidrs" check:"cidrs"`
}

// QuotaConfig bounds one preview.
type QuotaConfig struct {
	// QuotaCPU is the sum of the CPU limits of a preview's containers.
	QuotaCPU string `key:"quota_cpu" default:"4" check:"quantity"`
	// QuotaMemory is the sum of the memory limits of a preview's containers.
	QuotaMemory string `key:"quota_memory" default:"8Gi" check:"quantity"`
	// QuotaEphemeralStorage is the sum of the scratch space limits of a preview's containers.
	QuotaEphemeralStorage string `key:"quota_ephemeral_storage" default:"20Gi" check:"quantity"`
	// QuotaPods is the most pods that a preview may have.
	QuotaPods int64 `key:"quota_pods" default:"20" check:"positive"`
	// QuotaMaxReplicas is the most replicas that one service of a preview may have.
	QuotaMaxReplicas int32 `key:"quota_max_replicas" default:"3" check:"positive"`
	// QuotaDefaultCPURequest is the CPU request of a container that names none.
	QuotaDefaultCPURequest string `key:"quota_default_cpu_request" default:"50m" check:"quantity"`
	// QuotaDefaultCPU is the CPU limit of a container that names none.
	QuotaDefaultCPU string `key:"quota_default_cpu" default:"500m" check:"quantity"`
	// QuotaDefaultMemoryRequest is the memory request of a container that names none.
	QuotaDefaultMemoryRequest string `key:"quota_default_memory_request" default:"128Mi" check:"quantity"`
	// QuotaDefaultMemory is the memory limit of a container that names none.
	QuotaDefaultMemory string `key:"quota_default_memory" default:"512Mi" check:"quantity"`
	// QuotaDefaultEphemeralStorage is the limit of scratch space of a container that names none.
	QuotaDefaultEphemeralStorage string `key:"quota_default_ephemeral_storage" default:"1Gi" check:"quantity"`
}

// Class returns the class that all previews have where no platform folder
// declares any.
func (c *Config) Class() platform.Class {
	var gateway *platform.Gateway
	if c.GatewayAddress != "" {
		gateway = &platform.Gateway{Address: c.GatewayAddress, TLS: c.GatewayTLS == "on"}
	}
	var gate *platform.Gate
	if c.PreviewAccess == "public" {
		gate = &platform.Gate{Public: true}
	}
	return platform.Class{
		Name:              "preview",
		RepoURL:           c.GitOpsReadURL,
		PushURL:           c.GitOpsURL,
		Branch:            c.GitOpsBranch,
		ArgoCDURL:         strings.TrimRight(c.ArgoCDURL, "/"),
		ArgoCDNamespace:   c.ArgoCDNamespace,
		Project:           c.ArgoCDProject,
		DestinationServer: c.ArgoCDDestination,
		Zone:              c.PreviewDomain,
		HostTemplate:      c.PreviewHost,
		ImageTemplate:     c.PreviewImage,
		Routing: platform.Routing{
			Kind:        c.Routing,
			GatewayName: c.GatewayName, GatewayNamespace: c.GatewayNamespace, SectionName: c.GatewaySection,
			IngressClass: c.IngressClass, TLSSecret: c.TLSSecret,
			ControllerNamespace: c.RoutingNamespace,
		},
		ImagePullSecret: c.ImagePullSecret, NodePlatforms: c.NodePlatforms,
		PodSecurity: c.PodSecurity,
		TTL:         c.PreviewTTL, MaxTTL: c.PreviewMaxTTL, WarnBefore: c.PreviewWarnBefore,
		Quota: platform.Quota{
			CPU: c.QuotaCPU, Memory: c.QuotaMemory, Pods: c.QuotaPods, MaxReplicas: c.QuotaMaxReplicas,
			DefaultCPURequest: c.QuotaDefaultCPURequest, DefaultCPU: c.QuotaDefaultCPU,
			DefaultMemoryRequest: c.QuotaDefaultMemoryRequest, DefaultMem: c.QuotaDefaultMemory,
			EphemeralStorage: c.QuotaEphemeralStorage, DefaultEphemeral: c.QuotaDefaultEphemeralStorage,
		},
		EgressCIDRs: c.EgressCIDRs, EgressDeniedCIDRs: c.EgressDeniedCIDRs,
		BotPreviews: c.PreviewBots == "auto",
		Comment:     c.PreviewComment,
		Logs:        c.PreviewLogs,
		Diffs:       c.PreviewDiffs,
		Gateway:     gateway,
		Gate:        gate,
	}
}
