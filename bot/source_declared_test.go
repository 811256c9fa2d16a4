package bot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

const (
	tipSHA   = "00000000000000000000000000000000000000dd" // what the default branch has now
	chartOf  = "service: {name: web, source: {helm: {path: chart, values: {a: 1, b: 1}, overridable: [b]}}}\n"
	chartsOf = "service:\n  name: web\n  environments:\n    staging: {source: {helm: {path: chart, values: {for: staging}}}}\n    canary: {source: {helm: {path: chart, values: {for: canary}}}}\n"
)

// charted is declaring with main at a spec and the pull request's head at another.
func charted(t testing.TB, tip, head string) Snapshot {
	return declaring(t, func(s *Snapshot) {
		s.DefaultBranch = "main"
		s.Tip = Revision{Commit: Commit{SHA: tipSHA}, Spec: specAt(tip), OnDefault: true}
		rev := s.Revisions[newSHA]
		rev.Spec = specAt(head)
		s.Revisions[newSHA] = rev
		rev = s.Revisions[mainSHA]
		rev.Spec = specAt(head)
		s.Revisions[mainSHA], s.Revisions[mainSHA[:8]] = rev, rev
	})
}

// TestDeployedSource holds where the objects of a release come from: a commit of the default
// branch from itself, any other from that branch's tip.
func TestDeployedSource(t *testing.T) {
	t.Parallel()
	changed := strings.Replace(chartOf, "path: chart, values: {a: 1, b: 1}", "path: evil, values: {a: 2, b: 2}", 1)
	for name, c := range map[string]struct {
		tip, head, command, want string
	}{
		"none":                           {service, service, "deploy staging", "idp"},
		"of the tip":                     {chartOf, chartOf, "deploy staging", "web: helm chart [{a 1} {b 1}] at 0000000 of main"},
		"the commit's values":            {chartOf, changed, "deploy staging", "web: helm chart [{a 1} {b 2}] at 0000000 of main, taken [web.source.helm.values.b]"},
		"taken away by the commit":       {chartOf, service, "deploy staging", "web: helm chart [{a 1} {b 1}] at 0000000 of main"},
		"new in the commit":              {service, chartOf, "deploy staging", "idp, without [web.source]"},
		"where the tip has no file":      {"", chartOf, "deploy staging", "idp, without [web.source]"},
		"a commit of the default branch": {service, changed, "deploy staging " + mainSHA, "web: helm evil [{a 2} {b 2}] at itself of main"},
		"what differs there":             {chartsOf, chartsOf, "deploy canary", "web: helm chart [{for canary}] at 0000000 of main"},
		"nothing there":                  {chartsOf, chartsOf, "deploy tested " + mainSHA, "idp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := charted(t, c.tip, c.head)
			s.Platform.Environments[2].Checks, s.Platform.Environments[3].Users = nil, nil
			got := deployedSource(t, Decide(s, commentEvent("/idp "+c.command)))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// deployedSource describes where the one service that a decision deploys comes from.
func deployedSource(t testing.TB, d Decision) string {
	t.Helper()
	for _, part := range d.Declared {
		if part.Shared() {
			if part.Source != nil {
				t.Errorf("what services share comes from %+v", part.Source)
			}
			continue
		}
		if part.Source != part.Deployed.Current.Source {
			t.Errorf("the release has %+v and the row %+v", part.Deployed.Current.Source, part.Source)
		}
		text := describeSource(part.Source)
		if part.Source != nil && part.Source.Base == part.SHA {
			text = strings.Replace(text, "at 0000000", "at itself", 1)
		}
		if part.Source != nil && len(part.Source.Taken) > 0 {
			text += fmt.Sprintf(", taken %v", part.Source.Taken)
		}
		return text
	}
	return "nothing is deployed: " + replies(d)
}

// TestDeployedSourceUpdates: what changes values in files of others has no source.
func TestDeployedSourceUpdates(t *testing.T) {
	t.Parallel()
	s := charted(t, chartOf, chartOf)
	s.Platform.Environments[1].Updates = map[int64]map[string]platform.Update{s.PR.Repository.ID: {"web": {Application: "web"}}}
	if got := deployedSource(t, Decide(s, commentEvent("/idp deploy staging"))); got != "idp" {
		t.Errorf("deployed from %s", got)
	}
}

// TestUnsourced refuses to guess what renders a commit where the default branch cannot be read.
func TestUnsourced(t *testing.T) {
	t.Parallel()
	const broken = "service: {nmae: web}\n"
	for name, c := range map[string]struct {
		head, command string
		refused       bool
	}{
		"with a source":                  {chartOf, "deploy staging", true},
		"without":                        {service, "deploy staging", false},
		"a commit of the default branch": {chartOf, "deploy staging " + mainSHA, false},
	} {
		d := Decide(charted(t, broken, c.head), commentEvent("/idp "+c.command))
		if refused := strings.Contains(replies(d), ".idp/deploy.yaml has errors on main, which says what staging is rendered from"); refused != c.refused || refused != (len(d.Declared) == 0) {
			t.Errorf("%s: %q", name, replies(d))
		}
	}
}

// TestDeployedAgain: a commit runs already while what renders it is the same.
func TestDeployedAgain(t *testing.T) {
	t.Parallel()
	s := charted(t, chartOf, chartOf)
	s = afterAll(s, Decide(s, commentEvent("/idp deploy staging")))
	if d := Decide(s, commentEvent("/idp deploy staging")); len(d.Declared) != 0 || !strings.Contains(replies(d), "already, or is about to") {
		t.Errorf("deployed again: %q", replies(d))
	}
	s.Tip.SHA = anotherSHA
	d := Decide(s, commentEvent("/idp deploy staging"))
	if len(d.Declared) != 1 || d.Declared[0].Source.Base != anotherSHA {
		t.Errorf("of another tip: %+v, %q", d.Declared, replies(d))
	}
}

// TestPromotedSource takes the chart along at the commit that it was read at, with what the
// other environment says of it, and goes back to what ran.
func TestPromotedSource(t *testing.T) {
	t.Parallel()
	s := charted(t, chartsOf, chartsOf)
	s.Platform.Environments[3].Users = nil
	s = afterAll(s, Decide(s, commentEvent("/idp deploy staging")))
	for i := range s.Declared {
		if e := &s.Declared[i]; !e.Shared() {
			e.Deployed.Current.HealthyAt = now
			e.Deployed.Current.Source.Pins = []previews.Pin{{Image: "redis:7", Digest: "sha256:a"}}
		}
	}
	s.Revisions[tipSHA] = s.Tip
	s.Tip = Revision{Commit: Commit{SHA: anotherSHA}, Spec: specAt(service), OnDefault: true}
	promote := commentEvent("/idp promote staging canary")
	if got := deployedSource(t, Decide(s, promote)); got != "web: helm chart [{for canary}] at 0000000 of main" {
		t.Errorf("promoted from %s", got)
	}
	for _, part := range Decide(s, promote).Declared {
		if source := part.Deployed.Current.Source; !part.Shared() && part.Ref.ID == "canary" && (source == nil || len(source.Pins) != 1 || source.Pins[0].Digest != "sha256:a") {
			t.Errorf("images of others do not run there as they ran: %+v", source)
		}
	}
	gone := s.Revisions[tipSHA]
	gone.OnDefault = false
	s.Revisions[tipSHA] = gone
	if got := deployedSource(t, Decide(s, promote)); got != "idp, without [web.source]" {
		t.Errorf("once that commit is on the default branch no more: %s", got)
	}
	for _, part := range s.Declared {
		if part.Shared() {
			continue
		}
		was := part.Deployed.Current
		part.GoBack(previews.Release{SHA: mainSHA, Spec: []byte(service)}, previews.ReleaseRollback, "alice", 1, "test", now)
		if part.Source != nil {
			t.Errorf("back at what idp rendered: %+v", part.Source)
		}
		part.GoBack(was, previews.ReleaseRollback, "alice", 1, "test", now)
		if describeSource(part.Source) != "web: helm chart [{for staging}] at 0000000 of main" {
			t.Errorf("back at what ran: %s", describeSource(part.Source))
		}
	}
}

// TestTogether: one source of all services makes one part of them, as the default branch says,
// and parts that there are do not become others.
func TestTogether(t *testing.T) {
	t.Parallel()
	const single = "services: [{name: api}, {name: web}]\n"
	const whole = single + "environments: {staging: {source: {helm: {path: chart}}}}\n"
	for name, c := range map[string]struct {
		tip, head, command, want string
	}{
		"all":                   {whole, whole, "deploy staging", "staging staging.all"},
		"all by name":           {whole, whole, "deploy staging api web", "staging staging.all"},
		"one of them":           {whole, whole, "deploy staging api", "they are deployed together"},
		"new in the commit":     {single, whole, "deploy staging", "staging staging.api staging.web"},
		"taken away by it":      {whole, single, "deploy staging", "staging staging.all"},
		"of the default branch": {single, whole, "deploy staging " + mainSHA, "staging staging.all"},
		"another environment":   {whole, whole, "deploy tested " + mainSHA, "tested tested.api tested.web"},
		"one by one until now":  {whole, whole, "deploy canary", "were deployed one by one until now"},
		"one source until now":  {single, single, "deploy canary", "One source rendered all services of canary until now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := charted(t, c.tip, c.head)
			s.Platform.Environments[2].Checks, s.Platform.Environments[3].Users = nil, nil
			if strings.HasSuffix(name, "until now") {
				before := charted(t, single, single)
				if c.tip == single {
					s.Tip.Spec, before = specAt(single), charted(t, strings.ReplaceAll(whole, "staging", "canary"), single)
				} else {
					s.Tip.Spec = specAt(strings.ReplaceAll(whole, "staging", "canary"))
				}
				before.Platform.Environments[3].Users = nil
				s.Declared = afterAll(before, Decide(before, commentEvent("/idp deploy canary"))).Declared
				for i := range s.Declared {
					s.Declared[i].Tree = "7ree"
				}
			}
			d := Decide(s, commentEvent("/idp "+c.command))
			var parts []string
			for _, part := range d.Declared {
				parts = append(parts, part.Ref.Key())
				if part.Together() != (part.Ref.Service == "all") || part.Together() && !part.Has("web") {
					t.Errorf("%s has all: %v", part.Ref, part.Together())
				}
			}
			if got := strings.Join(parts, " "); got != c.want && (got != "" || !strings.Contains(replies(d), c.want)) {
				t.Errorf("got %s, %q\nwant %s", got, replies(d), c.want)
			}
		})
	}
}
