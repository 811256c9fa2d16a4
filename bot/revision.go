package bot

import "time"

// Commit is a commit of a repository.
type Commit struct {
	// SHA has 40 hexadecimal digits; CommittedAt is the committer's date, in UTC.
	SHA         string
	CommittedAt time.Time
	Author      Actor
}

// CheckState is the newest check run of one name and App at a commit, with GitHub's
// words for its status and conclusion.
type CheckState struct {
	Name               string
	AppID              int64
	Status, Conclusion string
}
