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

// access returns who may do what with an environment, "" for the preview.
func (d *deciding) access(name string) platform.Access {
	if env, declared := d.Platform.Environment(name); declared {
		return env.Access()
	}
	return d.Platform.Previews
}

// rule returns who may run a command that names what its words do.
func (d *deciding) rule(command Command, args []string) access.Rule {
	name, known := d.about(command.Name, args)
	if !known {
		return access.Rule{Permission: command.Needs}
	}
	return ruleOf(d.access(name), command)
}

func ruleOf(who platform.Access, command Command) access.Rule {
	rule := who.For(command.Name, string(command.Needs))
	return access.Rule{Permission: access.Permission(rule.Permission), Users: rule.Users, Teams: rule.Teams}
}

// authorize asks whether the actor may run a command by a rule. parties are those whose
// own wish an approval is about.
func (d *deciding) authorize(command string, rule access.Rule, parties ...int64) access.Verdict {
	r := access.Request{
		ActorID: d.event.Actor.ID, Login: d.event.Actor.Login, Bot: d.event.Actor.Bot,
		Permission: d.Permission, PermissionErr: d.PermissionErr, Teams: d.Teams,
		Action: "/idp " + command, Rule: rule, Parties: parties,
	}
	name, _, _ := strings.Cut(command, " ")
	if _, known := lookUp(name); known && name != "help" {
		r.RuleErr = d.PlatformErr
	}
	return access.Authorize(r)
}

// may says whether the actor may run a command about a declared environment.
func (d *deciding) may(command string, env platform.Environment, parties ...int64) access.Verdict {
	c, _ := lookUp(command)
	return d.authorize(command+" "+env.Name, ruleOf(env.Access(), c), parties...)
}

// approvers says in words who may approve in an environment, beside being somebody else.
func approvers(env platform.Environment) string {
	c, _ := lookUp("approve")
	rule := ruleOf(env.Access(), c)
	if rule.Open() {
		return "with " + string(rule.Permission) + " permission or more"
	}
	return "among " + rule.WhoMay() + ","
}

// rulesAsked are the rules that a comment's commands are held to.
func (d *deciding) rulesAsked() []access.Rule {
	if d.event.Kind == EventRerequest {
		return []access.Rule{d.rerunning()}
	}
	var rules []access.Rule
	invocations := d.event.invocations()
	for _, i := range invocations[:min(len(invocations), maxCommands)] {
		command, known := lookUp(i.Name)
		if !known {
			continue
		}
		rules = append(rules, d.rule(command, i.Args))
		switch name, declared := d.about(i.Name, i.Args); {
		case i.Name == "diff" && declared: // it says as well whether deploying would be refused
			deploying, _ := lookUp("deploy")
			rules = append(rules, ruleOf(d.access(name), deploying))
		case i.Name == "approve":
			for _, env := range d.waitingIn(strings.ToLower(strings.Join(i.Args, " "))) {
				rules = append(rules, ruleOf(env.Access(), command))
			}
			if d.PR.Fork {
				rules = append(rules, ruleOf(d.Platform.Previews, command))
			}
		}
	}
	return rules
}

// waitingIn are the environments in which a commit waits for an approval.
func (d *deciding) waitingIn(sha string) []platform.Environment {
	return slices.DeleteFunc(slices.Clone(d.Platform.Environments), func(env platform.Environment) bool {
		return !slices.ContainsFunc(d.servicesOf(env.Name), func(part *previews.Environment) bool { return waits(part, sha) })
	})
}

// rerunning is the rule for who presses "Re-run" on the check of a preview: it tries
// again what was given up, as "/idp preview" does.
func (d *deciding) rerunning() access.Rule {
	c, _ := lookUp("preview")
	return ruleOf(d.Platform.Previews, c)
}

// permits says whether a command of the event will be run.
func (s Snapshot) permits(event Event, i Invocation) bool {
	command, known := lookUp(i.Name)
	d := newDeciding(s, event)
	return known && d.authorize(i.Name, d.rule(command, i.Args)).Allowed
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
	for _, rule := range newDeciding(*s, event).rulesAsked() {
		if !s.Permission.Covers(rule.Permission) || rule.Names(event.Actor.ID, event.Actor.Login) {
			continue
		}
		for _, team := range rule.Teams {
			is, read := s.Teams[team]
			if !read && len(s.Teams) < maxTeams {
				var err error
				if is, err = h.membership(ctx, gh, s.PR.Repository, team, event.Actor.Login); err != nil {
					return err
				}
				s.Teams[team] = is
			}
			if is.Active {
				break
			}
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
	if s.Platform, err = read(ctx); err != nil {
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
