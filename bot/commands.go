package bot

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// Command is a row of the command table. The help text, the table in the README
// and the permissions all come from it.
type Command struct {
	// Action is what it does, and by that who may: package access has the rules. The command
	// is called what its action is.
	Action access.Action
	// Usage is the whole line, such as "/idp extend <duration>".
	Usage string
	// Summary says in a few words what it does.
	Summary string

	run func(*run) answer
}

// Name is what follows "/idp".
func (c Command) Name() string { return string(c.Action) }

// Needs is the least permission on the repository that it takes, where the platform team
// declares nothing else.
func (c Command) Needs() access.Permission {
	return access.RuleOf(c.Action, access.Environment{}).Permission
}

// Commands returns the table, in the order of the help. A command is a row here
// and a file cmd_<name>.go.
func Commands() []Command {
	return []Command{
		{access.Preview, "/idp preview", "bring the preview up, or try again what was given up", preview},
		{access.Extend, "/idp extend <duration>", "let the preview live longer, such as 24h or 3d", extend},
		{access.Pin, "/idp pin", "keep the preview until the pull request is closed", pin},
		{access.Unpin, "/idp unpin", "give a pinned preview its time to live again", unpin},
		{access.Destroy, "/idp destroy", "take the preview away until somebody asks for it", destroy},
		{access.Deploy, "/idp deploy <environment> [service…] [commit]", "deploy to an environment, such as staging; this pull request's newest commit by default", deploy},
		{access.Diff, "/idp diff <environment> [service…] [commit]", "show what such a deployment would change in the manifests, and change nothing", diff},
		{access.Promote, "/idp promote <from> <to>", "take what runs healthy in one environment to another", promote},
		{access.Rollback, "/idp rollback <environment> [commit]", "go back to the healthy release before, or to a commit that was healthy", rollback},
		{access.Abort, "/idp abort <environment>", "stop what is rolling out, and go back to the last healthy release", abort},
		{access.Retry, "/idp retry <environment>", "roll out again what failed", retry},
		{access.Approve, "/idp approve <full commit>", "let a commit go that waits for somebody else's approval", approve},
		{access.Lock, "/idp lock <environment> [reason]", "keep an environment as it is", lock},
		{access.Unlock, "/idp unlock <environment>", "give a locked environment free", unlock},
		{access.Logs, "/idp logs [environment] [service]", "show the last lines that a service wrote, where policy allows, and where all of it is", logs},
		{access.Status, "/idp status [environment]", "say how the preview is, or an environment", status},
		{access.Help, "/idp help", "list the commands", help},
	}
}

// run is one command being run: the decision in the making, and the command.
type run struct {
	*deciding
	command Command
	args    []string
}

// answer is what came of a command.
type answer struct {
	// failed commands changed nothing and get a 😕; text, Markdown that starts with
	// a word and not with a command, is only there where there is something to say.
	failed bool
	text   string
	// reason is the same in plain words, for the audit.
	reason string
}

// done is the answer of a command that worked and whose outcome the comment shows.
func done(reason string) answer { return answer{reason: reason} }

// said is the answer of a command that worked and has something to say.
func said(reason, text string) answer { return answer{reason: reason, text: text} }

// sorry is the answer of a command that could not be run.
func sorry(reason, text string) answer { return answer{failed: true, reason: reason, text: text} }

// noArguments refuses words after a command that takes none: a sentence that
// happens to begin like a command is not to be run.
func (r *run) noArguments() (answer, bool) {
	if len(r.args) == 0 {
		return answer{}, true
	}
	return r.misused("takes nothing after it"), false
}

func (r *run) misused(why string) answer {
	return sorry("used wrongly: "+why, fmt.Sprintf("%s %s. It was not run. Usage: %s",
		report.Code("/idp "+r.command.Name()), why, report.Code(r.command.Usage)))
}

// present says that there is a preview for the command to act on.
func (r *run) present() (answer, bool) {
	if r.env != nil && r.env.Wanted == previews.Present {
		return answer{}, true
	}
	text := "There is no preview of this pull request to " + r.command.Name() + "."
	if r.PR.Open && !r.PR.Fork && r.Spec.Found {
		text += " " + report.Code("/idp preview") + " brings one up."
	}
	return sorry("there is no preview", text), false
}

func lookUp(name string) (Command, bool) {
	for _, c := range Commands() {
		if c.Name() == name {
			return c, true
		}
	}
	return Command{}, false
}

// unknown answers a command that there is not, with the one that was meant.
func unknown(name string) answer {
	text := "There is no command " + report.Code("/idp "+name) + "."
	if near := nearest(name); near != "" {
		text += " Did you mean " + report.Code("/idp "+near) + "?"
	} else {
		text += " " + report.Code("/idp help") + " lists them."
	}
	return sorry("unknown command", text)
}

// nearest is the command that was most likely meant: one that starts with name, or
// is at most two edits away. "" when none is.
func nearest(name string) string {
	const most = 2
	best, distance := "", most+1
	if len(name) > 32 {
		return ""
	}
	for _, c := range Commands() {
		d := levenshtein.Distance(name, c.Name(), nil)
		if len(name) >= 2 && strings.HasPrefix(c.Name(), name) {
			d = 0
		}
		if d < distance && d < len(c.Name())-1 {
			best, distance = c.Name(), d
		}
	}
	return best
}
