package previews

import "time"

// LossReason says why idp hears nothing more of a repository.
type LossReason string

// The reasons. All but the last were told by GitHub.
const (
	LostDeleted     LossReason = "deleted"     // the repository, by its owner
	LostUninstalled LossReason = "uninstalled" // the App, from the repository or from its owner
	LostSuspended   LossReason = "suspended"   // the App, by the owner
	LostArchived    LossReason = "archived"    // it can be read, and takes nothing
	LostUnreadable  LossReason = "unreadable"  // a sweep found it out of reach, and nobody said why
)

// LossReasons lists every LossReason, for metrics.
var LossReasons = []LossReason{LostDeleted, LostUninstalled, LostSuspended, LostArchived, LostUnreadable}

// Lost is since when, and why, nothing is heard of an environment's repository. It is told to
// operators, and nothing else follows from it: a preview goes by what its Removal says, and a
// declared environment by a person's word (Dismiss).
type Lost struct {
	Reason LossReason `json:"reason"`
	At     time.Time  `json:"at"`
}

// String says in a clause what became of the repository.
func (l Lost) String() string {
	switch l.Reason {
	case LostDeleted:
		return "its repository was deleted"
	case LostUninstalled:
		return "the App was taken from its repository"
	case LostSuspended:
		return "the App is suspended by the owner of its repository"
	case LostArchived:
		return "its repository is archived"
	}
	return "its repository cannot be read any more"
}

// Lose records that nothing more is heard of the repository of an environment that is wanted,
// and says whether that is news. What GitHub told is not replaced by what only looks so.
func (e *Environment) Lose(why LossReason, now time.Time) (changed bool) {
	if e.Wanted != Present || e.Lost != nil && (e.Lost.Reason == why || why == LostUnreadable) {
		return false
	}
	e.Lost = &Lost{Reason: why, At: now}
	return true
}

// Dismiss takes an environment away on the word of who runs idp, and says whether there was
// something to do. With a declared one go its lock, what waited for its turn and what there was
// to go back to: it begins anew with the next deployment. One whose removal was given up is
// removed again, whatever somebody else wrote to its folder meanwhile.
func (e *Environment) Dismiss(by string, now time.Time) (changed bool) {
	if e.Wanted == Absent {
		if changed = e.Retry(now); changed {
			e.Actor, e.AskedAt = by, now
		}
		return changed
	}
	if e.Declared() {
		d := e.revised()
		if e.Moving() && d.Current.HealthyAt.IsZero() && d.Current.FailedAt.IsZero() {
			e.finish(d.Current, OutcomeStopped, "the environment was removed", now)
		}
		e.Deployed = &Deployed{Last: d.Last, Quarantine: d.Quarantine, Merges: d.Merges}
	}
	e.AskedBy, e.Lost = "", nil
	e.Remove(Removal{Reason: RemovedByOperator, By: by}, now)
	e.Actor, e.AskedAt = by, now
	return true
}
