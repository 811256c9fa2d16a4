package gitops

// The labels and annotations that idp puts on what it renders. Admission
// policies, dashboards and scripts of the platform team match them: they are a
// contract like the paths in names.go.
const (
	// LabelManagedBy is on every object, with the value ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ManagedBy      = "idp"
	// LabelName is the service that an object belongs to.
	LabelName = "app.kubernetes.io/name"

	// LabelEnvironment is the environment's Name, on every object.
	LabelEnvironment = "idp.dev/environment"
	// LabelService is the service that an object was rendered for from a source which the
	// service has of its own, on that and on its pods: a chart's LabelName may be anything.
	LabelService = "idp.dev/service"
	// LabelRole tells a service's own pods ("app") from those of its cron runs and
	// its migrations.
	LabelRole = "idp.dev/role"

	// The facts about an environment, on its Namespace: always as annotations, and
	// as labels too where the value may be one.
	KeyRepositoryID = "idp.dev/repository-id"
	KeyRepository   = "idp.dev/repository"   // owner/repo
	KeyPullRequest  = "idp.dev/pull-request" // number, on previews
	KeyOwner        = "idp.dev/owner"        // login of whoever answers for it: the author
	KeyTeam         = "idp.dev/team"
	KeyClass        = "idp.dev/class"
	KeySHA          = "idp.dev/sha"
	KeyHeadRef      = "idp.dev/head-ref"
	KeyExpiresAt    = "idp.dev/expires-at" // RFC 3339 in UTC; absent when pinned
	KeyPinned       = "idp.dev/pinned"     // "true" when there is no expiry
	KeyCharts       = "idp.dev/charts"     // the platform's charts that it was rendered from, NAME=DIGEST each

	// KeyAttempt is on the pods of a revision that was rolled out again: what differs
	// between two attempts, so that the second is a rollout of its own.
	KeyAttempt = "idp.dev/attempt"

	// KeyPullRequestURL links an Application to its pull request.
	KeyPullRequestURL = "idp.dev/pull-request-url"
	// KeyURL links an Application of a declared environment to what it is of.
	KeyURL = "idp.dev/url"
)
