package bot

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// someone is a person, who keeps the id whatever they are called.
type someone struct {
	id     int64
	logins []string
}

// people may all do everything. Two of them have swapped logins, and one has the login
// that the author had.
var people = []someone{{1, []string{"ann", "ann-b"}}, {2, []string{"bob", "carol"}}, {3, []string{"carol", "bob"}}, {4, []string{"dora", "ann"}}}

// TestNobodyApprovesTheirOwn: no sequence of commands, by whomever and under whatever
// login, lets into an environment that asks for approval what its approver asked for or
// wrote, or what nobody approved.
func TestNobodyApprovesTheirOwn(t *testing.T) {
	t.Parallel()
	base := declaring(t, checked("success"), func(s *Snapshot) {
		s.Permission = access.Admin
		s.Platform.Environments = []platform.Environment{
			{Name: "open", Class: "durable"}, {Name: "guarded", Class: "durable", Approval: true}, {Name: "production", Class: "durable", Protected: true, Approval: true},
		}
	})
	many := figure.Count(t, 1_000, 100_000)
	tried, approvals, refusals := 0, 0, 0
	for tried < many { // each Check tries as many as its flag says
		rapid.Check(t, func(t *rapid.T) {
			tried++
			s := base
			for range rapid.IntRange(2, 12).Draw(t, "commands") {
				next, approved, refused := draws(t, s)
				held(t, next)
				s, approvals, refusals = next, approvals+approved, refusals+refused
			}
		})
	}
	figure.Tell(t, "%d sequences, %d approvals, %d refused as one's own", tried, approvals, refusals)
	if approvals < tried/20 || refusals < tried/20 {
		t.Errorf("in %d sequences there are %d approvals and %d refused as one's own: they prove nothing", tried, approvals, refusals)
	}
}

// draws lets somebody comment, or the environments come to something.
func draws(t *rapid.T, s Snapshot) (next Snapshot, approved, refused int) {
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		return healthyNow(nil, s), 0, 0
	case 1:
		return rollsOut("Degraded", "crash")(nil, s), 0, 0
	case 2:
		s.PR.Number = rapid.IntRange(41, 43).Draw(t, "pull request")
		author := rapid.SampledFrom(people).Draw(t, "author")
		s.PR.Author = Actor{ID: author.id, Login: rapid.SampledFrom(author.logins).Draw(t, "author's login")}
		return s, 0, 0
	}
	who := rapid.SampledFrom(people).Draw(t, "who")
	env := func() string {
		return rapid.SampledFrom([]string{"guarded", "production", "open"}).Draw(t, "environment")
	}
	sha := rapid.SampledFrom([]string{mainSHA, newSHA}).Draw(t, "commit")
	var words []string
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		words = append(words, "/idp "+rapid.SampledFrom([]string{
			"deploy " + env() + " " + sha, "deploy " + env() + " " + sha + " --force", "approve " + sha, "approve " + sha, "approve " + sha,
			"promote open " + env(), "promote guarded " + env(), "rollback " + env(), "abort " + env(), "retry " + env(),
			"lock " + env(), "unlock " + env(),
		}).Draw(t, "command"))
	}
	event := commentEvent(strings.Join(words, "\n"))
	event.Actor = Actor{ID: who.id, Login: rapid.SampledFrom(who.logins).Draw(t, "login")}
	switch rapid.IntRange(0, 2).Draw(t, "way") {
	case 1:
		event = requestEvent(event)
	case 2: // the button stands for the last line alone, where there is one for it
		event.Comment.Body = words[len(words)-1]
		if press, has := pressEvent(event, deed{command: strings.Fields(event.Comment.Body)[1], body: event.Comment.Body}); has {
			event = press
		}
	}
	d := Decide(s, event)
	for _, entry := range d.Audit {
		if strings.HasPrefix(entry.Action, "approve ") && entry.Allowed && strings.Contains(entry.Reason, "somebody else") {
			approved++
		}
	}
	if text := strings.ToLower(replies(d) + answered(d)); strings.Contains(text, "you asked for it or wrote it") {
		refused++
	}
	return afterAll(s, d), approved, refused
}

// held holds what runs, and what waits, to the two pairs of eyes.
func held(t *rapid.T, s Snapshot) {
	for _, row := range s.Declared {
		if row.Ref.ID == "open" || row.Ref.Service == "" {
			continue
		}
		for _, r := range append([]previews.Release{row.Deployed.Current}, row.Deployed.Queue...) {
			if r.SHA == "" {
				continue
			}
			if why := unsound(r, row.SHA == r.SHA && r.Attempt > 0); why != "" {
				t.Fatalf("%s: %s: %+v", row.Ref, why, r)
			}
		}
		if current := row.Deployed.Current; current.SHA != "" && current.ApprovedByID == 0 && !wentBack(current.Kind) {
			t.Fatalf("%s runs what nobody approved: %+v", row.Ref, current)
		}
	}
}

func wentBack(kind previews.ReleaseKind) bool {
	return kind == previews.ReleaseRollback || kind == previews.ReleaseAbort
}

// unsound says what is wrong with the approval of a release. Who tries a release again
// stands for who asked, and may be who approved it.
func unsound(r previews.Release, again bool) string {
	switch {
	case r.ApprovedByID == 0:
		return ""
	case r.ApprovedByID == r.AuthorID:
		return "who wrote it approved it"
	case r.ApprovedByID == r.ByID && !again:
		return "who asked for it approved it"
	}
	return ""
}

// TestApprovalByID: what somebody is called does not count, only who they are.
func TestApprovalByID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		author   Actor
		approver Actor
		may      bool
	}{
		"somebody else":                         {Actor{ID: 9, Login: "ann"}, Actor{ID: 3, Login: "carol"}, true},
		"who asked":                             {Actor{ID: 9, Login: "ann"}, Actor{ID: 2, Login: "bob"}, false},
		"who asked, called otherwise":           {Actor{ID: 9, Login: "ann"}, Actor{ID: 2, Login: "robert"}, false},
		"who wrote it":                          {Actor{ID: 9, Login: "ann"}, Actor{ID: 9, Login: "ann"}, false},
		"who wrote it, called otherwise":        {Actor{ID: 9, Login: "ann"}, Actor{ID: 9, Login: "anna"}, false},
		"somebody with the login of the author": {Actor{ID: 9, Login: "ann"}, Actor{ID: 3, Login: "ann"}, true},
		"the author, of whom the id is unknown": {Actor{Login: "ann"}, Actor{ID: 9, Login: "Ann"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := declaring(t, checked("success"), maintainer, func(s *Snapshot) { s.PR.Author = c.author })
			s = says("bob", 2, "/idp deploy production "+mainSHA)(t, s)
			event := commentEvent(fmt.Sprintf("/idp approve %s", mainSHA))
			event.Actor = c.approver
			if d := Decide(s, event); (reactions(d) == reactionDone) != c.may {
				t.Errorf("%s %q", reactions(d), replies(d))
			}
		})
	}
}
