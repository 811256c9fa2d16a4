package repo

import (
	"errors"
	"fmt"
	"time"

	"github.com/idp-bot/idp/gitops"
)

// Change replaces one folder of the repository, or removes it.
type Change struct {
	// Key is the change's id, unique for each environment and generation, such
	// as "acme/web/pr-7#3". It becomes a trailer and is how a push that timed out
	// is found again: printable ASCII without blanks, at most 200 bytes.
	Key string
	// Dir is the folder below environments/ that the change owns whole; "" when
	// the change concerns only Commit.Shared.
	Dir string
	// Files are the whole new content of Dir, with paths from the root of the
	// repository; empty means that Dir is removed.
	Files []gitops.File
	// Accept are the ids of the trees that Dir may have at the tip; "" among them
	// says that Dir may be absent. What the change itself would write is always
	// accepted. See TreeID. AnyTree among them replaces whatever is there.
	Accept []string
	// Edits are what the change does to files of others, together with the folder or not
	// at all. Where the folder has its new content already, they were made with that.
	Edits []Edit
	// Subject is one line about the change, used where the commit has none and
	// listed in the message of a commit of several.
	Subject string
	// Trailers follow the change's own Idp-Change trailer in the commit message,
	// such as {"Idp-Environment", "acme/web/pr-7 generation 3"}. Names starting
	// with Idp-Change or Idp-Epoch are refused.
	Trailers [][2]string
}

// AnyTree in Change.Accept stands for every tree: somebody has asked to replace
// what others wrote.
const AnyTree = "*"

// Commit is what one call of Repo.Commit writes: all of it in one commit.
type Commit struct {
	// Subject and Body make the message; Subject may be empty when there are Changes.
	Subject, Body string
	// Trailers are of the commit as a whole, ahead of those of its changes.
	Trailers [][2]string
	Changes  []Change
	// Shared are files below applicationsets/ that are replaced outright,
	// whatever they held. Nil Content removes the file.
	Shared []gitops.File
	// Whole says that a conflict keeps everything from landing, for a caller whose
	// Shared files speak of the changes: Result then holds only the Conflicts.
	Whole bool
}

// Prepared is a commit that is about to be pushed.
type Prepared struct {
	// SHA is the commit, Parent the tip it was made on ("" in an empty repository).
	SHA, Parent string
	// Trees are the tree ids that the changes' folders have in the commit, by
	// Change.Key; "" for a folder that is removed. Changes in conflict are absent.
	Trees map[string]string
}

// Result is the outcome of Repo.Commit.
type Result struct {
	// Commit is the commit that was pushed; when NoOp, the tip, in which
	// everything already was ("" while the branch does not exist).
	Commit string
	// NoOp says that there was nothing to push.
	NoOp bool
	// Applied are the changes that the branch now holds, in the order given.
	Applied []Applied
	// Conflicts are the changes that were left out; the others landed.
	Conflicts []Conflict
}

// Applied is a change that the branch holds.
type Applied struct {
	Key, Dir string
	// Commit is one that contains the change: the one pushed, or the one found.
	Commit string
	// Tree is the id of Dir's tree, "" when it is removed.
	Tree string
	// Unchanged says that the branch held it before.
	Unchanged bool
}

// Conflict is a change that was left out, and why.
type Conflict struct {
	Key, Dir string
	// File is the one that an edit could not be made in, "" where it is about Dir.
	File string
	// Err is ErrConflict, or wraps ErrIrregular or ErrInvalid. Of an edit it wraps
	// ErrIrregular or ErrNoFile, or is what its Apply returned.
	Err error
	// Tree is what Dir holds at the tip, "" when absent. It, and who last touched
	// Dir, are set for ErrConflict only, and who last touched File.
	Tree string
	// Commit, Author and Date are of the commit that last touched it; empty when
	// none ever did. The author's name is not to be trusted.
	Commit, Author string
	Date           time.Time
}

// Signature is who made a commit.
type Signature struct{ Name, Email string }

// What Commit and the other methods of Repo fail with; test with errors.Is.
var (
	// ErrConflict is for a folder that holds something else than was accepted.
	ErrConflict = errors.New("the folder was changed by somebody else")
	// ErrIrregular is for a symbolic link, submodule or file where a folder is
	// expected, or the reverse.
	ErrIrregular = errors.New("not a regular path")
	// ErrTooLarge is for more files than are read at once.
	ErrTooLarge = errors.New("too large")
	// ErrInvalid is for a path, key, trailer or SHA that is refused as given.
	ErrInvalid = errors.New("invalid")
	// ErrRefused is for a push that the remote refused three times although its
	// tip had not moved. Trying again will not help. See RefusedError.
	ErrRefused = errors.New("the remote refuses the push")
	// ErrContended is for a branch that moved before each of many attempts.
	ErrContended = errors.New("the branch keeps moving")
	// ErrUnavailable is for a remote that did not answer as a git server does.
	ErrUnavailable = errors.New("the remote repository cannot be reached")
	// ErrUnauthorized is for credentials that the remote does not accept, or that
	// it lets see or do less than is needed.
	ErrUnauthorized = errors.New("the remote repository does not accept the credentials")
	// ErrReplaced is for a branch that does not hold any more what was read of it: its
	// history was replaced, or it was removed. Nothing is written until that is mended, or
	// the state directory removed, which takes the branch for what it is then.
	ErrReplaced = errors.New("the branch was replaced by another history, so idp writes nothing there; if that is meant, remove idp's state_dir and start it again")
	// ErrSuperseded is for a writer after which another called Takeover.
	ErrSuperseded = errors.New("another writer has taken over")
)

// SharedError is for a shared file that has no regular place; it wraps
// ErrIrregular. Nothing was written.
type SharedError struct {
	Path string
	Err  error
}

// Error returns the cause, which names the path.
func (e *SharedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *SharedError) Unwrap() error { return e.Err }

// RefusedError carries what the remote said when it refused a push; it is an
// ErrRefused.
type RefusedError struct {
	Branch string
	// Message is the remote's, scrubbed of credentials and control characters
	// and cut to 2,000 bytes. It is not to be trusted.
	Message string
}

// Error returns the branch and the remote's message.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("push to %s: %v: %s", e.Branch, ErrRefused, e.Message)
}

// Is reports whether target is ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }
