package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// playCommand is one command of the scenarios' language: how it is written, and
// what it does. A new one is a row in the table below; the language's README is
// made from it.
type playCommand struct {
	name, usage, help string
	// least is how many arguments it takes at the least.
	least int
	run   func(*play, *testscript.TestScript, []string)
}

// playTable is the language.
func playTable() []playCommand {
	return []playCommand{
		{"start", "start [argocd] [IDP_KEY=VALUE…]", "start GitHub, git, the registry, Argo CD if asked for, and the bot; $REGISTRY is the registry's address", 0, (*play).start},
		{"repo", "repo OWNER/NAME [FOLDER] [public]", "make a private repository with the folder's files; alice may write it, bob read", 1, (*play).repo},
		{"grant", "grant OWNER/NAME LOGIN PERMISSION", "give somebody a permission", 3, (*play).grant},
		{"team", "team OWNER/SLUG [-]LOGIN…", "put people into a team of the organisation, made where there is none, or with \"-\" take them out", 1, (*play).team},
		{"rename", "rename OWNER/NAME NAME", "rename the repository; scenarios go on using its first name", 2, (*play).rename},
		{"protect", "protect OWNER/NAME [BRANCH]", "have GitHub protect a branch, main where none is named", 1, (*play).protect},
		{"transfer", "transfer OWNER/NAME OWNER", "give the repository to another owner", 2, (*play).transfer},
		{"archive", "archive OWNER/NAME [back]", "archive the repository, or bring it back", 1, (*play).archive},
		{"delete", "delete OWNER/NAME", "delete the repository", 1, (*play).deleteRepository},
		{"installation", "installation OWNER create|suspend|unsuspend|delete", "give the App access to an owner's repositories, or take it away; on acme it is installed already", 2, (*play).installation},
		{"commit", "commit OWNER/NAME BRANCH FOLDER [times=N] [built[=IMAGE]]…", "push the folder's files on top of a branch, without a pull request, once or so many times; shown as BRANCH@N", 3, (*play).commit},
		{"open", "open ALIAS OWNER/NAME BRANCH FOLDER [by=LOGIN] [title=TEXT] [draft] [label=L]… [fork=LOGIN] [built[=IMAGE]]…", "push the folder to a branch, and the image of that where it is built already, and open a pull request", 4, (*play).open},
		{"push", "push ALIAS FOLDER [by=LOGIN] [built[=IMAGE]]…", "push the folder's files on top of the pull request's head; \"-PATH\" instead of a folder removes a file", 2, (*play).push},
		{"forcepush", "forcepush ALIAS FOLDER [built[=IMAGE]]…", "replace the pull request's branch", 2, (*play).forcePush},
		{"act", "act ALIAS close|merge|squash|reopen|draft|ready|label L|unlabel L|edit TITLE [by=LOGIN]", "do something to the pull request; what it is merged by is ALIAS@merged", 2, (*play).act},
		{"adopt", "adopt ALIAS OWNER/NAME NUMBER", "give a pull request that the bot opened a name", 3, (*play).adopt},
		{"comment", "comment ALIAS LOGIN TEXT", "comment on it; \\n in TEXT is a line break, {ALIAS@N} a commit's SHA, {ALIAS@N:7} its beginning", 3, (*play).comment},
		{"ask", "ask ALIAS LOGIN COMMAND…", "give the command with \"idp run\", as somebody who is signed in to the bot's API; prints what that prints and its status", 3, (*play).ask},
		{"editcomment", "editcomment ALIAS LOGIN TEXT", "edit the newest comment", 3, (*play).editComment},
		{"deletecomment", "deletecomment ALIAS LOGIN [newest]", "delete idp's sticky comment, or the newest comment", 2, (*play).deleteComment},
		{"copycomment", "copycomment ALIAS", "let the App write its sticky comment a second time", 1, (*play).copyComment},
		{"rerun", "rerun ALIAS [suite|first]", "press \"Re-run\" on idp's check, or \"Re-run all checks\"; or on the check of the first commit", 1, (*play).rerun},
		{"press", "press ALIAS[/ENVIRONMENT] BUTTON LOGIN [N]", "press a button of idp's check of the head, or of the N-th commit", 3, (*play).press},
		{"workflow", "workflow ALIAS queued|running|CONCLUSION [NAME]", "let an Actions workflow of the head, build unless it is named, wait in the queue, begin or end", 2, (*play).workflow},
		{"ran", "ran OWNER/NAME NAME DURATION…", "let a workflow have been successful on the default branch a day ago, each time in so long", 3, (*play).ran},
		{"ponder", "ponder ALIAS [done]", "let GitHub not know yet by which commit it would merge the pull request, or know it", 1, (*play).ponder},
		{"ci", "ci ALIAS[@N]|OWNER/NAME[@REF] CHECK success|failure|…|running [by=CI] [as=status]", "let a CI run a check on the pull request's head or another commit of its, or on a branch of the repository; or set a commit status there, which is the older way", 3, (*play).ci},
		{"image", "image ALIAS[@N] [NAME[:TAG]]", "push the image of the head, another commit or a merge, ALIAS@mergeN, that GitHub has tried, as OWNER/REPO or as NAME, NAME:TAG by a tag of its own; with a NAME also of a commit BRANCH@N", 1, (*play).image},
		{"index", "index ALIAS PLATFORM…", "push an index of the head's images for several platforms, such as linux/amd64, as OWNER/REPO", 2, (*play).index},
		{"attest", "attest ALIAS[@N] [workflow=PATH] [ref=REF] [of=OWNER/NAME]", "let the workflow .github/workflows/release.yml, on the default branch, attest that it built the image of the head or another commit; or another workflow, on another ref, or of another repository", 1, (*play).attest},
		{"report", "report ALIAS SERVICE [of=ALIAS@N] [branch=NAME] [sha=ALIAS@N] [digest=DIGEST]", "let a workflow of the pull request, or of a branch of its repository, report with \"idp image report\" that it built the image of the head or another commit, or one of that digest; for another commit than its own; prints what that prints and its status", 2, (*play).report},
		{"registry", "registry STATUS|ok", "let the image registry answer so to whoever asks for an image", 1, (*play).setRegistry},
		{"hold", "hold", "hold GitHub's webhooks back", 0, (*play).hold},
		{"release", "release [INDEX… | none]", "deliver what is held, in this order (twice, lost), or all of it, and hold no more", 0, (*play).release},
		{"redeliver", "redeliver [all]", "send again, as GitHub's page can, what was not delivered, or everything", 0, (*play).redeliver},
		{"fault", "fault STATUS|drop|html METHOD|* PATH TIMES [RETRY-AFTER]", "let GitHub's API fail; \"drop\" loses the answer of what was done", 4, (*play).fault},
		{"gitops", "gitops put PATH FILE [OWNER/NAME] | remove PATH | link PATH TARGET | refuse N MESSAGE | drop N | during COMMAND… | github | also OWNER/NAME", "let somebody else write to the GitOps repository, pushes fail, or something be done and handled while the next push is under way; or let the stand-in GitHub show it as acme/gitops, with its branches and pull requests; or make one more, on GitHub too, for a class: $GITOPS in a file that is put is what their URLs begin with, $REGISTRY the registry's address, {id:OWNER/NAME} GitHub's id of a repository, and $SIGSTORE the trusted root that attestations verify with", 1, (*play).gitops},
		{"argocd", "argocd [of OWNER/NAME] sync ALIAS|root|all | fail ALIAS MESSAGE | health ALIAS Healthy|Degraded|Progressing [MESSAGE] | live ALIAS FILE | logs ALIAS POD FILE | logs denied | drift ALIAS [OBJECT] | hold ALIAS OBJECT FINALIZER | theirs NAME FOLDER [URL] | away | back | refreshed", "let Argo CD sync to the tip of the branch, or fail to; let what it synced become healthy or not; say what the cluster has, as YAML documents with their status and Events; what a Pod wrote; that the token may not read that; which object was changed by hand; keep an object from being deleted; make an Application that is a team's own, of a folder of the GitOps repository or of another; break its connections; print what it was asked to refresh since the last time", 1, (*play).argocd},
		{"gateway", "gateway ok|STATUS|drop [LOCATION]", "let the gateway, $GATEWAY, answer so at every host; it begins with 503", 1, (*play).setGateway},
		{"advance", "advance DURATION", "move the clock", 1, (*play).advance},
		{"settle", "settle", "wait until everything is done and said", 0, func(p *play, ts *testscript.TestScript, _ []string) { p.settle(ts) }},
		{"await", "await REGEXP", "wait until a line of the bot's log matches, from where the last await ended", 1, (*play).await},
		{"reap", "reap", "let the reaper run", 0, (*play).reap},
		{"sweep", "sweep", "let the sweep run", 0, (*play).sweep},
		{"confirm", "confirm", "let removals that a sweep inferred go on", 0, (*play).confirm},
		{"operator", "operator pause REASON | resume", "pause the bot, or let it go on", 1, (*play).operator},
		{"halt", "halt", "stop the bot", 0, func(p *play, ts *testscript.TestScript, _ []string) { ts.Check(p.world.stopBot()) }},
		{"resume", "resume [IDP_KEY=VALUE…]", "start the bot again, configured anew, with $GITOPS as in a file that is put; \"IDP_KEY=\" takes a setting away", 0, (*play).resume},
		{"lose", "lose", "stop the bot, and lose its database", 0, (*play).lose},
		{"rerender", "rerender [--dry-run] [--summary] [--repo=OWNER/NAME] [--class=NAME] [--at-most=N]", "run \"idp rerender\" and print what it prints and its status", 0, (*play).rerender},
		{"rebuild", "rebuild [--dry-run] [--merge]", "run \"idp rebuild\" and print what it prints", 0, (*play).rebuild},
		{"envs", "envs list [--all] | remove OWNER/NAME ENVIRONMENT [--confirm]", "run \"idp env list\" or \"idp env remove\" and print what it prints and its status", 1, (*play).envs},
		{"drift", "drift [mend]", "print what \"idp drift\" prints, but for what is to be done; or let the bot look, and mend what it can", 0, (*play).drift},
		{"times", "times N COMMAND…", "do it N times, with % in its words for 1, 2, 3…", 2, nil},
		{"show", "show check|checks|buttons|comment|comments|deployments|env ALIAS | checks|deployments|pulls OWNER/NAME | envs | tree [OWNER/NAME] | file PATH [OWNER/NAME] | commits [OWNER/NAME] | requests | held | audit | log", "print it, to be looked at with stdout and cmp; of a repository, the checks of every App, the deployments that are not transient, and the pull requests; tree, file and commits are of the GitOps repository, or of another one of that name", 1, (*play).show},
	}
}

func playCommands() map[string]func(*testscript.TestScript, bool, []string) {
	commands := map[string]func(*testscript.TestScript, bool, []string){}
	for _, c := range playTable() {
		commands[c.name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg || len(args) < c.least {
				ts.Fatalf("usage: %s", c.usage)
			}
			perform(ts.Value(playKey{}).(*play), ts, c.name, args)
		}
	}
	return commands
}

// perform does one command of the language.
func perform(p *play, ts *testscript.TestScript, name string, args []string) {
	if name == "times" {
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		for i := range n {
			words := make([]string, 0, len(args)-1)
			for _, word := range args[1:] {
				words = append(words, strings.ReplaceAll(word, "%", strconv.Itoa(i+1)))
			}
			perform(p, ts, words[0], words[1:])
		}
		return
	}
	for _, c := range playTable() {
		if c.name == name && len(args) >= c.least {
			c.run(p, ts, args)
			return
		}
	}
	ts.Fatalf("no command %q with %d arguments; testdata/scenarios/README.md lists them", name, len(args))
}

// TestScenarioReference holds the table of commands in the scenarios' README
// against the language. Run it with -update after a change.
func TestScenarioReference(t *testing.T) {
	t.Parallel()
	const path = "../../testdata/scenarios/README.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| command | what it does |\n| --- | --- |\n")
	for _, c := range playTable() {
		table.WriteString("| `" + strings.ReplaceAll(c.usage, "|", `\|`) + "` | " + strings.ReplaceAll(c.help, "|", `\|`) + " |\n")
	}
	text, err := replaceGenerated(string(old), "commands", table.String())
	switch {
	case err != nil:
		t.Fatal(err)
	case text == string(old):
	case *update:
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s does not list the commands any more: go test ./cmd/idp -run ScenarioReference -update", path)
	}
}
