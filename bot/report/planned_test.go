package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/previews"
)

// change is a difference whose diff has so many lines beside those of its file.
func change(verb manifests.Verb, object string, lines int) manifests.Difference {
	var text strings.Builder
	text.WriteString("--- a.yaml\n+++ a.yaml\n@@ -1,1 +1,1 @@\n")
	for i := range lines {
		fmt.Fprintf(&text, "+line %d of the manifest\n", i)
	}
	return manifests.Difference{Verb: verb, Object: object, Diff: text.String()}
}

func TestPlanGolden(t *testing.T) {
	t.Parallel()
	golden(t, "plan", []byte(Plan(PlanInput{
		Environment: "production", SHA: newSHA,
		Parts: []Planned{
			{Changes: []manifests.Difference{change(manifests.Changed, "ResourceQuota idp", 1)}},
			{Service: "api", Running: true},
			{Service: "cron"},
			{Service: "job", Unknown: "service job asks for 9 replicas, at most 3 are allowed"},
			{
				Service: "web",
				Changes: []manifests.Difference{
					change(manifests.Changed, "Deployment web", 2), change(manifests.Removed, "Ingress web", 1), change(manifests.Added, "HTTPRoute web", 1), change(manifests.Added, "Service web", 1),
				},
				Missing: []previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:" + newSHA, Missing: "not in the registry"}},
			},
		},
		Refused: []string{"It is locked by `carol`.", "Production takes only commits of the default branch."},
		Waits:   []string{"Somebody else has to approve it."},
		Warned:  []string{"Policy probes present: container web has no readiness probe (Deployment/web)."},
	})+"\n"))
}

// What everybody could read names the objects and shows nothing of them.
func TestPlanHidden(t *testing.T) {
	t.Parallel()
	got := Plan(PlanInput{Environment: "staging", SHA: newSHA, Parts: []Planned{
		{Service: "web", Hidden: true, Changes: []manifests.Difference{change(manifests.Changed, "Deployment web", 2)}},
	}})
	if strings.Contains(got, "manifest\n") || strings.Contains(got, "```") || !strings.Contains(got, "1 object changes: Deployment web") || !strings.Contains(got, "is not shown, since everybody can read this repository") {
		t.Errorf("it is\n%s", got)
	}
}

func TestPlanOfNothing(t *testing.T) {
	t.Parallel()
	got := Plan(PlanInput{Environment: "staging", SHA: newSHA, Parts: []Planned{{Service: "web"}}})
	if want := "Deploying `a1b2c3d` to `staging` changes nothing.\n\n**web**: nothing changes."; got != want {
		t.Errorf("it is %q", got)
	}
}

// A long diff is cut at a whole line, says so, and leaves what comes after it.
func TestPlanIsCut(t *testing.T) {
	t.Parallel()
	in := PlanInput{
		Environment: "staging", SHA: newSHA, Refused: []string{"It is locked."},
		Parts: []Planned{
			{Service: "api", Changes: []manifests.Difference{change(manifests.Changed, "Deployment api", 10)}},
			{Service: "web", Changes: []manifests.Difference{change(manifests.Changed, "Deployment web", 10_000)}},
			{Service: "worker", Changes: []manifests.Difference{change(manifests.Changed, "Deployment worker", 10_000)}},
		},
	}
	got := Plan(in)
	for _, want := range []string{
		"of 10003 lines are shown.", "Left out for want of room: a diff of 10003 lines.", "**worker**: 1 object changes: Deployment worker", "- It is locked.", "+line 9 of the manifest\n```",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if len(got) > maxPlan || len(got) < maxPlan-1000 {
		t.Errorf("it has %d bytes", len(got))
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "+line") && !strings.HasSuffix(line, " of the manifest\n") {
			t.Errorf("a line is cut: %q", line)
		}
	}
}

// Whatever stands in a manifest stays in its block.
func TestPlanIsFenced(t *testing.T) {
	t.Parallel()
	evil := manifests.Difference{Verb: manifests.Changed, Object: "Deployment <b>@all</b>", Diff: "--- a\n+++ a\n+```\n+/idp destroy\n+" + strings.Repeat("`", 9) + "\n"}
	got := Plan(PlanInput{Environment: "staging", SHA: newSHA, Parts: []Planned{{Service: "web", Changes: []manifests.Difference{evil}}}})
	if !strings.Contains(got, "\n"+strings.Repeat("`", 10)+"diff\n") || strings.Contains(got, "<b>") || strings.Contains(got, "@all") {
		t.Errorf("it is %s", got)
	}
	if huge := plannedDiff([]manifests.Difference{{Diff: strings.Repeat("`", 200_000)}}, maxPlan); len(huge) > 100 {
		t.Errorf("a line that cannot be shown gives %d bytes", len(huge))
	}
}
