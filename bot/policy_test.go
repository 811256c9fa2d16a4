package bot

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
)

// byFacts has a policy for everything that requests are judged by: what it does not get
// stands in its message.
const byFacts = `package main

deny contains {"msg": sprintf("%s of %s to %s (%s) by %s, %s, with %v of %s", [
	input.action, concat(",", input.services), input.environment.name, input.environment.class, input.actor.login, input.actor.permission,
	input.spec.services[0].port, substring(input.revision.sha, 0, 7),
]), "path": "service.port"} if input.kind == "Request"
`

const (
	nothingNew = "package main\n\ndeny contains \"nothing new today\" if input.kind == \"Request\"\n"
	watched    = "package main\n\nwarn contains \"it is watched\" if input.kind == \"Request\"\n"
	erring     = "package main\n\ndeny contains \"x\" if to_number(input.action) == 1\n"
)

// A preview is refused for what policies deny, and kept for what they warn of; what is
// wanted already, and what is not wanted at all, they are not asked about.
func TestGuarded(t *testing.T) {
	t.Parallel()
	wanted := wish{wanted: true, why: "asked for"}
	refused := wish{removal: previews.RemovedDraft, why: "a draft"}
	for _, c := range []struct {
		name, source string
		wish         wish
		set          func(*Snapshot)
		wanted       bool
		message      string
		warnings     []string
	}{
		{"without policies", "", wanted, func(s *Snapshot) { s.Guard = nil }, true, "", nil},
		{"allowed", "package main\n", wanted, nil, true, "", nil},
		{"warned", watched, wanted, nil, true, "", []string{"main.warn: it is watched"}},
		{"denied", nothingNew, wanted, nil, false, "a policy refuses it: main.deny: nothing new today", nil},
		{"denied by the facts", byFacts, wanted, nil, false, "a policy refuses it: main.deny: preview of web to pr-42 (previews) by bob, write, with 8080 of a1b2c3d", nil},
		{"broken", erring, wanted, nil, false, "the platform team's policies cannot be asked: platform/policies/own.rego:3:", nil},
		{"not wanted", nothingNew, refused, nil, false, "", nil},
		{"running", nothingNew, wanted, func(s *Snapshot) {
			*s = with(unguarded(*s), pullRequestEvent("opened"))
			s.Guard = policies(t, "own.rego", nothingNew)
		}, true, "", nil},
		{"running an older commit", nothingNew, wanted, func(s *Snapshot) {
			*s = pushedTo(with(unguarded(*s), pullRequestEvent("opened")), mainSHA)
			s.Guard = policies(t, "own.rego", nothingNew)
		}, false, "a policy refuses it: main.deny: nothing new today", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.Class.Name = "previews"
			if c.source != "" {
				s.Guard = policies(t, "own.rego", c.source)
			}
			if c.set != nil {
				c.set(&s)
			}
			d := newDeciding(s, commentEvent("/idp preview"))
			w := d.guarded(c.wish)
			if w.wanted != c.wanted || c.message == "" && w.problem != nil {
				t.Fatalf("wanted is %v, the problem %+v", w.wanted, w.problem)
			}
			if c.message != "" && (w.problem == nil || w.problem.Kind != previews.ProblemPolicy || !strings.HasPrefix(w.problem.Message, c.message) || !strings.Contains(w.why, c.message)) {
				t.Errorf("because of %+v, %s", w.problem, w.why)
			}
			if !slices.Equal(d.warnings, c.warnings) {
				t.Errorf("warnings are %q", d.warnings)
			}
			if c.source == byFacts && (len(w.problem.Errors) != 1 || w.problem.Errors[0].Line != 3) {
				t.Errorf("it points at %+v", w.problem.Errors)
			}
			if d.PR.Fork = true; c.source == byFacts && len(d.guarded(c.wish).problem.Errors) != 0 {
				t.Error("it points at lines of a fork's file, which are of what was taken of that")
			}
		})
	}
}

func unguarded(s Snapshot) Snapshot { s.Guard = nil; return s }

// A release is judged by the facts of its own commit and environment, and its refusals are
// sentences for people.
func TestJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source             string
		refusals, warnings []string
	}{
		"without policies": {},
		"allowed":          {source: "package main\n"},
		"warned":           {source: watched, warnings: []string{"main.warn: it is watched"}},
		"denied": {source: byFacts, refusals: []string{
			"Policy main.deny: promote of web,worker to staging (durable) by bob, write, with 8080 of 0000000: `.idp/deploy.yaml:3`.",
		}},
		"denied twice": {source: nothingNew + "\ndeny contains \"nor a *bold* one\" if input.kind == \"Request\"\n", refusals: []string{
			"Policy main.deny: nor a \\*bold\\* one.", "Policy main.deny: nothing new today.",
		}},
		"broken": {source: erring, refusals: []string{
			"The platform team's policies cannot be asked: platform/policies/own.rego:3:22: to\\_number: strconv.ParseFloat: parsing \"promote\": invalid syntax (policy \"main.deny\" about the request). Nothing new is deployed until the platform team has mended them; what runs is left alone.",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := declaring(t)
			if c.source != "" {
				s.Guard = policies(t, "own.rego", c.source)
			}
			d := newDeciding(s, commentEvent("/idp promote tested staging"))
			refusals, warnings := d.judged(previews.ReleasePromote, s.Platform.Environments[1], s.Revisions[mainSHA], []string{"web", "worker"})
			if !slices.Equal(refusals, c.refusals) || !slices.Equal(warnings, c.warnings) {
				t.Errorf("refusals: %q\nwarnings: %q", refusals, warnings)
			}
		})
	}
}

// A merge that policies, or the environment, refuse is told once in its pull request.
func TestMergeRefusedIsTold(t *testing.T) {
	t.Parallel()
	merged := declaring(t)
	merged.Platform.Environments[1].AutoDeploy = true
	merged.PR.Open, merged.PR.Merged, merged.PR.MergeSHA, merged.PR.BaseIsDefault = false, true, mainSHA, true
	guarded := merged
	guarded.Guard = policies(t, "own.rego", nothingNew)
	unchecked := merged
	unchecked.Platform.Environments = slices.Clone(merged.Platform.Environments)
	unchecked.Platform.Environments[1].Checks = []string{"ci/test"}
	closed := pullRequestEvent("closed")
	swept := Event{Kind: EventPullRequest, Name: SweepEvent, Action: "swept", Swept: true, PR: 42}
	for name, c := range map[string]struct {
		s     Snapshot
		event Event
		reply string
	}{
		"by policy":           {guarded, closed, "😕 The merge, `0000000`, was not deployed to `staging`.\n\nPolicy main.deny: nothing new today.\n\n`/idp deploy staging 0000000` asks for it again."},
		"by its checks":       {unchecked, closed, "😕 The merge, `0000000`, was not deployed to `staging`.\n\nStaging needs check \"ci/test\", and the commit does not have it yet.\n\n`/idp deploy staging 0000000` asks for it again."},
		"heard of by a sweep": {guarded, swept, "😕 The merge, `0000000`, was not deployed to `staging`.\n\nPolicy main.deny: nothing new today.\n\n`/idp deploy staging 0000000` asks for it again."},
		"later":               {guarded, pullRequestEvent("labeled"), ""},
		"not refused":         {merged, closed, ""},
	} {
		if d := Decide(c.s, c.event); replies(d) != c.reply || len(effects(d, EffectReply)) > 1 {
			t.Errorf("%s: the reply is %q", name, replies(d))
		}
	}
}

// What waits for an approval is judged again when it gets one: by the policies of that
// time, and by who then asks.
func TestApproveIsJudged(t *testing.T) {
	t.Parallel()
	owned := func(s *Snapshot) {
		at := s.Revisions[mainSHA]
		at.Spec = validSpec(t, service+"  team: payments\n")
		s.Revisions[mainSHA] = at
	}
	waiting := declaring(t, maintainer, checked("success"), owned)
	waiting = says("bob", 2, "/idp deploy production "+mainSHA)(t, waiting)
	approval := commentEvent("/idp approve " + mainSHA)
	approval.Actor = Actor{ID: 3, Login: "carol"}
	for name, c := range map[string]struct {
		source   string
		approved bool
		reply    string
	}{
		"allowed": {"package main\n", true, ""},
		"warned":  {watched, true, "Policies let it pass and say:\n\n- Main.warn: it is watched."},
		"denied":  {nothingNew, false, "😕 Policy main.deny: nothing new today.\n\nNothing was deployed to `production`. It was not approved."},
		"by the facts": {
			byFacts, false, "😕 Policy main.deny: deploy of web to production (durable) by carol, maintain, with 8080 of 0000000: `.idp/deploy.yaml:3`.\n\nNothing was deployed to `production`. It was not approved.",
		},
		"broken": {erring, false, "😕 The platform team's policies cannot be asked: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := waiting
			s.Guard = policies(t, "own.rego", c.source, "settings.yaml", "registries: [ghcr.io/acme]\n")
			d := Decide(s, approval)
			web := of(t, afterAll(s, d), "production.web")
			if started := web.SHA == mainSHA; started != c.approved || !c.approved && len(web.Waiting(mainSHA)) != 1 {
				t.Errorf("it runs %q, and %d wait", web.SHA, len(web.Waiting(mainSHA)))
			}
			if !strings.HasPrefix(replies(d), c.reply) || c.reply == "" && replies(d) != "" {
				t.Errorf("the reply is %q", replies(d))
			}
			refused := slices.ContainsFunc(d.Audit, func(a AuditEntry) bool {
				return !a.Allowed && strings.HasPrefix(a.Reason, "refused by policy: ") && a.Environment == "acme/web/production"
			})
			if refused == c.approved {
				t.Errorf("audited: %+v", d.Audit)
			}
			rule := d.Audit[len(d.Audit)-1].Rule
			if want := map[bool]string{true: "maintain permission covers maintain, which is enough", false: "policies "}[c.approved]; !strings.HasPrefix(rule, want) {
				t.Errorf("by rule %q, not %q", rule, want)
			}
		})
	}
}

// What policies say of the objects that would come of a deployment shows with what they
// say of the request, each thing once.
func TestDiffIsJudged(t *testing.T) {
	t.Parallel()
	s := declaring(t)
	s.Guard = policies(t, "own.rego", nothingNew+"\nwarn contains \"it is watched\" if input.kind == \"Request\"\n")
	objects := policies(t, "own.rego", "package main\n\ndeny contains \"no pods\" if input.kind == \"Pod\"\n\nwarn contains \"an old kind\" if input.kind == \"Pod\"\n")
	h := &Handler{Compare: func(ctx context.Context, would previews.Environment) report.Planned {
		dir := would.Ref.ManifestsDir()
		return report.Planned{
			Changes: []manifests.Difference{{Verb: manifests.Added, Object: "Pod web", Diff: "+x\n"}},
			Verdict: objects.Objects(ctx, policy.Rendered{Manifests: dir, Now: now, Files: []gitops.File{{Path: dir + "/web.yaml", Content: []byte("kind: Pod\nmetadata: {name: web}\n")}}}),
		}
	}}
	event := commentEvent("/idp diff staging")
	h.readPlanned(t.Context(), event, &s)
	got := replies(Decide(s, event))
	for _, want := range []string{
		"would be refused now:\n\n- Policy main.deny: nothing new today.\n- Policy main.deny: no pods (Pod/web).",
		"Policies would let it pass and say:\n\n- Policy main.warn: it is watched.\n- Policy main.warn: an old kind (Pod/web).",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("it says %q\nwithout %q", got, want)
		}
	}
	if strings.Count(got, "no pods") != 1 {
		t.Errorf("it repeats itself: %q", got)
	}
}

// No extension takes a preview beyond what policy max_ttl has from its last push, nor a
// pin where the settings rule that out.
func TestLifetimeByPolicy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, settings, body string
		reaction, reply      string
		lives                time.Duration // from the push; 0 for ever
	}{
		{"within", "max_ttl: 5d", "/idp extend 24h", reactionDone, "", 4 * 24 * time.Hour},
		{"beyond", "max_ttl: 5d", "/idp extend 3d", reactionDone, "Extended to the maximum: the preview expires Thu 26 Nov 18:00 UTC (in 4 days). At most 5d from the last push is allowed, by policy previews do not live too long; a new commit starts its time anew.", 5 * 24 * time.Hour},
		{"at the end", "max_ttl: 3d", "/idp extend 1h", reactionSorry, "😕 The preview already lives as long as is allowed, until Tue 24 Nov 18:00 UTC (in 2 days). At most 3d from the last push is allowed, by policy", 3 * 24 * time.Hour},
		{"longer than the class", "max_ttl: 30d", "/idp extend 20d", reactionDone, "Extended to the maximum: the preview expires Sun 29 Nov 18:00 UTC (in 7 days). At most 7d from now is allowed.", 8 * 24 * time.Hour},
		{"told", "max_ttl: 5d\nrules: {max_ttl: warn}", "/idp extend 3d", reactionDone, "Policies let it pass and say:\n\n- Previews do not live too long: at most 5d from the last push.", 6 * 24 * time.Hour},
		{"off", "max_ttl: 5d\nrules: {max_ttl: \"off\"}", "/idp extend 3d", reactionDone, "", 6 * 24 * time.Hour},
		{"pinned", "max_ttl: 5d", "/idp pin", reactionDone, "", 0},
		{"not pinned", "pin: false", "/idp pin", reactionSorry, "😕 Previews are not pinned here, by policy previews do not live too long. `/idp extend 24h` moves the expiry on.", 3 * 24 * time.Hour},
		{"pinned and told", "pin: false\nrules: {max_ttl: warn}", "/idp pin", reactionDone, "Policies let it pass and say:\n\n- Previews do not live too long: previews are not pinned here.", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := later(with(open(t), pullRequestEvent("opened")), 24*time.Hour)
			s.Guard = policies(t, "settings.yaml", c.settings+"\n")
			d := Decide(s, commentEvent(c.body))
			if reactions(d) != c.reaction || !strings.HasPrefix(replies(d), c.reply) || c.reply == "" && replies(d) != "" {
				t.Errorf("%s: %q", reactions(d), replies(d))
			}
			e := after(s, d).Environment
			if want := now.Add(c.lives); c.lives > 0 && !e.ExpiresAt.Equal(want) || c.lives == 0 && !e.Pinned {
				t.Errorf("it expires %s (pinned %v), want %s", e.ExpiresAt, e.Pinned, want)
			}
		})
	}
	// Policies that are broken keep nothing from living on.
	s := with(open(t), pullRequestEvent("opened"))
	s.Guard = policy.Compile(t.Context(), []gitops.File{{Path: policy.SettingsPath, Content: []byte("max_ttl: 1h\npin: maybe\n")}})
	if d := Decide(s, commentEvent("/idp pin")); reactions(d) != reactionDone {
		t.Errorf("broken policies: %q", replies(d))
	}
}
