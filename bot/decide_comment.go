package bot

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
)

// maxCommands is how many commands of one event are run.
const maxCommands = 10

// The reactions that a comment with commands gets once they were decided.
const (
	reactionDone  = "rocket"
	reactionSorry = "confused"
)

// comment runs the commands of a comment, in order, on the working copy of the
// row. A comment gets one reaction and, where there is something to say, one reply.
func (d *deciding) comment() {
	c := d.event.Comment
	switch {
	case c == nil:
		d.because("the event has no comment")
		return
	case d.event.Actor.Bot || c.ViaApp != 0:
		d.because("comments of bots and Apps are not read for commands")
		return
	}
	invocations := Parse(c.Body)
	if len(invocations) == 0 {
		d.because("the comment has no command")
		return
	}
	d.answer(c.ID, d.invokeAll(invocations))
}

// invokeAll runs commands in order, as many as one event may give.
func (d *deciding) invokeAll(invocations []Invocation) []answer {
	var answers []answer
	for i, invocation := range invocations {
		if i == maxCommands {
			left := tooMany(len(invocations) - maxCommands)
			d.audit(fmt.Sprintf("%d more commands", len(invocations)-maxCommands), false, left.reason)
			return append(answers, left)
		}
		answers = append(answers, d.invoke(invocation))
	}
	return answers
}

// invoke authorises and runs one command, and writes it down.
func (d *deciding) invoke(i Invocation) answer {
	if i.Name == "" {
		i.Name = "help"
	}
	command, known := lookUp(i.Name)
	if !known {
		command.Action = access.Help // who may not ask for that is not told what was meant
	}
	r := &run{deciding: d, command: command, args: i.Args}
	verdict := access.Authorize(r.claimed())
	defer d.under(verdict.Reason)()
	var a answer
	switch {
	case !verdict.Allowed && !known:
		a = sorry(verdict.Reason, fmt.Sprintf("%s%s was not run: %s, and there is no such command.",
			d.address(), report.Code("/idp "+i.Name), report.Text(verdict.Reason)))
	case !verdict.Allowed:
		a = r.disallowed(verdict)
	case !known:
		a = unknown(i.Name)
	default:
		a = command.run(r)
	}
	d.because("%s by %s: %s", cut("/idp "+i.String()), d.event.Actor.Login, a.reason)
	environment, sha := d.subject(i.Name, i.Args)
	d.auditOf(environment, cut(i.String()), sha, !a.failed, a.reason)
	return a
}

// subject is what a command is about: the environment that it names, or the preview, and
// the commit that it names, or the head.
func (d *deciding) subject(command string, args []string) (of gitops.EnvironmentRef, sha string) {
	of, sha = d.ref(), d.PR.HeadSHA
	if d.env != nil {
		of = d.env.Ref
	}
	if name, known := d.about(command, args); known && name != "" {
		of = d.refOf(name)
	}
	if command != "approve" && !slices.Contains(declaredCommands, command) {
		return of, sha
	}
	for _, word := range args {
		if word = strings.ToLower(word); !commitArgument.MatchString(word) {
			continue
		}
		if rev, found := d.Revisions[word]; found {
			word = rev.SHA
		}
		return of, word
	}
	return of, sha
}

// disallowed answers a command that access does not let be run, by what refuses it.
func (r *run) disallowed(v access.Verdict) answer {
	switch {
	case !v.Cause.OfPullRequest():
	case r.command.Action == access.Preview:
		if a, ok := r.noArguments(); !ok {
			return a
		}
		if a, ok := r.mayHave(r.asked()); !ok {
			return a
		}
	case r.code() != "":
		named, _, a, ok := r.deployable(r.afterEnvironment())
		if !ok {
			return a
		}
		return r.unfit(v, named, "Nothing was deployed")
	}
	return r.refused(r.command.Name(), v)
}

// unfit says why a commit does not go into a declared environment, and what therefore was
// not done.
func (r *run) unfit(v access.Verdict, named, undone string) answer {
	shown := report.Code(shortSHA(cmp.Or(named, r.PR.HeadSHA)))
	switch _, found := r.found(named); {
	case !found:
		return unknownCommit(shown)
	case v.Cause == access.CauseStray:
		return sorry(v.Reason, "Commit "+shown+" is neither on the default branch nor part of this pull request, so it is not deployed.")
	case v.Cause == access.CauseFork:
		return sorry(v.Reason, capitalised(v.Reason)+".")
	}
	return sorry(v.Reason, capitalised(report.Text(v.Reason))+". "+undone+".")
}

// refused says why somebody's command was not run, and who may run it.
func (d *deciding) refused(name string, v access.Verdict) answer {
	return sorry(v.Reason, fmt.Sprintf("%s%s was not run: %s. %s can run it.",
		d.address(), report.Code("/idp "+name), report.Text(v.Reason), capitalised(report.Text(v.WhoMay))))
}

func tooMany(rest int) answer {
	return sorry("too many commands", fmt.Sprintf("At most %d commands are run at a time; the last %d were left out.", maxCommands, rest))
}

// answer turns the commands' answers into effects.
func (d *deciding) answer(commentID int64, answers []answer) {
	reaction := reactionDone
	if slices.ContainsFunc(answers, func(a answer) bool { return a.failed }) {
		reaction = reactionSorry
	}
	d.out.Effects = append(d.out.Effects, Effect{Kind: EffectReaction, CommentID: commentID, Content: reaction})
	d.reply(answers)
}

// reply says what there is to say of the answers, in one comment.
func (d *deciding) reply(answers []answer) {
	if text := spoken(answers); text != "" {
		d.out.Effects = append(d.out.Effects, Effect{Kind: EffectReply, Content: text})
	}
}

// spoken is what there is to say of the answers, "" where that is nothing.
func spoken(answers []answer) string {
	var texts []string
	for _, a := range answers {
		mark := ""
		if a.failed {
			mark = "😕 "
		}
		if a.text != "" && !contains(texts, mark+a.text) {
			texts = append(texts, mark+a.text)
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return fitting(texts)
}

// fitting joins the texts as paragraphs, as many as a comment holds.
func fitting(texts []string) string {
	const most = 60_000
	for n := len(texts); n > 1; n-- {
		if body := strings.Join(texts[:n], "\n\n"); len(body) <= most {
			return body
		}
	}
	return texts[0]
}

func contains(texts []string, text string) bool {
	for _, t := range texts {
		if t == text {
			return true
		}
	}
	return false
}

// loginPattern is what GitHub lets a user be called.
var loginPattern = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})$`)

// mention addresses whoever wrote the command, and only them.
func mention(actor Actor) string {
	if loginPattern.MatchString(actor.Login) {
		return "@" + actor.Login
	}
	return report.Text(or(actor.Login, "whoever you are"))
}

func capitalised(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// cut keeps the audit and the log readable, whatever was written after a command.
func cut(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
