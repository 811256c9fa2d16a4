package report

import (
	"fmt"

	"github.com/idp-bot/idp/previews"
)

// What a pull request changes in its chart, overlay or manifests is not in its preview before
// somebody approved it. Whoever is to approve it sees first what it would change.

// maxProposedInComment is how much room a comment has for the diff, in bytes; the check has
// the rest.
const maxProposedInComment = 16_000

// proposes says that the newest commit has a source of its own which waits for approval.
func proposes(e *previews.Environment) bool {
	return e.Wanted == previews.Present && e.Fork == nil && e.Source != nil && e.Source.Head != nil && !e.Source.Own() && e.SHA == e.HeadSHA
}

// proposed says what the pull request's own source would change and how it comes to count;
// "" where there is none that waits.
func proposed(e *previews.Environment) string {
	if !proposes(e) {
		return ""
	}
	own := sourceNames(e, e.Source.Head)
	if len(e.Source.Head) > 1 {
		own = "something of " + own
	}
	text := fmt.Sprintf("This pull request changes %s, and its preview is rendered from the base. ", own)
	if !e.Sourced() {
		text = fmt.Sprintf("This pull request brings %s, and its preview is rendered by idp. ", sourceNames(e, e.Source.Head))
	}
	next := fmt.Sprintf("To have its own, somebody else with write permission looks at what changes and comments %s; a push asks again.", Code("/idp approve "+e.HeadSHA))
	switch would := e.Source.Would; {
	case would == nil && e.Blocked == e.Generation:
		return text + "That was given up, so that it is not known what differs with its own. " + next
	case would == nil:
		return text + "What differs with its own stands here once that is committed. " + next
	case would.Failed != "":
		return text + "Its own cannot be rendered: " + Text(would.Failed) + "."
	case len(would.Changes) == 0:
		return text + "Its own renders to the same."
	default:
		return text + "With its own, " + changedObjects(would.Changes) + ".\n\n" + next
	}
}

// proposedDiff is what the pull request's own source would change, in at most room bytes; ""
// where there is nothing to show.
func proposedDiff(in Input, room int) string {
	e := &in.Environment
	if !proposes(e) || e.Source.Would == nil || len(e.Source.Would.Changes) == 0 {
		return ""
	}
	if !in.Class.ShowsDiffs(e.Private) {
		return "What changes in them is not shown, since everybody can read this repository."
	}
	const noteRoom = 100
	diff, left := plannedDiff(e.Source.Would.Changes, room-noteRoom), 0
	for _, change := range e.Source.Would.Changes {
		if change.Diff == "" {
			left++
		}
	}
	if left == 0 {
		return diff
	}
	return join(room, diff, "Left out for want of room: the diffs of "+plural(left, "object")+".")
}

// foldedDiff is proposedDiff for a comment, closed until somebody wants to know.
func foldedDiff(in Input) string {
	text := proposedDiff(in, maxProposedInComment)
	if text == "" {
		return ""
	}
	return "<details><summary>What its own would change</summary>\n\n" + text + "\n\n</details>"
}

// checkText is the text of a check run: the notes of a source that its summary has no room
// for, what the pull request's own source would change and, of a commit that is deployed, what
// that did change in the manifests.
func checkText(in Input) string {
	e := &in.Environment
	notes := alsoDropped(e, maxOutput/3)
	if e.Wanted != previews.Present || e.AppliedSHA != e.HeadSHA {
		return notes
	}
	own := proposedDiff(in, maxOutput/3)
	if own != "" {
		own = "**What its own would change**\n\n" + own
	}
	const title = "**What was committed**\n\n"
	committed := manifestDiff(in, maxOutput-len(notes)-len(own)-len(title)-8)
	if committed != "" && notes+own != "" {
		committed = title + committed
	}
	return join(maxOutput, notes, own, committed)
}
