package bot

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// diff shows what "/idp deploy" with the same words would change in the manifests, and
// why it would be refused or have to wait. It changes nothing.
//
// It takes write permission, as deploying does, and not that of the environment unless
// that says so: who reviews what goes to production need not be who may send it there.
// Less would not do.
// The answer shows manifests of the GitOps repository, which whoever may only read or
// triage the code need not be able to see, and asks registries and git on their word.
func diff(r *run) answer {
	o, a, ok := r.order()
	if !ok {
		return a
	}
	aside := r.aside()
	var parts []report.Planned
	for _, would := range aside.would(o) {
		planned, read := r.Planned[planKey(would)]
		if !read {
			planned.Unknown = "the GitOps repository is not read here"
		}
		planned.Service, planned.Rendered = would.Ref.Service, report.Rendered(&would)
		parts = append(parts, planned)
	}
	for _, service := range o.services {
		if runs(aside.part(o.env, service), aside.releaseOf(o.env, o.rev, previews.ReleaseDeploy, service)) {
			parts = append(parts, report.Planned{Service: service, Running: true})
		}
	}
	refused, warned := aside.verdict(o, parts)
	return said("told", report.Plan(report.PlanInput{
		Environment: o.env.Name, SHA: o.rev.SHA, Parts: parts, Refused: append(aside.refusals(o), refused...), Waits: aside.waits(o), Warned: warned,
	}))
}

// verdict is what policies say of the request and of the objects that would come of it,
// each once, as Markdown sentences.
func (r *run) verdict(o order, parts []report.Planned) (refused, warned []string) {
	refused, told := r.judged(previews.ReleaseDeploy, o.env, o.rev, o.services)
	for _, part := range parts {
		for _, text := range refusalsOf(part.Verdict) {
			if !slices.Contains(refused, text) {
				refused = append(refused, text)
			}
		}
		told = append(told, previews.Warnings(part.Verdict)...)
	}
	for _, text := range told {
		if text = "Policy " + report.Text(text) + "."; !slices.Contains(warned, text) {
			warned = append(warned, text)
		}
	}
	return refused, warned
}

// aside is the command on copies of the rows: whatever is tried with them leaves the
// decision as it is.
func (r *run) aside() *run {
	d := *r.deciding
	d.out = Decision{}
	d.parts = maps.Clone(d.parts)
	for key, part := range d.parts {
		row := *part
		d.parts[key] = &row
	}
	return &run{deciding: &d, command: r.command, args: r.args}
}

// would are the parts that a deployment changes as it would make them, what the
// services share first. A service that runs the revision already is left alone.
func (r *run) would(o order) []previews.Environment {
	var out []previews.Environment
	for _, service := range o.services {
		release := r.releaseOf(o.env, o.rev, previews.ReleaseDeploy, service)
		if part := r.part(o.env, service); !runs(part, release) {
			out = append(out, part.Would(release, r.Now))
		}
	}
	if shared := r.part(o.env, ""); len(out) > 0 && shared.SHA != o.rev.SHA {
		release := r.deciding.release(o.env, o.rev, previews.ReleaseDeploy)
		out = append([]previews.Environment{shared.Would(release, r.Now)}, out...)
	}
	return out
}

// planKey tells apart what is planned.
func planKey(would previews.Environment) string { return would.Ref.Key() + "@" + would.SHA }

// refusals are the reasons beside policies for which the deployment would be refused.
func (r *run) refusals(o order) []string {
	var out []string
	if v := r.lets(access.Deploy, o.env, o.rev.SHA); !v.Allowed && !v.Cause.OfPullRequest() {
		out = append(out, capitalised(report.Text(v.Reason))+". "+capitalised(report.Text(v.WhoMay))+" can deploy there.")
	}
	if v := r.admitted(access.Deploy, o.env, o.rev.SHA); !v.Allowed {
		out = append(out, capitalised(report.Text(v.Reason))+".")
	}
	if a, ok := r.unlocked(o.env); !ok {
		out = append(out, a.text)
	}
	if why := r.fit(o.env, o.rev); why != "" {
		out = append(out, capitalised(report.Text(why))+".")
	}
	if a, ok := r.placed(o.env, o.services); !ok {
		out = append(out, a.text)
	}
	out = append(out, r.unproven(previews.ReleaseDeploy, o.env, o.rev.SHA, o.services)...)
	if a, ok := r.sound(o.env, o.rev.SHA, o.services, o.forced); !ok {
		out = append(out, a.text)
	}
	return out
}

// waits are what the deployment would have to wait for beside its images.
func (r *run) waits(o order) []string {
	var out []string
	if o.env.Approval {
		out = append(out, fmt.Sprintf("Somebody else than who asks for it, %s, has to approve the commit.", strings.TrimSuffix(report.Text(approvers(o.env)), ",")))
	}
	for _, service := range o.services {
		release := r.releaseOf(o.env, o.rev, previews.ReleaseDeploy, service)
		if part := r.part(o.env, service); part.Moving() && !runs(part, release) && part.Deployed.Current.PR != r.PR.Number {
			out = append(out, fmt.Sprintf("%s waits in the queue: %s.", capitalised(report.Text(service)), r.ahead(o.env, service)))
		}
	}
	return out
}

// planTimeout bounds how long all that a comment asks to have compared may take.
const planTimeout = 30 * time.Second

// readPlanned has compared what the commands of a comment ask for.
func (h *Handler) readPlanned(ctx context.Context, event Event, s *Snapshot) {
	if h.Compare == nil {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	for _, i := range commandsNaming(event) {
		if i.Name != "diff" || !s.permits(event, i) {
			continue
		}
		command, _ := lookUp(i.Name)
		r := &run{deciding: newDeciding(*s, event), command: command, args: i.Args}
		o, _, ok := r.order()
		if !ok {
			continue
		}
		for _, would := range r.would(o) {
			if _, done := s.Planned[planKey(would)]; done {
				continue
			}
			if s.Planned == nil {
				s.Planned = map[string]report.Planned{}
			}
			s.Planned[planKey(would)] = h.Compare(bounded, would)
		}
	}
}
