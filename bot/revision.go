package bot

import "time"

// Commit is a commit of a repository.
type Commit struct {
	// SHA is all 40 digits of it.
	SHA string
	// CommittedAt is when it was committed, in UTC, by the committer's own clock.
	CommittedAt time.Time
	// Author is the account that GitHub knows the author's email address by; zero
	// where it knows none. Whoever commits may write any address: it is no proof.
	Author Actor
	// Parents are the SHAs of the commits before it: two of a merge commit, the second of
	// which is what was merged.
	Parents []string
}

// CheckState is the newest check run of one name, App and check suite at a commit, or
// the newest commit status of one context, which is of no App.
type CheckState struct {
	Name  string
	AppID int64
	// Status is GitHub's, such as "queued", "in_progress" or "completed", and
	// Conclusion what a completed run came to, such as "success"; else "".
	Status, Conclusion string
}
