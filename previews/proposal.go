package previews

import "time"

// Proposal is a pull request of the GitOps repository that holds what is wanted of an
// environment, where people merge what idp writes.
type Proposal struct {
	// Generation is the one that it holds, and Attempt how often that was proposed
	// anew because the branch had moved on.
	Generation int64 `json:"generation"`
	Attempt    int   `json:"attempt,omitempty"`
	// Branch holds it, at Commit, which was made on Parent; Tree is what it gives the
	// environment's folder, "" for none.
	Branch string `json:"branch"`
	Commit string `json:"commit,omitempty"`
	Parent string `json:"parent,omitempty"`
	Tree   string `json:"tree,omitempty"`
	// Number and URL are the pull request's, zero until it is known to be open.
	Number int       `json:"number,omitempty"`
	URL    string    `json:"url,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Proposed returns the pull request that what is wanted waits in, to be merged; nil
// where it does not.
func (e *Environment) Proposed() *Proposal {
	if p := e.Proposal; p != nil && p.Number != 0 && p.Generation == e.Generation && e.Lane.Proposed && e.Blocked != e.Generation {
		return p
	}
	return nil
}

// Propose records where what is wanted is about to be proposed, before it is.
func (e *Environment) Propose(p Proposal) {
	e.Intend(p.Tree)
	e.Proposal = &p
}

// Offer records the pull request that the proposal on a branch became.
func (e *Environment) Offer(branch string, with Proposal) (changed bool) {
	p := e.Proposal
	if p == nil || p.Branch != branch {
		return false
	}
	offered := *p
	offered.Commit, offered.Parent, offered.Number, offered.URL, offered.At = with.Commit, with.Parent, with.Number, with.URL, with.At
	e.Proposal = &offered
	return true
}

// Withdraw forgets the proposal on a branch, once its pull request is closed. With
// again what is wanted is proposed anew.
func (e *Environment) Withdraw(branch string, again bool) (changed bool) {
	p := e.Proposal
	if p == nil || p.Branch != branch {
		return false
	}
	e.Proposal = nil
	if again && p.Generation == e.Generation {
		e.Proposal = &Proposal{Generation: p.Generation, Attempt: p.Attempt + 1}
	}
	return true
}

// stale says that the proposal is no longer of what is wanted, or not to be proposed.
func (e *Environment) stale() bool {
	p := e.Proposal
	return p != nil && p.Branch != "" && (p.Generation != e.Generation || !e.Lane.Proposed || e.Blocked == e.Generation || e.AppliedGeneration == e.Generation)
}
