package platform

import "github.com/idp-bot/idp/gitops/spec"

// The types of this file are the files of the platform folder as they are written.
// Their comments are the descriptions of the JSON Schemas, so they speak to the
// platform team; their tags are both the schemas' keywords and what Load holds the
// files to.

// environmentsFile is platform/environments.yaml: the long-lived environments that repositories deploy to, and who may do what with them and with previews.
type environmentsFile struct {
	// Who may run commands about previews; everybody with write permission when left out.
	Previews *previewsBlock `json:"previews"`
	// The environments by name, such as staging: lower-case letters, digits and "-", at most 40. Each repository that deploys to one gets a namespace of its own.
	Environments map[string]*environmentBlock `json:"environments"`
}

// environmentBlock is one environment: where it is, and who may deploy to it what.
type environmentBlock struct {
	// The class it has, a file of platform/classes without ".yaml"; the server's own configuration when left out.
	Class string `json:"class" jsonschema:"minLength=1,maxLength=40,example=durable"`
	// The name of a repository's namespace, of {repo} {owner} {env} {hash}. It begins with "idp-" and has {hash} in it.
	Namespace string `json:"namespace" jsonschema:"minLength=1,maxLength=63,pattern=^idp-.*\\{hash\\},default=idp-{repo}-{env}-{hash}"`
	// The least permission for the repository at GitHub that deploying takes.
	Permission string `json:"permission" jsonschema:"enum=write,enum=maintain,enum=admin,default=write"`
	// The only people who may deploy, by their login at GitHub, or LOGIN#ID to bind it to an account, beside the permission and the members of teams; everybody who has the permission when both are left out.
	Users []string `json:"users" jsonschema:"minLength=1,maxLength=120,minItems=1,maxItems=200"`
	// The only teams whose members may deploy, by their slug in the repository's organisation, beside the permission and the users.
	Teams []string `json:"teams" jsonschema:"minLength=1,maxLength=100,minItems=1,maxItems=50"`
	// What differs for single commands. Those that only look (diff, logs, status) take no more than write permission unless they stand here.
	Actions *environmentActions `json:"actions"`
	// The check runs and commit statuses, by name, that have to be green at the commit.
	Checks []string `json:"checks" jsonschema:"minLength=1,maxLength=200,minItems=1,maxItems=50"`
	// Take only commits of the default branch, with every required check green.
	Protected bool `json:"protected" jsonschema:"default=false"`
	// Deploy only after somebody else than who asked and who wrote it has approved the commit.
	Approval bool `json:"approval" jsonschema:"default=false"`
	// Deploy what is merged to the default branch without being asked.
	AutoDeploy bool `json:"auto_deploy" jsonschema:"default=false"`
	// Whether log lines are shown: where the repository is private, always or never; the class's when left out.
	Logs string `json:"logs" jsonschema:"enum=private,enum=always,enum=never,default=private"`
	// How long a deployment may take until it is healthy; the server's rollout_timeout when left out.
	RolloutTimeout *spec.Span `json:"rollout_timeout" jsonschema:"example=30m"`
	// The repositories that have files and Applications of their own here: a deployment changes values in those files, and nothing is rendered. Only what stands here is ever changed; a deploy.yaml has no say in it.
	Update []*updateBlock `json:"update" jsonschema:"minItems=1,maxItems=500"`
}

// updateBlock is a repository whose deployments change values in files that are there already.
type updateBlock struct {
	// GitHub's id of it, which outlives renames: "gh api repos/OWNER/NAME --jq .id" prints it.
	ID *int64 `json:"id" jsonschema:"required,minimum=1,maximum=9007199254740991"`
	// Its name as OWNER/NAME, for readers.
	Name string `json:"name" jsonschema:"minLength=3,maxLength=140,example=acme/web"`
	// Its services by their name in its deploy.yaml. Others of it are not deployed here.
	Services map[string]*updatedBlock `json:"services"`
}

// updatedBlock is a service, and what a deployment of it changes.
type updatedBlock struct {
	// The Application in Argo CD that reads the files, which idp watches and refreshes, and never changes or removes.
	Application string `json:"application" jsonschema:"required,minLength=1,maxLength=253,example=web-staging"`
	// What is changed: all of it in one commit.
	Fields []*fieldBlock `json:"fields" jsonschema:"required,minItems=1,maxItems=20"`
}

// fieldBlock is one value of a YAML file, which has to be there already.
type fieldBlock struct {
	// The file, from the root of the class's GitOps repository.
	File string `json:"file" jsonschema:"required,minLength=1,maxLength=512,pattern=^[^/].*\\.(yaml|yml|json)$,example=apps/web/staging/values.yaml"`
	// Which object of the file is meant, as Kind/name, where it has several.
	Object string `json:"object" jsonschema:"minLength=3,maxLength=320,pattern=^[A-Za-z0-9]+/[^/]+$,example=Deployment/web"`
	// Where the value stands: keys with dots between them, [key=value] for the item of a list, and ["key"] for a key that has dots.
	Field string `json:"field" jsonschema:"required,minLength=1,maxLength=512,example=spec.template.spec.containers[name=web].image"`
	// What is written: the image by its digest, its repository, tag or digest alone, both of these for charts that put ":" before a tag, or the full commit.
	Set string `json:"set" jsonschema:"enum=image,enum=repository,enum=tag,enum=digest,enum=tag@digest,enum=commit,default=image"`
}

// previewsBlock is who may run commands about previews.
type previewsBlock struct {
	// The least permission for the repository at GitHub that commands about its previews take.
	Permission string `json:"permission" jsonschema:"enum=write,enum=maintain,enum=admin,default=write"`
	// The only people who may, by their login at GitHub, or LOGIN#ID to bind it to an account, beside the permission and the members of teams.
	Users []string `json:"users" jsonschema:"minLength=1,maxLength=120,minItems=1,maxItems=200"`
	// The only teams whose members may, by their slug in the repository's organisation, beside the permission and the users.
	Teams []string `json:"teams" jsonschema:"minLength=1,maxLength=100,minItems=1,maxItems=50"`
	// What differs for single commands. Those that only look (logs, status) take no more than write permission unless they stand here.
	Actions *previewActions `json:"actions"`
}

// environmentActions are the commands about a long-lived environment, by name.
type environmentActions struct {
	// Who may deploy to it.
	Deploy *changeRule `json:"deploy"`
	// Who may promote to it.
	Promote *changeRule `json:"promote"`
	// Who may go back to a healthy release.
	Rollback *changeRule `json:"rollback"`
	// Who may stop what is rolling out.
	Abort *changeRule `json:"abort"`
	// Who may roll out again what failed.
	Retry *changeRule `json:"retry"`
	// Who may let a commit go that waits for an approval; never who asked for it or wrote it.
	Approve *changeRule `json:"approve"`
	// Who may keep it as it is.
	Lock *changeRule `json:"lock"`
	// Who may give it free.
	Unlock *changeRule `json:"unlock"`
	// Who may see what a deployment would change.
	Diff *changeRule `json:"diff"`
	// Who may read the last lines that its services wrote, where they are shown at all.
	Logs *lookRule `json:"logs"`
	// Who may ask how it is.
	Status *lookRule `json:"status"`
}

// previewActions are the commands about a preview, by name.
type previewActions struct {
	// Who may bring one up.
	Preview *changeRule `json:"preview"`
	// Who may let one live longer.
	Extend *changeRule `json:"extend"`
	// Who may keep one until the pull request is closed.
	Pin *changeRule `json:"pin"`
	// Who may give a pinned one its time to live again.
	Unpin *changeRule `json:"unpin"`
	// Who may take one away.
	Destroy *changeRule `json:"destroy"`
	// Who may let a commit go that waits for an approval.
	Approve *changeRule `json:"approve"`
	// Who may read the last lines that its services wrote, where they are shown at all.
	Logs *lookRule `json:"logs"`
	// Who may ask how it is.
	Status *lookRule `json:"status"`
}

// changeRule is who may run a command that changes something, or shows what others need not see. Users and teams that stand here take the place of all that stand outside; what is left out stays as it is there.
type changeRule struct {
	// The least permission for the repository at GitHub.
	Permission string `json:"permission" jsonschema:"enum=write,enum=maintain,enum=admin"`
	// The only people who may, beside the members of teams.
	Users []string `json:"users" jsonschema:"minLength=1,maxLength=120,minItems=1,maxItems=200"`
	// The only teams whose members may, beside the users.
	Teams []string `json:"teams" jsonschema:"minLength=1,maxLength=100,minItems=1,maxItems=50"`
}

// lookRule is who may run a command that only looks: everybody with write permission, where nothing else stands here.
type lookRule struct {
	// The least permission for the repository at GitHub. On a public repository everybody has read.
	Permission string `json:"permission" jsonschema:"enum=read,enum=triage,enum=write,enum=maintain,enum=admin,default=write"`
	// The only people who may, beside the members of teams.
	Users []string `json:"users" jsonschema:"minLength=1,maxLength=120,minItems=1,maxItems=200"`
	// The only teams whose members may, beside the users.
	Teams []string `json:"teams" jsonschema:"minLength=1,maxLength=100,minItems=1,maxItems=50"`
}

// teamsFile is platform/teams.yaml: which team owns which repository.
type teamsFile struct {
	// Let a repository that no team lists here name no team in its deploy.yaml.
	Strict bool `json:"strict" jsonschema:"default=false"`
	// The teams by name, as a deploy.yaml names them.
	Teams map[string]*teamBlock `json:"teams"`
}

// teamBlock is one team and what it owns.
type teamBlock struct {
	// The repositories that it owns; each belongs to one team.
	Repositories []*repositoryBlock `json:"repositories" jsonschema:"minItems=1,maxItems=2000"`
	// The team at GitHub, as ORGANISATION/SLUG, for readers to know whom to ask.
	GitHub string `json:"github" jsonschema:"minLength=3,maxLength=140,pattern=^[A-Za-z0-9-]+/[a-z0-9_.-]+$,example=acme/payments"`
}

// repositoryBlock is one repository.
type repositoryBlock struct {
	// GitHub's id of it, which outlives renames: "gh api repos/OWNER/NAME --jq .id" prints it.
	ID *int64 `json:"id" jsonschema:"required,minimum=1,maximum=9007199254740991"`
	// Its name as OWNER/NAME, for readers.
	Name string `json:"name" jsonschema:"minLength=3,maxLength=140,example=acme/payments-api"`
}

// classFile is a file of platform/classes: what differs for the environments of a class from the server's configuration, whose keys these are, without preview_ in front.
type classFile struct {
	// The GitOps repository that environments are committed to: an http, https, ssh or file URL without credentials.
	GitOpsURL string `json:"gitops_url" jsonschema:"minLength=1,maxLength=1024,example=https://github.com/acme/gitops-durable.git"`
	// The same repository's URL as Argo CD reads it; gitops_url when left out.
	GitOpsReadURL string `json:"gitops_read_url" jsonschema:"minLength=1,maxLength=1024"`
	// The branch that is committed to.
	GitOpsBranch string `json:"gitops_branch" jsonschema:"minLength=1,maxLength=200"`
	// Whether a change is pushed to the branch or proposed as a pull request against it.
	GitOpsMode string `json:"gitops_mode" jsonschema:"enum=push,enum=pull_request,default=push"`
	// The root of the API of the Argo CD that follows the branch, where that is another than the server's: one whose token argocd_token_files of the server's configuration names. Two of them cannot follow one branch.
	ArgoCDURL string `json:"argocd_url" jsonschema:"minLength=1,maxLength=1024,example=https://argocd.production.example.com"`
	// The namespace that ApplicationSets live in.
	ArgoCDNamespace string `json:"argocd_namespace" jsonschema:"minLength=1,maxLength=63"`
	// The Application that syncs the applicationsets folder of gitops_url: each GitOps repository has one of its own.
	ArgoCDRoot string `json:"argocd_root" jsonschema:"minLength=1,maxLength=253"`
	// The AppProject of the environments' Applications.
	ArgoCDProject string `json:"argocd_project" jsonschema:"minLength=1,maxLength=253"`
	// The API server of the cluster that the environments run on, as Argo CD knows it.
	ArgoCDDestination string `json:"argocd_destination" jsonschema:"minLength=1,maxLength=1024"`
	// The DNS zone of hosts.
	Domain string `json:"domain" jsonschema:"minLength=1,maxLength=253"`
	// The template of a service's host, of {service} {env} {hash} {repo} {owner} {zone}; {hash} has to be in it.
	Host string `json:"host" jsonschema:"minLength=1,maxLength=253"`
	// The template of the image of a service that names none, of {owner} {repo} {service} {sha} {short_sha} {merge_sha} {short_merge_sha} {pr} {env}.
	Image string `json:"image" jsonschema:"minLength=1,maxLength=1024"`
	// How long a preview lives after the last push.
	TTL *spec.Span `json:"ttl"`
	// How far from now /idp extend may move a preview's end.
	MaxTTL *spec.Span `json:"max_ttl"`
	// How long ahead of its end a preview's pull request is told.
	WarnBefore *spec.Span `json:"warn_before"`
	// When the pull request's comment is written.
	Comment string `json:"comment" jsonschema:"enum=sticky,enum=on-failure,enum=off"`
	// What a bot's pull request needs for a preview: the label, or nothing more than a person's.
	Bots string `json:"bots" jsonschema:"enum=label,enum=auto"`
	// The API that publishes a service at its host.
	Routing string `json:"routing" jsonschema:"enum=HTTPRoute,enum=Ingress"`
	// The Gateway that an HTTPRoute attaches to.
	GatewayName string `json:"gateway_name" jsonschema:"minLength=1,maxLength=63"`
	// The Gateway's namespace.
	GatewayNamespace string `json:"gateway_namespace" jsonschema:"minLength=1,maxLength=63"`
	// The Gateway's listener.
	GatewaySection string `json:"gateway_section" jsonschema:"minLength=1,maxLength=253"`
	// The address that traffic for hosts is sent to when idp looks whether a service serves, as HOST:PORT; not looked when there is none.
	GatewayAddress string `json:"gateway_address" jsonschema:"minLength=1,maxLength=260,example=gateway.internal:443"`
	// The class of an Ingress.
	IngressClass string `json:"ingress_class" jsonschema:"minLength=1,maxLength=253"`
	// The Secret, in every namespace, with the zone's wildcard certificate.
	TLSSecret string `json:"tls_secret" jsonschema:"minLength=1,maxLength=253"`
	// The namespace that traffic enters from, which network policies let in.
	RoutingNamespace string `json:"routing_namespace" jsonschema:"minLength=1,maxLength=63"`
	// The Secret that the platform puts into every namespace to pull images with.
	ImagePullSecret string `json:"image_pull_secret" jsonschema:"minLength=1,maxLength=253"`
	// What the cluster's nodes are, as OS/ARCHITECTURE: an image that lacks one of them is not committed, and people are told; any image when left out.
	NodePlatforms []string `json:"node_platforms" jsonschema:"minLength=3,maxLength=60,maxItems=20,example=linux/amd64"`
	// The Pod Security Standard that is enforced.
	PodSecurity string `json:"pod_security" jsonschema:"enum=restricted,enum=baseline,enum=privileged"`
	// The destinations that pods may reach beside DNS and their own namespace; private ranges within them stay denied unless listed themselves.
	EgressCIDRs []string `json:"egress_cidrs" jsonschema:"minLength=1,maxLength=64,maxItems=200"`
	// Denied even within egress_cidrs.
	EgressDeniedCIDRs []string `json:"egress_denied_cidrs" jsonschema:"minLength=1,maxLength=64,maxItems=200"`
	// The sum of the CPU limits of an environment's containers, of all its services.
	QuotaCPU spec.Quantity `json:"quota_cpu"`
	// The sum of the memory limits of an environment's containers.
	QuotaMemory spec.Quantity `json:"quota_memory"`
	// The sum of the scratch space limits of an environment's containers.
	QuotaEphemeralStorage spec.Quantity `json:"quota_ephemeral_storage"`
	// The most pods that an environment may have.
	QuotaPods *int32 `json:"quota_pods" jsonschema:"minimum=1,maximum=100000"`
	// The most replicas that one service may have.
	QuotaMaxReplicas *int32 `json:"quota_max_replicas" jsonschema:"minimum=1,maximum=1000"`
	// The CPU request of a container that names none.
	QuotaDefaultCPURequest spec.Quantity `json:"quota_default_cpu_request"`
	// The CPU limit of a container that names none.
	QuotaDefaultCPU spec.Quantity `json:"quota_default_cpu"`
	// The memory request of a container that names none.
	QuotaDefaultMemoryRequest spec.Quantity `json:"quota_default_memory_request"`
	// The memory limit of a container that names none.
	QuotaDefaultMemory spec.Quantity `json:"quota_default_memory"`
	// The limit of scratch space of a container that names none.
	QuotaDefaultEphemeralStorage spec.Quantity `json:"quota_default_ephemeral_storage"`
	// The Prometheus that rollouts are judged by, as Argo Rollouts reaches it; without one nothing judges them but their probes.
	PrometheusAddress string `json:"prometheus_address" jsonschema:"minLength=1,maxLength=1024,example=http://prometheus.monitoring:9090"`
	// The query for the share of failed requests, 0 to 1, of the pods with a new revision, of {service} {namespace} {canary_hash}. It gives a vector; an empty one means that nothing is known.
	ErrorRateQuery spec.Word `json:"error_rate_query"`
	// The query for whether a pod with a new revision is ready, 1 or 0, of {service} {namespace} {canary_hash}; from kube-state-metrics when left out.
	ReadyQuery spec.Word `json:"ready_query"`
	// Whether log lines are shown: where the repository is private, always or never.
	Logs string `json:"logs" jsonschema:"enum=private,enum=always,enum=never,default=private"`
	// Whether what changes in the manifests is shown, in which the values of variables are: where the repository is private, always or never.
	Diffs string `json:"diffs" jsonschema:"enum=private,enum=always,enum=never,default=private"`
	// Kubernetes objects that environments get beside what idp makes, such as a disposable database. Of the class of previews, whose name is the server's, these are for previews as well.
	Objects []*objectsBlock `json:"objects" jsonschema:"maxItems=20"`
	// What asks who somebody is before a preview answers them, or the word public where previews are for everybody on purpose; previews of which nobody says either get no address. Only of the class of previews, whose name is the server's.
	Access *accessBlock `json:"access" jsonschema:"enum=public"`
	// What the images of long-lived environments have to prove of where they were built; nothing when left out.
	Provenance *provenanceBlock `json:"provenance"`
}

// provenanceBlock is what the attestation of an image has to name, beside the repository itself, its default branch and the commit that is deployed.
type provenanceBlock struct {
	// The workflow that builds and attests, by its file in each repository.
	Workflow string `json:"workflow" jsonschema:"required,minLength=1,maxLength=200,pattern=^\\.github/workflows/[A-Za-z0-9._-]+\\.ya?ml$,example=.github/workflows/release.yml"`
	// Who tells Sigstore what a workflow is.
	Issuer string `json:"issuer" jsonschema:"minLength=1,maxLength=1024,default=https://token.actions.githubusercontent.com"`
	// The file of the platform folder with the Sigstore trusted roots that attestations are verified with: what "gh attestation trusted-root" prints.
	TrustedRoot string `json:"trusted_root" jsonschema:"required,minLength=1,maxLength=200,example=trusted_root.jsonl"`
}

// objectsBlock is a file of Kubernetes objects, and whom it is for.
type objectsBlock struct {
	// The file, in the folder platform/objects, with one or more objects and without a namespace.
	File string `json:"file" jsonschema:"required,minLength=1,maxLength=200,pattern=^platform/objects/[A-Za-z0-9][A-Za-z0-9._-]*\\.yaml$,example=platform/objects/database.yaml"`
	// Whose environments get them, by where the code comes from: a commit of the default branch in a long-lived environment, a member's pull request, a bot's, or that of a fork. What makes or uses a secret is never for bots and forks.
	For []string `json:"for" jsonschema:"required,enum=default-branch,enum=member,enum=bot,enum=fork,minItems=1,maxItems=4"`
	// The ConfigMap of the file, or the Secret that an object of it makes, whose entries become environment variables of every service.
	EnvFrom string `json:"env_from" jsonschema:"minLength=1,maxLength=253"`
}

// accessBlock is what stands in front of every preview, which its repository cannot change.
type accessBlock struct {
	// The filters on every rule of every HTTPRoute of a preview, before all others: references to objects of the preview's own namespace, such as one that objects brings.
	Filters []*filterBlock `json:"filters" jsonschema:"maxItems=5"`
	// The annotations on every Ingress of a preview, at most 20. Those that end in -snippet are refused, since they inject configuration, and so are idp's and Argo CD's own.
	Annotations map[string]string `json:"annotations"`
}

// filterBlock is an HTTPRoute's filter of the type ExtensionRef.
type filterBlock struct {
	// The API group of the object that it refers to.
	Group string `json:"group" jsonschema:"required,minLength=1,maxLength=253,example=traefik.io"`
	// The object's kind.
	Kind string `json:"kind" jsonschema:"required,minLength=1,maxLength=63,pattern=^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$,example=Middleware"`
	// The object's name.
	Name string `json:"name" jsonschema:"required,minLength=1,maxLength=253,example=preview-auth"`
}

// chartsFile is platform/charts.yaml: the Helm charts that the platform team keeps, for repositories to deploy with by their names.
type chartsFile struct {
	// The charts by the name that a deploy.yaml gives: lower-case letters, digits, "-" and ".", at most 63. Several versions of one have a name each.
	Charts map[string]*chartBlock `json:"charts"`
}

// chartBlock is one chart, and what it has to be.
type chartBlock struct {
	// The folder of the chart below platform/charts, or the archive there that "helm package" made of it; its name when left out, with ".tgz" where it is pinned as an archive.
	Path string `json:"path" jsonschema:"minLength=1,maxLength=200,example=web-1.4.0.tgz"`
	// What is deployed with: of a folder "h1:" and the hash of its files that Go's modules have, of an archive "sha256:" and that of its bytes. "idp platform validate" says which it is.
	Digest string `json:"digest" jsonschema:"minLength=1,maxLength=80,pattern=^(h1:[A-Za-z0-9+/]{43}=|sha256:[0-9a-f]{64})$"`
}
