package previews

import (
	"context"
	"fmt"
	"slices"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
)

// Judge judges the files of an environment before they are committed.
type Judge func(ctx context.Context, row Environment, files []gitops.File) policy.Verdict

// PolicyProblem is why policies keep a revision from being deployed.
func PolicyProblem(v policy.Verdict) Problem {
	if isLater(v.Broken) {
		return Problem{
			Kind: ProblemPlatform, Message: "the platform team's policies cannot be read now",
			Hint: "It goes on by itself once they can be; what runs is left alone.",
		}
	}
	if v.Broken != nil {
		return Problem{
			Kind: ProblemPolicy, Message: "the platform team's policies cannot be asked: " + v.Broken.Error(), Rule: v.Rules(),
			Hint: "Nothing new is deployed until the platform team has mended them; what runs is left alone.",
		}
	}
	p := Problem{Kind: ProblemPolicy, Message: fmt.Sprintf("%d policies refuse it", len(v.Denied)), Rule: v.Rules()}
	if len(v.Denied) == 1 {
		p.Message = "a policy refuses it: " + v.Denied[0].String()
	}
	for _, f := range v.Denied {
		p.Denials = append(p.Denials, f.String())
		if f.At != nil {
			p.Errors = append(p.Errors, *f.At)
		}
	}
	return p
}

// Warnings are the texts of what policies tell and let pass.
func Warnings(v policy.Verdict) []string {
	var out []string
	for _, f := range v.Warned {
		out = append(out, f.String())
	}
	return out
}

// refusedError is the error of files that policies refuse.
type refusedError struct{ problem Problem }

func (e *refusedError) Error() string { return e.problem.Message }

// judge holds a row's files to the policies, and keeps in mind what they warn of. What
// runs already is not judged again, nor what ran before and is gone back to.
func (c *Committer) judge(ctx context.Context, judge Judge, row Environment, files []gitops.File) error {
	if judge == nil || row.Known() {
		return nil
	}
	v := judge(ctx, row, files)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if isLater(v.Broken) {
		return v.Broken // nothing is known against it
	}
	if !v.Allowed() {
		problem := PolicyProblem(v)
		if row.Fork != nil {
			problem.Errors = nil // they point at lines of what was taken of its spec, not of its own file
		}
		return &refusedError{problem}
	}
	var news []string
	for _, text := range Warnings(v) {
		if !slices.Contains(row.Warnings, text) {
			news = append(news, text)
		}
	}
	if len(news) == 0 {
		return nil
	}
	return c.Store.UpdateAll(ctx, []int64{row.RowID}, func(e *Environment) error {
		if e.Generation != row.Generation {
			return ErrUnchanged
		}
		e.Warnings = append(slices.Clone(e.Warnings), news...)
		return nil
	})
}

// Known says that policies let the row's revision pass before: it runs, or it did and is
// gone back to. A guardrail must never stand in the way back.
func (e *Environment) Known() bool {
	if e.Declared() && (e.Deployed.Current.Kind == ReleaseRollback || e.Deployed.Current.Kind == ReleaseAbort) {
		return true
	}
	return e.AppliedSHA != "" && e.AppliedSHA == e.SHA
}
