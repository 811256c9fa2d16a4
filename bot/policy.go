package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Guard judges what is asked for by the platform team's policies. It is pure: the same
// request has the same verdict.
type Guard interface {
	Request(policy.Request) policy.Verdict
	// Lifetime is what bounds how long a preview that is there may live on.
	Lifetime() policy.Lifetime
	// Room is what bounds how many previews there are.
	Room() policy.Room
}

// readGuard reads the policies, and what they are asked about beside the snapshot, where
// something new may come to be deployed, or a preview to live on: who only has running what
// runs is not kept waiting for it.
func (h *Handler) readGuard(ctx context.Context, event Event, s *Snapshot) error {
	if h.Guard == nil {
		return nil
	}
	preview := s.PR.Open && s.trusted() != nil && (event.asks() || !wantedAlready(s.Environment, s.PR.HeadSHA))
	lifetime := slices.ContainsFunc(event.invocations(), func(i Invocation) bool { return i.Name == "extend" || i.Name == "pin" })
	if !preview && !lifetime && len(s.Revisions) == 0 {
		return nil
	}
	s.Guard = h.Guard(ctx)
	if !preview || !s.Guard.Room().Looks {
		return ctx.Err()
	}
	var err error
	s.Live, err = h.Store.LivePreviews(ctx, s.liveOf())
	return err
}

// liveOf is what the previews beside the pull request's are counted by.
func (s Snapshot) liveOf() store.LiveOf {
	return store.LiveOf{RepositoryID: s.PR.Repository.ID, ID: gitops.PreviewID(s.PR.Number), Team: s.team(s.trusted()), Author: s.PR.Author.Login, AuthorID: s.PR.Author.ID}
}

// live is what may be said of others' previews here: nobody reads in one repository what
// a private other one is called.
func (s Snapshot) live(of store.Live) policy.Live {
	out := policy.Live{Count: of.Count, Oldest: s.nameable(of.Oldest)}
	if e := of.Idle; e != nil {
		out.Takeable = &policy.Takeable{
			RepositoryID: e.Ref.RepositoryID, Environment: e.Ref.ID, Preview: s.nameable(e), Idle: s.Now.Sub(e.IdleSince()),
		}
	}
	return out
}

// nameable is a preview as it may be named here, nil where it may not.
func (s Snapshot) nameable(e *previews.Environment) *policy.Preview {
	if e == nil || e.Ref.RepositoryID != s.PR.Repository.ID && e.Private {
		return nil
	}
	return &policy.Preview{Repository: e.Owner + "/" + e.Repo, PullRequest: e.PR}
}

func wantedAlready(e *previews.Environment, sha string) bool {
	return e != nil && e.Wanted == previews.Present && e.SHA == sha
}

// guarded turns the wish for a preview into its refusal where policies refuse it. What is
// wanted already is not judged again.
func (d *deciding) guarded(w wish) wish {
	if !w.wanted || d.Guard == nil || wantedAlready(d.env, d.PR.HeadSHA) {
		return w
	}
	ttl, _ := d.lifetime()
	r := d.request("preview", Revision{Commit: Commit{SHA: d.PR.HeadSHA}, Spec: d.Spec}, allServices(d.Spec.Spec))
	r.Environment = policy.Environment{Name: gitops.PreviewID(d.PR.Number), Class: d.Class.Name, Preview: true, TTL: ttl}
	r.Previews = policy.Previews{Repository: d.live(d.Live[store.OfRepository]), Team: d.live(d.Live[store.OfTeam]), Author: d.live(d.Live[store.OfAuthor])}
	v := d.Guard.Request(r)
	d.warnings, d.taking, d.counted = previews.Warnings(v), nil, true
	if v.Allowed() {
		return w
	}
	if d.makeRoom(v) {
		return wish{wanted: true, why: w.why + "; policies let other previews go for it"}
	}
	problem := previews.PolicyProblem(v)
	if d.PR.Fork {
		problem.Errors = nil // they point at lines of what was taken of it, not of its own file
	}
	return wish{problem: &problem, why: w.why + "; " + problem.Message}
}

// judged returns why policies refuse a release, as Markdown sentences; none where they
// let it pass, and then warnings is what they tell.
func (d *deciding) judged(kind previews.ReleaseKind, env platform.Environment, rev Revision, services []string) (refusals, warnings []string) {
	if d.Guard == nil {
		return nil, nil
	}
	r := d.request(string(kind), rev, d.ungrouped(env, rev, services))
	r.Environment = policy.Environment{Name: env.Name, Class: env.Class, Protected: env.Protected}
	v := d.Guard.Request(r)
	d.denied = v.Rules()
	return refusalsOf(v), previews.Warnings(v)
}

// refusalsOf words as Markdown sentences why policies refuse something.
func refusalsOf(v policy.Verdict) (refusals []string) {
	if v.Broken != nil {
		p := previews.PolicyProblem(v)
		return []string{capitalised(report.Text(p.Message)) + ". " + report.Text(p.Hint)}
	}
	for _, f := range v.Denied {
		text := "Policy " + report.Text(f.String())
		if f.At != nil {
			text += ": " + report.Code(fmt.Sprintf("%s:%d", f.At.Path, f.At.Line))
		}
		refusals = append(refusals, text+".")
	}
	return refusals
}

// permitted refuses a release that policies refuse.
func (r *run) permitted(kind previews.ReleaseKind, env platform.Environment, rev Revision, services []string) (answer, bool) {
	refusals, warnings := r.judged(kind, env, rev, services)
	if len(refusals) == 0 {
		r.warnings = warnings
		return answer{}, true
	}
	r.rulebook = r.denied
	r.auditOf(r.refOf(env.Name), string(kind)+" "+env.Name, rev.SHA, false, "refused by policy: "+strings.Join(refusals, " "))
	return sorry("refused by policy", strings.Join(refusals, "\n\n")+"\n\nNothing was deployed to "+report.Code(env.Name)+"."), false
}

// warned words what policies tell of a release and let pass; "" where they tell nothing.
func (r *run) warned() string {
	if len(r.warnings) == 0 {
		return ""
	}
	lines := make([]string, len(r.warnings))
	for i, text := range r.warnings {
		lines[i] = "- " + capitalised(report.Text(text)) + "."
	}
	return "Policies let it pass and say:\n\n" + strings.Join(lines, "\n")
}

// request is what policies are asked about, without the environment.
func (d *deciding) request(action string, rev Revision, services []string) policy.Request {
	actor := func(a Actor) policy.Actor { return policy.Actor{ID: a.ID, Login: a.Login, Bot: a.Bot} }
	repo := d.PR.Repository
	r := policy.Request{
		Action: action, Actor: actor(d.event.Actor),
		PullRequest: policy.PullRequest{
			Number: d.PR.Number, Author: actor(d.PR.Author), Fork: d.PR.Fork, Draft: d.PR.Draft,
			Labels: slices.Sorted(slices.Values(d.PR.Labels)), Base: d.PR.BaseRef, Head: d.PR.HeadRef,
		},
		Repository: policy.Repository{ID: repo.ID, Owner: repo.Owner, Name: repo.Name, Private: repo.Private},
		Revision:   policy.Revision{SHA: rev.SHA, OnDefault: rev.OnDefault},
		Services:   services, Spec: rev.Spec.Spec, SpecRaw: rev.Spec.Raw, Now: d.Now.Truncate(time.Second),
	}
	if d.event.asks() {
		r.Actor.Permission = string(d.Permission)
	}
	if rev.Spec.Spec != nil {
		r.Team = d.team(rev.Spec.Spec)
	}
	return r
}

func allServices(s *spec.Spec) []string {
	names := make([]string, len(s.Services))
	for i, svc := range s.Services {
		names[i] = svc.Name
	}
	return names
}
