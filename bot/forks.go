package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// A fork's code is anybody's. It runs only at a commit that somebody who may write the
// repository approved by its full SHA, and what it is deployed as comes from the base
// branch's .idp/deploy.yaml: the fork's own says how many copies run, what each is given
// and plain environment variables, and nothing else (spec.Bound). Until then the fork's
// file is not even talked about.

// baseFacts reads the base branch's spec where the head is in a fork, or names a source. A
// branch that is not there any more has none.
func baseFacts(ctx context.Context, gh Handling, s *Snapshot) error {
	if !s.PR.Fork && sourcesOf(s.Spec) == nil || !s.PR.Open {
		return nil
	}
	tip, err := gh.Commit(ctx, s.PR.Repository, "heads/"+s.PR.BaseRef)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.BaseSHA = tip.SHA
	s.Base, err = readSpec(ctx, gh, s.PR.Repository, tip.SHA)
	return err
}

// trusted is the spec whose rules count: the head's own, or a fork's base branch's.
func (s Snapshot) trusted() *spec.Spec {
	if s.PR.Fork {
		return s.Base.Spec
	}
	return s.Spec.Spec
}

// distrust puts the base branch's spec, with what may be taken of the head's, in the
// place of the head's where that is in a fork.
func (d *deciding) distrust() {
	if !d.PR.Fork {
		return
	}
	d.theirs, d.bounded = d.Spec, spec.Bound(d.Base.Raw, d.Base.Spec, d.Spec.Spec)
	d.Spec = SpecAt{Found: d.Base.Found, Raw: d.bounded.Raw, Spec: d.bounded.Spec, Errors: d.Base.Errors}
}

// mark has the row know that its code is a fork's.
func (d *deciding) mark() {
	switch {
	case !d.PR.Fork:
		d.env.Fork = nil
	case d.env.Fork == nil:
		d.env.Fork = &previews.Fork{}
	}
}

// rendersFrom records where the spec of a fork's revision comes from.
func (d *deciding) rendersFrom() {
	if d.env.Fork == nil {
		return
	}
	fork := *d.env.Fork
	fork.Base, fork.Taken, fork.Left = d.BaseSHA, d.bounded.Taken, d.bounded.Left
	d.env.Fork = &fork
	d.because("rendered from %s at %s of %s, with %d values of the fork's; %d are not taken",
		spec.Path, shortSHA(d.BaseSHA), d.PR.BaseRef, len(fork.Taken), len(fork.Left))
}

// approved says that somebody approved the head, as what goes into the branch that it goes
// into: its author may name another one, whose spec would count then.
func (d *deciding) approved() bool {
	return d.env != nil && d.env.Fork != nil && d.env.Cleared(d.PR.HeadSHA) && d.env.Fork.Approved.Into == d.PR.BaseRef
}

// unapproved is why a fork's head is not deployed, and what lets it be.
func (d *deciding) unapproved() *previews.Problem {
	return &previews.Problem{
		Kind:    previews.ProblemFork,
		Message: "this pull request comes from a fork, and its code waits for approval",
		Hint:    "Somebody with write permission, other than its author, looks at what it changes and comments /idp approve " + d.PR.HeadSHA + ".",
	}
}

// invalidBase refuses what would be rendered from a spec with errors that its author
// cannot mend.
func (d *deciding) invalidBase() wish {
	message := fmt.Sprintf("%s has %s on the base branch: nothing of a fork is deployed before they are mended there", spec.Path, counted(len(d.Base.Errors), "error"))
	return wish{
		problem: &previews.Problem{Kind: previews.ProblemSpec, Message: message, Hint: "Somebody with write permission mends the file on " + d.PR.BaseRef + "."},
		why:     fmt.Sprintf("%s of the base branch has errors", spec.Path),
	}
}

// approvable says why the head of a pull request cannot be approved by this actor.
func (r *run) approvable(sha string) (answer, bool) {
	if r.PR.Open && sha != r.PR.HeadSHA {
		return sorry("it is not the newest commit", fmt.Sprintf("The newest commit of this pull request is %s and not %s, so nothing was approved. Look at what it changes before approving that one.",
			report.Code(shortSHA(r.PR.HeadSHA)), report.Code(shortSHA(sha)))), false
	}
	v := access.Authorize(r.claim(access.Approve, r.ofPreview(), ""))
	switch r.rulebook = v.Reason; {
	case v.Cause == access.CauseOwn:
		return sorry("it is one's own", r.addressed("this pull request is yours; somebody else with write permission has to approve its code.")), false
	case !v.Allowed && v.Cause != access.CauseDraft: // that is worded as for a preview
		return r.refused(r.command.Name(), v), false
	}
	if w, decided := first(r.deciding, forbidding); decided {
		a, _ := r.mayHave(w)
		r.because("%s", w.why)
		return a, false
	}
	return answer{}, v.Allowed
}

// approveFork lets the head of a fork's pull request run.
func (r *run) approveFork(sha string) answer {
	shown := report.Code(shortSHA(sha))
	if refusal, ok := r.approvable(sha); !ok {
		return refusal
	}
	if r.theirs.Found && r.theirs.Spec == nil {
		return sorry("the spec has errors", fmt.Sprintf("%s at %s has %s, which its author has to mend. Nothing was approved. %s lists them.",
			report.Code(spec.Path), shown, counted(len(r.theirs.Errors), "error"), report.Code("idp validate")))
	}
	if w := r.guarded(wish{wanted: true, why: "the code of a fork is approved"}); !w.wanted {
		a, _ := r.mayHave(w)
		return a
	}
	if !r.approved() {
		r.row().Clear(previews.Approval{SHA: sha, Into: r.PR.BaseRef, By: r.event.Actor.Login, ByID: r.event.Actor.ID, At: r.Now})
	}
	if own := r.wish(); !own.wanted {
		// As with a command that asks for a preview: whoever approves its code wants to see it.
		r.row().AskedBy = r.event.Actor.Login
	}
	if r.bring() || r.env.Retry(r.Now) {
		return said("approved "+shortSHA(sha)+" of "+or(r.PR.Author.Login, "a fork"), r.roomMade())
	}
	return said("it is approved already", shown+" is approved already, by "+report.Code(r.env.Fork.Approved.By)+".\n\n"+r.describe())
}

// validApproval is the full SHA that an approval takes, "" for anything else.
func validApproval(args []string) string {
	if len(args) != 1 || !fullSHA.MatchString(strings.ToLower(args[0])) {
		return ""
	}
	return strings.ToLower(args[0])
}
