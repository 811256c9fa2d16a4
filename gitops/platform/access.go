package platform

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
)

// Rule is who may do a thing: whoever has the permission for the repository at GitHub
// and, where users or teams are named, is one of the users or in one of the teams.
type Rule struct {
	// Permission is the least that it takes, "" where the rule says nothing of it.
	Permission string `json:",omitempty"`
	// Users are logins, or "LOGIN#ID": then the id counts and the login is for readers.
	Users []string `json:",omitempty"`
	// Teams are slugs of the organisation that the repository belongs to.
	Teams []string `json:",omitempty"`
}

// Access is who may do what with an environment, or with previews. It is what the files
// say: which of it counts for an action, package access of bot decides.
type Access struct {
	// Rule is of every command that changes something.
	Rule
	// Actions are what differs for single commands, by name.
	Actions map[string]Rule `json:",omitempty"`
}

// Access returns who may do what with the environment.
func (e Environment) Access() Access {
	return Access{Rule: Rule{Permission: e.Permission, Users: e.Users, Teams: e.Teams}, Actions: e.Actions}
}

func (b *previewsBlock) access() Access {
	if b == nil {
		return Access{}
	}
	return Access{Rule: Rule{Permission: b.Permission, Users: b.Users, Teams: b.Teams}, Actions: b.Actions.rules()}
}

func (b *environmentActions) rules() map[string]Rule {
	if b == nil {
		return nil
	}
	return given(map[string]Rule{
		"deploy": b.Deploy.rule(), "promote": b.Promote.rule(), "rollback": b.Rollback.rule(), "abort": b.Abort.rule(), "retry": b.Retry.rule(),
		"approve": b.Approve.rule(), "lock": b.Lock.rule(), "unlock": b.Unlock.rule(),
		"diff": b.Diff.rule(), "logs": b.Logs.rule(), "status": b.Status.rule(),
	})
}

func (b *previewActions) rules() map[string]Rule {
	if b == nil {
		return nil
	}
	return given(map[string]Rule{
		"preview": b.Preview.rule(), "extend": b.Extend.rule(), "pin": b.Pin.rule(), "unpin": b.Unpin.rule(), "destroy": b.Destroy.rule(),
		"approve": b.Approve.rule(), "logs": b.Logs.rule(), "status": b.Status.rule(),
	})
}

// given drops the rules that say nothing.
func given(rules map[string]Rule) map[string]Rule {
	maps.DeleteFunc(rules, func(_ string, r Rule) bool { return r.Permission == "" && len(r.Users)+len(r.Teams) == 0 })
	return rules
}

func (b *changeRule) rule() Rule {
	if b == nil {
		return Rule{}
	}
	return Rule(*b)
}

func (b *lookRule) rule() Rule {
	if b == nil {
		return Rule{}
	}
	return Rule(*b)
}

// checkAccess holds the people that rules name to what can be one.
func checkAccess(doc *spec.Document, field string, a Access) {
	checkRule(doc, field, a.Rule)
	for _, action := range slices.Sorted(maps.Keys(a.Actions)) {
		checkRule(doc, spec.Join(spec.Join(field, "actions"), action), a.Actions[action])
	}
}

var (
	login = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(#[1-9][0-9]{0,15})?$`)
	slug  = regexp.MustCompile(`^[a-z0-9_-][a-z0-9_.-]*$`)
)

func checkRule(doc *spec.Document, field string, r Rule) {
	users, teams := spec.Join(field, "users"), spec.Join(field, "teams")
	for i, user := range r.Users {
		if at := spec.Index(users, i); doc.OK(at) && !login.MatchString(user) {
			doc.Suggest(at, spec.KindFormat, asLogin(user), "%q is no login of a person at GitHub", user)
		}
	}
	for i, team := range r.Teams {
		if at := spec.Index(teams, i); doc.OK(at) && !slug.MatchString(team) {
			doc.Suggest(at, spec.KindFormat, asSlug(team), "%q is no slug of a team at GitHub, which is the last part of its URL: the organisation is the repository's", team)
		}
	}
	folded := make([]string, len(r.Users))
	for i, user := range r.Users {
		folded[i] = strings.ToLower(user)
	}
	unique(doc, users, folded)
	unique(doc, teams, r.Teams)
}

// asLogin is the login that was probably meant by "@ann", "" where none was.
func asLogin(user string) string {
	if meant := strings.TrimPrefix(user, "@"); login.MatchString(meant) {
		return meant
	}
	return ""
}

// asSlug is the slug that was probably meant by "@acme/Release Managers".
func asSlug(team string) string {
	team = team[strings.LastIndex(team, "/")+1:]
	return strings.Join(strings.FieldsFunc(strings.ToLower(team), func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789_.-", r)
	}), "-")
}
