package access

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPermissions is every cell of permission × needed.
func TestPermissions(t *testing.T) {
	t.Parallel()
	for i, has := range ladder {
		for j, needed := range ladder {
			t.Run(fmt.Sprintf("%s for %s", has, needed), func(t *testing.T) {
				t.Parallel()
				v := Authorize(Request{ActorID: 1, Login: "ann", Permission: has, Action: "/idp pin", Rule: Rule{Permission: needed}})
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
		rule   Rule
		teams  map[string]Membership
		want   bool
		reason string
		who    string
	}{
		{"nobody is named", Rule{}, nil, true, "admin permission covers write, which is enough", ""},
		{"named", Rule{Users: []string{"bob", "ANN"}}, nil, true, "they are named", ""},
		{"named by id", Rule{Users: []string{"was-ann#1"}}, nil, true, "they are named", ""},
		{"the login of another's id", Rule{Users: []string{"ann#2"}}, nil, false, "it is for some people only", "ann, with write permission"},
		{"the beginning of another's id", Rule{Users: []string{"ann#12"}}, nil, false, "it is for some people only", "ann, with write permission"},
		{"others are named", Rule{Users: []string{"bob", "carol"}}, nil, false, "it is for some people only", "bob or carol, with write permission"},
		{"in the team", Rule{Teams: []string{"web"}}, map[string]Membership{"web": in}, true, "in team web", ""},
		{"in the second team", Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": out, "api": in}, true, "in team api", ""},
		{"in the second team, the first unread", Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": unread, "api": in}, true, "in team api", ""},
		{"in another team", Rule{Teams: []string{"web"}}, map[string]Membership{"api": in, "web": out}, false, "it is for some people only", "members of team web, with write permission"},
		{"in no team, but named", Rule{Users: []string{"ann"}, Teams: []string{"web"}}, map[string]Membership{"web": out}, true, "they are named", ""},
		{"named, the team unread", Rule{Users: []string{"ann"}, Teams: []string{"web"}}, map[string]Membership{"web": unread}, true, "they are named", ""},
		{"the team unread", Rule{Users: []string{"bob"}, Teams: []string{"web"}}, map[string]Membership{"web": unread}, false,
			"whether you are in team web could not be read: the App may not read members", "bob or members of team web, with write permission"},
		{"one of two unread", Rule{Teams: []string{"web", "api"}}, map[string]Membership{"web": unread, "api": out}, false, "team web could not be read", "members of team web or members of team api, with write permission"},
		{"the team not read", Rule{Teams: []string{"web"}}, nil, false, "whether you are in team web was not read", "members of team web, with write permission"},
		{"active and unread at once", Rule{Teams: []string{"web"}}, map[string]Membership{"web": {Active: true, Err: "502"}}, false, "could not be read: 502", "members of team web, with write permission"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.rule.Permission = Write
			v := Authorize(Request{ActorID: 1, Login: "ann", Permission: Admin, Action: "/idp pin", Rule: c.rule, Teams: c.teams})
			if v.Allowed != c.want || !strings.Contains(v.Reason, c.reason) || v.WhoMay != c.who {
				t.Errorf("%+v, want %v, %q, %q", v, c.want, c.reason, c.who)
			}
		})
	}
}

// TestDoubt refuses the most powerful user wherever something is not known.
func TestDoubt(t *testing.T) {
	t.Parallel()
	good := Request{
		ActorID: 1, Login: "ann", Permission: Admin, Action: "/idp pin", Rule: Rule{Permission: Write, Teams: []string{"web"}},
		Teams: map[string]Membership{"web": {Active: true}}, Parties: []int64{2, 3},
	}
	if v := Authorize(good); !v.Allowed {
		t.Fatalf("refused: %s", v.Reason)
	}
	for name, change := range map[string]func(*Request){
		"nothing known":          func(r *Request) { *r = Request{} },
		"a bot":                  func(r *Request) { r.Bot = true },
		"no id":                  func(r *Request) { r.ActorID = 0 },
		"a negative id":          func(r *Request) { r.ActorID = -1 },
		"no login":               func(r *Request) { r.Login = "" },
		"permission not read":    func(r *Request) { r.PermissionErr = "503" },
		"unknown permission":     func(r *Request) { r.Permission = "superuser" },
		"permission in capitals": func(r *Request) { r.Permission = "ADMIN" },
		"empty permission":       func(r *Request) { r.Permission = "" },
		"unknown need":           func(r *Request) { r.Rule.Permission = "owner" },
		"no need":                func(r *Request) { r.Rule.Permission = "" },
		"no rule":                func(r *Request) { r.Rule = Rule{} },
		"rule not read":          func(r *Request) { r.RuleErr = "platform/environments.yaml:3:1: unknown key" },
		"team not read":          func(r *Request) { r.Teams = nil },
		"team unreadable":        func(r *Request) { r.Teams = map[string]Membership{"web": {Err: "403"}} },
		"an empty login named":   func(r *Request) { r.Rule.Teams, r.Rule.Users = nil, []string{""} },
		"an empty id named":      func(r *Request) { r.Rule.Teams, r.Rule.Users = nil, []string{"ann#"} },
		"one's own":              func(r *Request) { r.Parties = []int64{2, 1} },
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
}

// TestNarrowing: whoever may with less may with more, and a rule that asks for more lets
// nobody that one which asks for less does not.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	everybody, everyTeam := []string{"ann", "bob", "carol#3"}, []string{"web", "api"}
	rapid.Check(t, func(t *rapid.T) {
		some := func(all []string, name string) []string {
			return slices.DeleteFunc(slices.Clone(all), func(string) bool { return rapid.Bool().Draw(t, name) })
		}
		who := rapid.IntRange(0, 4).Draw(t, "who")
		r := Request{
			ActorID: int64(who), Login: []string{"", "ann", "bob", "carol", "dave"}[who], Bot: rapid.IntRange(0, 5).Draw(t, "bot") == 0,
			Permission: rapid.SampledFrom(append(ladder, "", "owner")).Draw(t, "permission"),
			Rule:       Rule{Permission: rapid.SampledFrom(ladder).Draw(t, "needed"), Users: some(everybody, "user"), Teams: some(everyTeam, "team")},
			Teams:      map[string]Membership{},
		}
		for _, team := range everyTeam {
			if rapid.Bool().Draw(t, "read") {
				r.Teams[team] = Membership{Active: rapid.Bool().Draw(t, "member")}
			}
		}
		if !Authorize(r).Allowed {
			return
		}
		more := r
		at := slices.Index(ladder, r.Permission)
		more.Permission = ladder[rapid.IntRange(at, len(ladder)-1).Draw(t, "more")]
		more.Teams = map[string]Membership{"web": {Active: true}, "api": {Active: true}}
		if v := Authorize(more); !v.Allowed {
			t.Fatalf("%s may and %s in every team may not: %s", r.Permission, more.Permission, v.Reason)
		}
		wider := r
		if wider.Rule.Users, wider.Rule.Teams = nil, nil; !Authorize(wider).Allowed {
			t.Fatal("who is named may, and not where nobody has to be")
		}
		wider.Rule.Permission = ladder[rapid.IntRange(1, slices.Index(ladder, r.Rule.Permission)).Draw(t, "less")]
		if v := Authorize(wider); !v.Allowed {
			t.Fatalf("%s is enough and %s is not", r.Rule.Permission, wider.Rule.Permission)
		}
	})
}
