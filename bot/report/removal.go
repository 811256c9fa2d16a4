package report

import (
	"strings"

	"github.com/idp-bot/idp/previews"
)

// removingVerdict is for files that are about to leave Git. The check concludes
// at once: nothing about the commit will be learnt any more.
func removingVerdict(in Input) verdict {
	e := &in.Environment
	v := verdict{
		mark: markGone, title: "Removing the preview: " + RemovalReason(e.Removal), status: completed, conclusion: neutral,
		cause: evictedBy(e.Removal),
	}
	if e.Leaving() {
		v.cause = "It has left the GitOps repository; Argo CD is taking down what ran from it."
		if o := e.Observed; o.Message != "" {
			v.mark, v.failing, v.title = markWarning, true, "The preview is not gone yet: "+plain(o.Message, 160)
			v.cause = "It left the GitOps repository after " + Elapsed(e.AppliedAt.Sub(e.Removal.At)) + ", for this reason: " + RemovalReason(e.Removal) + "."
			v.next = "What keeps it has to be dealt with on the cluster. Nothing else waits for it."
		}
	}
	if p := e.Problem; p != nil {
		v.mark, v.failing, v.conclusion = markWarning, true, failure
		v.title = "The preview cannot be removed"
		v.cause, v.next = sentence(p.Message), Hint(p.Hint)
	}
	return v
}

func goneVerdict(in Input) verdict {
	e := &in.Environment
	v := verdict{mark: markGone, title: "Preview removed: " + RemovalReason(e.Removal), status: completed, conclusion: neutral}
	if o := e.Observed; o != nil && o.Gone {
		v.cause = "Its namespace and everything in it are gone after " + Elapsed(o.At.Sub(e.Removal.At)) + "."
	} else if e.AppliedAt.After(e.Removal.At) && !e.Removal.At.IsZero() {
		v.cause = "Its files left the GitOps repository after " + Elapsed(e.AppliedAt.Sub(e.Removal.At)) + "; Argo CD takes down what ran from them."
	}
	v.cause = strings.TrimSpace(evictedBy(e.Removal) + " " + v.cause)
	v.next = wayBack(e.Removal)
	return v
}

// RemovalReason words in plain text why an environment went.
func RemovalReason(r previews.Removal) string {
	switch r.Reason {
	case previews.RemovedMerged:
		return "pull request merged"
	case previews.RemovedClosed:
		return "pull request closed"
	case previews.RemovedDraft:
		return "pull request is a draft"
	case previews.RemovedByCommand:
		if r.By != "" {
			return "destroyed by " + plain(r.By, 60)
		}
		return "destroyed by command"
	case previews.RemovedByOperator:
		return "by " + plain(r.By, 60) + ", who runs idp"
	case previews.RemovedExpired:
		return "expired"
	case previews.RemovedEvicted:
		if r.For != "" {
			return "made room for " + plain(r.For, 160)
		}
		return "made room for a pull request of another repository"
	case previews.RemovedDeleted:
		return "repository deleted"
	default:
		if r.Detail != "" {
			return plain(r.Detail, 120)
		}
		return "not asked for any more"
	}
}

// evictedBy is the policy that let a preview go for another, as a sentence; "" where none
// did.
func evictedBy(r previews.Removal) string {
	if r.Reason != previews.RemovedEvicted || r.Detail == "" {
		return ""
	}
	return sentence("policy " + r.Detail)
}

// wayBack says in Markdown how to have a removed environment again.
func wayBack(r previews.Removal) string {
	preview := Code("/idp preview")
	switch r.Reason {
	case previews.RemovedMerged, previews.RemovedDeleted:
		return ""
	case previews.RemovedClosed:
		return "Reopening the pull request brings it back."
	case previews.RemovedDraft:
		return "Marking the pull request ready for review brings it back."
	case previews.RemovedByCommand, previews.RemovedByOperator:
		return "It stays away, whatever is pushed, until somebody asks for it: " + preview + " brings it back."
	case previews.RemovedExpired, previews.RemovedEvicted:
		return preview + " or a new commit brings it back."
	default:
		return "It comes back when that is undone."
	}
}
