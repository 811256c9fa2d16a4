package bot

import (
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Snapshot is every fact a decision is taken from, read live and immutable.
type Snapshot struct {
	Now time.Time
	// AppID is idp's own App; its comments are never commands.
	AppID int64
	// Class is that of previews, with the base objects that the platform team declares for it.
	Class platform.Class
	PR    PullRequest
	// Spec is .idp/deploy.yaml at PR.HeadSHA.
	Spec SpecAt
	// Base is .idp/deploy.yaml at BaseSHA, the tip of the branch that the pull request goes
	// into; both are read only where the head is in a fork, or its spec names a source.
	Base    SpecAt
	BaseSHA string
	// ChangedFiles are the pull request's changed paths; read only where the spec
	// names preview.paths or a source that may come to be the pull request's, else nil.
	ChangedFiles []string
	// BaseRoots are the paths, files or folders, that the base branch's sources are made of at
	// BaseSHA; read only where a pull request may change them. nil says that it is not known.
	BaseRoots []string
	// Permission is the actor's live permission; read only for commands. A failed
	// read is access.None with PermissionErr saying why: an error denies.
	Permission    access.Permission
	PermissionErr string
	// Teams are the actor's memberships in the teams that decide about the commands.
	Teams map[string]access.Membership
	// Environment is the pull request's row, nil when there is none.
	Environment *previews.Environment
	// Platform is what the platform team declares; PlatformErr says why it could not be
	// read, or not anew: then Platform is what was read last, if anything was.
	Platform    platform.Platform
	PlatformErr string
	// Declared are the parts of the repository's declared environments.
	Declared []previews.Environment
	// Revisions are the commits that may come to be deployed, by what names them: a full
	// SHA or what a command gave of it. One that is not there is not among them.
	Revisions map[string]Revision
	// DefaultBranch is the repository's, and Tip what it has; both are read only where commits
	// may come to be deployed, and Tip where one of them is not on that branch.
	DefaultBranch string
	Tip           Revision
	// Pushers are who pushed the commits of the pull request's branch, by whole SHA; read
	// only where a class gives something by it, and empty where GitHub does not tell.
	Pushers map[string]Actor
	// Guard judges by the platform team's policies, nil where nobody does; Live are the
	// previews beside this one. Both are read only where something new may be deployed.
	Guard Guard
	Live  store.Lives
	// Proofs are what is known of the images that may come to be deployed where their class
	// asks for their provenance, by proofKey. What is not among them is not proven.
	Proofs map[string]Proof
	// Logs are what the services wrote that commands ask about, by "<key>/<service>".
	Logs map[string]Logs
	// Planned is what deployments would change that commands ask about, by planKey.
	Planned map[string]report.Planned
	// Paths names the repository as the environments do that it already has: they
	// keep the names of the first day, and so do new ones beside them. Empty when it
	// has none.
	Paths gitops.EnvironmentRef
}

// PullRequest is a pull request as it is now.
type PullRequest struct {
	Repository       RepositoryRef
	InstallationID   int64
	Number           int
	Title            string
	Open, Merged     bool
	Draft            bool
	Labels           []string
	HeadSHA, HeadRef string
	BaseRef          string
	// MergeSHA is the commit on the base branch that a merged pull request came to, ""
	// before; BaseIsDefault says that this branch is the repository's default one.
	MergeSHA      string
	BaseIsDefault bool
	// Fork is true when the head lives in another repository (or in none any more).
	Fork   bool
	Author Actor
	// UpdatedAt is when anything of it changed last, by GitHub's clock, which tells seconds.
	UpdatedAt time.Time
	// Uncommented says that GitHub counted no comment on it; a list of pull requests counts
	// none at all.
	Uncommented bool
}

const looksOpen = "open"

// lookedOpen says that the row's pull request was open when it was last decided about.
func lookedOpen(e previews.Environment) bool { return strings.HasPrefix(e.Looks, looksOpen) }

// looks is all that a decision may depend on and that a list of pull requests
// tells, beside the head.
func (pr PullRequest) looks() string {
	words := []string{"closed"}
	if pr.Open {
		words[0] = looksOpen
	}
	if pr.Draft {
		words = append(words, "draft")
	}
	words = append(words, "into "+pr.BaseRef)
	return strings.Join(append(words, slices.Sorted(slices.Values(pr.Labels))...), "\n")
}

// SpecAt is what stands at .idp/deploy.yaml in one commit. A file that is missing
// has Found false and no errors; one that is invalid has Errors and no Spec.
type SpecAt struct {
	Found  bool
	Raw    []byte
	Spec   *spec.Spec
	Errors []spec.Error
}

// Revision is a commit that may come to be deployed, as it is now.
type Revision struct {
	Commit
	Spec SpecAt
	// OnDefault says that the default branch has it, InPull that it is the pull request's
	// head or comes before that. GitHub shows commits of forks as the repository's own:
	// one that is neither is nobody's.
	OnDefault, InPull bool
	// BranchProtected says that GitHub protects the default branch, as far as somebody asks
	// that; BranchErr says why it is not known.
	BranchProtected bool
	BranchErr       string
	// Checks are the check runs and commit statuses at it, idp's own included; ChecksErr
	// says why they could not be read. StatusesUnread says that the App may not read
	// statuses, so that there are none among them.
	Checks         []CheckState
	ChecksErr      string
	StatusesUnread bool
}

// Decision is what to do about an event, and why.
type Decision struct {
	// Environment is the row as it shall be; nil leaves it as it is. Its Version is
	// the one that was read: the store refuses the decision when that has moved on.
	Environment *previews.Environment
	// Declared are the parts of declared environments that change, each like Environment.
	Declared []*previews.Environment
	// Taken are other pull requests' previews that go to make room for Environment.
	Taken []store.Taken
	// Room is by scope how many previews there may be at most beside Environment for it to come.
	Room map[store.Scope]int
	// Effects are done once each, after the decision is stored, in this order.
	Effects []Effect
	// Audit is one entry per thing asked for, done or refused.
	Audit []AuditEntry
	// Reasons say, in order, how the decision came about; for replay and logs.
	Reasons []string
}

// Effect is one thing to say on GitHub in answer to an event.
type Effect struct {
	Kind EffectKind
	// CommentID is what a reaction is put on.
	CommentID int64
	// Content is a reaction's name, or a reply's Markdown.
	Content string
}

// EffectKind says what an Effect does.
type EffectKind string

// The kinds of effect.
const (
	EffectReaction EffectKind = "reaction"
	EffectReply    EffectKind = "reply"
	// EffectAnswer is the answer to a request. It is said nowhere: whoever asked reads it.
	EffectAnswer EffectKind = "answer"
)

// AuditEntry records who asked for what and what became of it.
type AuditEntry struct {
	Actor Actor
	// Action is the command or event, such as "extend 24h" or "pull_request closed".
	Action string
	// Environment is "owner/repo/id", SHA the revision it concerns.
	Environment, SHA string
	Allowed          bool
	// Reason says what came of it, or why it was refused; Rule is the rule of who may by which
	// that was decided, "" where there is none.
	Reason, Rule string
}
