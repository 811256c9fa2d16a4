package previews

import (
	"slices"
	"time"
)

// MinIdle is how long nothing may have been asked of a preview before it can be taken, a
// policy's word or not: two pull requests that people are at never take each other's in turns.
const MinIdle = 10 * time.Minute

// IdleSince is when somebody last did something about a preview: pushed, asked for
// something new, or for more time.
func (e *Environment) IdleSince() time.Time {
	return later(later(e.WantedAt, e.PushedAt), e.AskedAt)
}

// MayBeTaken says that a preview can make room for another at a time. What it was last
// asked for has come to its end, well or not; it is not pinned, nobody is being asked to
// approve a newer commit of it, and it has been idle for MinIdle. Declared environments,
// which may be locked, never can.
func (e *Environment) MayBeTaken(now time.Time) bool {
	settled := slices.Contains(SettledStates, e.State())
	asking := e.Problem != nil && e.Problem.Kind == ProblemFork
	return settled && e.Wanted == Present && !e.Declared() && !e.Pinned && !asking && now.Sub(e.IdleSince()) >= MinIdle
}

// SettledStates are the states in which nothing of what is wanted is under way.
var SettledStates = []State{StateCommitted, StateReady, StateDegraded, StateFailed}

// Take removes a preview to make room for another where that may be done at a time.
//
// The breaker does not count it: it is no inference, the policies name this preview, and
// with each that is taken one comes in its place, so that never more go than are asked for.
func (e *Environment) Take(r Removal, now time.Time) (changed bool) {
	if !e.MayBeTaken(now) {
		return false
	}
	r.Reason, r.Inferred = RemovedEvicted, false
	return e.Remove(r, now)
}
