package bot

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// matrixRules are what the platform team declares in the matrix.
const matrixRules = `environments:
  staging: {}
  production:
    permission: maintain
    protected: true
    approval: true
    teams: [platform]
    actions:
      approve: {teams: [release-managers]}
      logs: {permission: read}
`

const matrixSpec = service + "preview: {drafts: false}\n"

// role is who asks.
type role struct {
	name       string
	permission access.Permission
	// in are the teams; unread says that GitHub does not tell.
	in     []string
	unread bool
	change func(*Snapshot, *Event)
}

var roles = []role{
	{name: "none", permission: access.None},
	{name: "read", permission: access.Read},
	{name: "triage", permission: access.Triage},
	{name: "write", permission: access.Write},
	{name: "maintain", permission: access.Maintain},
	{name: "admin", permission: access.Admin},
	{name: "write, in platform", permission: access.Write, in: []string{"platform"}},
	{name: "maintain, in platform", permission: access.Maintain, in: []string{"platform"}},
	{name: "maintain, in release-managers", permission: access.Maintain, in: []string{"release-managers"}},
	{name: "admin, in both", permission: access.Admin, in: []string{"platform", "release-managers"}},
	{name: "the same, who asked for it", permission: access.Admin, in: []string{"platform", "release-managers"}, change: func(_ *Snapshot, e *Event) { e.Actor.ID = 2 }},
	{name: "the same, who wrote it", permission: access.Admin, in: []string{"platform", "release-managers"}, change: func(_ *Snapshot, e *Event) { e.Actor.ID = 1 }},
	{name: "admin, teams unreadable", permission: access.Admin, unread: true},
	{name: "permission unreadable", in: []string{"platform", "release-managers"}, change: func(s *Snapshot, _ *Event) {
		s.Permission, s.PermissionErr = access.None, "GitHub answered 502"
	}},
	{name: "bot with admin", permission: access.Admin, in: []string{"platform", "release-managers"}, change: func(_ *Snapshot, e *Event) { e.Actor.Bot = true }},
}

// as is the event of somebody in a role, and what is read about them.
func (r role) as(s Snapshot, body string) (Snapshot, Event) {
	e := commentEvent(body)
	e.Actor = Actor{ID: 77, Login: "somebody"}
	s.Permission, s.Teams = r.permission, map[string]access.Membership{}
	for _, team := range []string{"platform", "release-managers"} {
		s.Teams[team] = access.Membership{Active: slices.Contains(r.in, team)}
		if r.unread {
			s.Teams[team] = access.Membership{Err: "the App may not read members"}
		}
	}
	if r.change != nil {
		r.change(&s, &e)
	}
	return s, e
}

// within says that a role has nothing that another does not have.
func (r role) within(other role) bool {
	return r.change == nil && other.change == nil && !r.unread && !other.unread && other.permission.Covers(r.permission) &&
		!slices.ContainsFunc(r.in, func(team string) bool { return !slices.Contains(other.in, team) })
}

// kind is a kind of pull request.
type kind struct {
	name             string
	fork, draft, bot bool
}

var kinds = []kind{
	{"ready for review", false, false, false}, {"draft", false, true, false}, {"fork", true, false, false}, {"draft of a fork", true, true, false},
	{"of a bot", false, false, true}, {"draft of a bot", false, true, true}, {"fork of a bot", true, false, true}, {"draft of a bot's fork", true, true, true},
}

// of is the same pull request, if it were of this kind.
func (k kind) of(s Snapshot) Snapshot {
	s.PR.Fork, s.PR.Draft, s.PR.Author.Bot = k.fork, k.draft, k.bot
	return s
}

// deed is a command where it has something to do.
type deed struct {
	environment, command, body string
	snapshot                   Snapshot
	// ofFork says that only a fork's pull request knows of it.
	ofFork bool
}

// deeds are every command in every kind of environment.
func deeds(t testing.TB) []deed {
	s := open(t)
	s.Spec = validSpec(t, matrixSpec)
	declared, errs := platform.Load([]gitops.File{{Path: platform.EnvironmentsPath, Content: []byte(matrixRules)}}, platform.Class{Name: "preview"})
	if len(errs) > 0 {
		t.Fatal(errs.Err())
	}
	s = declaring(t, func(fresh *Snapshot) { fresh.Spec, fresh.Permission = s.Spec, access.Admin })
	second := strings.Repeat("0", 38) + "dd"
	s.Revisions[second] = Revision{Commit: Commit{SHA: second, CommittedAt: now}, Spec: validSpec(t, service), OnDefault: true, BranchProtected: true}
	checked("success")(&s)
	lax := declared // what comes before the command at hand is held to nothing
	lax.Environments = slices.Clone(declared.Environments)
	for i := range lax.Environments {
		lax.Environments[i] = platform.Environment{Name: lax.Environments[i].Name, Class: "preview"}
	}
	prepared := func(steps ...step) Snapshot {
		out := s
		out.Platform = lax
		for _, do := range steps {
			out = do(t, out)
		}
		out.Platform = declared
		return out
	}
	up := deployed(with(s, pullRequestEvent("opened")))
	up.Platform = declared
	up.Logs = map[string]Logs{up.Environment.Ref.Key() + "/web": {Lines: []string{"listening"}}}
	gone := with(up, commentEvent("/idp destroy"))
	foreign := s
	foreign.PR.Fork, foreign.Base = true, s.Spec
	foreign = with(foreign, pullRequestEvent("opened"))
	all := []deed{
		{"preview", "preview", "/idp preview", gone, false}, {"preview", "extend", "/idp extend 24h", up, false}, {"preview", "pin", "/idp pin", up, false},
		{"preview", "unpin", "/idp unpin", with(up, commentEvent("/idp pin")), false}, {"preview", "destroy", "/idp destroy", up, false},
		{"preview", "approve", "/idp approve " + newSHA, foreign, true},
		{"preview", "logs", "/idp logs", up, false}, {"preview", "status", "/idp status", up, false}, {"any", "help", "/idp help", up, false},
	}
	for env, commit := range map[string]string{"staging": "", "production": " " + mainSHA} {
		other := map[string]string{"staging": "production", "production": "staging"}[env]
		asks := func(body string) step { return says("bob", 2, body) }
		first := []step{asks("/idp deploy " + env + " " + mainSHA), healthyNow}
		both := append(slices.Clone(first), asks("/idp deploy "+env+" "+second))
		waiting := prepared()
		waiting.Platform = lax
		waiting.Platform.Environments = slices.Clone(lax.Environments)
		for i := range waiting.Platform.Environments {
			waiting.Platform.Environments[i].Approval = true
		}
		waiting = asks("/idp deploy "+env+" "+mainSHA)(t, waiting)
		waiting.Platform = declared
		ran := prepared(first...)
		ran.Logs = map[string]Logs{of(t, ran, env+".web").Ref.Key() + "/web": {Lines: []string{"listening"}}}
		for command, d := range map[string]deed{
			"deploy": {body: env + commit, snapshot: prepared()}, "diff": {body: env + commit, snapshot: prepared()},
			"promote":  {body: other + " " + env, snapshot: prepared(asks("/idp deploy "+other+" "+mainSHA), healthyNow)},
			"rollback": {body: env, snapshot: prepared(append(slices.Clone(both), healthyNow)...)}, "abort": {body: env, snapshot: prepared(both...)},
			"retry":   {body: env, snapshot: prepared(asks("/idp deploy "+env+" "+mainSHA), rollsOut("Degraded", "crash"))},
			"approve": {body: mainSHA, snapshot: waiting}, "lock": {body: env, snapshot: prepared()},
			"unlock": {body: env, snapshot: prepared(asks("/idp lock " + env))}, "logs": {body: env, snapshot: ran}, "status": {body: env, snapshot: ran},
		} {
			all = append(all, deed{env, command, "/idp " + command + " " + d.body, d.snapshot, false})
		}
	}
	order := map[string]int{"any": 0, "preview": 1, "staging": 2, "production": 3}
	at := func(d deed) int {
		return order[d.environment]*100 + slices.IndexFunc(Commands(), func(c Command) bool { return c.Name() == d.command })
	}
	slices.SortFunc(all, func(a, b deed) int { return at(a) - at(b) })
	return all
}

// asked is what access is asked about a comment of one command: of an approval, about what
// waits for it.
func asked(s Snapshot, e Event) access.Request {
	claims := newDeciding(s, e).claims()
	if claims[0].Action == access.Approve {
		return claims[1]
	}
	return claims[0]
}

// outcome is what access says of a command: "yes", "no" to who asks, or what it is of the
// pull request that forbids it. What is decided in full has to come to the same.
func outcome(t testing.TB, d deed, r role, k kind) string {
	s, e := r.as(d.snapshot, d.body)
	s = k.of(s)
	verdict := access.Authorize(asked(s, e))
	decision := Decide(s, e)
	text, changes := replies(decision), len(decision.Declared) > 0 || decision.Environment != nil && decision.Environment.Generation != s.Environment.Generation
	told := map[access.Cause]string{"": "was not run:", access.CauseOwn: "", access.CauseFork: "comes from a fork", access.CauseDraft: "Drafts have no preview"}
	said, worded := told[verdict.Cause]
	done := reactions(decision) == reactionDone && decision.Audit[len(decision.Audit)-1].Allowed
	switch {
	case verdict.Allowed && done:
		return "yes"
	case verdict.Allowed || done || changes:
		t.Errorf("%s of %s (%s): access says %+v, and it comes to %q, changed %v", d.body, r.name, k.name, verdict, text, changes)
	case e.Actor.Bot && text == "": // not even answered
		return "no"
	case !worded || !strings.Contains(text, said) || verdict.Cause == access.CauseOwn && !strings.Contains(text, "this pull request is yours") && !strings.Contains(text, verdict.Reason):
		t.Errorf("%s of %s (%s) in %s: %+v is told as %q", d.body, r.name, k.name, d.environment, verdict, text)
	case verdict.Cause.OfPullRequest():
		return string(verdict.Cause)
	}
	return "no"
}

// cell is a deed of somebody, in every kind of pull request.
func cell(t testing.TB, d deed, r role) string {
	var words []string
	for _, kind := range kinds {
		if d.ofFork && !kind.fork {
			continue
		}
		words = append(words, outcome(t, d, r, kind))
	}
	switch {
	case !slices.ContainsFunc(words, func(w string) bool { return w != words[0] }):
		return map[string]string{"yes": "✅", "no": "–"}[words[0]]
	case slices.Contains(words, "no"):
		t.Errorf("%s of %s depends on the pull request: %v", d.body, r.name, words)
	}
	without := slices.Compact(slices.DeleteFunc(slices.Sorted(slices.Values(words)), func(w string) bool { return w == "yes" }))
	return "✅ no " + strings.Join(without, " or ")
}

// TestMatrix is every cell of who × command × environment × draft × fork, decided in
// full. Run it with -update after a change, and read what changed.
func TestMatrix(t *testing.T) {
	t.Parallel()
	const path = "access/MATRIX.md"
	var b strings.Builder
	b.WriteString("# Who may do what\n\nGenerated by `go test ./bot -run TestMatrix -update`, which asks `access.Authorize` about each cell, and holds what `idp serve` decides to that. Each is asked\n" +
		"of pull requests of all eight kinds: a draft or not, from a fork or not, a bot's or people's. ✅ is done, – is refused with the reason and who may.\n" +
		"\"no draft\" and \"no fork\" are refused for what the pull request is: a draft's preview where `preview.drafts` is false, as here, and the code of a fork.\n" +
		"That a bot opened it is no reason against a command. Declared is:\n\n```yaml\n" + matrixRules + "```\n")
	previous, cells, refused := "", map[string]map[string]string{}, 0
	for _, d := range deeds(t) {
		if d.environment != previous {
			previous = d.environment
			fmt.Fprintf(&b, "\n## %s\n\n| command |%s\n|---|%s\n", map[string]string{
				"any": "Without an environment", "preview": "Previews", "staging": "`staging`, which is open", "production": "`production`, which is protected",
			}[d.environment], strings.Join(names(), ""), strings.Repeat("---|", len(roles)))
		}
		fmt.Fprintf(&b, "| `%s`%s |", d.command, map[bool]string{true: " of a fork"}[d.ofFork])
		row := map[string]string{}
		for _, r := range roles {
			row[r.name] = cell(t, d, r)
			fmt.Fprintf(&b, " %s |", row[r.name])
			if row[r.name] == "–" {
				refused++
			}
		}
		b.WriteString("\n")
		cells[d.environment+" "+d.command] = row
	}
	b.WriteString(byItself(t))
	figure.Tell(t, "%d commands × %d people: %d cells, %d of them refused with the reason, each in %d kinds of pull request", len(deeds(t)), len(roles), len(deeds(t))*len(roles), refused, len(kinds))
	for name, row := range cells {
		for _, less := range roles {
			for _, more := range roles {
				if less.within(more) && row[less.name] != "–" && row[more.name] != row[less.name] {
					t.Errorf("%s: %q of %s, and %q of %s, who has more", name, row[less.name], less.name, row[more.name], more.name)
				}
			}
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("run with -update to accept (-want +got):\n%s", diff)
	}
}

// byItself is what is decided when a pull request is opened, of every kind, without
// anybody's word.
func byItself(t testing.TB) string {
	var b strings.Builder
	b.WriteString("\n## Without anybody's word\n\n| pull request | its preview comes |\n|---|---|\n")
	for _, k := range kinds {
		s := open(t)
		s.Spec = validSpec(t, matrixSpec)
		s.Base = s.Spec
		s = k.of(s)
		e := pullRequestEvent("opened")
		verdict := access.Admits(access.Automatic, newDeciding(s, e).ofPreview(), newDeciding(s, e).facts(), "")
		if wanted := wantedOf(after(s, Decide(s, e)).Environment) != ""; wanted != verdict.Allowed {
			t.Errorf("%s: wanted %v, and access says %+v", k.name, wanted, verdict)
		}
		answer := "✅"
		if !verdict.Allowed {
			answer = fmt.Sprintf("– %s: %s", verdict.Reason, strings.TrimSuffix(verdict.WhoMay, ","))
		}
		fmt.Fprintf(&b, "| %s | %s |\n", k.name, answer)
	}
	return b.String()
}

func names() []string {
	var out []string
	for _, r := range roles {
		out = append(out, " "+r.name+" |")
	}
	return out
}

// TestErrorsDeny: whatever cannot be read, nobody may do anything on the strength of it.
func TestErrorsDeny(t *testing.T) {
	t.Parallel()
	everything := role{permission: access.Admin, in: []string{"platform", "release-managers"}}
	for name, c := range map[string]struct {
		change func(*Snapshot, *Event)
		reason string
		spares func(deed) bool
	}{
		"the permission":        {func(s *Snapshot, _ *Event) { s.Permission, s.PermissionErr = access.None, "GitHub answered 502" }, "could not be read", nil},
		"half of it":            {func(s *Snapshot, _ *Event) { s.PermissionErr = "GitHub answered 502" }, "could not be read", nil},
		"an unknown permission": {func(s *Snapshot, _ *Event) { s.Permission = "owner" }, "not one that is known", nil},
		"the platform": {func(s *Snapshot, _ *Event) {
			s.Platform, s.PlatformErr = platform.Platform{}, "the GitOps repository cannot be read"
		}, "declarations cannot be read: the GitOps repository cannot be read", func(d deed) bool { return d.command == "help" }},
		"the platform anew": {func(s *Snapshot, _ *Event) { s.PlatformErr = "platform/environments.yaml:3:1: unknown key" }, "unknown key", func(d deed) bool { return d.command == "help" }},
		"teams": {func(s *Snapshot, _ *Event) {
			s.Teams = map[string]access.Membership{"platform": {Err: "403"}, "release-managers": {Err: "403"}}
		}, "could not be read: 403", needsNoTeam},
		"teams that nobody read": {func(s *Snapshot, _ *Event) { s.Teams = nil }, "was not read", needsNoTeam},
		"who asks":               {func(_ *Snapshot, e *Event) { e.Actor.ID = 0 }, "not known who asks", nil},
		"what they are called":   {func(_ *Snapshot, e *Event) { e.Actor.Login = "" }, "not known who asks", nil},
		"the command": {func(_ *Snapshot, e *Event) {
			words := strings.Fields(e.Comment.Body)
			words[1] += "x"
			e.Comment.Body = strings.Join(words, " ")
		}, "There is no command", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, d := range deeds(t) {
				s, e := everything.as(d.snapshot, d.body)
				c.change(&s, &e)
				decision := Decide(s, e)
				if c.spares != nil && c.spares(d) {
					if reactions(decision) != reactionDone {
						t.Errorf("%s %s is refused for what it does not need: %q", d.environment, d.body, replies(decision))
					}
					continue
				}
				if reactions(decision) != reactionSorry || !strings.Contains(replies(decision), c.reason) || decision.Environment != nil || len(decision.Declared) > 0 {
					t.Errorf("%s %s: %s, %q, %d rows", d.environment, d.body, reactions(decision), replies(decision), len(decision.Declared))
				}
				if last := decision.Audit[len(decision.Audit)-1]; last.Allowed || last.Reason == "" {
					t.Errorf("%s %s is audited as %+v", d.environment, d.body, last)
				}
			}
		})
	}
}

// needsNoTeam: production alone names teams, and looking at it takes none.
func needsNoTeam(d deed) bool {
	return d.environment != "production" || slices.Contains([]string{"diff", "logs", "status"}, d.command)
}

// TestActionsAreCommands: the platform team can make rules for every command but help,
// and for nothing else.
func TestActionsAreCommands(t *testing.T) {
	t.Parallel()
	var schema struct {
		Definitions map[string]struct {
			Properties map[string]any
		}
	}
	if err := json.Unmarshal(platform.EnvironmentsSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	of := func(definition string) []string {
		return slices.Sorted(maps.Keys(schema.Definitions[definition].Properties))
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(declaredCommands)), of("environmentActions")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(append([]string{"approve", "logs", "status"}, previewCommands...))), of("previewActions")); diff != "" {
		t.Error(diff)
	}
	for _, c := range Commands() {
		if c.Action != access.Help && !slices.Contains(declaredCommands, c.Name()) && !slices.Contains(previewCommands, c.Name()) {
			t.Errorf("/idp %s is about nothing that has rules", c.Name())
		}
		if _, known := schema.Definitions["changeRule"]; !known {
			t.Fatal("the schema has no rules")
		}
	}
}
