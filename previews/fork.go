package previews

import (
	"maps"
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
	// Withdrawn says why an approval counts no more, in words for people; "" if none was
	// taken back.
	Withdrawn string `json:"withdrawn,omitempty"`
}

// Approval is somebody's word for one commit, as it was to go into one branch.
type Approval struct {
	SHA  string    `json:"sha"`
	Into string    `json:"into"`
	By   string    `json:"by"`
	ByID int64     `json:"byId"`
	At   time.Time `json:"at"`
	// Digests are those that the images of a fork's commit had when they were first found
	// after its approval, by reference: what was approved is these.
	Digests map[string]string `json:"digests,omitempty"`
}

// other returns the first of some images that is not the one which the approval holds to,
// nil for none.
func (a Approval) other(images []Image) *Image {
	for i, image := range images {
		if held := a.Digests[image.Reference]; held != "" && image.Digest != "" && image.Digest != held {
			return &images[i]
		}
	}
	return nil
}

// hold has the approval of a fork's commit hold to the images that were found for it. It
// takes the approval back where one was pushed again meanwhile: its tag is the same, and
// what runs would not be what somebody looked at.
func (e *Environment) hold(images []Image) (changed *Image) {
	if e.Fork == nil || !e.Cleared(e.SHA) {
		return nil
	}
	fork := *e.Fork
	if changed = fork.Approved.other(images); changed != nil {
		held := fork.Approved.Digests[changed.Reference]
		fork.Approved, fork.Withdrawn = Approval{}, "image "+changed.Reference+" was pushed again after it was approved: it was "+held+" and is "+changed.Digest
		e.Fork = &fork
		return changed
	}
	digests := maps.Clone(fork.Approved.Digests)
	for _, image := range images {
		if image.Digest != "" {
			if digests == nil {
				digests = map[string]string{}
			}
			digests[image.Reference] = image.Digest
		}
	}
	fork.Approved.Digests = digests
	e.Fork = &fork
	return nil
}

// Clear lets a commit of a fork run, in the place of the one that was approved before.
// What is wanted stays as it is.
func (e *Environment) Clear(a Approval) {
	fork := Fork{}
	if e.Fork != nil {
		fork = *e.Fork
	}
	fork.Approved, fork.Withdrawn = a, ""
	e.Fork = &fork
}

// Cleared says that a revision may be committed, as far as approvals go: of a fork's code
// that is the approved commit and no other, by the digests that it was approved with, and
// so it is of what is rendered from a pull request's own chart.
func (e *Environment) Cleared(sha string) bool {
	if e.Source.Own() && e.Source.Approved.SHA != sha {
		return false
	}
	return e.Fork == nil || sha != "" && e.Fork.Approved.SHA == sha && e.Fork.Approved.other(e.Images) == nil
}

// errUncleared refuses to commit what is not cleared.
var errUncleared = fault.New(fault.Denied, "this commit is not the one that was approved", "Somebody with write permission has to approve it.")
