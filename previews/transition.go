package previews

import (
	"bytes"
	"errors"
	"slices"
	"time"

	"github.com/idp-bot/idp/gitops/platform"
)

var (
	// ErrUnchanged is what the function given to a store's Update returns when the
	// row, read again, no longer needs the change. It is not a failure.
	ErrUnchanged = errors.New("environment unchanged")
	// ErrStale says that a row moved on since it was read: decide again.
	ErrStale = errors.New("environment changed since it was read")
	// ErrNotFound says that there is no such environment.
	ErrNotFound = errors.New("environment not found")
	// ErrBreaker refuses an inferred removal while the breaker is latched.
	ErrBreaker = errors.New("removals are held back until an operator confirms them")
)

// Revision is what a pull request asks to run.
type Revision struct {
	SHA, Ref string
	// Spec is .idp/deploy.yaml at SHA, valid; Team the owner it names.
	Spec []byte
	Team string
	// Trust is how far its code is trusted.
	Trust platform.Trust
	// TTL is already within the class's limits.
	TTL time.Duration
}

// SeeHead records the pull request's newest commit. The time to live counts from
// the moment it is first seen; a problem with an older commit is forgotten, but not
// what keeps the environment from being removed.
func (e *Environment) SeeHead(sha, ref string, now time.Time) (changed bool) {
	e.HeadRef = ref
	if e.HeadSHA == sha {
		return false
	}
	e.HeadSHA, e.PushedAt = sha, now
	if e.Problem != nil && e.Problem.SHA != sha && !e.stuck() {
		e.Problem = nil
	}
	return true
}

// Want asks for a revision to run and says whether that changed anything. A new
// head, one that was there before included, or coming back from removal starts the
// time to live again and looks for the images anew.
func (e *Environment) Want(rev Revision, now time.Time) (changed bool) {
	pushed := e.SeeHead(rev.SHA, rev.Ref, now)
	back := e.Wanted != Present
	if !back && !pushed && e.SHA == rev.SHA && bytes.Equal(e.Spec, rev.Spec) && e.TTL == rev.TTL && e.Trust == rev.Trust {
		return false
	}
	if back {
		e.PushedAt, e.Pinned = now, false
	}
	e.SHA, e.Spec, e.Team, e.Trust = rev.SHA, rev.Spec, rev.Team, rev.Trust
	e.Wanted, e.Removal, e.Problem, e.Warnings = Present, Removal{}, nil, nil
	if !e.Pinned && (pushed || back || e.TTL != rev.TTL) {
		expires := e.PushedAt.Add(rev.TTL)
		if pushed && !back {
			// A push never takes away what an extension gave.
			expires = later(expires, e.ExpiresAt)
		}
		e.expireAt(expires)
	}
	e.TTL = rev.TTL
	e.next(now)
	e.awaitImages(now)
	return true
}

// Retry asks for the wanted generation again after it was given up: images are
// looked up anew and, where somebody else changed the folder, it is overwritten
// (or removed all the same).
func (e *Environment) Retry(now time.Time) (changed bool) {
	if e.Blocked != e.Generation || e.Generation == 0 {
		return false
	}
	if !e.headRefused() {
		e.Overwrite = e.Problem != nil && e.Problem.Kind == ProblemChanged
		e.Problem = nil
	}
	e.next(now)
	if e.Wanted == Present {
		e.awaitImages(now)
	} else {
		e.ResolvedGeneration = e.Generation
	}
	return true
}

// Remove asks for the environment to go. Where nothing of it was ever written it
// is gone at once.
func (e *Environment) Remove(r Removal, now time.Time) (changed bool) {
	if e.Wanted == Absent {
		return false
	}
	r.At = now
	e.Wanted, e.Removal, e.Problem = Absent, r, nil
	e.Pinned, e.ExpiresAt, e.WarnedAt = false, time.Time{}, time.Time{}
	e.next(now)
	e.ResolvedGeneration = e.Generation
	if !e.written() {
		e.AppliedGeneration, e.AppliedAt, e.Observed = e.Generation, now, nil
	}
	return true
}

// Extend moves the expiry on by d, at most to limit from now, and returns the new
// expiry. It changes nothing of a pinned or absent environment.
func (e *Environment) Extend(d, limit time.Duration, now time.Time) (expires time.Time, capped bool) {
	if e.Wanted != Present || e.Pinned {
		return e.ExpiresAt, false
	}
	expires = later(e.ExpiresAt, now).Add(d)
	if most := now.Add(limit); expires.After(most) {
		// Asking for more time never takes any away.
		expires, capped = later(most, e.ExpiresAt), true
	}
	if !expires.Equal(e.ExpiresAt) {
		e.expireAt(expires)
		e.renew(now)
	}
	return expires, capped
}

// Pin takes the expiry away.
func (e *Environment) Pin(now time.Time) (changed bool) {
	if e.Wanted != Present || e.Pinned {
		return false
	}
	e.Pinned = true
	e.expireAt(time.Time{})
	e.renew(now)
	return true
}

// Unpin gives a pinned environment its time to live again, counted from now.
func (e *Environment) Unpin(now time.Time) (changed bool) {
	if e.Wanted != Present || !e.Pinned {
		return false
	}
	e.Pinned = false
	e.expireAt(now.Add(e.TTL))
	e.renew(now)
	return true
}

// Refuse records why the head is not deployed. What runs keeps running; what keeps
// the environment from being removed stays the problem.
func (e *Environment) Refuse(p Problem, now time.Time) (changed bool) {
	if e.stuck() {
		return false
	}
	if old := e.Problem; old != nil && old.Kind == p.Kind && old.SHA == p.SHA && old.Message == p.Message && slices.Equal(old.Denials, p.Denials) {
		return false
	}
	p.At = now
	e.Problem = &p
	return true
}

// Fail gives the wanted generation up: it is neither resolved nor committed any
// further until something new is wanted. Where a newer head was refused meanwhile,
// that stays the problem.
func (e *Environment) Fail(p Problem, now time.Time) {
	e.Blocked = e.Generation
	if e.headRefused() {
		return
	}
	p.SHA, p.At = e.SHA, now
	e.Problem = &p
	e.conclude(now)
}

// headRefused says that Problem is of a newer head than the revision that is wanted.
func (e *Environment) headRefused() bool {
	return e.Wanted == Present && e.Problem != nil && e.Problem.SHA == e.HeadSHA && e.SHA != e.HeadSHA
}

// stuck says that the removal was given up, and Problem says why.
func (e *Environment) stuck() bool {
	return e.Wanted == Absent && e.Generation > 0 && e.Blocked == e.Generation
}

// Resolve records the images of the wanted generation: what will be committed.
func (e *Environment) Resolve(images []Image, now time.Time) {
	e.Images, e.ResolvedGeneration, e.ResolvedAt = images, e.Generation, now
	e.NextImageCheck, e.CI = time.Time{}, nil
}

// Missing records a check that did not find every image, and when to ask again.
func (e *Environment) Missing(images []Image, next time.Time) {
	e.Images, e.NextImageCheck = images, next
	e.ImageAttempts++
}

// Intend records the tree that the folder is about to be given, "" for none, before
// it is pushed. Whatever becomes of the push, and of idp, the tree is then known as
// its own. A removal that found nothing to remove finds something after all.
func (e *Environment) Intend(tree string) {
	if !slices.Contains(e.Intents, tree) {
		e.Intents = append(slices.Clone(e.Intents), tree)
	}
	if e.Wanted == Absent && e.AppliedGeneration == e.Generation && e.written() {
		e.AppliedGeneration--
	}
}

// written says that something of the environment is, or may be, in Git.
func (e *Environment) written() bool {
	return e.Tree != "" || slices.ContainsFunc(e.Intents, func(tree string) bool { return tree != "" })
}

// Applied is a pushed commit, as the committer reports it to the row.
type Applied struct {
	Generation  int64
	SHA, Commit string
	// Base is the commit that its source was read at, "" for none.
	Base string
	// Tree is the folder's tree id in the commit, "" when it was removed.
	Tree, Diff string
	// Unrouted is as in Environment.
	Unrouted bool
	// Watched says that Argo CD will be asked what becomes of it.
	Watched bool
	At      time.Time
}

// Commit records what was pushed. The row may have moved on meanwhile; then it
// stays in need of another commit.
func (e *Environment) Commit(a Applied) {
	if a.SHA != e.AppliedSHA || a.Base != e.AppliedBase {
		// Where only the expiry moved, what people want to see is still when and how
		// the revision came.
		e.Diff, e.AppliedAt, e.Observed = a.Diff, a.At, nil
		if a.Watched {
			e.Observed = &Observation{At: a.At}
		}
	}
	if e.Observed != nil && e.Observed.Generation == e.AppliedGeneration {
		renewed := *e.Observed
		renewed.Generation = a.Generation
		e.Observed = &renewed
	}
	if p := e.Problem; p != nil && (p.Kind == ProblemPush || p.Kind == ProblemPaused) && e.Blocked != e.Generation {
		e.Problem = nil // it went on by itself
	}
	e.AppliedGeneration, e.AppliedSHA, e.AppliedCommit, e.AppliedBase = a.Generation, a.SHA, a.Commit, a.Base
	e.Tree, e.Intents, e.Overwrite, e.Unrouted = a.Tree, nil, false, a.Unrouted
	if e.State() == StateCommitted {
		e.conclude(a.At) // nobody watches it further
	}
}

// NeedsImages says that the wanted generation's images are still to be found.
func (e *Environment) NeedsImages() bool {
	return e.Wanted == Present && e.ResolvedGeneration != e.Generation && e.Blocked != e.Generation
}

// NeedsCommit says that the GitOps repository does not hold what is wanted, and
// that all that is needed to write it is known.
func (e *Environment) NeedsCommit() bool {
	return e.AppliedGeneration != e.Generation && e.ResolvedGeneration == e.Generation && e.Blocked != e.Generation && e.Proposed() == nil
}

// next starts a new generation.
func (e *Environment) next(now time.Time) {
	e.Generation++
	e.WantedAt = now
	e.Actor = ""
}

// renew starts a new generation that differs in its expiry alone: the images
// found for the last one hold for it too.
func (e *Environment) renew(now time.Time) {
	resolved := e.ResolvedGeneration == e.Generation
	blocked := e.Blocked == e.Generation
	wantedAt := e.WantedAt
	e.next(now)
	e.WantedAt = wantedAt
	if resolved {
		e.ResolvedGeneration = e.Generation
	}
	if blocked {
		e.Blocked = e.Generation
	}
}

// Commits has a generation that is applied committed once more as it is, and says whether
// that is still what is wanted.
func (e *Environment) Commits(generation int64, now time.Time) bool {
	if e.Wanted != Present || e.Generation != generation || e.AppliedGeneration != generation {
		return false
	}
	e.renew(now)
	return true
}

// Adopt takes up what a restored row says that Git holds, where nothing is known of that, and
// says whether it did. What is wanted stays wanted, by a generation that Git has not seen.
func (e *Environment) Adopt(held Environment) bool {
	if e.written() || e.AppliedCommit != "" || held.Tree == "" {
		return false
	}
	if e.Generation == 0 {
		// Nothing was ever wanted, for its head was refused: what runs goes on.
		head := *e
		*e = held
		e.HeadSHA, e.HeadRef, e.Looks, e.Problem, e.Fork, e.Source = head.HeadSHA, head.HeadRef, head.Looks, head.Problem, head.Fork, head.Source
		e.Author, e.AuthorID = head.Author, head.AuthorID
		return true
	}
	resolved, blocked := e.ResolvedGeneration == e.Generation, e.Blocked == e.Generation && e.Generation > 0
	e.Generation = max(e.Generation, held.AppliedGeneration+1)
	if resolved {
		e.ResolvedGeneration = e.Generation
	}
	if blocked {
		e.Blocked = e.Generation
	}
	e.AppliedGeneration, e.AppliedSHA, e.AppliedCommit, e.AppliedAt = held.AppliedGeneration, held.AppliedSHA, held.AppliedCommit, held.AppliedAt
	e.Tree, e.Observed, e.AppliedBase = held.Tree, held.Observed, held.AppliedBase
	return true
}

// Rewrite has a generation that is applied written once more where its folder is gone from
// Git, and says whether that is still what is wanted.
func (e *Environment) Rewrite(generation int64, now time.Time) bool {
	if e.Tree == "" || !e.Commits(generation, now) {
		return false
	}
	e.Intend("")
	return true
}

func (e *Environment) awaitImages(now time.Time) {
	e.ImageAttempts, e.NextImageCheck, e.CI = 0, now, nil
	e.Images = nil
}

func (e *Environment) expireAt(t time.Time) { e.ExpiresAt, e.WarnedAt = t, time.Time{} }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
