package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
)

// ann asks to pin a preview, where rule is declared of previews.
func ann(rule platform.Rule) Request {
	return Request{
		Actor: Actor{ID: 1, Login: "ann"}, Permission: Admin, Action: Pin,
		Environment: Environment{Preview: true, Rules: platform.Access{Rule: rule}},
	}
}

// TestPermissions is every cell of permission × needed.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for i, has := range ladder {
		for j, needed := range ladder {
			t.Run(fmt.Sprintf("%s for %s", has, needed), func(t *testing.T) {
				t.Parallel()
				r := ann(platform.Rule{Permission: string(needed)})
				r.Permission = has
				v := Authorize(r)
				if want := needed != None && i >= j; v.Allowed != want {
					t.Errorf("allowed = %v (%s), want %v", v.Allowed, v.Reason, want)
				}
				if v.Reason == "" || v.Allowed != (v.WhoMay == "") {
					t.Errorf("verdict without its reason or who may: %+v", v)
				}
			})
		}
	}
}

// TestPeople is every way to be, or not to be, one of those whom a rule names.
func TestPeople(t *testing.T) {
	t.Parallel()
	in, out, unread := Membership{Active: true}, Membership{}, Membership{Err: "the App may not read members"}
	for _, c := range []struct {
		name   string
		rule   platform.Rule
		teams  map[string]Membership
		want   bool
		reason string
		who    string
	}{
		{"nobody is named", platform.Rule{}, nil, true, "admin permission covers write, which is enough", ""},
		{"named", platform.Rule{Users: []string{"bob", "ANN"}}, nil, true, "they are named", ""},
		{"named by id", platform.Rule{Users: []string{"was-ann#1"}}, nil, true, "they are named", ""},
		{"the login of another's id", platform.Rule{Users: []string{"ann#2"}}, nil, false, "it is for some people only", "ann, with write permission"},
		{"the beginning of another's id", platform.Rule{Users: []string{"ann#12"}}, nil, false, "it is for some people only", "ann, with write permission"},
		{"others are named", platform.Rule{Users: []string{"bob", "carol"}}, nil, false, "it is for some people only", "bob or carol, with write permission"},
		{"in the team", platform.Rule{Teams: []string{"web"}}, map[string]Membership{"web": in}, true, "in team web", ""},
		{"in the second team", platform.Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": out, "api": in}, true, "in team api", ""},
		{"in the second team, the first unread", platform.Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": unread, "api": in}, true, "in team api", ""},
		{"in another team", platform.Rule{Teams: []string{"web"}}, map[string]Membership{"api": in, "web": out}, false, "it is for some people only", "members of team web, with write permission"},
		{"in no team, but named", platform.Rule{Users: []string{"ann"}, Teams: []string{"web"}}, map[string]Membership{"web": out}, true, "they are named", ""},
		{"named, the team unread", platform.Rule{Users: []string{"ann"}, Teams: []string{"web"}}, map[string]Membership{"web": unread}, true, "they are named", ""},
		{"the team unread", platform.Rule{Users: []string{"bob"}, Teams: []string{"web"}}, map[string]Membership{"web": unread}, false,
			"whether you are in team web could not be read: the App may not read members", "bob or members of team web, with write permission"},
		{"one of two unread", platform.Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": unread, "api": out}, false, "team web could not be read", "members of team web or members of team api, with write permission"},
		{"the team not read", platform.Rule{Teams: []string{"web"}}, nil, false, "whether you are in team web was not read", "members of team web, with write permission"},
		{"active and unread at once", platform.Rule{Teams: []string{"web"}}, map[string]Membership{"web": {Active: true, Err: "502"}}, false, "could not be read: 502", "members of team web, with write permission"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ann(c.rule)
			r.Teams = c.teams
			v := Authorize(r)
			if v.Allowed != c.want || !strings.Contains(v.Reason, c.reason) || v.WhoMay != c.who {
				t.Errorf("%+v, want %v, %q, %q", v, c.want, c.reason, c.who)
			}
		})
	}
}

// TestRules: the rule is chosen by what is asked for and of which environment, and by
// nobody else.
func TestRules(t *testing.T) {
	t.Parallel()
	production := Environment{Name: "production", Rules: platform.Access{
		Rule: platform.Rule{Permission: "maintain", Users: []string{"ann"}, Teams: []string{"platform"}},
		Actions: map[string]platform.Rule{
			"approve": {Teams: []string{"release-managers"}}, "rollback": {Permission: "write"},
			"logs": {Permission: "read"}, "diff": {Users: []string{"bob"}}, "preview": {Permission: "admin"},
		},
	}}
	for action, want := range map[Action]Rule{
		Deploy:   {Permission: Maintain, Users: []string{"ann"}, Teams: []string{"platform"}},
		Approve:  {Permission: Maintain, Teams: []string{"release-managers"}},
		Rollback: {Permission: Write, Users: []string{"ann"}, Teams: []string{"platform"}},
		Logs:     {Permission: Read},
		Diff:     {Permission: Write, Users: []string{"bob"}},
		Status:   {Permission: Write},
		// what "Re-run" tries again is what "/idp preview" would
		Rerun: {Permission: Admin, Users: []string{"ann"}, Teams: []string{"platform"}},
		// nobody asks for what comes by itself, and for what there is not
		Automatic: {}, "format": {}, "": {},
	} {
		if diff := cmp.Diff(want, RuleOf(action, production)); diff != "" {
			t.Errorf("%q: %s", action, diff)
		}
	}
	for action := range actions {
		if got := RuleOf(action, Environment{}); got.Permission != Write || !got.Open() {
			t.Errorf("%s where nothing is declared: %+v", action, got)
		}
	}
}

// TestAdmits is what a pull request is not let do, whoever asks, beside what it just is.
func TestAdmits(t *testing.T) {
	t.Parallel()
	preview, staging := Environment{Preview: true}, Environment{Name: "staging"}
	drafts, bots, production := Environment{Preview: true, Drafts: true}, Environment{Preview: true, Bots: true}, Environment{Name: "production", Protected: true}
	draft, fork, approved, ofBot := PullRequest{Draft: true}, PullRequest{Fork: true}, PullRequest{Fork: true, Approved: true}, PullRequest{Author: Actor{ID: 5, Bot: true}}
	for _, c := range []struct {
		name   string
		action Action
		of     Environment
		pr     PullRequest
		code   Code
		want   Cause
	}{
		{"a preview", Preview, preview, PullRequest{}, "", ""},
		{"a draft's", Preview, preview, draft, "", CauseDraft},
		{"a draft's, where they have one", Preview, drafts, draft, "", ""},
		{"a draft's that comes by itself", Automatic, preview, draft, "", CauseDraft},
		{"a draft's that is approved", Approve, preview, draft, "", CauseDraft},
		{"a draft's that is tried again", Rerun, preview, draft, "", ""},
		{"a draft's that goes", Destroy, preview, draft, "", ""},
		{"a fork's", Preview, preview, fork, "", CauseFork},
		{"a fork's that was approved", Preview, preview, approved, "", ""},
		{"a fork's that is being approved", Approve, preview, fork, "", ""},
		{"a fork's that comes by itself", Automatic, preview, fork, "", CauseFork},
		{"a fork's that goes", Destroy, preview, fork, "", ""},
		{"a bot's", Preview, preview, ofBot, "", ""},
		{"a bot's that comes by itself", Automatic, preview, ofBot, "", CauseBot},
		{"a bot's that comes by itself, where they do", Automatic, bots, ofBot, "", ""},
		{"its commit in staging", Deploy, staging, PullRequest{}, Proposed, ""},
		{"a draft's commit in staging", Deploy, staging, draft, Proposed, ""},
		{"a fork's commit in staging", Deploy, staging, fork, Proposed, CauseFork},
		{"a fork's approved commit in staging", Deploy, staging, approved, Proposed, CauseFork},
		{"a fork's commit, compared with staging", Diff, staging, fork, Proposed, CauseFork},
		{"a fork's commit that waits", Approve, staging, fork, Proposed, CauseFork},
		{"a merged commit, asked for from a fork", Deploy, staging, fork, Merged, ""},
		{"a commit of nobody", Deploy, staging, PullRequest{}, Stray, CauseStray},
		{"a commit of nobody, compared", Diff, staging, PullRequest{}, Stray, CauseStray},
		{"a commit of nobody that waits", Approve, staging, PullRequest{}, Stray, CauseStray},
		{"a commit that nobody looked up", Deploy, staging, PullRequest{}, "", CauseStray},
		{"a commit from where nobody knows", Deploy, staging, PullRequest{}, "elsewhere", CauseStray},
		{"its commit in production", Deploy, production, PullRequest{}, Proposed, CauseUnmerged},
		{"its commit that waits in production", Approve, production, PullRequest{}, Proposed, CauseUnmerged},
		{"its commit, compared with production", Diff, production, PullRequest{}, Proposed, ""},
		{"a merged commit in production", Deploy, production, PullRequest{}, Merged, ""},
		{"what runs elsewhere, in staging", Promote, staging, fork, Stray, ""},
		{"what runs elsewhere, in production", Promote, production, PullRequest{}, Proposed, CauseUnmerged},
		{"what runs elsewhere of nobody, in production", Promote, production, PullRequest{}, Stray, CauseUnmerged},
		{"what runs elsewhere and is merged, in production", Promote, production, PullRequest{}, Merged, ""},
		{"what ran before", Rollback, production, fork, "", ""},
		{"no environment", Deploy, Environment{}, fork, Stray, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := Admits(c.action, c.of, c.pr, c.code)
			if v.Cause != c.want || v.Allowed != (c.want == "") || v.Reason == "" || v.Allowed != (v.WhoMay == "") {
				t.Errorf("%+v, want cause %q", v, c.want)
			}
			if c.action == Automatic {
				return
			}
			r := ann(platform.Rule{})
			r.Action, r.Environment, r.PullRequest, r.Code = c.action, c.of, c.pr, c.code
			if whole := Authorize(r); whole.Cause != c.want || whole.Allowed != v.Allowed {
				t.Errorf("an admin is told %+v, and anybody %+v", whole, v)
			}
		})
	}
}

// TestOwn: nobody approves what they asked for or wrote, by their id; whose id was not kept
// is known by their login.
func TestOwn(t *testing.T) {
	t.Parallel()
	staging := Environment{Name: "staging"}
	for name, c := range map[string]struct {
		change func(*Request)
		want   Cause
	}{
		"somebody else's":                     {func(r *Request) { r.Parties = []Actor{{ID: 2, Login: "bob"}, {ID: 3, Login: "carol"}} }, ""},
		"what they asked for":                 {func(r *Request) { r.Parties = []Actor{{ID: 1, Login: "ann"}, {ID: 3}} }, CauseOwn},
		"what they wrote, called otherwise":   {func(r *Request) { r.Parties = []Actor{{ID: 2}, {ID: 1, Login: "anna"}} }, CauseOwn},
		"of somebody with their login":        {func(r *Request) { r.Parties = []Actor{{ID: 2, Login: "ann"}} }, ""},
		"of whom the id is unknown":           {func(r *Request) { r.Parties = []Actor{{Login: "Ann"}} }, CauseOwn},
		"of nobody that is known":             {func(r *Request) { r.Parties = []Actor{{}, {}} }, ""},
		"the preview of their pull request":   {func(r *Request) { r.Environment, r.PullRequest.Author = Environment{Preview: true}, Actor{ID: 1} }, CauseOwn},
		"in staging, from their pull request": {func(r *Request) { r.PullRequest.Author = Actor{ID: 1} }, ""},
		"not an approval":                     {func(r *Request) { r.Action, r.Parties = Lock, []Actor{{ID: 1}} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ann(platform.Rule{})
			r.Action, r.Environment, r.Code = Approve, staging, Merged
			c.change(&r)
			if v := Authorize(r); v.Cause != c.want || v.Allowed != (c.want == "") {
				t.Errorf("%+v, want cause %q", v, c.want)
			}
		})
	}
}

// TestDoubt refuses the most powerful user wherever something is not known.
func TestDoubt(t *testing.T) {
	t.Parallel()
	rules := func(r platform.Rule) platform.Access { return platform.Access{Rule: r} }
	good := Request{
		Actor: Actor{ID: 1, Login: "ann"}, Permission: Admin, Action: Approve, Code: Merged,
		Environment: Environment{Name: "production", Protected: true, Rules: rules(platform.Rule{Teams: []string{"web"}})},
		Teams:       map[string]Membership{"web": {Active: true}}, Parties: []Actor{{ID: 2}, {ID: 3}},
	}
	if v := Authorize(good); !v.Allowed {
		t.Fatalf("refused: %s", v.Reason)
	}
	for name, change := range map[string]func(*Request){
		"nothing known":          func(r *Request) { *r = Request{} },
		"a bot":                  func(r *Request) { r.Actor.Bot = true },
		"no id":                  func(r *Request) { r.Actor.ID = 0 },
		"a negative id":          func(r *Request) { r.Actor.ID = -1 },
		"no login":               func(r *Request) { r.Actor.Login = "" },
		"permission not read":    func(r *Request) { r.PermissionErr = "503" },
		"unknown permission":     func(r *Request) { r.Permission = "superuser" },
		"permission in capitals": func(r *Request) { r.Permission = "ADMIN" },
		"empty permission":       func(r *Request) { r.Permission = "" },
		"unknown need":           func(r *Request) { r.Environment.Rules = rules(platform.Rule{Permission: "owner"}) },
		"the need of nothing":    func(r *Request) { r.Environment.Rules = rules(platform.Rule{Permission: "none"}) },
		"nothing asked for":      func(r *Request) { r.Action = "" },
		"what there is not":      func(r *Request) { r.Action = "format" },
		"what comes by itself": func(r *Request) {
			r.Action, r.Environment = Automatic, Environment{Preview: true, Drafts: true, Bots: true}
		},
		"declarations not read": func(r *Request) { r.DeclaredErr = "platform/environments.yaml:3:1: unknown key" },
		"team not read":         func(r *Request) { r.Teams = nil },
		"team unreadable":       func(r *Request) { r.Teams = map[string]Membership{"web": {Err: "403"}} },
		"an empty login named":  func(r *Request) { r.Environment.Rules = rules(platform.Rule{Users: []string{""}}) },
		"an empty id named":     func(r *Request) { r.Environment.Rules = rules(platform.Rule{Users: []string{"ann#"}}) },
		"one's own":             func(r *Request) { r.Parties = []Actor{{ID: 2}, {ID: 1}} },
		"no commit":             func(r *Request) { r.Code = "" },
		"a commit of nobody":    func(r *Request) { r.Code = Stray },
		"a commit of who knows": func(r *Request) { r.Code = "unknown" },
		"a fork's commit":       func(r *Request) { r.PullRequest.Fork, r.Code = true, Proposed },
		"what is not merged":    func(r *Request) { r.Code = Proposed },
		"a preview of a fork": func(r *Request) {
			r.Action, r.Environment, r.PullRequest.Fork = Preview, Environment{Preview: true}, true
		},
		"a preview of a draft": func(r *Request) {
			r.Action, r.Environment, r.PullRequest.Draft = Preview, Environment{Preview: true}, true
		},
		"their own pull request's": func(r *Request) { r.Environment, r.PullRequest.Author.ID = Environment{Preview: true}, 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good
			change(&r)
			if v := Authorize(r); v.Allowed || v.Reason == "" || v.WhoMay == "" {
				t.Errorf("verdict %+v, want a refusal that says why and who may", v)
			}
		})
	}
	help := good
	if help.Action, help.DeclaredErr = Help, "unknown key"; !Authorize(help).Allowed {
		t.Error("help needs what is declared")
	}
}

var (
	everybody = []string{"ann", "bob", "carol#3"}
	everyTeam = []string{"web", "api"}
)

// anyRequest draws what anybody may ask for, from whatever pull request.
func anyRequest(t *rapid.T) Request {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	some := func(all []string, name string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(string) bool { return flag(name) })
	}
	rule := func(name string) platform.Rule {
		return platform.Rule{Permission: rapid.SampledFrom([]string{"", "read", "write", "maintain", "admin"}).Draw(t, name), Users: some(everybody, name+" user"), Teams: some(everyTeam, name+" team")}
	}
	person := func(name string) Actor {
		who := rapid.IntRange(0, 4).Draw(t, name)
		return Actor{ID: int64(who), Login: []string{"", "ann", "bob", "carol", "dave"}[who], Bot: rapid.IntRange(0, 5).Draw(t, name+" is a bot") == 0}
	}
	action := rapid.SampledFrom(append(slices.Sorted(maps.Keys(actions)), Automatic, "format")).Draw(t, "action")
	r := Request{
		Actor: person("who"), Permission: rapid.SampledFrom(append(slices.Clone(ladder), "", "owner")).Draw(t, "permission"), Action: action,
		Environment: Environment{Rules: platform.Access{Rule: rule("rule"), Actions: map[string]platform.Rule{string(action): rule("rule of it")}}, Protected: flag("protected"), Drafts: flag("drafts"), Bots: flag("bots")},
		PullRequest: PullRequest{Fork: flag("fork"), Draft: flag("draft"), Author: person("author"), Approved: flag("approved")},
		Code:        rapid.SampledFrom([]Code{"", Merged, Proposed, Stray}).Draw(t, "code"), Teams: map[string]Membership{},
	}
	switch rapid.IntRange(0, 2).Draw(t, "of") {
	case 1:
		r.Environment.Preview = true
	case 2:
		r.Environment.Name = "staging"
	}
	if flag("parties") {
		r.Parties = []Actor{person("who asked"), person("who wrote it")}
	}
	for _, team := range everyTeam {
		if flag("read") {
			r.Teams[team] = Membership{Active: flag("member")}
		}
	}
	return r
}

// TestNarrowing: whoever may with less may with more, a rule that asks for more lets nobody
// that one which asks for less does not, and nothing that is against a pull request, or not
// known, ever gains anybody anything.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	allowed := 0
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		v := Authorize(r)
		if v.Reason == "" || v.Allowed != (v.WhoMay == "") || v.Allowed && v.Cause != "" {
			t.Fatalf("a verdict that says too little: %+v", v)
		}
		if !v.Allowed {
			return
		}
		allowed++
		still := func(what string, change func(*Request)) {
			more := r
			if change(&more); !Authorize(more).Allowed {
				t.Fatalf("allowed %+v, and not with %s: %s", r, what, Authorize(more).Reason)
			}
		}
		still("more permission", func(r *Request) {
			r.Permission = ladder[rapid.IntRange(slices.Index(ladder, r.Permission), len(ladder)-1).Draw(t, "more")]
		})
		still("every team", func(r *Request) { r.Teams = map[string]Membership{"web": {Active: true}, "api": {Active: true}} })
		still("nobody named", func(r *Request) {
			rule := RuleOf(r.Action, r.Environment)
			less := ladder[rapid.IntRange(1, slices.Index(ladder, rule.Permission)).Draw(t, "less")]
			r.Environment.Rules = platform.Access{Actions: map[string]platform.Rule{string(r.Action): {Permission: string(less)}, "preview": {Permission: string(less)}}}
		})
		still("no fork", func(r *Request) { r.PullRequest.Fork = false })
		still("no draft", func(r *Request) { r.PullRequest.Draft = false })
		still("no bot", func(r *Request) { r.PullRequest.Author.Bot = false })
		still("an approval", func(r *Request) { r.PullRequest.Approved = true })
		still("no parties", func(r *Request) { r.Parties = nil })
		still("no protection", func(r *Request) { r.Environment.Protected = false })
		still("what is merged", func(r *Request) { r.Code = Merged })
		still("drafts and bots welcome", func(r *Request) { r.Environment.Drafts, r.Environment.Bots = true, true })
	})
	if allowed == 0 {
		t.Error("nothing was allowed: it proves nothing")
	}
}

// TestFactsOnlyNarrow: of every action, environment and pull request, what is against the
// pull request gains nobody anything: one that is of people, ready, in the repository itself,
// approved or merged may whatever the same may that is not.
func TestFactsOnlyNarrow(t *testing.T) {
	t.Parallel()
	both, cells, refused := []bool{false, true}, 0, 0
	better := map[string]func(*PullRequest, *Code){
		"no fork": func(pr *PullRequest, _ *Code) { pr.Fork = false }, "no draft": func(pr *PullRequest, _ *Code) { pr.Draft = false },
		"people's": func(pr *PullRequest, _ *Code) { pr.Author.Bot = false }, "approved": func(pr *PullRequest, _ *Code) { pr.Approved = true },
		"merged": func(_ *PullRequest, code *Code) { *code = Merged },
	}
	each := func(action Action, of Environment, pr PullRequest, code Code) {
		v := Admits(action, of, pr, code)
		if cells++; !v.Allowed {
			refused++
			return
		}
		for name, change := range better {
			pr, code := pr, code
			if change(&pr, &code); !Admits(action, of, pr, code).Allowed {
				t.Errorf("%s in %+v: %+v of %q may, and not if it were %s", action, of, pr, code, name)
			}
		}
	}
	environments := []Environment{{}, {Name: "staging"}, {Name: "production", Protected: true}}
	for _, drafts := range both {
		for _, bots := range both {
			environments = append(environments, Environment{Preview: true, Drafts: drafts, Bots: bots})
		}
	}
	for _, action := range append(slices.Sorted(maps.Keys(actions)), Automatic) {
		for _, of := range environments {
			for _, code := range []Code{"", Merged, Proposed, Stray} {
				for fact := range 1 << 4 {
					pr := PullRequest{Fork: fact&1 > 0, Draft: fact&2 > 0, Approved: fact&4 > 0, Author: Actor{ID: 5, Bot: fact&8 > 0}}
					each(action, of, pr, code)
				}
			}
		}
	}
	figure.Tell(t, "%d actions in %d environments of pull requests of every kind: %d cells, %d refused for what the pull request is, and none gained by it", len(actions)+1, len(environments), cells, refused)
}

// TestAnyErrorDenies: who may do a thing may not where anything that it takes could not be
// read.
func TestAnyErrorDenies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		denied := func(what string, change func(*Request)) {
			less := r
			if change(&less); Authorize(less).Allowed {
				t.Fatalf("allowed %+v for all that %s", less, what)
			}
		}
		denied("the permission could not be read", func(r *Request) { r.PermissionErr = "502" })
		denied("it is not known who asks", func(r *Request) { r.Actor.ID = 0 })
		denied("the action is not known", func(r *Request) { r.Action += "?" })
		if r.Action != Help {
			denied("nobody knows what is declared", func(r *Request) { r.DeclaredErr = "unknown key" })
		}
		if rule := RuleOf(r.Action, r.Environment); !rule.Open() && !rule.Names(r.Actor.ID, r.Actor.Login) {
			denied("no team could be read", func(r *Request) {
				r.Teams = map[string]Membership{"web": {Active: true, Err: "403"}, "api": {Err: "403"}}
			})
			denied("no team was read", func(r *Request) { r.Teams = nil })
		}
	})
}

// TestUnread: reading the teams that Unread names, one after the other, comes to the same
// as reading all of them, and none is read twice or for nothing.
func TestUnread(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		is := map[string]Membership{}
		for _, team := range everyTeam {
			is[team] = Membership{Active: rapid.Bool().Draw(t, "is in it")}
		}
		all := r
		r.Teams, all.Teams = map[string]Membership{}, is
		for team := Unread(r); team != ""; team = Unread(r) {
			if _, twice := r.Teams[team]; twice || Authorize(r).Allowed {
				t.Fatalf("%s is read twice or for nothing: %+v", team, r)
			}
			r.Teams[team] = is[team]
		}
		if one, other := Authorize(r), Authorize(all); one.Allowed != other.Allowed {
			t.Fatalf("%+v with what is read, and %+v with all: %+v", one, other, r)
		}
	})
	for name, change := range map[string]func(*Request){
		"too little permission": func(r *Request) { r.Permission = Read },
		"an error":              func(r *Request) { r.PermissionErr = "502" },
		"nothing declared":      func(r *Request) { r.DeclaredErr = "unknown key" },
		"their name":            func(r *Request) { r.Actor.Login = "bob" },
	} {
		r := ann(platform.Rule{Users: []string{"bob"}, Teams: []string{"web", "api"}})
		if change(&r); Unread(r) != "" {
			t.Errorf("with %s, team %s is read", name, Unread(r))
		}
	}
}
