package report

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/previews"
)

// The state marks: the one emoji that a heading or a cell starts with.
const (
	markReady    = "✅"
	markWaiting  = "⏳"
	markPaused   = "⏸️"
	markFailed   = "❌"
	markGone     = "🧹"
	markExpiring = "⏰"
	markWarning  = "⚠️"
	markFork     = "🔒"
	markIdle     = "💤"
	markInGit    = "📦"
	markBack     = "⏪"
)

// The statuses and conclusions of a check run that are used here, in GitHub's words.
const (
	enqueued   = "queued"
	inProgress = "in_progress"
	completed  = "completed"

	success        = "success"
	failure        = "failure"
	neutral        = "neutral"
	cancelled      = "cancelled"
	timedOut       = "timed_out"
	actionRequired = "action_required"
)

// verdict is what there is to say of an environment, before it is worded for the
// comment, the check run or a reply.
type verdict struct {
	mark string
	// title is the verdict in one line of plain text; check replaces it as the
	// check run's title, where there is no mark and no expiry beside it.
	title, check string
	// cause and next are Markdown paragraphs; "" for none.
	cause, next string
	// status and conclusion are the check run's; conclusion is "" in progress.
	status, conclusion string
	// cell is the state of each service, with its mark.
	cell string
	// failing verdicts are written in mode on-failure; quiet ones make no comment
	// of their own.
	failing, quiet bool
	// services says that the table of services belongs to it.
	services bool
}

// settled says that what is wanted runs, as far as is known: the time for its
// expiry to stand in the heading.
func (v verdict) settled() bool { return v.conclusion == success || v.conclusion == neutral }

// verdictOf judges an environment. A problem with the newest commit comes before
// the state of what runs: it is what the author has to act on.
func verdictOf(in Input) verdict {
	v := commitVerdict(in)
	if in.Environment.Declared() {
		return deployedVerdict(in, v)
	}
	return v
}

// commitVerdict judges what became of the commit, whatever it is deployed to.
func commitVerdict(in Input) verdict {
	e := &in.Environment
	if p := e.Problem; p != nil && p.SHA == e.HeadSHA && (p.Kind == previews.ProblemSpec || p.Kind == previews.ProblemFork || p.Kind == previews.ProblemPlatform || p.Kind == previews.ProblemPolicy) {
		return problemVerdict(in)
	}
	if p := e.Problem; p != nil && p.Kind == previews.ProblemPush && e.State() == previews.StateCommitting {
		return problemVerdict(in) // it is being tried still, but for too long to say nothing
	}
	if p := e.Problem; p != nil && p.Kind == previews.ProblemPaused && e.State() == previews.StateCommitting {
		return pausedVerdict(in)
	}
	switch e.State() {
	case previews.StateRefused:
		return idleVerdict(in)
	case previews.StateWaiting:
		return waitingVerdict(in)
	case previews.StateCommitting:
		return committingVerdict(in)
	case previews.StateProposed:
		return proposedVerdict(in)
	case previews.StateCommitted:
		return expiring(in, committedVerdict(in))
	case previews.StateSyncing:
		return syncingVerdict(in)
	case previews.StateReady:
		return expiring(in, readyVerdict(in))
	case previews.StateDegraded:
		return degradedVerdict(in)
	case previews.StateFailed:
		return problemVerdict(in)
	case previews.StateRemoving:
		return removingVerdict(in)
	default:
		return goneVerdict(in)
	}
}

// problemVerdict says why a revision is not deployed.
func problemVerdict(in Input) verdict {
	e := &in.Environment
	p := e.Problem
	if p == nil {
		return verdict{mark: markFailed, title: "Not deployed", status: completed, conclusion: failure, failing: true}
	}
	v := verdict{
		mark: markFailed, status: completed, conclusion: failure,
		cell: markFailed + " not deployed", failing: true, services: e.AppliedSHA != "" && e.Wanted == previews.Present,
	}
	v.title, v.cause = split(p.Message)
	if e.HeadSHA != e.SHA {
		v.cell = "runs `" + short(e.AppliedSHA) + "`"
	}
	v.next = Hint(p.Hint)
	switch p.Kind {
	case previews.ProblemSpec:
		specVerdict(&v, p)
	case previews.ProblemPolicy:
		policyVerdict(&v, p)
	case previews.ProblemFork:
		forkVerdict(&v, e)
	case previews.ProblemChanged:
		if e.Update != nil {
			v.title, v.cause = "Somebody else changed the file", sentence(p.Message)
			break
		}
		v.title, v.cause = "Somebody else changed the preview's folder", sentence(p.Message)
	case previews.ProblemProvenance:
		v.title, v.cause = "Not proven where its image was built", sentence(p.Message)
		v.next = strings.TrimSpace(v.next + " [How to attest](" + previews.AttestAction + ").")
	case previews.ProblemImage, previews.ProblemPush, previews.ProblemDeclined, previews.ProblemUpdate, previews.ProblemPlatform, previews.ProblemChart, previews.ProblemPaused:
		// As it was split.
	}
	return v
}

// split makes a title and a cause of a message such as "the push is refused: the
// branch is protected".
func split(message string) (title, cause string) {
	const most = 120
	title, rest, _ := strings.Cut(plain(message, maxInline), ": ")
	if cut := plain(title, most); cut != title {
		return capital(cut), sentence(message)
	}
	return capital(title), sentence(rest)
}

// sentence makes a message a paragraph of Markdown; "" of none.
func sentence(message string) string {
	if message = plain(message, maxInline); message == "" {
		return ""
	}
	return paragraph(capital(strings.TrimSuffix(message, ".")) + ".")
}

func specVerdict(v *verdict, p *previews.Problem) {
	if len(p.Errors) == 0 {
		return
	}
	v.title = plural(len(p.Errors), "error") + " in " + plain(p.Errors[0].Path, 80)
	v.cause = fence("text", errorLines(p)) + "\n\nNothing of " + Code(short(p.SHA)) + " was deployed."
	if v.next == "" {
		v.next = "Fix and push. " + Code("idp validate") + " says the same on your machine."
	}
}

// errorLines lists the errors of a spec as compilers do, one a line.
func errorLines(p *previews.Problem) string {
	const most = 25
	var b strings.Builder
	for i, one := range p.Errors {
		if i == most {
			fmt.Fprintf(&b, "and %d more\n", len(p.Errors)-most)
			break
		}
		b.WriteString(plain(one.Error(), maxInline) + "\n")
	}
	return b.String()
}

// idleVerdict is for a row that has nothing to deploy and nothing wrong.
func idleVerdict(in Input) verdict {
	why := "this commit does not ask for one"
	switch r := in.Environment.Removal; {
	case r.Detail != "":
		why = plain(r.Detail, 120)
	case r.Reason == previews.RemovedClosed, r.Reason == previews.RemovedMerged:
		why = "the pull request is " + string(r.Reason)
	}
	return verdict{mark: markIdle, title: "No preview: " + why, status: completed, conclusion: neutral, quiet: true}
}

func waitingVerdict(in Input) verdict {
	e := &in.Environment
	v := verdict{mark: markWaiting, status: inProgress, cell: markWaiting + " waiting", services: true}
	missing := missingImages(e.Images)
	if len(missing) == 0 {
		v.title = "Looking for the images of " + short(e.SHA)
		return v
	}
	image, more, runs := "image "+plain(shortReference(missing[0].Reference), 160), "", e.Runs()
	if n := len(missing) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	v.title = ciTitle(in, image+more)
	if v.title == "" {
		v.title = "Waiting for " + image + ", " + Elapsed(in.Now.Sub(e.WantedAt))
		if more != "" {
			v.title += "," + more
		}
	}
	lines := make([]string, len(missing))
	for i, image := range missing {
		lines[i] = "- " + Code(image.Reference) + ": " + Text(image.Missing)
	}
	v.cause = strings.TrimSpace(strings.Join(lines, "\n") + "\n" + ciLines(in))
	v.next = strings.TrimSpace(nextLook(in, runs) + " " + imagesOfForks(e))
	return v
}

func nextCheck(in Input) string {
	if e := &in.Environment; e.NextImageCheck.After(in.Now) {
		return " and at " + e.NextImageCheck.UTC().Format("15:04:05 UTC")
	}
	return ""
}

func missingImages(images []previews.Image) []previews.Image {
	var missing []previews.Image
	for _, image := range images {
		if image.Missing != "" {
			missing = append(missing, image)
		}
	}
	return missing
}

func committingVerdict(in Input) verdict {
	return verdict{
		mark: markWaiting, title: "Committing " + short(in.Environment.SHA) + " to the GitOps repository",
		status: inProgress, cell: markWaiting + " being committed", services: true,
	}
}

// pausedVerdict is for what waits until the platform team lets idp go on.
func pausedVerdict(in Input) verdict {
	p := in.Environment.Problem
	v := verdict{mark: markPaused, status: inProgress, cell: markPaused + " paused", next: Hint(p.Hint), services: true}
	v.title, v.cause = split(p.Message)
	return v
}

func committedVerdict(in Input) verdict {
	return verdict{
		mark: markInGit, title: "Preview is committed", check: "Committed · " + serviceNames(in),
		status: completed, conclusion: neutral, cell: markInGit + " committed", services: true,
		cause: "It is in the GitOps repository. No Argo CD is configured here, so it is not known when it serves: the check is neutral, not green.",
	}
}

func syncingVerdict(in Input) verdict {
	e := &in.Environment
	v := verdict{
		mark: markWaiting, title: "Argo CD is rolling out " + short(e.AppliedSHA),
		status: inProgress, cell: markWaiting + " rolling out", services: true,
	}
	o := e.Observed
	if o == nil || o.Generation != e.AppliedGeneration {
		return v
	}
	v.cause = observed(o)
	if title := progressTitle(o.Progress); title != "" {
		v.title, v.cause = title, ""
	}
	if o.Unserved != "" {
		v.title, v.cause, v.cell = "Healthy, and not serving yet", sentence(o.Unserved), markWaiting+" not serving yet"
	}
	if title := faultTitle(o.Fault); title != "" {
		// It is told early, and not judged early: what fails at first may yet come up.
		v.title, v.cause = title, faultText(in, o.Fault)
		v.next = strings.TrimSpace(Hint(o.Fault.Next) + " Kubernetes goes on trying meanwhile.")
	}
	return v
}

// observed words what Argo CD says, or that it says nothing.
func observed(o *previews.Observation) string {
	state := strings.Trim(o.Sync+", "+o.Health, ", ")
	if state == "" {
		return sentence(o.Message)
	}
	words := "Argo CD: " + Text(strings.ToLower(state))
	if o.Message != "" {
		words += ": " + Text(o.Message)
	}
	return words
}

func readyVerdict(in Input) verdict {
	without := ""
	if unaddressed(in) {
		without = ", without an address"
	}
	return verdict{
		mark: markReady, title: "Preview is ready" + without, check: "Ready" + without + " · " + serviceNames(in),
		status: completed, conclusion: success, cell: markReady + " healthy", services: true,
	}
}

// previewDegraded is the title of what is degraded for no reason that is known.
const previewDegraded = "Preview is degraded"

func degradedVerdict(in Input) verdict {
	e := &in.Environment
	o := e.Observed
	v := verdict{
		mark: markFailed, title: previewDegraded, status: completed, conclusion: failure,
		cell: markFailed + " degraded", failing: true, services: true,
		next: "Fix and push. The rollout in Argo CD shows which pod or resource it is.",
	}
	if o.Message != "" {
		v.cause = observed(o)
		v.check = v.title + ": " + plain(o.Message, 160)
	}
	if title := faultTitle(o.Fault); title != "" {
		v.title, v.check, v.cause, v.next = title, "", faultText(in, o.Fault), Hint(o.Fault.Next)
	}
	if o.TimedOut {
		v.check, v.conclusion, v.cell = capital(plain(o.Message, 160)), timedOut, markFailed+" timed out"
		v.cause = join(maxComment, sentence(o.Message), v.faultBeside(in))
		v.title = "The rollout timed out"
		v.next = "Should it become healthy after all, this turns green. The rollout in Argo CD shows what it waits for."
		if o.Unserved != "" {
			v.title, v.next = "Healthy, and not serving", "Should it serve after all, this turns green."
		}
	}
	v.next = strings.TrimSpace(v.next + " " + retreat(e))
	return v
}

// faultBeside is the fault that is known of what did not come up in time, with its title.
func (v verdict) faultBeside(in Input) string {
	title := faultTitle(in.Environment.Observed.Fault)
	if title == "" {
		return ""
	}
	return join(maxComment, "**"+Text(capital(title))+"**", faultText(in, in.Environment.Observed.Fault))
}

// expiring turns a healthy verdict into the warning ahead of expiry. The check
// run stays as it was: nothing about the commit changed.
func expiring(in Input, v verdict) verdict {
	e := &in.Environment
	if e.WarnedAt.IsZero() || e.Pinned || e.ExpiresAt.IsZero() {
		return v
	}
	v.mark = markExpiring
	if v.check == "" {
		v.check = v.title
	}
	v.title = "Preview expires " + Relative(e.ExpiresAt, in.Now)
	v.next = Code("/idp extend 24h") + " keeps it for another day, " + Code("/idp pin") + " until the pull request is closed."
	return v
}

func serviceNames(in Input) string {
	names := make([]string, 0, len(in.Environment.Images))
	for _, s := range services(in) {
		names = append(names, s.name)
	}
	return plain(strings.Join(names, ", "), 160)
}

// capital starts s with a capital letter, unless its first word is a path or name.
func capital(s string) string {
	first, _, _ := strings.Cut(s, " ")
	if s == "" || strings.ContainsAny(first, "./:@_") {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}
