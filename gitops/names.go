package gitops

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	// ApplicationSetsDir and EnvironmentsDir are the only two folders of the
	// GitOps repository that are idp's. Elsewhere it writes single values alone, in
	// files that the platform team names (package inplace).
	ApplicationSetsDir = "applicationsets"
	EnvironmentsDir    = "environments"
	// PlatformDir is the platform team's, which idp only reads.
	PlatformDir = "platform"

	// maxLabel is the length of a DNS-1123 label, the tightest limit that the
	// names below are put to (namespaces, label values, host labels).
	maxLabel = 63
	hashLen  = 10
)

// EnvironmentRef identifies an environment everywhere: in the store, in the
// GitOps repository and on the cluster. RepositoryID is GitHub's id, which
// survives renames and is never reused, so that a recreated repository cannot
// inherit another's environments.
type EnvironmentRef struct {
	RepositoryID int64
	// Owner and Repo are lower-cased and fixed when the environment is first
	// seen; they stay as they are through a rename.
	Owner, Repo string
	// ID is "pr-<n>" for a preview, else the declared environment's name.
	ID string
	// Service is set for one service of a declared environment, which has a folder, an
	// Application and a state of its own beside those of the environment itself: one
	// service's paused canary must not hold the others. It is "" for a preview, whose
	// services come and go together, and for the part of a declared environment that its
	// services share: the namespace and its limits.
	Service string
}

// PreviewID returns the id of the preview of pull request number n.
func PreviewID(n int) string { return "pr-" + strconv.Itoa(n) }

// Key returns "<id>", or "<id>.<service>" for a service of a declared environment:
// what tells the environments of one repository apart.
func (r EnvironmentRef) Key() string {
	if r.Service == "" {
		return r.ID
	}
	return r.ID + "." + r.Service
}

// Shared returns the environment that a service is part of, and of any other the
// environment itself.
func (r EnvironmentRef) Shared() EnvironmentRef {
	r.Service = ""
	return r
}

// Of returns the ref of one service of a declared environment.
func (r EnvironmentRef) Of(service string) EnvironmentRef {
	r.Service = service
	return r
}

// String returns "owner/repo/id", for a service "owner/repo/id.service", for logs
// and errors.
func (r EnvironmentRef) String() string { return path.Join(r.Owner, r.Repo, r.Key()) }

// Dir returns "environments/<owner>/<repo>/<id>", the folder that the environment
// owns whole. That of a service stands beside it, "<id>.<service>": a folder belongs
// to one row, and no id holds a dot.
func (r EnvironmentRef) Dir() string { return path.Join(EnvironmentsDir, r.Owner, r.Repo, r.Key()) }

// ManifestsDir returns the folder that the environment's Application syncs.
func (r EnvironmentRef) ManifestsDir() string { return path.Join(r.Dir(), "manifests") }

// RecordPath returns the path of idp's own record of the environment.
func (r EnvironmentRef) RecordPath() string { return path.Join(r.Dir(), "environment.yaml") }

// Hash returns the first 10 hexadecimal digits of
// sha256("<repository id>/<id>"): what makes the environment's names unique. A
// service's is of "<repository id>/<id>.<service>".
func (r EnvironmentRef) Hash() string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%d/%s", r.RepositoryID, r.Key())))
	return hex.EncodeToString(sum[:])[:hashLen]
}

// Namespace is where the environment's objects live: one for all services of a
// declared environment.
func (r EnvironmentRef) Namespace() string { return r.Shared().Name() }

// Name returns "idp-<repo slug>-<id>-<hash>", at most 63 characters and a valid
// DNS-1123 label: the name of the environment's namespace and Application. Of a
// service it is that of its Application, and its namespace is Namespace.
func (r EnvironmentRef) Name() string {
	tail := "-" + Slug(r.Key(), 24) + "-" + r.Hash()
	const head = "idp-"
	return head + Slug(r.Repo, maxLabel-len(head)-len(tail)) + tail
}

// PreviewsApplicationSet returns the path and the name of the ApplicationSet
// that lists the repository's previews:
// "applicationsets/<slug>-<8 hex of the repository id>-previews.yaml".
func PreviewsApplicationSet(repositoryID int64, repo string) (file, name string) {
	name = Slug(repo, 40) + "-" + repositoryHash(repositoryID) + "-previews"
	return path.Join(ApplicationSetsDir, name+".yaml"), name
}

// DeployedApplicationSet returns the path and the name of the ApplicationSet that
// lists the repository's declared environments:
// "applicationsets/<slug>-<8 hex of the repository id>-deployed.yaml".
func DeployedApplicationSet(repositoryID int64, repo string) (file, name string) {
	name = Slug(repo, 40) + "-" + repositoryHash(repositoryID) + "-deployed"
	return path.Join(ApplicationSetsDir, name+".yaml"), name
}

func repositoryHash(repositoryID int64) string {
	sum := sha256.Sum256([]byte(strconv.FormatInt(repositoryID, 10)))
	return hex.EncodeToString(sum[:])[:8]
}

// DistinctRepo is the repository's name in paths where another repository, before
// a rename or a deletion, has taken the plain one: "<repo>-<8 hex of the id>".
func DistinctRepo(repositoryID int64, repo string) string {
	return repo + "-" + repositoryHash(repositoryID)
}

// Slug makes s a DNS-1123 label of at most max characters: lower case, every run
// of other characters one "-", none at either end; "x" when nothing is left.
// Slugs are for people to read; a hash beside them makes names unique.
func Slug(s string, max int) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	out := b.String()
	if len(out) > max {
		out = out[:max]
	}
	if out = strings.Trim(out, "-"); out == "" {
		return "x"
	}
	return out
}

// Host expands a host template such as "{service}-{env}-{hash}.{zone}" for one
// service of the environment. The first label is cut to 63 characters at the
// expense of the service's name, never of the hash; a name that is cut ends in
// four digits of its own hash, so that two services never come to share a host. The
// hash is that of the environment, which its services share.
func (r EnvironmentRef) Host(template, service, zone string) string {
	expand := func(service string) string {
		return strings.NewReplacer(
			"{service}", service, "{env}", Slug(r.ID, 24), "{hash}", r.Shared().Hash(),
			"{repo}", Slug(r.Repo, 20), "{owner}", Slug(r.Owner, 20), "{zone}", zone,
		).Replace(template)
	}
	name := Slug(service, maxLabel)
	host := expand(name)
	if label, _, _ := strings.Cut(host, "."); len(label) > maxLabel {
		host = expand(shorten(name, len(name)-(len(label)-maxLabel)))
	}
	return host
}

// shorten cuts a name to room characters, the last five of which are "-" and the
// start of the whole name's hash; where that leaves no room for more, it is the hash alone.
func shorten(name string, room int) string {
	sum := sha256.Sum256([]byte(name))
	digits := hex.EncodeToString(sum[:])
	const tail = 5
	if room <= tail {
		return digits[:max(room, 1)]
	}
	return Slug(name, room-tail) + "-" + digits[:tail-1]
}
