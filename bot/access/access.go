// Package access decides who may do what. It is pure: it reads nothing, and any
// doubt is a refusal that names its reason and who may.
//
// Authorize is the one function that decides, whatever the transport: a comment, a
// button on a check, the command line or an API call. It is told who asks, what GitHub says
// of them now, what they ask for, of which environment and from what pull request, and
// chooses the rule itself. Where nobody asks, as for a preview that comes by itself, Admits
// is its half about the pull request. MATRIX.md beside it is every cell of who, which
// command, which environment and what kind of pull request, and is generated.
//
// Whether a commit is good enough for an environment, by its checks, its provenance and the
// platform team's policies, is no question of who: package bot asks that after this.
// Everything here may be called concurrently.
package access

import (
	"fmt"
	"slices"
	"strings"
)

// Actor is an account at GitHub. Its id is what it is known by, for logins change hands.
type Actor struct {
	ID    int64
	Login string
	// Bot is true for Apps and bot accounts, which may ask for nothing.
	Bot bool
}

// is says that somebody is the actor; where the actor's id was not kept, the login counts.
func (a Actor) is(somebody Actor) bool {
	return a.ID != 0 && a.ID == somebody.ID || a.ID == 0 && strings.EqualFold(a.Login, somebody.Login)
}

// Membership is whether the actor is in a team, as read live for a request.
type Membership struct {
	Active bool
	// Err is in words why it could not be read and what to do, "" when it could.
	Err string
}

// Request is something that somebody wants done.
type Request struct {
	Actor Actor
	// Permission is the actor's permission on the repository, read live for this
	// request. PermissionErr is why it could not be read, "" when it could.
	Permission    Permission
	PermissionErr string
	// Teams are the actor's memberships by slug; of a team that is not among them
	// nothing is known. Unread says which have to be read.
	Teams map[string]Membership

	Action      Action
	Environment Environment
	// DeclaredErr is why it is not known what the platform team declares, "" when it is.
	DeclaredErr string

	PullRequest PullRequest
	// Code is where the commit comes from that is asked for in a declared environment.
	Code Code
	// Parties are those whose own wish an approval in a declared environment is about: who
	// asked for it and who wrote it. They may not, whoever they are; nor may the author of
	// the pull request whose preview it is of.
	Parties []Actor
}

// Verdict is the answer to a Request.
type Verdict struct {
	Allowed bool
	// Cause is the kind of a refusal's reason.
	Cause Cause
	// Reason is the rule that allowed or refused, for the audit and for the reply.
	Reason string
	// WhoMay says who would have been allowed; "" when Allowed.
	WhoMay string
}

// Authorize decides about a request. Its zero value is refused.
func Authorize(r Request) Verdict {
	v := r.authority()
	if !v.Allowed {
		return v
	}
	if about := Admits(r.Action, r.Environment, r.PullRequest, r.Code); !about.Allowed {
		return about
	}
	return v
}

// authority decides by who asks.
func (r Request) authority() Verdict {
	rule := RuleOf(r.Action, r.Environment)
	refuse := func(format string, args ...any) Verdict {
		return Verdict{Reason: fmt.Sprintf(format, args...), WhoMay: r.whoMay(rule)}
	}
	switch {
	case !slices.Contains(ladder, rule.Permission) || rule.Permission == None:
		return refuse("no rule lets anybody do that")
	case r.Actor.Bot:
		return refuse("bots cannot run commands")
	case r.Actor.ID <= 0 || r.Actor.Login == "":
		return refuse("it is not known who asks")
	case r.PermissionErr != "":
		return refuse("the permission on this repository could not be read")
	case !slices.Contains(ladder, r.Permission):
		return refuse("the permission on this repository is not one that is known")
	case !r.Permission.Covers(rule.Permission):
		return refuse("it needs %s permission on this repository, and yours is %s", rule.Permission, r.Permission)
	case r.undeclared():
		return refuse("it is not known who may, since the platform's declarations cannot be read: %s", r.DeclaredErr)
	}
	as, why := r.named(rule)
	switch {
	case as == "":
		return refuse("%s", why)
	case r.own():
		v := refuse("you asked for it or wrote it, and somebody else has to approve it")
		v.Cause = CauseOwn
		return v
	}
	return Verdict{Allowed: true, Reason: fmt.Sprintf("%s permission covers %s%s", r.Permission, rule.Permission, as)}
}

// undeclared says that nobody knows what is declared about the action.
func (r Request) undeclared() bool { return r.DeclaredErr != "" && !actions[r.Action].undeclared }

// own says that it is an approval of what the actor asked for or wrote.
func (r Request) own() bool {
	parties := r.Parties
	if r.Environment.Preview {
		parties = append(slices.Clone(parties), r.PullRequest.Author)
	}
	return r.Action == Approve && slices.ContainsFunc(parties, func(party Actor) bool { return party.is(r.Actor) })
}

// named says as whom the rule lets the actor, or why it does not.
func (r Request) named(rule Rule) (as, why string) {
	switch {
	case rule.Open():
		return ", which is enough", ""
	case rule.Names(r.Actor.ID, r.Actor.Login):
		return ", and they are named", ""
	}
	why = "it is for some people only"
	for _, team := range rule.Teams {
		switch is, read := r.Teams[team]; {
		case is.Active && is.Err == "":
			return ", and they are in team " + team, ""
		case !read:
			why = "whether you are in team " + team + " was not read"
		case is.Err != "":
			why = "whether you are in team " + team + " could not be read: " + is.Err
		}
	}
	return "", why
}

// whoMay names in plain words those who would have been allowed.
func (r Request) whoMay(rule Rule) string {
	if r.undeclared() && r.Permission.Covers(rule.Permission) {
		return "nobody, until the platform team has mended that,"
	}
	return rule.WhoMay()
}

// Unread returns the next team of which it has to be read whether the actor is in it,
// before Authorize can decide; "" where no membership that was not read makes a difference.
func Unread(r Request) string {
	rule := RuleOf(r.Action, r.Environment)
	if !r.Permission.Covers(rule.Permission) || r.PermissionErr != "" || r.undeclared() {
		return ""
	}
	if as, _ := r.named(rule); as != "" {
		return ""
	}
	for _, team := range rule.Teams {
		if _, read := r.Teams[team]; !read {
			return team
		}
	}
	return ""
}
