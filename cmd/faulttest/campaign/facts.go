package campaign

// Facts are all that a round is judged by: what happened, as the stand-ins hold it, and
// what idp made of it.
type Facts struct {
	// Sent are the webhooks that idp answered with 2xx, Kept the deliveries in its
	// database by GUID.
	Sent []Sent
	Kept map[string]Kept
	// Pulls are the pull requests as GitHub has them.
	Pulls []Pull
	// Commits are those of the GitOps repository's branch, the oldest first; Environments
	// what idp's records at its tip say, by folder; Lists the folders that the
	// ApplicationSets there list.
	Commits      []Commit
	Environments map[string]Environment
	Lists        []string
	// Foreign are the files that others have committed, and Files what stands there now.
	Foreign, Files map[string]string
	// Lost are commits that the branch has stood at and does not reach any more.
	Lost []string
	// Followed says that there is an Argo CD, and Applications are those that it has, beside
	// the root.
	Followed     bool
	Applications []string
	// Audit is what "idp audit verify" found, "" for nothing.
	Audit string
	// Told are where idp has told a secret.
	Told []string
}

// Sent is a webhook that was acknowledged.
type Sent struct {
	GUID string
	// Poisoned says that it cannot be handled.
	Poisoned bool
}

// Kept is a delivery in the database: "pending", "done" or "dead".
type Kept struct {
	State, Error string
}

// Pull is a pull request.
type Pull struct {
	// Folder is where its environment belongs in the GitOps repository, Key how idp's
	// trailers call that.
	Folder, Key string
	Open        bool
	// Reopened says that it was closed once, so that a commit may be told of anew.
	Reopened bool
	// Heads are its head commits, in the order they were pushed.
	Heads []string
	// Comments counts idp's own with its marker; Commands are those of people.
	Comments int
	Commands []Command
	// Checks are idp's check runs.
	Checks []Check
	// Deployments counts the deployments of each commit.
	Deployments map[string]int
}

// Head is the newest commit.
func (p Pull) Head() string { return p.Heads[len(p.Heads)-1] }

// Command is a comment with a command.
type Command struct {
	ID   int64
	Verb string
	// Done and Sorry count the reactions that say how it went, Replies the answers in words.
	Done, Sorry, Replies int
}

// Check is a check run.
type Check struct {
	SHA, Status, Conclusion, Title string
}

// Commit is a commit of the GitOps repository.
type Commit struct {
	SHA string
	// By is the life of a replica that pushed it, "" for somebody else.
	By    string
	Epoch string
	Paths []string
	// Changes are what its trailers say.
	Changes []Change
}

// Change is one environment's part of a commit.
type Change struct {
	// Key is "<repository id>/<environment>@<generation>", of which Environment is what is
	// before the "@".
	Key, Environment string
	Generation       int64
	// Revision is what it deploys, "" for a removal.
	Revision string
}

// Environment is an environment in the GitOps repository.
type Environment struct {
	SHA    string
	Pinned bool
}
