package access

import (
	"cmp"

	"github.com/idp-bot/idp/gitops/platform"
)

// Action is what somebody may be let do. One that is not below nobody may do.
type Action string

// The actions of commands, by their names.
const (
	Preview  Action = "preview"
	Extend   Action = "extend"
	Pin      Action = "pin"
	Unpin    Action = "unpin"
	Destroy  Action = "destroy"
	Deploy   Action = "deploy"
	Diff     Action = "diff"
	Promote  Action = "promote"
	Rollback Action = "rollback"
	Abort    Action = "abort"
	Retry    Action = "retry"
	Approve  Action = "approve"
	Lock     Action = "lock"
	Unlock   Action = "unlock"
	Logs     Action = "logs"
	Status   Action = "status"
	Help     Action = "help"
)

const (
	// Rerun tries again what was given up of a preview, by "Re-run" on its check. It brings
	// no commit that was not let in before.
	Rerun Action = "re-run"
	// Automatic is a preview that comes by itself. Nobody asks for it: Admits alone is
	// asked about it.
	Automatic Action = "automatic"
)

// traits are what is to be known of an action.
type traits struct {
	// as is the action whose rules are its own, "" for itself.
	as Action
	// looks says that it changes nothing: the rule that changing takes is not its own.
	looks bool
	// undeclared says that nothing that the platform team declares is about it.
	undeclared bool
	// names says that it names a commit for a declared environment, and takes that there
	// says that a commit comes to run in one by it.
	names, takes bool
}

// actions are those that somebody can ask for.
var actions = map[Action]traits{
	Preview: {}, Rerun: {as: Preview}, Extend: {}, Pin: {}, Unpin: {}, Destroy: {},
	Deploy: {names: true, takes: true}, Promote: {takes: true}, Approve: {names: true, takes: true},
	Rollback: {}, Abort: {}, Retry: {}, Lock: {}, Unlock: {},
	Diff: {looks: true, names: true}, Logs: {looks: true}, Status: {looks: true}, Help: {undeclared: true},
}

// Environment is what an action is about. The zero value is none: permission alone counts.
type Environment struct {
	// Preview says that it is the pull request's preview, Name what a declared one is called.
	Preview bool
	Name    string
	// Rules are who may do what with it, as the platform team declares.
	Rules platform.Access
	// Protected says that a declared one takes only what is merged.
	Protected bool
	// Drafts says that pull requests get a preview while they are drafts, and Bots that those
	// of bots get one without anybody's word.
	Drafts, Bots bool
}

// RuleOf returns who may do something with an environment: whoever has write permission,
// where nothing is declared. An action that there is not has the zero rule, which lets nobody.
func RuleOf(action Action, env Environment) Rule {
	of, known := actions[action]
	if !known {
		return Rule{}
	}
	rule := Rule{Permission: Write}
	if !of.looks {
		rule = rule.over(env.Rules.Rule)
	}
	return rule.over(env.Rules.Actions[string(cmp.Or(of.as, action))])
}

// over returns the rule with what a declared one says of it: a permission, and people, who
// stand in the place of all that were there.
func (r Rule) over(declared platform.Rule) Rule {
	r.Permission = cmp.Or(Permission(declared.Permission), r.Permission)
	if len(declared.Users)+len(declared.Teams) > 0 {
		r.Users, r.Teams = declared.Users, declared.Teams
	}
	return r
}
