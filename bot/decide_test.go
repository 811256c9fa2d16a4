package bot

import (
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

func TestOpenedGetsAPreview(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Spec = validSpec(t, "service:\n  name: web\n  team: payments\n  port: 8080\n")
	d := Decide(s, pullRequestEvent("opened"))
	e := d.Environment
	if e == nil {
		t.Fatal(d.Reasons)
	}
	if e.Ref.String() != "acme/web/pr-42" || e.Ref.RepositoryID != 1 || e.Owner != "Acme" || e.Repo != "Web" || e.PR != 42 || e.InstallationID != 5 || e.Author != "ann" {
		t.Errorf("identity: %+v", e)
	}
	if e.Wanted != previews.Present || e.SHA != newSHA || e.HeadSHA != newSHA || e.HeadRef != "faster" || e.Team != "payments" || string(e.Spec) != string(s.Spec.Raw) {
		t.Errorf("wanted: %+v", e)
	}
	if !e.ExpiresAt.Equal(now.Add(72*time.Hour)) || e.Version != 0 || e.RowID != 0 {
		t.Errorf("expires %v, version %d", e.ExpiresAt, e.Version)
	}
	if len(d.Audit) != 1 || d.Audit[0].Action != "pull_request opened" || !d.Audit[0].Allowed || d.Audit[0].Environment != "acme/web/pr-42" || d.Audit[0].SHA != newSHA {
		t.Errorf("audit: %+v", d.Audit)
	}
}

func TestRemovals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, action string
		change       func(*Snapshot)
		swept        bool
		reason       previews.RemovalReason
		by, detail   string
	}{
		{name: "closed", action: "closed", change: func(s *Snapshot) { s.PR.Open = false }, reason: previews.RemovedClosed, by: "ann"},
		{name: "merged", action: "closed", change: func(s *Snapshot) { s.PR.Open, s.PR.Merged = false, true }, reason: previews.RemovedMerged, by: "ann"},
		{name: "closed, told by a late push", action: "synchronize", change: func(s *Snapshot) { s.PR.Open = false }, reason: previews.RemovedClosed},
		{name: "closed, found by a sweep", action: "swept", change: func(s *Snapshot) { s.PR.Open = false }, swept: true, reason: previews.RemovedClosed},
		{name: "draft", action: "converted_to_draft", change: func(s *Snapshot) {
			s.PR.Draft = true
			s.Spec = specAt(service + "preview: {drafts: false}\n")
		}, reason: previews.RemovedDraft, by: "ann"},
		{name: "ignored", action: "labeled", change: func(s *Snapshot) {
			s.PR.Labels = []string{"wip"}
			s.Spec = specAt(service + "preview: {ignoreLabels: [\"wip\"]}\n")
		}, reason: previews.RemovedUntriggered, by: "ann", detail: `label "wip" keeps it from having a preview`},
		{name: "label taken away", action: "unlabeled", change: func(s *Snapshot) { s.Spec = specAt(service + "preview: {trigger: label}\n") },
			reason: previews.RemovedUntriggered, by: "ann", detail: `it does not have label "preview"`},
		{name: "switched off", action: "synchronize", change: func(s *Snapshot) { s.Spec = specAt(service + "preview: {enabled: false}\n") },
			reason: previews.RemovedUntriggered, detail: "preview.enabled is false in .idp/deploy.yaml"},
		{name: "spec deleted", action: "synchronize", change: func(s *Snapshot) { s.Spec = SpecAt{} },
			reason: previews.RemovedUntriggered, detail: "there is no .idp/deploy.yaml in this commit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := deployed(with(open(t), pullRequestEvent("opened")))
			s.Spec.Raw = append([]byte(nil), s.Spec.Raw...)
			c.change(&s)
			event := pullRequestEvent(c.action)
			event.Swept = c.swept
			d := Decide(s, event)
			if d.Environment == nil || d.Environment.Wanted != previews.Absent {
				t.Fatalf("not removed: %q", d.Reasons)
			}
			want := previews.Removal{Reason: c.reason, By: c.by, Detail: c.detail, Inferred: c.swept, At: now}
			if d.Environment.Removal != want {
				t.Errorf("removal %+v, want %+v", d.Environment.Removal, want)
			}
			if len(d.Audit) != 1 || !strings.HasPrefix(d.Audit[0].Reason, "preview removed: ") {
				t.Errorf("audit: %+v", d.Audit)
			}
		})
	}
}

// TestComingBack tells what brings a removed preview back, and what does not.
func TestComingBack(t *testing.T) {
	t.Parallel()
	closed := func(s Snapshot) Snapshot { s.PR.Open = false; return s }
	reopened := func(s Snapshot) Snapshot { s.PR.Open = true; return s }
	expire := func(s Snapshot) Snapshot {
		row := *s.Environment
		row.Remove(previews.Removal{Reason: previews.RemovedExpired}, s.Now)
		s.Environment = &row
		return s
	}
	event, destroy, ask := pullRequestEvent("edited"), commentEvent("/idp destroy"), commentEvent("/idp preview")
	byLabel := func(s Snapshot, labels ...string) Snapshot {
		s.Spec = specAt(service + "preview: {trigger: label, label: go}\n")
		s.PR.Labels = labels
		return s
	}
	byCommand := func(s Snapshot) Snapshot { s.Spec = specAt(service + "preview: {trigger: command}\n"); return s }
	for _, c := range []struct {
		name string
		end  func(Snapshot) Snapshot
		want previews.Presence
	}{
		{"closed stays away", func(s Snapshot) Snapshot { return with(closed(s), event, event) }, previews.Absent},
		{"reopened", func(s Snapshot) Snapshot { return with(reopened(with(closed(s), event)), event) }, previews.Present},
		{"destroyed stays away", func(s Snapshot) Snapshot { return with(with(s, destroy), event) }, previews.Absent},
		{"destroyed stays away from pushes", func(s Snapshot) Snapshot { return with(pushedTo(with(s, destroy), oldSHA), event) }, previews.Absent},
		{"destroyed, then asked for", func(s Snapshot) Snapshot { return with(with(s, destroy), ask) }, previews.Present},
		{"destroyed, closed, reopened", func(s Snapshot) Snapshot { return with(reopened(with(closed(with(s, destroy)), event)), event) }, previews.Present},
		{"destroyed, label off, label on", func(s Snapshot) Snapshot {
			s = with(byLabel(s, "go"), event, destroy, event)
			return with(byLabel(with(byLabel(s), event), "go"), event)
		}, previews.Present},
		{"destroyed, another label on", func(s Snapshot) Snapshot {
			return with(byLabel(with(byLabel(s, "go"), event, destroy), "go", "bug"), event)
		}, previews.Absent},
		{"expired stays away", func(s Snapshot) Snapshot { return with(expire(s), event) }, previews.Absent},
		{"expired, then a push", func(s Snapshot) Snapshot { return with(pushedTo(expire(s), oldSHA), event) }, previews.Present},
		{"expired, then asked for", func(s Snapshot) Snapshot { return with(expire(s), ask) }, previews.Present},
		{"expired, closed, reopened", func(s Snapshot) Snapshot { return with(reopened(with(closed(expire(s)), event)), event) }, previews.Present},
		{"asked for, kept through a push", func(s Snapshot) Snapshot {
			return with(pushedTo(with(byCommand(s), event, ask), oldSHA), event)
		}, previews.Present},
		{"asked for, expired, pushed", func(s Snapshot) Snapshot {
			return with(pushedTo(expire(with(byCommand(s), event, ask)), oldSHA), event)
		}, previews.Present},
		{"asked for, destroyed, closed, reopened", func(s Snapshot) Snapshot {
			return with(reopened(with(closed(with(byCommand(s), event, ask, destroy)), event)), event)
		}, previews.Absent},
		{"asked for by command, nobody asked", func(s Snapshot) Snapshot { return with(byCommand(s), event) }, previews.Absent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := presence(c.end(deployed(with(open(t), pullRequestEvent("opened"))))); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestInvalidSpec(t *testing.T) {
	t.Parallel()
	s := deployed(with(pushedTo(open(t), oldSHA), pullRequestEvent("opened")))
	s = later(pushedTo(s, newSHA), time.Hour)
	s.Spec = specAt("service: {nmae: web}\n")
	d := Decide(s, pullRequestEvent("synchronize"))
	e := d.Environment
	if e == nil || e.Problem == nil || e.Problem.Kind != previews.ProblemSpec || e.Problem.SHA != newSHA || len(e.Problem.Errors) != len(s.Spec.Errors) {
		t.Fatalf("problem: %+v, %q", e, d.Reasons)
	}
	if e.Wanted != previews.Present || e.SHA != oldSHA || e.HeadSHA != newSHA || e.Generation != s.Environment.Generation {
		t.Errorf("what runs does not keep running: %+v", e)
	}
	if !has(d.Reasons, "9f8e7d6 keeps running") || len(d.Audit) != 1 || d.Audit[0].Allowed {
		t.Errorf("reasons %q, audit %+v", d.Reasons, d.Audit)
	}
	fixed := after(s, d)
	fixed.Spec = validSpec(t, service)
	if e := with(pushedTo(fixed, strings.Repeat("b", 40)), pullRequestEvent("synchronize")).Environment; e.Problem != nil || e.SHA != strings.Repeat("b", 40) {
		t.Errorf("the next good commit: %+v", e)
	}
	gone := after(s, d)
	gone.PR.Open = false
	if e := with(gone, pullRequestEvent("closed")).Environment; e.Problem != nil || e.Wanted != previews.Absent {
		t.Errorf("closed with errors: %+v", e)
	}
}

func TestForks(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{"valid": service, "invalid": "service: {nmae: <b>}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.PR.Fork, s.Spec = true, specAt(raw)
			d := Decide(s, pullRequestEvent("opened"))
			e := d.Environment
			if e == nil || e.State() != previews.StateRefused || e.Problem.Kind != previews.ProblemFork || len(e.Problem.Errors) > 0 {
				t.Fatalf("%+v", e)
			}
			closed := after(s, d)
			closed.PR.Open = false
			if e := with(closed, pullRequestEvent("closed")).Environment; e.Problem != nil || e.Removal.Reason != previews.RemovedClosed || e.Generation != 0 {
				t.Errorf("closed: %+v", e)
			}
		})
	}
	s := open(t)
	s.PR.Fork, s.Base = true, SpecAt{}
	if d := Decide(s, pullRequestEvent("opened")); d.Environment != nil {
		t.Errorf("a fork of a repository without a spec is told something: %+v", d.Environment)
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ttl  string
		want time.Duration
		why  string
	}{
		{"", 72 * time.Hour, "it lives 3d from the last push (the default)"},
		{"1d", 24 * time.Hour, "it lives 1d from the last push (preview.ttl)"},
		{"30d", 7 * 24 * time.Hour, "it lives 7d from the last push: preview.ttl is 30d, but that is the most allowed"},
	} {
		s := open(t)
		if c.ttl != "" {
			s.Spec = validSpec(t, service+"preview: {ttl: \""+c.ttl+"\"}\n")
		}
		d := Decide(s, pullRequestEvent("opened"))
		if d.Environment.TTL != c.want || !d.Environment.ExpiresAt.Equal(now.Add(c.want)) || !has(d.Reasons, c.why) {
			t.Errorf("ttl %q: %v until %v, %q", c.ttl, d.Environment.TTL, d.Environment.ExpiresAt, d.Reasons)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		glob, file string
		want       bool
	}{
		{"services/web", "services/web/main.go", true}, {"services/web/", "services/web/a/b", true}, {"services/web", "services/webber/a", false},
		{"./services/*", "services/web/main.go", true}, {"**/*.go", "a/b/c.go", true}, {"*.go", "a/b.go", false}, {"/go.mod", "go.mod", true},
		{"{a,b}/**", "b/x", true}, {"**", ".idp/deploy.yaml", true}, {"[", "[", false},
	} {
		if got := spec.Below(c.glob, c.file); got != c.want {
			t.Errorf("below(%q, %q) = %v", c.glob, c.file, got)
		}
	}
	s := open(t)
	s.Spec = validSpec(t, service+"preview: {paths: [\"x\"]}\n")
	s.ChangedFiles = make([]string, maxChangedFiles)
	if presence(with(s, pullRequestEvent("opened"))) != previews.Present {
		t.Error("a pull request with more files than GitHub lists was taken for one that changes none")
	}
}

func TestRerequest(t *testing.T) {
	t.Parallel()
	rerun := pullRequestEvent("rerequested")
	rerun.Kind, rerun.Name = EventRerequest, "check_run"
	s := with(open(t), pullRequestEvent("opened"))
	failed := *s.Environment
	failed.Fail(previews.Problem{Kind: previews.ProblemImage, Message: "no image"}, now)
	s.Environment = &failed
	e := with(later(s, time.Minute), rerun).Environment
	if e.Problem != nil || e.Generation != failed.Generation+1 || !e.RecheckAt.Equal(now.Add(time.Minute)) || !e.NeedsImages() {
		t.Errorf("a failed image is not tried again: %+v", e)
	}
	changed := *s.Environment
	changed.Fail(previews.Problem{Kind: previews.ProblemChanged, Message: "changed"}, now)
	s.Environment = &changed
	if e := with(s, rerun).Environment; e.Overwrite || e.Problem == nil || e.RecheckAt.IsZero() {
		t.Errorf("a re-run overwrites what somebody else wrote: %+v", e)
	}
	none := open(t)
	none.Spec = SpecAt{}
	if d := Decide(none, rerun); d.Environment != nil {
		t.Errorf("a row out of nothing: %+v", d.Environment)
	}
}

// TestKeepsBlockedRemoval: what holds up a removal is told until it is gone.
func TestKeepsBlockedRemoval(t *testing.T) {
	t.Parallel()
	s := deployed(with(open(t), pullRequestEvent("opened")))
	s = with(s, commentEvent("/idp destroy"))
	row := *s.Environment
	row.Fail(previews.Problem{Kind: previews.ProblemChanged, Message: "changed"}, now)
	s.Environment = &row
	if e := with(pushedTo(s, oldSHA), pullRequestEvent("synchronize")).Environment; e.Problem == nil || e.HeadSHA != oldSHA {
		t.Errorf("after a push: %+v", e)
	}
	if e := with(s, commentEvent("/idp destroy")).Environment; e.Problem != nil || !e.Overwrite || !e.NeedsCommit() {
		t.Errorf("after asking again: %+v", e)
	}
}

func TestRenamed(t *testing.T) {
	t.Parallel()
	s := with(open(t), pullRequestEvent("opened"))
	s.PR.Repository.Owner, s.PR.Repository.Name = "NewCo", "Site"
	e := with(s, pullRequestEvent("edited")).Environment
	if e.Owner != "NewCo" || e.Repo != "Site" || e.Ref.Owner != "acme" || e.Ref.Repo != "web" {
		t.Errorf("after a rename: %+v", e)
	}
}

func TestOtherEvents(t *testing.T) {
	t.Parallel()
	for _, kind := range []EventKind{EventBuild, EventRepository, EventIgnored, "new"} {
		if d := Decide(open(t), Event{Kind: kind}); d.Environment != nil || len(d.Effects) > 0 || len(d.Reasons) == 0 {
			t.Errorf("%s: %+v", kind, d)
		}
	}
}

func TestTeam(t *testing.T) {
	t.Parallel()
	if got := team(&spec.Spec{Services: []spec.Service{{}, {Team: "a"}, {Team: "b"}}}); got != "a" {
		t.Errorf("team %q", got)
	}
}
