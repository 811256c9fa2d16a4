package access

// PullRequest is the pull request from which something is asked for, as it is now.
type PullRequest struct {
	// Fork says that its head is in another repository, Draft that it is one.
	Fork, Draft bool
	Author      Actor
	// Approved says that somebody approved a fork's head, as what goes into the branch that
	// it goes into.
	Approved bool
}

// Code is where the commit comes from that is asked for in a declared environment.
type Code string

// The origins of a commit, the most trusted first; the zero value is that none is named.
const (
	Merged   Code = "merged"   // the default branch has it
	Proposed Code = "proposed" // the pull request has it, and the default branch does not
	Stray    Code = "stray"    // neither has it, or there is no such commit
)

// Cause is what kind of reason a refusal has; "" is that of who asks.
type Cause string

// What refuses somebody who may otherwise. CauseOwn is between them and what they ask for;
// the others are what the pull request is, and the same for everybody.
const (
	CauseOwn      Cause = "own"      // an approval of what they asked for or wrote
	CauseBot      Cause = "bot"      // a bot's pull request brings no preview up by itself
	CauseDraft    Cause = "draft"    // a draft, where those have no preview
	CauseFork     Cause = "fork"     // the code of a fork
	CauseStray    Cause = "stray"    // a commit that is neither merged nor the pull request's
	CauseUnmerged Cause = "unmerged" // a commit that is not merged, in a protected environment
)

// OfPullRequest says that it is what the pull request is that refuses.
func (c Cause) OfPullRequest() bool { return c != "" && c != CauseOwn }

// Admits decides by the pull request alone, whoever asks, and where nobody does: what no
// permission makes good. Authorize asks it last.
//
//   - The head of a fork has a preview once it was approved. In a declared environment
//     nothing of a fork is deployed or compared that is not merged.
//   - A draft has no preview where those do not have one, whoever approves it.
//   - Of commits that stand by themselves nothing is deployed, and into a protected
//     environment only what is merged. What is promoted was let in where it runs.
//   - A bot's pull request brings no preview up by itself, unless its class says so.
func Admits(action Action, env Environment, pr PullRequest, code Code) Verdict {
	brings := action == Preview || action == Automatic
	named := env.Name != "" && actions[action].names
	switch {
	case action == Automatic && pr.Author.Bot && !env.Bots:
		return Verdict{Cause: CauseBot, Reason: "pull requests of bots have no preview by themselves", WhoMay: RuleOf(Preview, env).WhoMay() + ", by asking for it,"}
	case (brings || action == Approve && env.Preview) && pr.Draft && !env.Drafts:
		return Verdict{Cause: CauseDraft, Reason: "drafts have no preview here", WhoMay: "nobody, before it is ready for review,"}
	case brings && pr.Fork && !pr.Approved:
		return Verdict{Cause: CauseFork, Reason: "the head is in a fork, and nobody approved it", WhoMay: "nobody, before somebody else than its author has approved it,"}
	case named && pr.Fork && code != Merged:
		return Verdict{Cause: CauseFork, Reason: "this pull request comes from a fork, and the code of forks is not deployed", WhoMay: "nobody, before it is merged,"}
	case named && code != Merged && code != Proposed:
		return Verdict{Cause: CauseStray, Reason: "the commit is neither on the default branch nor part of this pull request", WhoMay: "nobody"}
	case env.Name != "" && env.Protected && actions[action].takes && code != Merged && code != "":
		return Verdict{Cause: CauseUnmerged, Reason: env.Name + " takes only commits of the default branch", WhoMay: "nobody, before it is merged,"}
	}
	return Verdict{Allowed: true, Reason: "nothing about the pull request is against it"}
}
