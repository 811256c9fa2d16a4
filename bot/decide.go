package bot

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// Decide says what to do about an event, and why. It is pure: the same snapshot
// and event give the same decision, and nothing that is passed in is changed.
//
// What follows from a pull request is a function of its facts alone, not of the
// event that told of it: deciding again, late or out of order, changes nothing.
//
//   - Closed pull requests never get a preview, and those whose head is in a fork one of
//     the commit alone that somebody approved (forks.go).
//   - The newest head wins. Where its spec is wrong, what runs keeps running.
//   - A preview that was destroyed by command stays away, whatever is pushed, until
//     "/idp preview" asks for it or the pull request stops being one that gets a
//     preview and becomes one again (reopened, labelled anew, ready for review).
//   - A preview that expired comes back with the next push, for the time to live
//     counts from the last one; an event that brings no new commit leaves it away.
//   - A preview that policies let go to make room for another comes back likewise, or
//     with a command, and then takes no other's place that is not idle.
//   - A preview that a command asked for needs no trigger and no path; that the
//     repository switched previews off, ignores a label or gives drafts none holds
//     for it too.
func Decide(s Snapshot, event Event) Decision {
	d := newDeciding(s, event)
	switch event.Kind {
	case EventPullRequest:
		d.pullRequest()
	case EventRerequest:
		d.rerequest()
	case EventComment:
		d.comment()
	case EventRequest:
		d.requested()
	case EventButton:
		d.button()
	default:
		d.because("%s events are not decided about", event.Kind)
	}
	return d.decision()
}

// deciding is a decision in the making.
type deciding struct {
	Snapshot
	event Event
	// bounded is what a fork's head may say of its spec, laid on the base branch's;
	// theirs is the head's own.
	bounded spec.Bounded
	theirs  SpecAt
	// env is the working copy of the row; nil while there is none.
	env *previews.Environment
	// parts are the working copies of the parts of declared environments, by key.
	parts map[string]*previews.Environment
	// warnings are what policies told of what is asked for.
	warnings []string
	// taking are the previews that have to go for the one that is asked for.
	taking []*taking
	// rulebook is the rule that decides what is decided: that let the command at hand be run,
	// or refused it, or by which a preview comes, goes or is refused.
	rulebook string
	// denied are the policies that refused what they were asked about last.
	denied string
	// counted says that policies were asked whether there is room for the preview.
	counted bool
	// looked says that all that the pull request's facts ask for was decided.
	looked bool
	out    Decision
}

func newDeciding(s Snapshot, event Event) *deciding {
	d := &deciding{Snapshot: s, event: event, parts: map[string]*previews.Environment{}}
	d.distrust()
	if s.Environment != nil {
		row := *s.Environment
		d.env = &row
		d.refresh()
	}
	state := "closed"
	switch {
	case s.PR.Open:
		state = "open"
	case s.PR.Merged:
		state = "merged"
	}
	d.because("%s/%s#%d is %s at %s", s.PR.Repository.Owner, s.PR.Repository.Name, s.PR.Number, state, shortSHA(s.PR.HeadSHA))
	return d
}

// decision returns what was decided; the row only where it is not what it was.
func (d *deciding) decision() Decision {
	if d.env != nil && (d.Environment == nil || !reflect.DeepEqual(*d.env, *d.Environment)) {
		d.out.Environment = d.env
		if d.looked && !d.PR.UpdatedAt.IsZero() {
			d.env.AsOf = d.PR.UpdatedAt.UTC()
		}
	}
	d.out.Declared = d.changedParts()
	d.take()
	d.keepRoom()
	return d.out
}

// pullRequest brings the row to what the pull request's facts ask for.
func (d *deciding) pullRequest() {
	w := d.ownedOr(d.wish())
	if d.staysAway() == "" {
		w = d.guarded(w)
	}
	d.because("%s", w.why)
	if d.rulebook == "" {
		defer d.under(w.rule())()
	}
	switch {
	case w.problem != nil:
		d.refuse(*w.problem)
	case w.wanted:
		d.want()
	default:
		d.unwanted(w)
	}
	d.looked = true
	if d.env != nil {
		d.env.Looks = d.PR.looks()
	}
	d.merged()
}

// rerequest decides anew and tries again what was given up. A folder that somebody
// else changed is not overwritten for it: that takes a command.
func (d *deciding) rerequest() {
	d.pullRequest()
	if d.env == nil {
		d.because("there is no check to run again")
		return
	}
	d.env.RecheckAt = d.Now
	d.because("the check is written again")
	v := access.Authorize(d.claim(access.Rerun, d.ofPreview(), ""))
	defer d.under(v.Reason)()
	if !v.Allowed {
		d.because("what was given up is not tried again: %s", v.Reason)
		d.audit("re-run check", false, v.Reason)
		return
	}
	if p := d.env.Problem; p == nil || p.Kind != previews.ProblemChanged {
		if d.env.Retry(d.Now) {
			d.because("what was given up is tried again")
		}
	}
	d.audit("re-run check", true, "asked for on the check run")
}

// want asks for the newest head, unless the preview is to stay away.
func (d *deciding) want() {
	if why := d.staysAway(); why != "" {
		d.see()
		d.because("%s", why)
		return
	}
	d.bring()
}

// bring asks for the newest head whatever was before.
func (d *deciding) bring() (changed bool) {
	ttl, why := d.lifetime()
	d.because("%s", why)
	env := d.row()
	changed = env.Want(previews.Revision{
		SHA: d.PR.HeadSHA, Ref: d.PR.HeadRef, Spec: d.Spec.Raw, Team: d.team(d.Spec.Spec), TTL: ttl, Trust: d.trust(),
	}, d.Now)
	if !changed {
		if p := env.Problem; p != nil && p.Kind == previews.ProblemFork {
			env.Problem = nil // the branch that it was approved for is named again
		}
		if env.Blocked == env.Generation {
			d.sourced() // what is tried again is of the base branch as it is now
		}
		d.because("the preview of %s is wanted already", shortSHA(d.PR.HeadSHA))
		return false
	}
	env.Author, env.AuthorID = d.PR.Author.Login, d.PR.Author.ID // in rows from before it was kept
	d.rendersFrom()
	d.sourced()
	env.Warnings = d.warnings
	d.comes()
	d.because("preview of %s wanted, generation %d", shortSHA(d.PR.HeadSHA), env.Generation)
	if !d.event.asks() {
		d.audit(d.event.Name+" "+d.event.Action, true, "preview of "+shortSHA(d.PR.HeadSHA)+" wanted")
	}
	return true
}

// staysAway says why a preview that was removed does not come back by itself; ""
// when it may.
func (d *deciding) staysAway() string {
	if d.env == nil || d.env.Wanted == previews.Present {
		return ""
	}
	switch r := d.env.Removal; {
	case r.Reason == previews.RemovedByOperator:
		return "an operator removed the preview; it stays away until somebody asks for it"
	case r.Reason == previews.RemovedByCommand:
		return fmt.Sprintf("%s destroyed the preview; it stays away until somebody asks for it", or(r.By, "a command"))
	case r.Reason == previews.RemovedEvicted && d.env.HeadSHA == d.PR.HeadSHA:
		return "the preview made room for another and nothing was pushed since"
	case r.Reason == previews.RemovedExpired && d.env.HeadSHA == d.PR.HeadSHA:
		return "the preview expired and nothing was pushed since"
	}
	return ""
}

// unwanted lets the preview go, or keeps in mind why there is none.
func (d *deciding) unwanted(w wish) {
	if d.env == nil {
		d.because("there is no preview; nothing to do")
		return
	}
	d.see()
	removal := previews.Removal{Reason: w.removal, By: d.by(w.removal), Detail: w.detail, Inferred: d.event.Swept}
	if d.env.Remove(removal, d.Now) {
		d.because("preview removed")
		d.audit(d.event.Name+" "+d.event.Action, true, "preview removed: "+w.why)
		return
	}
	d.because("there is no preview to remove")
	if p := d.env.Problem; p != nil && slices.Contains([]previews.ProblemKind{previews.ProblemSpec, previews.ProblemFork, previews.ProblemPlatform, previews.ProblemPolicy}, p.Kind) {
		d.env.Problem = nil
	}
	if old := d.env.Removal; old.Reason != w.removal || old.Detail != w.detail {
		// What holds now takes the place of why it went: when that is over, the
		// preview may come back.
		d.env.Removal.Reason, d.env.Removal.By, d.env.Removal.Detail = w.removal, removal.By, w.detail
	}
}

// refuse records why the newest head is not deployed.
func (d *deciding) refuse(p previews.Problem) {
	if why := d.staysAway(); why != "" {
		d.see()
		d.because("%s", why)
		return
	}
	d.row()
	d.see()
	p.SHA = d.PR.HeadSHA
	if !d.env.Refuse(p, d.Now) {
		d.because("that is known already")
		return
	}
	if d.env.Generation == 0 {
		d.env.Removal = previews.Removal{}
	}
	if d.env.Wanted == previews.Present && d.env.AppliedSHA != "" {
		d.because("%s keeps running", shortSHA(d.env.AppliedSHA))
	}
	if !d.event.asks() {
		d.audit(d.event.Name+" "+d.event.Action, false, p.Message)
	}
}

// row returns the working copy of the row, made from the pull request where there
// is none yet.
func (d *deciding) row() *previews.Environment {
	if d.env == nil {
		d.env = &previews.Environment{
			Ref: d.ref(),
			PR:  d.PR.Number, Author: d.PR.Author.Login, AuthorID: d.PR.Author.ID, Wanted: previews.Absent, Looks: d.PR.looks(),
			Uncommented: d.PR.Uncommented,
		}
		d.refresh()
	}
	d.mark()
	return d.env
}

// ref names the pull request's environment, with the repository's name as its
// other environments have it: one list of previews holds them all.
func (d *deciding) ref() gitops.EnvironmentRef { return d.refOf(gitops.PreviewID(d.PR.Number)) }

// refOf names an environment of the repository by its id.
func (d *deciding) refOf(id string) gitops.EnvironmentRef {
	repo := d.PR.Repository
	ref := gitops.EnvironmentRef{
		RepositoryID: repo.ID, Owner: strings.ToLower(repo.Owner), Repo: strings.ToLower(repo.Name), ID: id,
	}
	if d.Paths.RepositoryID == repo.ID && repo.ID != 0 {
		ref.Owner, ref.Repo = d.Paths.Owner, d.Paths.Repo
	}
	return ref
}

// refresh brings the row's names for calls and links up to date.
func (d *deciding) refresh() {
	repo := d.PR.Repository
	d.env.Owner, d.env.Repo, d.env.Private = repo.Owner, repo.Name, repo.Private
	if d.PR.InstallationID != 0 {
		d.env.InstallationID = d.PR.InstallationID
	}
}

// see records the newest head, for its check, without asking for it.
func (d *deciding) see() { d.env.SeeHead(d.PR.HeadSHA, d.PR.HeadRef, d.Now) }

// by is who caused a removal, where the event says so.
func (d *deciding) by(reason previews.RemovalReason) string {
	causes := map[previews.RemovalReason][]string{
		previews.RemovedMerged:      {"closed"},
		previews.RemovedClosed:      {"closed"},
		previews.RemovedDraft:       {"converted_to_draft"},
		previews.RemovedUntriggered: {"labeled", "unlabeled"},
	}
	for _, action := range causes[reason] {
		if d.event.Action == action {
			return d.event.Actor.Login
		}
	}
	return ""
}

func (d *deciding) because(format string, args ...any) {
	d.out.Reasons = append(d.out.Reasons, fmt.Sprintf(format, args...))
}

// under has what is audited until restore say by which rule it was decided.
func (d *deciding) under(rule string) (restore func()) {
	before := d.rulebook
	d.rulebook = rule
	return func() { d.rulebook = before }
}

func (d *deciding) audit(action string, allowed bool, reason string) {
	environment := d.ref()
	if d.env != nil {
		environment = d.env.Ref
	}
	d.auditOf(environment, action, d.PR.HeadSHA, allowed, reason)
}

// auditOf is audit for another environment than the pull request's preview.
func (d *deciding) auditOf(of gitops.EnvironmentRef, action, sha string, allowed bool, reason string) {
	d.out.Audit = append(d.out.Audit, AuditEntry{
		Actor: d.event.Actor, Action: strings.TrimSpace(action), Environment: of.String(),
		SHA: sha, Allowed: allowed, Reason: reason, Rule: d.rulebook,
	})
}

func shortSHA(sha string) string {
	const length = 7
	if len(sha) > length {
		return sha[:length]
	}
	return sha
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
