// Package access decides who may do what. It is pure: it reads nothing, and any
// doubt is a refusal that names its reason and who may.
//
// Authorize is the one function that decides, whatever the transport: a comment, a
// button on a check or an API call. It may be called concurrently. MATRIX.md beside it
// is every cell of who, which command, which environment and what kind of pull request,
// and is generated.
//
// That a pull request is a draft or comes from a fork gives nobody authority and takes
// none away: it bears on which code may run where, which package bot decides after this.
package access

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Permission is a user's permission on a repository, from least to most, as
// GitHub's collaborator permission API names it.
type Permission string

// The permissions, in GitHub's words.
const (
	None     Permission = "none"
	Read     Permission = "read"
	Triage   Permission = "triage"
	Write    Permission = "write"
	Maintain Permission = "maintain"
	Admin    Permission = "admin"
)

// ladder is every permission, least first.
var ladder = []Permission{None, Read, Triage, Write, Maintain, Admin}

// Covers says that p is at least needed. A permission that is not one of the
// above covers nothing and is covered by nothing.
func (p Permission) Covers(needed Permission) bool {
	have, want := slices.Index(ladder, p), slices.Index(ladder, needed)
	return have >= 0 && want >= 0 && have >= want
}

// Rule is who may do a thing: whoever has the permission and, where it names users or
// teams, is one of the users or in one of the teams.
type Rule struct {
	Permission Permission
	// Users are logins, or "LOGIN#ID": then the id alone counts.
	Users []string
	// Teams are slugs of the organisation that the repository belongs to.
	Teams []string
}

// Open says that everybody may who has the permission.
func (r Rule) Open() bool { return len(r.Users)+len(r.Teams) == 0 }

// Names says that somebody is one of the users.
func (r Rule) Names(id int64, login string) bool {
	return slices.ContainsFunc(r.Users, func(user string) bool {
		if name, number, bound := strings.Cut(user, "#"); bound {
			return name != "" && id > 0 && number == strconv.FormatInt(id, 10)
		}
		return user != "" && strings.EqualFold(user, login)
	})
}

// Membership is whether the actor is in a team, as read live for a request.
type Membership struct {
	Active bool
	// Err is in words why it could not be read and what to do, "" when it could.
	Err string
}

// Request is something that somebody wants done.
type Request struct {
	// ActorID and Login are GitHub's for who asks; Bot is true for Apps and bot
	// accounts, which may ask for nothing.
	ActorID int64
	Login   string
	Bot     bool
	// Permission is the actor's permission on the repository, read live for this
	// request. PermissionErr is why it could not be read, "" when it could.
	Permission    Permission
	PermissionErr string
	// Teams are the actor's memberships by slug; of a team that is not among them
	// nothing is known.
	Teams map[string]Membership
	// Action is what is asked for, in words for the reason: "/idp destroy".
	Action string
	// Rule is who may. RuleErr is why it is not known, "" when it is: then Rule is the
	// least that it can be.
	Rule    Rule
	RuleErr string
	// Parties are, by their ids, those whose own wish an approval is about: who asked for
	// it and who wrote it. They may not, whoever they are.
	Parties []int64
}

// Verdict is the answer to a Request.
type Verdict struct {
	Allowed bool
	// Reason is the rule that allowed or refused, for the audit and for the reply.
	Reason string
	// WhoMay says who would have been allowed; "" when Allowed.
	WhoMay string
}

// Authorize decides about a request. Its zero value is refused.
func Authorize(r Request) Verdict {
	needed := r.Rule.Permission
	refuse := func(format string, args ...any) Verdict {
		return Verdict{Reason: fmt.Sprintf(format, args...), WhoMay: r.whoMay()}
	}
	switch {
	case !slices.Contains(ladder, needed) || needed == None:
		return refuse("%s names no permission that it needs", r.Action)
	case r.Bot:
		return refuse("bots cannot run commands")
	case r.ActorID <= 0 || r.Login == "":
		return refuse("it is not known who asks")
	case r.PermissionErr != "":
		return refuse("the permission on this repository could not be read")
	case !slices.Contains(ladder, r.Permission):
		return refuse("the permission on this repository is not one that is known")
	case !r.Permission.Covers(needed):
		return refuse("it needs %s permission on this repository, and yours is %s", needed, r.Permission)
	case r.RuleErr != "":
		return refuse("it is not known who may, since the platform's declarations cannot be read: %s", r.RuleErr)
	}
	as, why := r.named()
	switch {
	case as == "":
		return refuse("%s", why)
	case slices.Contains(r.Parties, r.ActorID):
		return refuse("you asked for it or wrote it, and somebody else has to approve it")
	}
	return Verdict{Allowed: true, Reason: fmt.Sprintf("%s permission covers %s%s", r.Permission, needed, as)}
}

// named says as whom the rule lets the actor, or why it does not.
func (r Request) named() (as, why string) {
	switch {
	case r.Rule.Open():
		return ", which is enough", ""
	case r.Rule.Names(r.ActorID, r.Login):
		return ", and they are named", ""
	}
	why = "it is for some people only"
	for _, team := range r.Rule.Teams {
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
func (r Request) whoMay() string {
	if r.RuleErr != "" && r.Permission.Covers(r.Rule.Permission) {
		return "nobody, until the platform team has mended that,"
	}
	return r.Rule.WhoMay()
}

// WhoMay names in plain words those whom a rule lets: "people with write permission or
// more", or "ann or members of team web, with write permission".
func (r Rule) WhoMay() string {
	if at := slices.Index(ladder, r.Permission); at <= 0 {
		return "nobody"
	}
	var people []string
	for _, user := range r.Users {
		name, _, _ := strings.Cut(user, "#")
		people = append(people, name)
	}
	for _, team := range r.Teams {
		people = append(people, "members of team "+team)
	}
	switch last := len(people) - 1; {
	case last > 0:
		return fmt.Sprintf("%s or %s, with %s permission", strings.Join(people[:last], ", "), people[last], r.Permission)
	case last == 0:
		return fmt.Sprintf("%s, with %s permission", people[0], r.Permission)
	case r.Permission == Admin:
		return "people with admin permission"
	}
	return fmt.Sprintf("people with %s permission or more", r.Permission)
}
