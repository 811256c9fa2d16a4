package report

import (
	"fmt"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// deployMarker begins the hidden HTML comment of the comment about a service of a
// declared environment, of which a pull request has one each.
const deployMarker = "<!-- idp:deploy v1 "

// MarkerOf returns what the comment about an environment is found again by. A pull
// request has one comment about its preview, whatever that was called, and one about
// each service that it deploys to a declared environment.
func MarkerOf(e *previews.Environment) string {
	if e.Declared() {
		return deployMarker + "env=" + e.Ref.Name() + " "
	}
	return Marker
}

// checkName is "idp / preview", and of a declared environment "idp / <name>", with the
// service where the repository has several.
func checkName(e *previews.Environment) string {
	switch {
	case !e.Declared():
		return CheckName
	case single(e):
		return CheckPrefix + e.Ref.ID
	default:
		return CheckPrefix + e.Ref.ID + " (" + e.Ref.Service + ")"
	}
}

// single says that the environment's service is the only one of its repository, or that all of
// them are deployed as one.
func single(e *previews.Environment) bool {
	parsed, _ := spec.Parse(spec.Path, e.Spec)
	return parsed == nil || len(parsed.Services) == 1 || e.Together()
}

// place is the environment in words, with the service where there are several.
func place(e *previews.Environment) string {
	if single(e) {
		return e.Ref.ID
	}
	return e.Ref.Service + " in " + e.Ref.ID
}

// deployedVerdict words the verdict about a part of a declared environment. What is
// said of the commit is the same as for a preview; the rest is not.
func deployedVerdict(in Input, v verdict) verdict {
	e := &in.Environment
	where := plain(place(e), 160)
	if single(e) {
		where = capital(where)
	}
	switch e.State() {
	case previews.StateRefused:
		return waitingForApproval(in)
	case previews.StateRemoving, previews.StateGone:
		return dismissed(in, where, v)
	case previews.StateProposed:
		if f := e.Deployed.Fallback; f != nil {
			v.cause = join(maxInline*4, "It is to go back to "+Code(short(e.SHA))+" from "+Code(short(f.From.SHA))+": "+Text(f.Reason)+".", v.cause)
		}
		return v
	case previews.StateCommitted:
		v.title = "Committed for " + plain(place(e), 160)
	case previews.StateReady:
		v.title = "Deployed to " + e.Ref.ID
		if !single(e) {
			v.title = plain(e.Ref.Service, 100) + " is deployed to " + e.Ref.ID
		}
	case previews.StateDegraded:
		if v.title == previewDegraded {
			v.title = where + " is degraded"
			v.next = joinSentences("Fix and push.", retreat(e))
		}
		v.next = joinSentences(v.next, Code("/idp retry "+e.Ref.ID)+" tries it again.")
	case previews.StateFailed:
		again := Code("/idp retry "+e.Ref.ID) + " tries it again."
		if p := e.Problem; e.Sourced() && e.Source.Base != e.SHA && p != nil && p.Kind == previews.ProblemSpec {
			again = "Once " + Code(e.Source.Branch) + " is mended, " + Code("/idp deploy "+e.Ref.ID) + " takes it as it is then; " + Code("/idp retry "+e.Ref.ID) + " tries the same again."
		}
		v.next = joinSentences(v.next, again)
	}
	if f := e.Deployed.Fallback; f != nil {
		return fallbackVerdict(in, f, v)
	}
	return v
}

// dismissed words the verdict about a part that is taken out of Git: Argo CD takes nothing of
// it down by itself.
func dismissed(in Input, where string, v verdict) verdict {
	e := &in.Environment
	if e.Problem != nil {
		v.title = where + " cannot be removed"
		return v
	}
	v.mark, v.failing, v.title = markGone, false, where+" was removed: "+RemovalReason(e.Removal)
	if e.AppliedGeneration != e.Generation {
		v.title = where + " is being removed: " + RemovalReason(e.Removal)
	}
	v.cause = "What ran of it stays on the cluster until somebody deletes it there."
	if e.Update != nil {
		v.cause = "Your files and your Application stay as they are."
	}
	v.next = Code("/idp deploy "+e.Ref.ID) + " brings it back."
	return v
}

func joinSentences(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}

// fallbackVerdict tells that an older release took the place of a newer one.
func fallbackVerdict(in Input, f *previews.Fallback, v verdict) verdict {
	e := &in.Environment
	where, from, to := plain(place(e), 160), short(f.From.SHA), short(e.SHA)
	if single(e) {
		where = capital(where)
	}
	switch e.State() {
	case previews.StateReady, previews.StateCommitted:
		v.title = fmt.Sprintf("%s is back at %s", where, to)
		if f.By == "" {
			v.title = "Rolled back: " + plain(f.Reason, 160)
			v.mark, v.failing = markBack, true
		}
	case previews.StateDegraded, previews.StateFailed:
		v.cause = join(maxInline, v.cause, "It was to go back to "+Code(to)+" from "+Code(from)+", and that failed as well.")
		return v
	default:
		v.title = fmt.Sprintf("Going back to %s in %s", to, plain(place(e), 160))
	}
	if f.By == "" {
		v.cause = join(maxInline, Code(from)+" failed in "+Text(e.Ref.ID)+", and "+Code(to)+" takes its place.", v.cause)
		v.next = "Fix and push. To deploy the same commit again, comment " + Code("/idp deploy "+e.Ref.ID+" "+from+" --force") + "."
	} else {
		v.cause = join(maxInline, capital(plain(f.Reason, 200))+"; it was at "+Code(from)+".", v.cause)
	}
	return v
}

// waitingForApproval is for a part that nothing was deployed to yet.
func waitingForApproval(in Input) verdict {
	e := &in.Environment
	v := verdict{mark: markIdle, title: "Nothing is deployed to " + plain(place(e), 160) + " yet", status: completed, conclusion: neutral, quiet: true}
	for _, r := range e.Deployed.Queue {
		if r.NeedsApproval && r.ApprovedBy == "" {
			v.mark, v.status, v.conclusion, v.quiet = markFork, completed, actionRequired, true
			v.title = "Waiting for approval of " + short(r.SHA)
			v.next = "Somebody else than who asked or wrote it comments " + Code("/idp approve "+r.SHA) + "."
		}
	}
	return v
}

// waiting lists what waits for its turn.
func waiting(e *previews.Environment) string {
	if !e.Declared() {
		return ""
	}
	text := ""
	for i, r := range e.Deployed.Queue {
		line := fmt.Sprintf("%d. %s", i+1, Code(short(r.SHA)))
		if r.PR != 0 {
			line += fmt.Sprintf(" of pull request %d", r.PR)
		}
		if r.NeedsApproval && r.ApprovedBy == "" {
			line += ", needs an approval"
		}
		text += "\n" + line
	}
	if text != "" {
		text = "Waiting:\n" + text
	}
	if l := e.Deployed.Lock; l != nil {
		text = join(maxInline*4, "Locked by "+Code(l.By)+lockReason(l)+".", text)
	}
	return text
}

func lockReason(l *previews.Lock) string {
	if l.Reason == "" {
		return ""
	}
	return ": " + Text(l.Reason)
}

// passed returns the conclusion of the check run of a commit whose turn is over: that
// another has its turn says nothing about how it went.
func passed(in Input, sha string) (Check, bool) {
	e := &in.Environment
	if !e.Declared() {
		return Check{}, false
	}
	if f := e.Deployed.Fallback; f != nil && f.From.SHA == sha {
		return RolledBack(in), true
	}
	last := e.Deployed.Last
	if last == nil || last.SHA != sha || last.Outcome != previews.OutcomeHealthy && last.Outcome != previews.OutcomeFailed {
		return Check{}, false
	}
	c := Check{Name: checkName(e), HeadSHA: sha, Status: completed, Conclusion: success, ExternalID: externalID(e), CompletedAt: last.At}
	c.Title, c.Summary = "Deployed to "+plain(place(e), 160), "It was healthy. "+successor(e)
	if last.Outcome == previews.OutcomeFailed {
		c.Conclusion, c.Title = failure, plain("Failed: "+last.Reason, maxCheckTitle)
		c.Summary = sentence(last.Reason) + " " + successor(e)
	}
	return c, true
}

// successor names what took the place of a release.
func successor(e *previews.Environment) string {
	text := "Now it is the turn of " + Code(short(e.SHA))
	if e.PR != 0 {
		text += fmt.Sprintf(" of pull request %d", e.PR)
	}
	return text + "."
}

// Passed returns the body of the comment of a pull request that deployed here before
// the one that does now.
func Passed(in Input, pr int) string {
	e := &in.Environment
	head := MarkerOf(e) + "-->\n"
	last := e.Deployed.Last
	where := plain(place(e), 160)
	switch {
	case last == nil || last.PR != pr:
		head += "### " + markIdle + " Another pull request deploys to " + Text(where) + " now"
	case last.Outcome == previews.OutcomeHealthy:
		head += "### " + markReady + " Was deployed to " + Text(where) + " · " + Code(short(last.SHA))
	case last.Outcome == previews.OutcomeFailed:
		head += "### " + markFailed + " Failed in " + Text(where) + " · " + Code(short(last.SHA)) + "\n\n" + sentence(last.Reason)
	default:
		head += "### " + markIdle + " Did not get to " + Text(where) + " · " + Code(short(last.SHA))
	}
	return join(maxComment, head, successor(e))
}

// RolledBack returns the conclusion of the check run of a commit that was rolled back.
func RolledBack(in Input) Check {
	e := &in.Environment
	f := e.Deployed.Fallback
	c := Check{
		Name: checkName(e), HeadSHA: f.From.SHA, Status: completed, Conclusion: failure,
		Title:      plain("Rolled back: "+f.Reason, maxCheckTitle),
		Summary:    join(maxOutput, Code(short(f.From.SHA))+" failed: "+sentence(f.Reason), Code(short(e.SHA))+" takes its place."),
		ExternalID: externalID(e), CompletedAt: f.At,
	}
	if f.By != "" {
		c.Conclusion, c.Title = cancelled, plain("Stopped: "+f.Reason, maxCheckTitle)
		c.Summary = capital(plain(f.Reason, 200)) + ". " + Code(short(e.SHA)) + " takes its place."
	}
	return c
}
