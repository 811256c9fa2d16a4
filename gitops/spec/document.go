package spec

import "time"

// The types of this file are .idp/deploy.yaml as it is written. Their comments
// are the descriptions of the JSON Schema, so they speak to its users; their tags
// are both the schema's keywords and what decode holds the file to. Rules between
// values are in the check files and, where JSON Schema can say them, in the
// schema's generator.

// document is a .idp/deploy.yaml: how a repository wants to be deployed.
type document struct {
	// The service of this repository. Use "services" where there are several.
	Service *serviceBlock `json:"service"`
	// The services of this repository, all of them part of each environment.
	Services []*serviceBlock `json:"services" jsonschema:"minItems=1,maxItems=50"`
	// How a new revision replaces the old one, for every service without its own "deploy". Workers have no traffic, so blueGreen is rolling for them; cron services take no notice.
	Deploy *deployBlock `json:"deploy"`
	// How to tell that a web service works, for every web service without its own "healthcheck".
	Healthcheck *healthcheckBlock `json:"healthcheck"`
	// When a rollout is undone, for every service without its own "rollback".
	Rollback *rollbackBlock `json:"rollback"`
	// Which pull requests get a preview, and for how long.
	Preview *previewBlock `json:"preview"`
	// The long-lived environments by name, such as staging, with what differs there, for every service without an entry of the same name.
	Environments map[string]*environmentBlock `json:"environments"`
}

// serviceBlock is one service: a container image and how to run it.
type serviceBlock struct {
	// The name of the service: lower-case letters, digits and "-", unique in the file.
	Name string `json:"name" jsonschema:"required,minLength=1,maxLength=40,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"`
	// The team that owns the service.
	Team string `json:"team" jsonschema:"minLength=1,maxLength=63,pattern=^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"`
	// The folder of the service in the repository, such as "services/api". Where a pull request changes nothing in it, and nothing that "paths" match, its preview runs the newest image that the default branch has of the service where the two part, or before.
	Path string `json:"path" jsonschema:"minLength=1,maxLength=512,pattern=^[^/]"`
	// Globs of what the service is made of beside its folder, such as "libs/**"; they need no "path".
	Paths []string `json:"paths" jsonschema:"minLength=1,maxLength=512,maxItems=50"`
	// The container image, with placeholders {sha} {short_sha} {merge_sha} {short_merge_sha} {pr} {env} {host} {owner} {repo} {service}; the server's image template when left out.
	Image string `json:"image" jsonschema:"minLength=1,maxLength=1024,example=ghcr.io/{owner}/{repo}:{sha}"`
	// What the service is: reachable at a host (web), running unseen (worker) or run on a schedule (cron).
	Kind string `json:"kind" jsonschema:"enum=web,enum=worker,enum=cron,default=web"`
	// When a cron service runs, as five cron fields (minute, hour, day of month, month, day of week) in UTC.
	Schedule string `json:"schedule" jsonschema:"minLength=1,pattern=^\\s*\\S+(\\s+\\S+){4}\\s*$,example=*/15 * * * *"`
	// The port that the container of a web service listens on.
	Port *int32 `json:"port" jsonschema:"minimum=1,maximum=65535,default=8080"`
	// How many copies run.
	Replicas *int32 `json:"replicas" jsonschema:"minimum=0,maximum=1000,default=1"`
	// Environment variables by name. Values may hold placeholders {sha} {short_sha} {pr} {env} {host} {owner} {repo} {service}; write \{word} for a word in braces that is none. Quote numbers that are not in plain decimal, and words such as yes and no.
	Env map[string]word `json:"env"`
	// CPU and memory of each copy.
	Resources *resourcesBlock `json:"resources"`
	// The command that replaces the image's entrypoint, one word each.
	Command []word `json:"command"`
	// The arguments of the command, one word each.
	Args []word `json:"args"`
	// Scratch space that goes with its pod.
	Volumes []*volumeBlock `json:"volumes" jsonschema:"maxItems=20"`
	// A job that must succeed before each rollout.
	Migrate *migrateBlock `json:"migrate"`
	// How a new revision of this service replaces the old one, instead of the file's "deploy".
	Deploy *deployBlock `json:"deploy"`
	// How to tell that this service works, instead of the file's "healthcheck".
	Healthcheck *healthcheckBlock `json:"healthcheck"`
	// When a rollout of this service is undone, instead of the file's "rollback".
	Rollback *rollbackBlock `json:"rollback"`
	// What renders this service's objects instead of idp, in previews and, where those have none of their own, in long-lived environments: a chart, an overlay or manifests, as they are on the branch that is merged into.
	Source *sourceBlock `json:"source"`
	// What differs for this service in long-lived environments, by their name. An entry replaces the file's whole entry of that name.
	Environments map[string]*environmentBlock `json:"environments"`
}

// resourcesBlock is what each copy is given.
type resourcesBlock struct {
	// What is set aside for each copy.
	Requests *amountsBlock `json:"requests"`
	// What each copy may use at most.
	Limits *amountsBlock `json:"limits"`
}

// amountsBlock is an amount of CPU and memory.
type amountsBlock struct {
	// CPU as a Kubernetes quantity: cores (0.5) or thousandths of one (500m).
	CPU quantity `json:"cpu"`
	// Memory as a Kubernetes quantity, at least 1Mi.
	Memory quantity `json:"memory"`
}

// volumeBlock is scratch space, empty at each start.
type volumeBlock struct {
	// The name of the volume, unique in the service.
	Name string `json:"name" jsonschema:"required,minLength=1,maxLength=63,pattern=^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"`
	// Where it appears in the container, an absolute path.
	MountPath string `json:"mountPath" jsonschema:"required,minLength=2,maxLength=1024,pattern=^/[^/:][^:]*$"`
	// The most it may hold, as a Kubernetes quantity.
	Size quantity `json:"size" jsonschema_extras:"default=1Gi"`
}

// migrateBlock is a job run in the service's image before each rollout.
type migrateBlock struct {
	// The command, one word each.
	Command []word `json:"command" jsonschema:"required,minItems=1"`
}

// deployBlock is how a new revision replaces the old one outside previews.
type deployBlock struct {
	// Replace copies one after the other (rolling), move traffic in steps (canary) or all at once (blueGreen).
	Strategy string `json:"strategy" jsonschema:"enum=rolling,enum=canary,enum=blueGreen,default=rolling"`
	// The steps of a canary, weights rising to 100.
	Canary []*canaryBlock `json:"canary" jsonschema:"minItems=1,maxItems=100"`
}

// canaryBlock is one step of a canary.
type canaryBlock struct {
	// The percentage of traffic that the new revision gets.
	Weight *int32 `json:"weight" jsonschema:"required,minimum=1,maximum=100"`
	// How long to stay at this step; no time when left out.
	Pause *span `json:"pause" jsonschema:"example=5m"`
}

// healthcheckBlock is how to tell that a service works.
type healthcheckBlock struct {
	// The path that answers 200 to 399 when the service works.
	Path string `json:"path" jsonschema:"required,minLength=1,maxLength=1024,pattern=^/\\S*$"`
	// How often to ask, at most 1h.
	Interval *span `json:"interval" jsonschema:"default=10s"`
	// How many failures in a row count.
	Threshold *int32 `json:"threshold" jsonschema:"minimum=1,maximum=100,default=3"`
}

// rollbackBlock is when a rollout is undone without being asked.
type rollbackBlock struct {
	// Undo a rollout that fails; true when left out beside on_error_rate, else false.
	Auto *bool `json:"auto"`
	// The share of failed requests above which a rollout is undone, such as ">1%".
	OnErrorRate *errorRate `json:"on_error_rate" jsonschema:"example=>1%"`
}

// environmentBlock is what differs in one long-lived environment.
type environmentBlock struct {
	// How many copies run there.
	Replicas *int32 `json:"replicas" jsonschema:"minimum=0,maximum=1000"`
	// Environment variables added or replaced there.
	Env map[string]word `json:"env"`
	// CPU and memory there; amounts left out stay as they are.
	Resources *resourcesBlock `json:"resources"`
	// What renders the objects there instead of idp: a chart, an overlay or manifests, as they are on the default branch. At the top it is one for all services, which are deployed together then.
	Source *sourceBlock `json:"source"`
}

// previewBlock is which pull requests get a preview, and for how long.
type previewBlock struct {
	// Whether pull requests get previews at all.
	Enabled *bool `json:"enabled" jsonschema:"default=true"`
	// What makes a pull request get its preview: opening it (auto), a label (label) or the command /idp preview (command).
	Trigger string `json:"trigger" jsonschema:"enum=auto,enum=label,enum=command,default=auto"`
	// The label that asks for a preview.
	Label string `json:"label" jsonschema:"minLength=1,maxLength=50,default=preview"`
	// Whether drafts get previews too.
	Drafts *bool `json:"drafts" jsonschema:"default=true"`
	// Globs such as "services/api/**"; a pull request that changes nothing they match gets no preview.
	Paths []string `json:"paths" jsonschema:"minLength=1,maxLength=512"`
	// Labels that keep a pull request from having a preview.
	IgnoreLabels []string `json:"ignoreLabels" jsonschema:"minLength=1,maxLength=50"`
	// How long a preview lives after the last push, such as 7d; the server's default when left out.
	TTL *span `json:"ttl" jsonschema:"example=7d"`
	// What renders the objects of all services in previews instead of idp: a chart, an overlay or manifests, read at the base branch's commit.
	Source *sourceBlock `json:"source"`
}

// sourceBlock is where objects come from: one of a Helm chart, a Kustomize overlay and a folder of manifests.
type sourceBlock struct {
	// A Helm chart, of the repository or of the platform team's.
	Helm *helmBlock `json:"helm"`
	// A Kustomize overlay of the repository.
	Kustomize *kustomizeBlock `json:"kustomize"`
	// A folder of the repository with manifests, those of its subfolders included.
	Manifests *manifestsBlock `json:"manifests"`
}

// helmBlock is a Helm chart, with its dependencies vendored in its charts folder.
type helmBlock struct {
	// The folder that Chart.yaml is in. One of path and chart has to be given.
	Path string `json:"path" jsonschema:"minLength=1,maxLength=512,pattern=^[^/]"`
	// The name of a chart that the platform team keeps, instead of one in the repository.
	Chart string `json:"chart" jsonschema:"minLength=1,maxLength=63,example=web"`
	// Files of values, the last of which wins, by their paths from the repository's root.
	ValuesFiles []string `json:"valuesFiles" jsonschema:"minLength=1,maxLength=512,pattern=^[^/],maxItems=10"`
	// Values by their keys with dots, such as ingress.enabled; they win over those of files. Words true and false and whole numbers are that to the chart, all else is text.
	Values map[string]word `json:"values"`
	// The keys of values that a pull request may change; all else of the source is the base branch's.
	Overridable []string `json:"overridable" jsonschema:"minLength=1,maxLength=200,maxItems=50"`
}

// kustomizeBlock is a Kustomize overlay, everything of which is in the repository.
type kustomizeBlock struct {
	// The folder that kustomization.yaml is in.
	Path string `json:"path" jsonschema:"required,minLength=1,maxLength=512,pattern=^[^/]"`
}

// manifestsBlock is a folder of YAML files.
type manifestsBlock struct {
	// The folder.
	Path string `json:"path" jsonschema:"required,minLength=1,maxLength=512,pattern=^[^/]"`
}

// word is text that may also be written as a number or a boolean where all YAML
// readers print it back as it was written; see scalar.go.
type word string

// span is a duration, longer than 0.
type span time.Duration

// quantity is a Kubernetes quantity, more than 0, as it was written.
type quantity string

// errorRate is a percentage, more than 0 and less than 100.
type errorRate float64
