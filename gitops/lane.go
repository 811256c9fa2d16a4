package gitops

// Lane is the way that an environment's changes take into Git. The zero Lane pushes
// to the GitOps repository of the server's configuration.
type Lane struct {
	// URL is the GitOps repository that idp pushes to and Branch the branch that Argo CD
	// follows; each is "" for that of the server's configuration.
	URL    string `json:"url,omitempty"`
	Branch string `json:"branch,omitempty"`
	// Proposed says that a change becomes a pull request of that repository, for
	// somebody to merge.
	Proposed bool `json:"proposed,omitempty"`
}

// Target is the lane without the way that changes take: two lanes of one target lead
// to the same branch.
func (l Lane) Target() Lane {
	l.Proposed = false
	return l
}

// String names the repository and the branch, for logs and for people.
func (l Lane) String() string {
	text := "the server's GitOps repository"
	if l.URL != "" {
		text = l.URL
	}
	if l.Branch != "" {
		text += ", branch " + l.Branch
	}
	return text
}
