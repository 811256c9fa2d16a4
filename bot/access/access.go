// Package access decides who may do what. It is pure: it reads nothing, and any
// doubt is a refusal that names its reason and who may.
//
// Authorize is the one function that decides, whatever the transport: a comment
// today, a button or an API call later. It may be called concurrently.
package access

import (
	"fmt"
	"slices"
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
	// Action is what is asked for, in words for the reason: "/idp destroy".
	Action string
	// Needed is the least permission that Action takes. Only, when set, are the logins of
	// those who may, beside that permission.
	Needed Permission
	Only   []string
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
	refuse := func(format string, args ...any) Verdict {
		return Verdict{Reason: fmt.Sprintf(format, args...), WhoMay: whoMay(r.Needed, r.Only)}
	}
	switch {
	case !slices.Contains(ladder, r.Needed) || r.Needed == None:
		return refuse("%s names no permission that it needs", r.Action)
	case r.Bot:
		return refuse("bots cannot run commands")
	case r.ActorID <= 0 || r.Login == "":
		return refuse("it is not known who asks")
	case r.PermissionErr != "":
		return refuse("the permission on this repository could not be read")
	case !slices.Contains(ladder, r.Permission):
		return refuse("the permission on this repository is not one that is known")
	case !r.Permission.Covers(r.Needed):
		return refuse("it needs %s permission on this repository, and yours is %s", r.Needed, r.Permission)
	case len(r.Only) > 0 && !slices.ContainsFunc(r.Only, func(login string) bool { return strings.EqualFold(login, r.Login) }):
		return refuse("it is for some people only")
	}
	return Verdict{Allowed: true, Reason: fmt.Sprintf("%s permission covers %s", r.Permission, r.Needed)}
}

// whoMay names in plain words those whose permission covers needed.
func whoMay(needed Permission, only []string) string {
	at := slices.Index(ladder, needed)
	if at <= 0 {
		return "nobody"
	}
	if len(only) > 0 {
		return fmt.Sprintf("%s, with %s permission", strings.Join(only, ", "), needed)
	}
	if needed == Admin {
		return "people with admin permission"
	}
	return fmt.Sprintf("people with %s permission or more", needed)
}
