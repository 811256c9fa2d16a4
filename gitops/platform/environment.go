package platform

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/inplace"
)

// Environment is a long-lived environment that the platform team declares, such as
// staging: for every repository that deploys to it the same rules, and a namespace
// of the repository's own.
type Environment struct {
	// Name is the id of its EnvironmentRefs.
	Name string
	// Class is the name of a class of the same Platform.
	Class string
	// Namespace is a pattern of {repo} {owner} {env} {hash}, "" for the name of the
	// shared part; see NamespaceOf.
	Namespace string
	// Permission is the least permission at GitHub of who may deploy.
	Permission string
	// Users and Teams, when there are any, are the only ones that may, beside the
	// permission; Actions are the rules of single commands. See Access.
	Users, Teams []string
	Actions      map[string]Rule
	// Checks are the names of check runs and statuses that must be green at the commit.
	Checks []string
	// Protected takes only commits of the default branch whose checks are green.
	Protected bool
	// Approval asks for the word of somebody else than who asked and the author.
	Approval bool
	// AutoDeploy deploys what is merged to the default branch.
	AutoDeploy bool
	// Logs says who sees log lines, the class's where the environment says nothing.
	Logs ShowMode
	// RolloutTimeout is how long a deployment may take to become healthy, 0 for the
	// server's.
	RolloutTimeout time.Duration
	// Updates are the repositories whose deployments change values in files that are there
	// already, by GitHub's id and then by service.
	Updates map[int64]map[string]Update `json:",omitempty"`
}

// Update is what a deployment of a service changes, in place of being rendered.
type Update struct {
	// Application is the one in Argo CD that reads the files.
	Application string
	Fields      []inplace.Field
}

// UpdateOf returns what a deployment of a repository's service changes here. updates says
// that the repository is one whose deployments change values, so that nothing of it is
// rendered here, though none is declared for the service.
func (e Environment) UpdateOf(repositoryID int64, service string) (u Update, declared, updates bool) {
	services, updates := e.Updates[repositoryID]
	u, declared = services[service]
	return u, declared, updates
}

// UpdatedServices returns the services of a repository that have files here, sorted.
func (e Environment) UpdatedServices(repositoryID int64) []string {
	return slices.Sorted(maps.Keys(e.Updates[repositoryID]))
}

// The permissions that Environment.Permission takes; PermissionWrite is the default.
const (
	PermissionWrite    = "write"
	PermissionMaintain = "maintain"
	PermissionAdmin    = "admin"
)

const (
	// namespacePrefix begins every namespace of idp: policies match it.
	namespacePrefix = "idp-"
	// maxNamespace is the length of a DNS-1123 label.
	maxNamespace = 63
	// minSlug is what a pattern must leave of an owner's and a repository's name.
	minSlug = 6
)

// NamespaceOf returns the namespace of a repository's environment: the pattern filled
// in, a valid name of at most 63 characters in which the names of owner and
// repository are cut as much as it takes, and never the hash.
func (e Environment) NamespaceOf(ref gitops.EnvironmentRef) string {
	if e.Namespace == "" {
		return ref.Namespace()
	}
	var name string
	for most := maxNamespace; most > 0; most-- {
		if name = expandNamespace(e.Namespace, ref.Shared(), most); len(name) <= maxNamespace {
			break
		}
	}
	return name
}

func expandNamespace(pattern string, ref gitops.EnvironmentRef, most int) string {
	return strings.NewReplacer(
		"{repo}", gitops.Slug(ref.Repo, most), "{owner}", gitops.Slug(ref.Owner, most),
		"{env}", gitops.Slug(ref.ID, 24), "{hash}", ref.Hash(),
	).Replace(pattern)
}

// AllUpdates returns every update of every repository, in order.
func (e Environment) AllUpdates() []Update {
	var out []Update
	for _, id := range slices.Sorted(maps.Keys(e.Updates)) {
		for _, service := range e.UpdatedServices(id) {
			out = append(out, e.Updates[id][service])
		}
	}
	return out
}
