package bot

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

const (
	mainSHA    = "00000000000000000000000000000000000000aa" // on the default branch
	foreignSHA = "00000000000000000000000000000000000000bb" // of some fork
	brokenSHA  = "00000000000000000000000000000000000000cc" // with a spec that has errors
)

// declaring is open with a platform that declares staging and production, and with the
// facts about the commits above.
func declaring(t testing.TB, more ...func(*Snapshot)) Snapshot {
	s := open(t)
	s.Platform = platform.Platform{Environments: []platform.Environment{
		{Name: "production", Class: "durable", Permission: "maintain", Protected: true, Approval: true},
		{Name: "staging", Class: "durable"},
		{Name: "tested", Class: "durable", Checks: []string{"ci/test"}},
		{Name: "canary", Class: "durable", Users: []string{"carol"}},
	}}
	at := func(sha string, inPull, onDefault bool) Revision {
		return Revision{Commit: Commit{SHA: sha, CommittedAt: now.Add(-time.Hour)}, Spec: validSpec(t, service), InPull: inPull, OnDefault: onDefault, BranchProtected: true,
			Checks: []CheckState{{Name: "lint", AppID: 99, Status: "completed", Conclusion: "success"}}}
	}
	broken := at(brokenSHA, true, false)
	broken.Spec = specAt("service: {nmae: web}\n")
	s.Revisions = map[string]Revision{
		newSHA: at(newSHA, true, false), mainSHA: at(mainSHA, false, true), mainSHA[:8]: at(mainSHA, false, true),
		foreignSHA: at(foreignSHA, false, false), brokenSHA: broken,
	}
	for _, f := range more {
		f(&s)
	}
	return s
}

// step is a comment of somebody, or something that happens to the environments.
type step func(t testing.TB, s Snapshot) Snapshot

// says comments as somebody with write permission.
func says(login string, id int64, body string) step {
	return func(t testing.TB, s Snapshot) Snapshot {
		event := commentEvent(body)
		event.Actor = Actor{ID: id, Login: login}
		d := Decide(s, event)
		if reactions(d) != reactionDone {
			t.Fatalf("%s: %q", body, replies(d))
		}
		return afterAll(s, d)
	}
}

// afterAll returns the snapshot with every row that the decision leaves.
func afterAll(s Snapshot, d Decision) Snapshot {
	s = after(s, d)
	rows := slices.Clone(s.Declared)
	for _, changed := range d.Declared {
		rows = slices.DeleteFunc(rows, func(e previews.Environment) bool { return e.Ref.Key() == changed.Ref.Key() })
		rows = append(rows, *changed)
	}
	s.Declared = rows
	return s
}

// rollsOut lets everything that is wanted be committed and be found as Argo CD says.
func rollsOut(health, message string) step {
	return func(t testing.TB, s Snapshot) Snapshot {
		rows := slices.Clone(s.Declared)
		for i := range rows {
			e := &rows[i]
			if e.NeedsImages() {
				e.Resolve([]previews.Image{{Service: e.Ref.Service, Reference: "r/web:" + e.SHA, Digest: "sha256:1"}}, s.Now)
			}
			if e.NeedsCommit() {
				e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c0ffee", Tree: "77", Watched: true, At: s.Now})
			}
			if e.Generation > 0 {
				e.Observe(&previews.Observation{Generation: e.AppliedGeneration, Sync: "Synced", Health: health, Message: message, At: s.Now}, s.Now)
			}
		}
		s.Declared = rows
		return s
	}
}

// origin has a commit come from elsewhere.
func origin(sha string, inPull, onDefault bool) step {
	return func(_ testing.TB, s Snapshot) Snapshot {
		s.Revisions = maps.Clone(s.Revisions)
		rev := s.Revisions[sha]
		rev.InPull, rev.OnDefault = inPull, onDefault
		s.Revisions[sha] = rev
		return s
	}
}

var healthyNow = rollsOut("Healthy", "")

// of returns a part of a declared environment.
func of(t testing.TB, s Snapshot, key string) previews.Environment {
	t.Helper()
	for _, row := range s.Declared {
		if row.Ref.Key() == key {
			return row
		}
	}
	t.Fatalf("there is no %s", key)
	return previews.Environment{}
}

// TestDeclaredAsksAgain: the environment that a command comes to act on is asked about,
// whichever its words were taken to name before.
func TestDeclaredAsksAgain(t *testing.T) {
	t.Parallel()
	command, _ := lookUp("lock")
	r := &run{deciding: newDeciding(declaring(t), commentEvent("/idp lock staging")), command: command, args: []string{"staging"}}
	if _, a, ok := r.declared("canary"); ok || !strings.Contains(a.text, "it is for some people only") {
		t.Errorf("canary: %v, %q", ok, a.text)
	}
	if env, a, ok := r.declared("Staging"); !ok || env.Name != "staging" {
		t.Errorf("staging: %v, %q", ok, a.text)
	}
}

func TestDeployReplies(t *testing.T) {
	t.Parallel()
	staged := []step{says("bob", 2, "/idp deploy staging"), healthyNow}
	for _, c := range []struct {
		name     string
		set      func(*Snapshot)
		before   []step
		body     string
		reaction string
		reply    string
	}{
		{"deploy", nil, nil, "/idp deploy staging", "rocket", ""},
		{"deploy a service", nil, nil, "/idp deploy staging web", "rocket", ""},
		{"deploy a commit of the default branch", nil, nil, "/idp deploy staging " + mainSHA[:8], "rocket", ""},
		{"deploy where", nil, nil, "/idp deploy", "confused", "takes the name of an environment, such as staging"},
		{"deploy nowhere", nil, nil, "/idp deploy stagging", "confused", "There is no environment `stagging`. Declared are `production`, `staging`, `tested`, `canary`."},
		{"deploy with nothing declared", func(s *Snapshot) { s.Platform = platform.Platform{} }, nil, "/idp deploy staging", "confused", "The platform team has declared none yet, in `platform/environments.yaml` of the GitOps repository."},
		{"deploy with a platform that cannot be read", func(s *Snapshot) { s.PlatformErr = "platform/environments.yaml:3:1: unknown key" }, nil, "/idp deploy staging", "confused", "unknown key"},
		{"deploy a service that is not there", nil, nil, "/idp deploy staging api", "confused", "There is no service `api` here. There are `web`."},
		{"deploy two commits", nil, nil, "/idp deploy staging aaaaaaa bbbbbbb", "confused", "takes one commit"},
		{"deploy an unknown commit", nil, nil, "/idp deploy staging abcdef0", "confused", "There is no commit `abcdef0` in this repository, or more than one begins like that."},
		{"deploy somebody else's commit", nil, nil, "/idp deploy staging " + foreignSHA, "confused", "is neither on the default branch nor part of this pull request"},
		{"deploy a broken spec", nil, nil, "/idp deploy staging " + brokenSHA, "confused", "has 1 error. Nothing was deployed."},
		{"deploy a fork", func(s *Snapshot) { s.PR.Fork = true }, nil, "/idp deploy staging", "confused", "the code of forks is not deployed"},
		{"deploy again", nil, staged, "/idp deploy staging", "rocket", "`staging` runs `a1b2c3d` of `web` already, or is about to."},
		{"deploy beside another", func(s *Snapshot) { s.PR.Number = 41 }, []step{says("bob", 2, "/idp deploy staging"), func(_ testing.TB, s Snapshot) Snapshot { s.PR.Number = 42; return s }}, "/idp deploy staging " + mainSHA, "rocket", "waits in the queue of `staging`: `a1b2c3d` is under way for pull request 41."},
		{"deploy what is locked", nil, []step{says("carol", 3, "/idp lock staging the fair is on")}, "/idp deploy staging", "confused", "`staging` is locked by `carol` since Sat 21 Nov 18:00 UTC: the fair is on. `/idp unlock staging` gives it free."},
		{"deploy without the check", nil, nil, "/idp deploy tested", "confused", "needs check \"ci/test\", and the commit does not have it yet"},
		{"deploy with a red check", checked("failure"), nil, "/idp deploy tested", "confused", "needs check \"ci/test\" to be green, and it is failure"},
		{"deploy with a check that runs", checked(""), nil, "/idp deploy tested", "confused", "needs check \"ci/test\", and that is not done yet"},
		{"deploy with a check that is red in one suite", checked("success", "failure", "success"), nil, "/idp deploy tested", "confused", "needs check \"ci/test\" to be green, and it is failure"},
		{"deploy with a check that runs in one suite", checked("success", "", "success"), nil, "/idp deploy tested", "confused", "needs check \"ci/test\", and that is not done yet"},
		{"deploy with a check that runs and is red", checked("", "failure"), nil, "/idp deploy tested", "confused", "needs check \"ci/test\" to be green, and it is failure"},
		{"deploy with a check that may be a status", unread(checked()), nil, "/idp deploy tested", "confused", "whether it has a commit status is not known, for the App may not read those"},
		{"deploy without a status being asked for", unread(checked()), nil, "/idp deploy staging", "rocket", ""},
		{"deploy where everything has to be green", unread(checked("success"), maintainer), nil, "/idp deploy production " + mainSHA, "confused", "commit statuses are not known, for the App may not read them here"},
		{"deploy with a green check", checked("success"), nil, "/idp deploy tested", "rocket", ""},
		{"deploy for some people only", nil, nil, "/idp deploy canary", "confused", "it is for some people only. Carol, with write permission can run it."},
		{"deploy to production without the permission", nil, nil, "/idp deploy production " + mainSHA, "confused", "it needs maintain permission on this repository, and yours is write"},
		{"deploy a branch to production", maintainer, nil, "/idp deploy production", "confused", "Production takes only commits of the default branch. Nothing was deployed."},
		{"deploy to production", maintainer, nil, "/idp deploy production " + mainSHA, "rocket", "waits for an approval: somebody else than `bob` with maintain permission or more comments `/idp approve " + mainSHA + "`."},

		{"approve", maintainer, []step{says("carol", 3, "/idp deploy production "+mainSHA)}, "/idp approve " + mainSHA, "rocket", ""},
		{"approve one's own", maintainer, []step{says("bob", 2, "/idp deploy production "+mainSHA)}, "/idp approve " + mainSHA, "confused", "somebody else has to approve it"},
		{"approve in short", maintainer, nil, "/idp approve " + mainSHA[:8], "confused", "takes the full commit, all 40 digits of it"},
		{"approve nothing", maintainer, nil, "/idp approve " + mainSHA, "confused", "Nothing of `0000000` waits for an approval here."},
		{"approve what turned red", maintainer, []step{says("carol", 3, "/idp deploy production "+mainSHA), func(_ testing.TB, s Snapshot) Snapshot { checked("failure")(&s); return s }}, "/idp approve " + mainSHA, "confused", "It was not approved."},

		{"approve what is nowhere any more", maintainer, []step{says("carol", 3, "/idp deploy production "+mainSHA), origin(mainSHA, false, false)}, "/idp approve " + mainSHA, "confused", "😕 Commit `0000000` is neither on the default branch nor part of this pull request, so it is not deployed."},
		{"approve what is not merged any more", maintainer, []step{says("carol", 3, "/idp deploy production "+mainSHA), origin(mainSHA, true, false)}, "/idp approve " + mainSHA, "confused", "😕 Production takes only commits of the default branch. It was not approved."},

		{"promote", nil, staged, "/idp promote staging tested", "confused", "needs check"},
		{"promote with green checks", checked("success"), staged, "/idp promote staging tested", "rocket", ""},
		{"promote nothing", nil, nil, "/idp promote staging tested", "confused", "Nothing runs in `staging` yet."},
		{"promote what moves", nil, []step{says("bob", 2, "/idp deploy staging")}, "/idp promote staging tested", "confused", "`web` in `staging` is not healthy, so it is not promoted: waiting."},
		{"promote in place", nil, staged, "/idp promote staging staging", "confused", "takes two different environments"},
		{"promote a branch to production", maintainer, staged, "/idp promote staging production", "confused", "takes only commits of the default branch"},

		{"roll back", nil, slices.Concat(staged, []step{says("bob", 2, "/idp deploy staging "+mainSHA), healthyNow}), "/idp rollback staging", "rocket", ""},
		{"roll back to nothing", nil, staged, "/idp rollback staging", "confused", "`web` in `staging` has no other healthy release to go back to."},
		{"roll back to what never was", nil, staged, "/idp rollback staging abcdef0", "confused", "`abcdef0` of `web` was never healthy in `staging`, so there is nothing to go back to. Known are `a1b2c3d`."},
		{"roll back in spite of a lock", nil, slices.Concat(staged, []step{says("bob", 2, "/idp deploy staging "+mainSHA), healthyNow, says("carol", 3, "/idp lock staging")}), "/idp rollback staging", "rocket", ""},

		{"abort", nil, slices.Concat(staged, []step{says("bob", 2, "/idp deploy staging "+mainSHA)}), "/idp abort staging", "rocket", ""},
		{"abort nothing", nil, staged, "/idp abort staging", "confused", "Nothing is under way in `staging`."},
		{"abort the first", nil, []step{says("bob", 2, "/idp deploy staging")}, "/idp abort staging", "confused", "has no other healthy release to go back to"},

		{"retry", nil, []step{says("bob", 2, "/idp deploy staging"), rollsOut("Degraded", "crash")}, "/idp retry staging", "rocket", ""},
		{"retry what is well", nil, staged, "/idp retry staging", "confused", "Nothing in `staging` has failed, so there is nothing to try again."},

		{"lock", nil, nil, "/idp lock staging", "rocket", "Locked `staging`."},
		{"lock twice", nil, []step{says("carol", 3, "/idp lock staging")}, "/idp lock staging", "confused", "is locked by `carol`"},
		{"unlock", nil, []step{says("carol", 3, "/idp lock staging")}, "/idp unlock staging", "rocket", ""},
		{"unlock what is free", nil, nil, "/idp unlock staging", "rocket", "`staging` is not locked."},

		{"status", nil, staged, "/idp status staging", "rocket", "### ✅ Deployed to staging"},
		{"status of nothing yet", nil, nil, "/idp status staging", "rocket", "Nothing was deployed to `staging` from this repository yet."},
		{"status of no environment", nil, nil, "/idp status stagin", "confused", "There is no environment `stagin`."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := declaring(t)
			if c.set != nil {
				c.set(&s)
			}
			for _, do := range c.before {
				s = do(t, s)
			}
			d := Decide(s, commentEvent(c.body))
			if reactions(d) != c.reaction || c.reply == "" && replies(d) != "" || !strings.Contains(replies(d), c.reply) {
				t.Errorf("%s: %s, %q", c.body, reactions(d), replies(d))
			}
			if c.reaction == reactionSorry && len(d.Declared) > 0 {
				t.Errorf("%s was refused and changes %d rows", c.body, len(d.Declared))
			}
		})
	}
}

func maintainer(s *Snapshot) { s.Permission = access.Maintain }

// checked gives every commit a check of CI, in as many suites: it runs where the
// conclusion is "".
func checked(conclusions ...string) func(*Snapshot) {
	return func(s *Snapshot) {
		checks := []CheckState{{Name: "idp / preview", AppID: s.AppID, Status: "completed", Conclusion: "failure"}}
		for _, conclusion := range conclusions {
			status := "completed"
			if conclusion == "" {
				status = "in_progress"
			}
			checks = append(checks, CheckState{Name: "ci/test", AppID: 99, Status: status, Conclusion: conclusion})
		}
		revisions := map[string]Revision{}
		for key, rev := range s.Revisions {
			rev.Checks = checks
			revisions[key] = rev
		}
		s.Revisions = revisions
	}
}

// unread is of an App that may not read commit statuses.
func unread(more ...func(*Snapshot)) func(*Snapshot) {
	return func(s *Snapshot) {
		for _, f := range more {
			f(s)
		}
		for key, rev := range s.Revisions {
			rev.StatusesUnread = true
			s.Revisions[key] = rev
		}
	}
}

// A deployment makes a row for the service and one for what services share, in the
// environment's class and namespace.
func TestDeployMakesRows(t *testing.T) {
	t.Parallel()
	s := says("bob", 2, "/idp deploy staging")(t, declaring(t))
	web, shared := of(t, s, "staging.web"), of(t, s, "staging")
	if web.SHA != newSHA || web.Class != "durable" || web.Deployed.Current.By != "bob" || web.PR != 42 || web.State() != previews.StateWaiting {
		t.Errorf("the service: %+v", web)
	}
	if shared.SHA != newSHA || shared.State() != previews.StateCommitting {
		t.Errorf("what is shared is %s at %s", shared.State(), shared.SHA)
	}
}

// A class says which way changes take into Git, and what is in Git already does not
// follow a class that comes to name another place.
func TestDeployTakesTheLaneOfItsClass(t *testing.T) {
	t.Parallel()
	const first, second = "https://git.example.com/first.git", "https://git.example.com/second.git"
	durable := func(url string, mode platform.Mode) func(*Snapshot) {
		return func(s *Snapshot) {
			class := s.Class
			class.Name, class.PushURL, class.Branch, class.Mode = "durable", url, "main", mode
			s.Platform.Classes = map[string]platform.Class{"durable": class}
		}
	}
	s := declaring(t, durable(first, platform.ModePullRequest))
	s = healthyNow(t, says("bob", 2, "/idp deploy staging")(t, s))
	want := gitops.Lane{URL: first, Branch: "main", Proposed: true}
	if web, shared := of(t, s, "staging.web"), of(t, s, "staging"); web.Lane != want || shared.Lane != want {
		t.Errorf("they go by %+v and %+v", web.Lane, shared.Lane)
	}
	durable(first, platform.ModePush)(&s)
	s = healthyNow(t, says("bob", 2, "/idp deploy staging "+mainSHA)(t, s))
	if want.Proposed = false; of(t, s, "staging.web").Lane != want {
		t.Errorf("pushed, it goes by %+v", of(t, s, "staging.web").Lane)
	}
	durable(second, platform.ModePush)(&s)
	d := Decide(s, commentEvent("/idp deploy staging"))
	if len(d.Declared) > 0 || !strings.Contains(replies(d), "is in another GitOps repository or branch than its class durable names now") {
		t.Errorf("moved: %q, %d rows", replies(d), len(d.Declared))
	}
}

// A promotion takes what was healthy, by its digests.
func TestPromoteTakesDigests(t *testing.T) {
	t.Parallel()
	s := declaring(t)
	checked("success")(&s)
	for _, do := range []step{says("bob", 2, "/idp deploy staging"), healthyNow, says("bob", 2, "/idp promote staging tested")} {
		s = do(t, s)
	}
	web := of(t, s, "tested.web")
	if web.State() != previews.StateCommitting || len(web.Images) != 1 || web.Images[0].Digest != "sha256:1" || web.Deployed.Current.From != "staging" {
		t.Errorf("it is %s with %+v from %q", web.State(), web.Images, web.Deployed.Current.From)
	}
}

// quarantined is declaring, where a commit failed in staging and was rolled back.
func quarantined(t testing.TB) Snapshot {
	s := declaring(t)
	for key, rev := range s.Revisions {
		if rev.Spec.Spec != nil {
			rev.Spec = validSpec(t, service+"rollback: {auto: true}\n")
			s.Revisions[key] = rev
		}
	}
	for _, do := range []step{says("bob", 2, "/idp deploy staging"), healthyNow, says("bob", 2, "/idp deploy staging "+mainSHA), rollsOut("Degraded", "errors 4.7% > 1%"), healthyNow} {
		s = do(t, s)
	}
	return s
}

// What failed and was rolled back is deployed again only by force.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	s := quarantined(t)
	if web := of(t, s, "staging.web"); web.SHA != newSHA {
		t.Fatalf("it is at %s", web.SHA)
	}
	d := Decide(s, commentEvent("/idp deploy staging "+mainSHA))
	if want := "`0000000` failed in `staging` and was rolled back: errors 4.7% &gt; 1%. Fix and push; to deploy the same commit again, comment `/idp deploy staging 0000000 --force`."; !strings.Contains(replies(d), want) {
		t.Errorf("the refusal is %q", replies(d))
	}
	s = says("bob", 2, "/idp deploy staging "+mainSHA+" --force")(t, s)
	if web := of(t, s, "staging.web"); web.SHA != mainSHA {
		t.Errorf("by force it is at %s", web.SHA)
	}
}

// A merge to the default branch is deployed once where that is declared, and never in
// the place of a later one.
func TestMergeDeploys(t *testing.T) {
	t.Parallel()
	s := declaring(t)
	s.Platform.Environments[1].AutoDeploy = true
	s.PR.Open, s.PR.Merged, s.PR.MergeSHA, s.PR.BaseIsDefault = false, true, mainSHA, true
	s = afterAll(s, Decide(s, pullRequestEvent("closed")))
	if web := of(t, s, "staging.web"); web.SHA != mainSHA || web.Deployed.Current.Kind != previews.ReleaseMerge || web.HeadRef != "main" {
		t.Fatalf("the merge gives %+v", web)
	}
	if d := Decide(s, pullRequestEvent("labeled")); len(d.Declared) > 0 {
		t.Errorf("a later event deploys it again: %v", d.Reasons)
	}
	older := s
	older.PR.Number, older.PR.MergeSHA = 41, oldSHA
	older.Revisions = map[string]Revision{oldSHA: {
		Commit: Commit{SHA: oldSHA, CommittedAt: now.Add(-2 * time.Hour)}, Spec: validSpec(t, service), OnDefault: true, BranchProtected: true,
	}}
	older = afterAll(older, Decide(older, pullRequestEvent("closed")))
	if web := of(t, older, "staging.web"); web.SHA != mainSHA || len(web.Deployed.Queue) > 0 {
		t.Errorf("an older merge that is heard of later gives %s, queue %d", web.SHA, len(web.Deployed.Queue))
	}
}
