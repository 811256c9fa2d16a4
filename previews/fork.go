package previews

import (
	"time"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/spec"
)

// Fork is what idp keeps of a preview whose code comes from a fork: anybody may have
// written that, so nothing of it runs before somebody of the repository approved it.
type Fork struct {
	// Approved is the one commit that may run; its zero value is none.
	Approved Approval `json:"approved,omitzero"`
	// Base is the commit of the base branch whose .idp/deploy.yaml the wanted revision is
	// rendered from. Taken are the keys whose values come from the fork's, Left those that
	// differ there and are not taken.
	Base  string         `json:"base,omitempty"`
	Taken []string       `json:"taken,omitempty"`
	Left  []spec.Untaken `json:"left,omitempty"`
}

// Approval is somebody's word for one commit, as it was to go into one branch.
type Approval struct {
	SHA  string    `json:"sha"`
	Into string    `json:"into"`
	By   string    `json:"by"`
	ByID int64     `json:"byId"`
	At   time.Time `json:"at"`
}

// Clear lets a commit of a fork run, in the place of the one that was approved before.
// What is wanted stays as it is.
func (e *Environment) Clear(a Approval) {
	fork := Fork{}
	if e.Fork != nil {
		fork = *e.Fork
	}
	fork.Approved = a
	e.Fork = &fork
}

// Cleared says that a revision may be committed, as far as approvals go: of a fork's code
// that is the approved commit and no other, and so it is of what is rendered from a pull
// request's own chart.
func (e *Environment) Cleared(sha string) bool {
	if e.Source.Own() && e.Source.Approved.SHA != sha {
		return false
	}
	return e.Fork == nil || sha != "" && e.Fork.Approved.SHA == sha
}

// errUncleared refuses to commit what is not cleared.
var errUncleared = fault.New(fault.Denied, "this commit is not the one that was approved", "Somebody with write permission has to approve it.")
