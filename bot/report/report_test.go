package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// TestLimits makes everything as long as it gets: what GitHub refuses is never sent.
func TestLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é<", 5000)
	problem := previews.Problem{Kind: previews.ProblemSpec, Message: "400 errors in .idp/deploy.yaml"}
	for i := range 400 {
		problem.Errors = append(problem.Errors, spec.Error{Path: ".idp/deploy.yaml", Line: i + 1, Column: 1, EndLine: i + 1, Message: long})
	}
	many := "services:\n"
	var images []previews.Image
	for i := range 100 {
		many += fmt.Sprintf("  - name: service-%d\n    port: 8080\n", i)
		images = append(images, previews.Image{Service: fmt.Sprintf("service-%d", i), Reference: long, Missing: long})
	}
	for _, s := range []state{
		newState("errors", 0, refused(problem)),
		newState("services", 0, func(in *Input) { in.Environment.Spec = []byte(many); in.Environment.Missing(images, pushed) }),
		newState("message", 0, resolved, applied, observe(long, "Degraded", long)),
		newState("diff", 0, resolved, applied, func(in *Input) { in.Environment.Diff = strings.Repeat(sampleDiff, 1000) }),
		newState("one long file", 0, resolved, applied, func(in *Input) {
			in.Environment.Diff = "diff --git a/x b/x\n" + strings.Repeat("+"+long+"\n", 20)
		}),
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			check := CheckOf(s.in)
			d, _ := DeploymentOf(s.in)
			for what, c := range map[string]struct{ got, most int }{
				"comment": {len(Comment(s.in)), 64_000}, "summary": {len(check.Summary), maxOutput}, "text": {len(check.Text), maxOutput},
				"title": {len([]rune(check.Title)), maxCheckTitle}, "annotations": {len(check.Annotations), maxAnnotations},
				"description": {len([]rune(d.Description)), maxDescription},
			} {
				if c.got > c.most {
					t.Errorf("%s is %d long, at most %d fit", what, c.got, c.most)
				}
			}
			if check.Title == "" || check.Summary == "" || !strings.HasPrefix(Comment(s.in), Marker) {
				t.Error("title, summary or marker is missing")
			}
			if n := strings.Count(check.Text, "```"); n%2 != 0 {
				t.Errorf("the diff's fence is not closed: %d fences", n)
			}
		})
	}
}

// TestDiffNamesWhatIsLeftOut cuts between files and says which are not shown.
func TestDiffNamesWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	file := func(name string) string {
		return "diff --git a/" + name + " b/" + name + "\n" + strings.Repeat("+x\n", 30)
	}
	diff := file("one.yaml") + file("two.yaml") + file("three.yaml")
	got := diffText(diff, 330)
	if !strings.Contains(got, "b/two.yaml") || strings.Contains(got, "b/three.yaml") || !strings.HasSuffix(got, "Left out, for want of room: `three.yaml`.") {
		t.Errorf("cut to\n%s", got)
	}
	if got := diffText(diff, 1000); strings.Contains(got, "Left out") {
		t.Errorf("cut though it fits:\n%s", got)
	}
	if got := diffText(diff, 60); got != "The manifest diff is too long to show: 3 files." {
		t.Errorf("nothing fits: %q", got)
	}
	if got := diffText("diff --git a/x b/x\n+```\n+~~~~\n", 1000); !strings.HasPrefix(got, "````diff\n") {
		t.Errorf("the fence is not longer than what it holds:\n%s", got)
	}
}

// TestEveryStateConcludes holds that a check is in progress only while it goes on by
// itself, and that it always has GitHub's words.
func TestEveryStateConcludes(t *testing.T) {
	t.Parallel()
	working := map[previews.State]bool{previews.StateWaiting: true, previews.StateCommitting: true, previews.StateSyncing: true}
	for _, s := range states() {
		c := CheckOf(s.in)
		p := s.in.Environment.Problem
		goesOn := p == nil || p.Kind == previews.ProblemPaused
		if (c.Status == inProgress) != (working[s.in.Environment.State()] && goesOn) || (c.Conclusion == "") != (c.Status == inProgress) {
			t.Errorf("%s: %s %q in state %s", s.name, c.Status, c.Conclusion, s.in.Environment.State())
		}
		if c.Name != checkName(&s.in.Environment) || c.HeadSHA != s.in.Environment.HeadSHA || !c.CompletedAt.IsZero() && c.CompletedAt.Before(c.StartedAt) {
			t.Errorf("%s: %+v", s.name, c)
		}
	}
}

func TestSupersededAndInactive(t *testing.T) {
	t.Parallel()
	in := newState("", 0, older, push).in
	if c := Superseded(in, oldSHA); c.HeadSHA != oldSHA || c.Status != completed || c.Conclusion != cancelled || c.Title != "Superseded by a1b2c3d" {
		t.Errorf("superseded: %+v", c)
	}
	if d := Inactive(in); d.State != "inactive" || d.Description != "Superseded by a newer revision" {
		t.Errorf("superseded deployment: %+v", d)
	}
	gone := newState("", 0, resolved, applied, removed(previews.Removal{Reason: previews.RemovedMerged}, true)).in
	if d := Inactive(gone); d.Description != "Removed: pull request merged" {
		t.Errorf("removed deployment: %+v", d)
	}
}

// Where nobody watches the rollout people get their link, the description says what
// is not known, and the check is not green.
func TestUnwatchedDeployment(t *testing.T) {
	t.Parallel()
	in := newState("", 10*time.Minute, resolved, applied).in
	in.Environment.Observed = nil
	d, _ := DeploymentOf(in)
	if d.State != success || d.URL == "" || d.Description != "Committed to Git; the rollout is not observed" || CheckOf(in).Conclusion != neutral {
		t.Errorf("%+v beside a check that is %s", d, CheckOf(in).Conclusion)
	}
	in.Environment.Observed = &previews.Observation{}
	if d, _ := DeploymentOf(in); d.State != inProgress || CheckOf(in).Status != inProgress {
		t.Errorf("Argo CD said nothing yet, and it is %+v", d)
	}
}

// TestHashes change when, and only when, what is shown does.
func TestHashes(t *testing.T) {
	t.Parallel()
	in := newState("", 10*time.Minute, resolved, applied).in
	check, comment := CheckOf(in).Hash(), Hash(Comment(in))
	if again := CheckOf(in).Hash(); check != again || comment != Hash(Comment(in)) {
		t.Error("the same report has two hashes")
	}
	again := in
	again.Environment.RecheckAt = in.Now
	if CheckOf(in).Hash() == CheckOf(again).Hash() {
		t.Error("a check that was asked for again would not be written again")
	}
	d, _ := DeploymentOf(in)
	other := d
	other.URL = "https://elsewhere.example"
	if d.Key() == other.Key() {
		t.Error("deployments with different links have one key")
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", time.Millisecond: "0.1s", 400 * time.Millisecond: "0.4s", 960 * time.Millisecond: "1s",
		14 * time.Second: "14s", 59*time.Second + 900*time.Millisecond: "1m", 190 * time.Second: "3m10s", time.Hour: "1h", 125 * time.Minute: "2h5m", 76 * time.Hour: "3d4h",
	} {
		if got := Elapsed(d); got != want {
			t.Errorf("Elapsed(%v) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "in less than a minute", 30 * time.Second: "in less than a minute", time.Minute: "in 1 minute", 54 * time.Minute: "in 54 minutes",
		59 * time.Minute: "in 1 hour", 35 * time.Hour: "in 35 hours", 47 * time.Hour: "in 2 days", 24 * 14 * time.Hour: "in 14 days",
		-time.Second: "just now", -3 * time.Minute: "3 minutes ago", -50 * time.Hour: "2 days ago",
	} {
		if got := Relative(pushed.Add(d), pushed); got != want {
			t.Errorf("Relative(%v) = %q, want %q", d, got, want)
		}
	}
	if got := Until(time.Date(2027, 1, 2, 3, 4, 0, 0, time.FixedZone("x", 3600)), pushed); got != "Sat 2 Jan 2027 02:04 UTC (in 41 days)" {
		t.Errorf("Until = %q", got)
	}
}
