package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/previews"
)

// Queued is the check run of a commit that waits for its turn in a declared environment.
type Queued struct {
	Check
	// PR is the pull request that waits with it, 0 for none.
	PR int
}

// QueuedOf returns the check runs of the commits that wait for their turn, in the order
// of the queue. One of them goes on as CheckOf's when the turn comes.
func QueuedOf(in Input) []Queued {
	e := &in.Environment
	if !e.Declared() {
		return nil
	}
	var out []Queued
	seen := map[string]bool{e.HeadSHA: true} // that one has its check
	for i, r := range e.Deployed.Queue {
		if seen[r.SHA] {
			continue
		}
		seen[r.SHA] = true
		out = append(out, Queued{Check: queuedCheck(in, i), PR: r.PR})
	}
	return out
}

// queuedCheck is the check run of the i-th that waits.
func queuedCheck(in Input, i int) Check {
	e := &in.Environment
	r := e.Deployed.Queue[i]
	its := *e
	its.Spec = r.Spec // it says how many services there are, and so what the check is called
	ahead := aheadOf(in, i)
	c := Check{Name: checkName(&its), HeadSHA: r.SHA, Status: enqueued, ExternalID: externalID(e), StartedAt: r.At}
	cause, next := "", Code("/idp status "+e.Ref.ID)+" shows the queue. A newer commit that this pull request deploys takes the place of this one."
	switch l := e.Deployed.Lock; {
	case r.NeedsApproval && r.ApprovedBy == "":
		c.Status, c.Conclusion = completed, actionRequired
		c.Title = "Waiting for approval of " + short(r.SHA)
		next = "Somebody else than who asked or wrote it comments " + Code("/idp approve "+r.SHA) + "."
		ahead = nil // it holds nobody, and nobody holds it, before that
	case l != nil:
		c.Title = "Locked by " + l.By
		if l.Reason != "" {
			c.Title += ": " + l.Reason
		}
		cause = fmt.Sprintf("%s is locked by %s since %s%s. %s gives it free.",
			Code(e.Ref.ID), Code(l.By), Text(Instant(l.At, in.Now)), lockReason(l), Code("/idp unlock "+e.Ref.ID))
	case len(ahead) == 1:
		c.Title = "Waiting for " + short(ahead[0].sha) + " before it"
	case len(ahead) > 1:
		c.Title = fmt.Sprintf("Waiting for %d before it", len(ahead))
	default:
		c.Title = "Next in the queue"
	}
	if r.NeedsApproval && r.ApprovedBy == "" {
		c = c.withButtons(e, []Button{approveButton})
	}
	c.Title = plain(c.Title, maxCheckTitle)
	c.Summary = join(maxOutput, "It waits for its turn in "+Text(place(&its))+".", cause, aheadText(ahead), next)
	return c
}

// before is one release that another waits for.
type before struct{ sha, text string }

// aheadOf are the releases that have their turn before the i-th that waits: what is
// under way, and what waits before it and for nobody's approval.
func aheadOf(in Input, i int) []before {
	e := &in.Environment
	var out []before
	if e.Moving() {
		current := e.Deployed.Current
		out = append(out, before{current.SHA, releaseText(in, current) + ", under way"})
	}
	for _, r := range e.Deployed.Queue[:i] {
		if !r.NeedsApproval || r.ApprovedBy != "" {
			out = append(out, before{r.SHA, releaseText(in, r)})
		}
	}
	return out
}

func aheadText(ahead []before) string {
	if len(ahead) == 0 {
		return ""
	}
	lines := make([]string, len(ahead))
	for i, b := range ahead {
		lines[i] = fmt.Sprintf("%d. %s", i+1, b.text)
	}
	return "Before it:\n\n" + strings.Join(lines, "\n")
}

// releaseText names a release, with a link to its pull request.
func releaseText(in Input, r previews.Release) string {
	text := Code(short(r.SHA))
	if r.PR == 0 {
		return text
	}
	e := &in.Environment
	return text + " of " + link(fmt.Sprintf("pull request %d", r.PR), fmt.Sprintf("%s/%s/%s/pull/%d", in.Web, e.Owner, e.Repo, r.PR))
}

// Unqueued returns the conclusion of the check run of a commit that waited and does not
// any more, though it is not what is deployed now: how it ended, where its turn came and
// went, or what took its place in the queue.
func Unqueued(in Input, name, sha string, pr int) Check {
	e := &in.Environment
	c, over := passed(in, sha)
	if !over {
		c = Check{HeadSHA: sha, Status: completed, Conclusion: cancelled, ExternalID: externalID(e)}
		if by := successorOf(e, sha, pr); by != "" {
			c.Title = "Superseded by " + short(by)
			c.Summary = "A newer commit of the same pull request, " + Code(short(by)) + ", took the place of this one in " + Text(e.Ref.ID) + "."
		} else {
			c.Title = "No longer in the queue"
			c.Summary = "It left the queue of " + Text(e.Ref.ID) + " before it was deployed. " + Code("/idp deploy "+e.Ref.ID+" "+short(sha)) + " asks for it again."
		}
	}
	c.Name = name
	return c
}

// successorOf is the other commit that a pull request deploys, or waits to; "" for none.
func successorOf(e *previews.Environment, sha string, pr int) string {
	if pr == 0 {
		return ""
	}
	for _, r := range e.Deployed.Queue {
		if r.PR == pr && r.SHA != sha {
			return r.SHA
		}
	}
	if e.Deployed.Current.PR == pr && e.Deployed.Current.SHA != sha {
		return e.Deployed.Current.SHA
	}
	return ""
}
