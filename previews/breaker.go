package previews

import (
	"fmt"
	"time"
)

const (
	// BreakerWindow is the rolling time over which inferred removals are counted.
	BreakerWindow = time.Hour
	// breakerFloor and breakerShare make the limit: a sweep may always remove a few,
	// and never more than a share of all.
	breakerFloor = 5
	breakerShare = 10 // one in ten
)

// Breaker is the memory of the circuit breaker over removals that a sweep
// inferred, that is: was not told by a webhook, a command or an announced expiry.
// A sweep that suddenly finds many pull requests closed is more often looking at
// a broken listing than at a busy afternoon. Once latched, nothing is removed on
// inference until an operator confirms.
//
// The store asks Allow in the transaction that would write the removal. Removals
// on evidence never come here, those that make room for another (see Take) among them.
type Breaker struct {
	Latched bool `json:"latched"`
	// Reason says what latched it, At when.
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
	// ConfirmedBy let removals go on at ConfirmedAt; what was removed before then
	// counts no more.
	ConfirmedBy string    `json:"confirmedBy,omitempty"`
	ConfirmedAt time.Time `json:"confirmedAt"`
}

// BreakerLimit returns how many removals may be inferred per BreakerWindow where
// there are live environments, those removed within the window included.
func BreakerLimit(live int) int { return max(breakerFloor, live/breakerShare) }

// Since returns from when on inferred removals count at a time.
func (b Breaker) Since(now time.Time) time.Time {
	return later(now.Add(-BreakerWindow), b.ConfirmedAt)
}

// Allow decides about one more inferred removal, with recent of them counted
// since Since and present environments left. It returns "" to let it pass, else
// the reason why the breaker must latch. It is not asked while latched.
func (b Breaker) Allow(recent, present int) (refusal string) {
	limit := BreakerLimit(present + recent)
	if recent < limit {
		return ""
	}
	return fmt.Sprintf("%d removals were inferred within an hour; one more would exceed the limit of %d (the greater of %d and one in %d of %d environments)",
		recent, limit, breakerFloor, breakerShare, present+recent)
}

// Latch holds inferred removals back. Latching twice keeps the first reason.
func (b Breaker) Latch(reason string, now time.Time) Breaker {
	if b.Latched {
		return b
	}
	b.Latched, b.Reason, b.At = true, reason, now
	return b
}

// Confirm lets inferred removals go on, counting from now.
func (b Breaker) Confirm(by string, now time.Time) Breaker {
	return Breaker{ConfirmedBy: by, ConfirmedAt: now}
}

// Inferred says whether going from before to after is a removal that a sweep
// inferred.
func Inferred(before, after Environment) bool {
	return before.Wanted == Present && after.Wanted == Absent && after.Removal.Inferred
}
