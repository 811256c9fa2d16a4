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
