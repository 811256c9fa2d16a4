// Package spec reads .idp/deploy.yaml, the file in which a repository says how
// it wants to be deployed.
//
// Parse is strict and reports every error at once with its line and column. What
// it returns is normalised: "service:" and "services:" become one list in which
// every service carries its own deploy, healthcheck, rollback and environments,
// so that no consumer needs to know of the two forms or of defaults. A service's
// own deploy, healthcheck or rollback replaces the file's whole block, and its own
// entry of an environment the file's whole entry of that name; a default that does
// not suit a service's kind (a healthcheck and a worker) passes it by, while one of
// its own is a mistake.
//
// Values mean what every YAML reader says they mean or are refused (scalar.go), and
// no value is replaced by a default because it did not parse. The package does no
// input or output, keeps no state, and is safe for concurrent use. It never looks
// at a registry, a cluster or the platform's limits.
package spec

import "time"

// Path is where the file lives in a repository.
const Path = ".idp/deploy.yaml"

// Spec is a valid .idp/deploy.yaml, normalised.
type Spec struct {
	// Services has at least one entry, in the order of the file; names are unique.
	Services []Service
	Preview  Preview
	// Together are the sources that render all of several services as one, by the name of the
	// declared environment; those services have none there.
	Together map[string]Source `json:",omitempty"`
}

// Kind says what a service is to the outside.
type Kind string

const (
	// Web has a Service, a host and probes.
	Web Kind = "web"
	// Worker runs without being reachable.
	Worker Kind = "worker"
	// Cron runs on Schedule.
	Cron Kind = "cron"
)

// Service is one deployable of the repository, every default filled in.
type Service struct {
	Name string // DNS-1123 label, at most 40 characters
	Team string // "" when not given
	// Path is the service's folder in the repository, "" where it is not told, and Paths
	// doublestar globs of what it is made of beside. See Touched.
	Path  string
	Paths []string `json:",omitempty"`
	// Image is the image template, "" for the server's.
	Image string
	Kind  Kind
	// Schedule is a five-field cron expression; set for Cron only.
	Schedule string
	// Port is where the container listens; 8080 by default for Web, else 0.
	Port     int32
	Replicas int32 // 1 by default
	// Env is sorted by name. Values may hold placeholders.
	Env       []EnvVar
	Resources Resources
	Command   []string
	Args      []string
	Volumes   []Volume
	// Migrate, when not nil, is a Job that must succeed before the service starts.
	Migrate     *Migrate
	Deploy      Deploy
	Healthcheck *Healthcheck // nil when none is declared
	Rollback    Rollback
	// Source is what renders the objects of this service, in declared environments where
	// their Override has none; nil for idp, and where the repository has one for all of them.
	Source *Source `json:",omitempty"`
	// Environments overrides by the name of a declared environment.
	Environments map[string]Override
}

// EnvVar is one environment variable of a container.
type EnvVar struct{ Name, Value string }

// Resources are Kubernetes quantities ("100m", "128Mi"); "" where not given.
type Resources struct {
	Requests, Limits ResourceList
}

// ResourceList is an amount of CPU and of memory.
type ResourceList struct{ CPU, Memory string }

// Volume is scratch space (an emptyDir) that goes with its pod.
type Volume struct {
	Name      string
	MountPath string // absolute
	// Size is a Kubernetes quantity, "1Gi" by default.
	Size string
}

// Migrate is a command that runs in the service's image before each rollout.
type Migrate struct{ Command []string }

// Strategy is how a new revision replaces the old one outside previews.
type Strategy string

// The strategies that deploy.strategy takes; Rolling is the default.
const (
	Rolling   Strategy = "rolling"
	Canary    Strategy = "canary"
	BlueGreen Strategy = "blueGreen"
)

// Deploy is the rollout of a service. Canary is empty unless Strategy is Canary.
type Deploy struct {
	Strategy Strategy
	Canary   []CanaryStep
}

// CanaryStep sends Weight percent of the traffic to the new revision and stays
// there for Pause; 0 means that the step does not pause.
type CanaryStep struct {
	Weight int32
	Pause  time.Duration
}

// Healthcheck becomes the probes of a web service.
type Healthcheck struct {
	Path      string
	Interval  time.Duration // 10s by default
	Threshold int32         // failures in a row that count, 3 by default
}

// Rollback says when a rollout is undone without being asked.
type Rollback struct {
	Auto bool
	// OnErrorRate is the share of failed requests, in percent, above which the
	// rollout is undone; 0 when not declared.
	OnErrorRate float64
}

// Override changes a service in one declared environment. Nil and empty fields
// change nothing; Env is merged by name.
type Override struct {
	Replicas  *int32
	Env       []EnvVar
	Resources Resources
	Source    *Source `json:",omitempty"`
}

// Trigger is what makes a pull request get its preview.
type Trigger string

// The triggers; TriggerAuto is the default.
const (
	TriggerAuto    Trigger = "auto"
	TriggerLabel   Trigger = "label"
	TriggerCommand Trigger = "command"
)

// Preview says which pull requests get a preview and for how long.
type Preview struct {
	Enabled bool // true by default
	Trigger Trigger
	// Label is the label of TriggerLabel (and of bots' pull requests), "preview" by default.
	Label string
	// Drafts gives drafts a preview too; true by default.
	Drafts bool
	// Paths are doublestar globs; when any is given, a pull request that changes
	// nothing below them gets no preview.
	Paths []string
	// IgnoreLabels are labels that keep a pull request from having a preview.
	IgnoreLabels []string
	// TTL counts from the last push; 0 means the server's default.
	TTL time.Duration
	// Source is what renders the objects of all services as one; nil for idp, and where
	// services have sources of their own.
	Source *Source `json:",omitempty"`
}
