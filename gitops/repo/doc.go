// Package repo is the one writer of a branch of a GitOps repository.
//
// It owns a bare, blobless clone in a state directory and makes commits in its
// object database with git's own plumbing: no work tree, no index, and a cost
// that does not grow with the number of environments. The clone is a cache; it
// is thrown away and fetched again when it turns out to be damaged, and nothing
// in it is the only copy of anything.
//
// Guarantees:
//   - A commit is a child of the tip that was read, and the push expects that
//     very tip at the remote. A refused push is answered by reading the new tip
//     and applying the change to it again, never by force.
//   - The caller hears of the commit (its SHA and the folders' tree ids) before
//     it is pushed, and can stop it.
//   - A branch that does not hold any more what was read of it is not written to: that
//     is for people to look at (ErrReplaced).
//   - A push that timed out and landed is recognised: by the commit itself, or by
//     the changes' trailers and trees. The change is not committed twice.
//   - A folder is replaced only if its tree is one that the caller accepts, so
//     that nobody's work is overwritten unseen. Nothing outside environments/ and
//     applicationsets/ is ever written, nor anything below a symbolic link, but for the
//     files that a Change edits: each is read at the tip that it is written on, and what
//     becomes of it is the caller's word (see Edit). None is added or removed.
//   - A change whose result the tip already holds makes no commit.
//   - Credentials reach git through GIT_ASKPASS and the environment only, and the
//     remote itself in the header of the requests that are made without git
//     (see askRef, send and take); they are in no URL, argument, log line or error.
//
// A Repo is safe for concurrent use: writers take turns, readers do not wait for
// them. Two processes must not share a state directory, which is locked; two
// processes, or two Repos, may write to one branch, each from its own directory.
// Whoever takes over the writing calls Takeover, which makes the one before it
// fail with ErrSuperseded.
//
// The package never force-pushes, never runs a shell, and never deletes anything
// at the remote but what a Change says.
package repo
