package bot

import "errors"

// Change is a change of a GitOps repository that is proposed as a pull request
// there, instead of being pushed to the branch that Argo CD follows.
type Change struct {
	// Branch holds the change and is pushed already; Base is where it shall go.
	Branch, Base string
	// Title and Body are the pull request's, in Markdown.
	Title, Body string
}

// How a proposed change stands.
const (
	ChangeOpen   = "open"
	ChangeMerged = "merged"
	// ChangeClosed is closed and not merged: somebody said no.
	ChangeClosed = "closed"
)

// ErrNothingToPropose says that a change's branch holds no commit that its base
// lacks: it is there already.
var ErrNothingToPropose = errors.New("the branch holds nothing that its base lacks")
