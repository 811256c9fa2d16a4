package bot

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// previewCommands are about the pull request's preview; "logs" and "status" are, too,
// where they name no environment.
var previewCommands = []string{"preview", "extend", "pin", "unpin", "destroy"}

// about returns the environment that a command's words name, "" for the preview. It is
// not known of words that name none, or of "approve", which asks for what waits.
func (d *deciding) about(command string, args []string) (name string, known bool) {
	words, _ := withoutForce(args)
	at := 0
	switch {
	case slices.Contains(previewCommands, command):
		return "", true
	case command == "promote":
		at = 1
	case command == "approve" || !slices.Contains(declaredCommands, command):
		return "", false
	}
	if at < len(words) {
		if env, declared := d.Platform.Environment(strings.ToLower(words[at])); declared {
			return env.Name, true
		}
	}
	return "", command == "logs" || command == "status" && len(words) == 0
}

// ofPreview is the pull request's preview, as access is asked about it.
func (d *deciding) ofPreview() access.Environment {
	return access.Environment{
		Preview: true, Rules: d.Platform.Previews,
		Drafts: d.Spec.Spec != nil && d.Spec.Spec.Preview.Drafts, Bots: d.Class.BotPreviews,
	}
}

// ofDeclared is a declared environment, as access is asked about it.
func ofDeclared(env platform.Environment) access.Environment {
	return access.Environment{Name: env.Name, Rules: env.Access(), Protected: env.Protected}
}

// facts are what counts of the pull request itself for who may do what.
func (d *deciding) facts() access.PullRequest {
	return access.PullRequest{Fork: d.PR.Fork, Draft: d.PR.Draft, Author: access.Actor(d.PR.Author), Approved: d.approved()}
}

// origins says where a commit comes from that is named, or the head for "".
func (d *deciding) origins(named string) access.Code {
	switch rev, found := d.found(named); {
	case found && rev.OnDefault:
		return access.Merged
	case found && rev.InPull:
		return access.Proposed
	}
	return access.Stray
}

// claim is what access is asked where the actor wants something done.
func (d *deciding) claim(action access.Action, of access.Environment, code access.Code) access.Request {
	return access.Request{
		Actor: access.Actor(d.event.Actor), Permission: d.Permission, PermissionErr: d.PermissionErr, Teams: d.Teams,
		Action: action, Environment: of, DeclaredErr: d.PlatformErr, PullRequest: d.facts(), Code: code,
	}
}

// approval is claim for a release that waits.
func (d *deciding) approval(env platform.Environment, release previews.Release) access.Request {
	r := d.claim(access.Approve, ofDeclared(env), d.origins(release.SHA))
	r.Parties = []access.Actor{{ID: release.ByID, Login: release.By}, {ID: release.AuthorID, Login: release.Author}}
	return r
}

// admits asks what the pull request lets be done about its preview, whoever asks.
func (d *deciding) admits(action access.Action) access.Verdict {
	return access.Admits(action, d.ofPreview(), d.facts(), "")
}

// claimed is what access is asked about the command, as far as its words say.
func (r *run) claimed() access.Request {
	var of access.Environment
	if name, known := r.about(r.command.Name(), r.args); known && name == "" {
		of = r.ofPreview()
	} else if env, declared := r.Platform.Environment(name); declared {
		of = ofDeclared(env)
	}
	return r.claim(r.command.Action, of, r.code())
}

// code is where the commit comes from that the command asks for in a declared environment;
// "" of a command whose words name none.
func (r *run) code() access.Code {
	if r.command.Action != access.Deploy && r.command.Action != access.Diff {
		return ""
	}
	named, _, _, _ := r.deployable(r.afterEnvironment())
	return r.origins(named)
}

// afterEnvironment are the command's words after that which names the environment.
func (r *run) afterEnvironment() []string {
	words, _ := withoutForce(r.args)
	return words[min(1, len(words)):]
}

// lets says whether the actor may do something with a commit in a declared environment.
func (d *deciding) lets(action access.Action, env platform.Environment, sha string) access.Verdict {
	return access.Authorize(d.claim(action, ofDeclared(env), d.origins(sha)))
}

// admitted asks what lets says but for who asks.
func (d *deciding) admitted(action access.Action, env platform.Environment, sha string) access.Verdict {
	return access.Admits(action, ofDeclared(env), d.facts(), d.origins(sha))
}

// approvers says in words who may approve in an environment, beside being somebody else.
func approvers(env platform.Environment) string {
	rule := access.RuleOf(access.Approve, ofDeclared(env))
	if rule.Open() {
		return "with " + string(rule.Permission) + " permission or more"
	}
	return "among " + rule.WhoMay() + ","
}

// claims are all that access may be asked about the event: by them the actor's memberships
// are read.
func (d *deciding) claims() []access.Request {
	if d.event.Kind == EventRerequest {
		return []access.Request{d.claim(access.Rerun, d.ofPreview(), "")}
	}
	var out []access.Request
	invocations := d.event.invocations()
	for _, i := range invocations[:min(len(invocations), maxCommands)] {
		command, known := lookUp(i.Name)
		if !known {
			continue
		}
		asked := (&run{deciding: d, command: command, args: i.Args}).claimed()
		out = append(out, asked)
		switch command.Action {
		case access.Diff: // it says as well whether deploying would be refused
			asked.Action = access.Deploy
			out = append(out, asked)
		case access.Approve:
			waiting := d.approvals(validApproval(i.Args))
			if len(waiting) == 0 && (d.PR.Fork || sourcesOf(d.Spec) != nil) {
				waiting = append(waiting, d.claim(access.Approve, d.ofPreview(), "")) // of the head itself
			}
			out = append(out, waiting...)
		}
	}
	return out
}

// approvals are the claims to approve what waits of a commit in declared environments.
func (d *deciding) approvals(sha string) (out []access.Request) {
	for _, env := range d.Platform.Environments {
		for _, part := range d.servicesOf(env.Name) {
			for _, release := range part.Waiting(sha) {
				out = append(out, d.approval(env, release))
			}
		}
	}
	return out
}

// permits says whether a command of the event will be run.
func (s Snapshot) permits(event Event, i Invocation) bool {
	command, known := lookUp(i.Name)
	r := &run{deciding: newDeciding(s, event), command: command, args: i.Args}
	return known && access.Authorize(r.claimed()).Allowed
}

// Teams reads who is in a team.
type Teams interface {
	// Member says whether somebody is an active member of a team, by its slug, of the
	// organisation that the repository belongs to; ErrNoAccess where the App may not read
	// that.
	Member(ctx context.Context, repo RepositoryRef, team, login string) (bool, error)
}

// maxTeams bounds how many memberships are read for one event.
const maxTeams = 100

// memberships reads whether the actor is in the teams that decide about the event's
// commands, and in no others. An error is a fact as well, and denies.
func (h *Handler) memberships(ctx context.Context, gh Teams, event Event, s *Snapshot) error {
	s.Teams = map[string]access.Membership{}
	for _, r := range newDeciding(*s, event).claims() {
		for team := access.Unread(r); team != "" && len(s.Teams) < maxTeams; team = access.Unread(r) {
			is, err := h.membership(ctx, gh, s.PR.Repository, team, event.Actor.Login)
			if err != nil {
				return err
			}
			s.Teams[team] = is // which is r's as well
		}
	}
	return nil
}

// membership reads one; where it is only not our turn to ask, the event waits.
func (h *Handler) membership(ctx context.Context, gh Teams, repo RepositoryRef, team, login string) (access.Membership, error) {
	active, err := gh.Member(ctx, repo, team, login)
	var later interface{ RetryAt() time.Time }
	switch {
	case err == nil:
		return access.Membership{Active: active}, nil
	case errors.As(err, &later) || ctx.Err() != nil:
		return access.Membership{}, err
	}
	h.Log.Warn("a membership cannot be read", "repo", repo.Owner+"/"+repo.Name, "team", team, "error", err)
	if denied(err) {
		return access.Membership{Err: "the App may not read members, which an owner of " + repo.Owner + " can let it (Members: read)"}, nil
	}
	return access.Membership{Err: "GitHub did not say; try again in a while"}, nil
}

// declarations reads what the platform team declares, where the event needs it: as it is
// now for what happens in a declared environment, else as it was a moment ago. Commands
// are denied where it cannot be read; for the team of a spec what was read last counts.
func (h *Handler) declarations(ctx context.Context, event Event, s *Snapshot) error {
	read := h.Platform
	switch {
	case s.deploysMerge(event) || len(commandsNaming(event)) > 0:
	case event.asks() || event.Kind == EventRerequest || s.Spec.Spec != nil:
		if h.Recent != nil {
			read = h.Recent
		}
	default:
		return nil
	}
	if read == nil {
		return nil
	}
	var err error
	s.Platform, err = read(ctx)
	if err == nil && h.Platform != nil && s.charted(s.Spec).Spec != s.Spec.Spec {
		s.Platform, err = h.Platform(ctx) // the chart may have come a moment ago
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.PlatformErr = err.Error()
		h.Log.Error("the platform's declarations cannot be read", "error", err)
	}
	return nil
}

// deploysMerge says that the event may be the merge that declared environments deploy.
func (s Snapshot) deploysMerge(event Event) bool {
	return event.Kind == EventPullRequest && s.PR.Merged && s.PR.BaseIsDefault && s.PR.MergeSHA != ""
}

// owned holds a spec to the team that the platform team says the repository is of.
func (s Snapshot) owned(at SpecAt) SpecAt {
	if at.Spec == nil {
		return at
	}
	if errs := s.Platform.Teams.Check(spec.Path, at.Raw, s.PR.Repository.ID); len(errs) > 0 {
		at.Spec, at.Errors = nil, errs
	}
	return at
}

// charted holds a spec to the charts that the platform team has, as far as those are known.
func (s Snapshot) charted(at SpecAt) SpecAt {
	if at.Spec == nil || s.Platform.Classes == nil {
		return at
	}
	if errs := s.Platform.CheckSpec(spec.Path, at.Raw); len(errs) > 0 {
		at.Spec, at.Errors = nil, errs
	}
	return at
}

// ownedOr returns a wish unless it is for a preview whose spec names a team while
// nothing is known of whose repositories are.
func (d *deciding) ownedOr(w wish) wish {
	if !w.wanted || d.PlatformErr == "" || d.Platform.Classes != nil || team(d.Spec.Spec) == "" {
		return w
	}
	return wish{problem: &previews.Problem{
		Kind:    previews.ProblemPlatform,
		Message: "the platform's declarations cannot be read, so it is not known whose this repository is",
		Hint:    "It goes on by itself once the platform team has mended that: " + d.PlatformErr,
	}, why: "the platform's declarations cannot be read: " + d.PlatformErr}
}

// team is who owns an environment of the repository: whom the platform team says, else
// the first that the spec names.
func (s Snapshot) team(of *spec.Spec) string {
	if owner, owned := s.Platform.Teams.Of(s.PR.Repository.ID); owned {
		return owner.Team
	}
	return team(of)
}
