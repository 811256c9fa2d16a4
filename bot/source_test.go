package bot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
)

// TestSource holds where the objects of a preview come from: the base branch, or idp.
func TestSource(t *testing.T) {
	t.Parallel()
	const chart = service + "preview: {source: {helm: {path: chart, values: {a: 1, b: 1}, overridable: [b]}}}\n"
	const changed = service + "preview: {source: {helm: {path: evil, values: {a: 2, b: 2}, overridable: [a]}}}\n"
	for name, c := range map[string]struct {
		base, head string
		fork       bool
		want       string
	}{
		"none":                     {service, service, false, "idp"},
		"of the base":              {chart, chart, false, "helm chart [{a 1} {b 1}] at 9f8e7d6 of main"},
		"the head's values":        {chart, changed, false, "helm chart [{a 1} {b 2}] at 9f8e7d6 of main"},
		"taken away by the head":   {chart, service, false, "idp"},
		"new in the head":          {service, chart, false, "idp, without [preview.source]"},
		"where the base has none":  {"", chart, false, "idp, without [preview.source]"},
		"where the base is broken": {"nonsense: 1\n", chart, false, "idp, without [preview.source]"},
		"of a fork":                {chart, changed, true, "helm chart [{a 1} {b 1}] at 9f8e7d6 of main"},
		"a fork without":           {chart, service, true, "helm chart [{a 1} {b 1}] at 9f8e7d6 of main"},
		"new in a fork":            {service, chart, true, "idp"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.Base, s.Spec, s.PR.Fork = specAt(c.base), specAt(c.head), c.fork
			if got := describeSource(newDeciding(s, pullRequestEvent("opened")).source()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestSourcesOfServices holds where the objects of each service of a repository come from.
func TestSourcesOfServices(t *testing.T) {
	t.Parallel()
	const plain = "services: [{name: api}, {name: web}]\n"
	const api = "services: [{name: api, source: {helm: {path: api, values: {a: 1, b: 1}, overridable: [b]}}}, {name: web}]\n"
	const both = "services: [{name: api, source: {helm: {path: api, values: {a: 1, b: 1}, overridable: [b]}}}, {name: web, source: {manifests: {path: web}}}]\n"
	const whole = plain + "preview: {source: {helm: {path: all}}}\n"
	changed := strings.Replace(api, "a: 1, b: 1", "a: 2, b: 2", 1)
	for name, c := range map[string]struct {
		base, head string
		fork       bool
		want, left string
	}{
		"one of two":                  {api, api, false, "api: helm api [{a 1} {b 1}] at 9f8e7d6 of main", "[]"},
		"each":                        {both, both, false, "api: helm api [{a 1} {b 1}], web: manifests web [] at 9f8e7d6 of main", "[]"},
		"the head's values":           {api, changed, false, "api: helm api [{a 1} {b 2}] at 9f8e7d6 of main", "[api.source.helm.values.a (the base branch does not list it as overridable)]"},
		"one is new in the head":      {api, both, false, "api: helm api [{a 1} {b 1}] at 9f8e7d6 of main", "[web.source (the base branch's counts)]"},
		"one is taken away":           {both, api, false, "api: helm api [{a 1} {b 1}] at 9f8e7d6 of main", "[]"},
		"its service is taken away":   {both, "services: [{name: api, source: {helm: {path: api, values: {a: 1, b: 1}, overridable: [b]}}}]\n", false, "api: helm api [{a 1} {b 1}] at 9f8e7d6 of main", "[]"},
		"all are taken away":          {both, plain, false, "idp", ""},
		"all are new":                 {plain, both, false, "idp, without [api.source web.source]", "[api.source web.source]"},
		"one of all instead":          {both, whole, false, "api: helm api [{a 1} {b 1}], web: manifests web [] at 9f8e7d6 of main", "[preview.source (the base branch's counts)]"},
		"one of its own instead":      {whole, api, false, "helm all [] at 9f8e7d6 of main", "[api.source (the base branch's counts)]"},
		"a fork":                      {both, changed, true, "api: helm api [{a 1} {b 1}], web: manifests web [] at 9f8e7d6 of main", "[]"},
		"a fork that takes them away": {both, plain, true, "api: helm api [{a 1} {b 1}], web: manifests web [] at 9f8e7d6 of main", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.Base, s.Spec, s.PR.Fork = specAt(c.base), specAt(c.head), c.fork
			got := newDeciding(s, pullRequestEvent("opened")).source()
			if text := describeSource(got); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
			if got == nil {
				return
			}
			if left := fmt.Sprint(got.Left); left != c.left {
				t.Errorf("left %s, want %s", left, c.left)
			}
			if offered := got.Head != nil; offered != (c.left != "[]") {
				t.Errorf("the head's own is offered: %v", got.Head)
			}
		})
	}
}

// TestSourceOfTheHead offers the head's own where the pull request changes what it is made
// of, and never a fork's.
func TestSourceOfTheHead(t *testing.T) {
	t.Parallel()
	const chart = service + "preview: {source: {helm: {path: deploy/chart, valuesFiles: [deploy/preview.yaml], values: {a: 1}, overridable: [a]}}}\n"
	const moved = service + "preview: {source: {helm: {path: evil}}}\n"
	const overlay = service + "preview: {source: {kustomize: {path: deploy/overlays/preview}}}\n"
	const root = service + "preview: {source: {manifests: {path: .}}}\n"
	for name, c := range map[string]struct {
		base, head string
		fork       bool
		files      []string
		roots      []string
		want       bool
	}{
		"nothing of it":               {chart, chart, false, []string{"main.go", "deploy/chartered/x.yaml", "deploy/preview.yaml.md"}, nil, false},
		"a template":                  {chart, chart, false, []string{"main.go", "deploy/chart/templates/all.yaml"}, nil, true},
		"a values file":               {chart, chart, false, []string{"deploy/preview.yaml"}, nil, true},
		"an overlay's base":           {overlay, overlay, false, []string{"base/web.yaml"}, []string{"base/web.yaml", "deploy/overlays/preview/kustomization.yaml"}, true},
		"beside an overlay":           {overlay, overlay, false, []string{"main.go", "deploy/overlays/preview/README.md"}, []string{"base/web.yaml", "deploy/overlays/preview/kustomization.yaml"}, false},
		"an overlay of who knows":     {overlay, overlay, false, []string{"main.go"}, nil, true},
		"a chart that it depends on":  {chart, chart, false, []string{"libs/common/templates/new.yaml"}, []string{"deploy/chart", "deploy/preview.yaml", "libs/common"}, true},
		"anything below the root":     {root, root, false, []string{"main.go"}, nil, true},
		"more files than are listed":  {chart, chart, false, make([]string, maxChangedFiles), nil, true},
		"another chart":               {chart, moved, false, []string{".idp/deploy.yaml"}, nil, true},
		"a value that is overridable": {chart, strings.Replace(chart, "a: 1", "a: 2", 1), false, []string{".idp/deploy.yaml"}, nil, false},
		"a new source":                {service, chart, false, []string{".idp/deploy.yaml"}, nil, true},
		"a fork's":                    {chart, chart, true, []string{"deploy/chart/templates/all.yaml"}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.Base, s.Spec, s.PR.Fork, s.ChangedFiles, s.BaseRoots = specAt(c.base), specAt(c.head), c.fork, c.files, c.roots
			if got := newDeciding(s, pullRequestEvent("opened")).source(); (got.Head != nil) != c.want {
				t.Errorf("offered %+v: expected %v", got.Head, c.want)
			}
			if asked := s.asksRoots(); c.fork && asked != nil || !c.fork && c.roots != nil && asked == nil {
				t.Errorf("what it is made of is asked for: %+v", asked)
			}
			if s.asksFiles() == c.fork {
				t.Error("a fork's files were asked for, or others' were not")
			}
		})
	}
}

// TestApproveSource lets the head's own source count at one commit, by somebody else's word.
func TestApproveSource(t *testing.T) {
	t.Parallel()
	const chart = service + "preview: {source: {helm: {path: chart, values: {a: 1}}}}\n"
	const own = service + "preview: {source: {helm: {path: mine, values: {a: 2}}}}\n"
	decide := func(s Snapshot, by int64, sha string) Decision {
		event := commentEvent("/idp approve " + sha)
		event.Actor.ID = by
		return Decide(s, event)
	}
	s := open(t)
	s.Base, s.Spec, s.PR.Author.ID, s.Permission = validSpec(t, chart), validSpec(t, own), 7, "write"
	s.Environment = Decide(s, pullRequestEvent("opened")).Environment
	before := *s.Environment
	for name, c := range map[string]struct {
		by   int64
		sha  string
		perm string
	}{
		"by its author":           {7, s.PR.HeadSHA, "write"},
		"of another commit":       {8, anotherSHA, "write"},
		"of an abbreviated one":   {8, s.PR.HeadSHA[:12], "write"},
		"without the permission":  {8, s.PR.HeadSHA, "read"},
		"by the author, as admin": {7, s.PR.HeadSHA, "admin"},
	} {
		asked := s
		asked.Permission = access.Permission(c.perm)
		if got := decide(asked, c.by, c.sha).Environment; got != nil && got.Source.Own() {
			t.Errorf("%s: approved", name)
		}
	}
	got := decide(s, 8, s.PR.HeadSHA).Environment
	if got == nil || !got.Source.Own() || describeSource(got.Source) != fmt.Sprintf("helm mine [{a 2}] at %.7s of %s", s.PR.HeadSHA, s.PR.HeadRef) {
		t.Fatalf("approved: %+v", got)
	}
	if got.Generation != before.Generation+1 || got.SHA != before.SHA || !got.Cleared(got.SHA) || got.Cleared(anotherSHA) {
		t.Errorf("generation %d of %s: expected %d of the same commit, and only that cleared", got.Generation, got.SHA, before.Generation+1)
	}
	s.Environment = got
	if again := decide(s, 8, s.PR.HeadSHA).Environment; again != nil && again.Generation != got.Generation {
		t.Errorf("approved twice: %+v", again)
	}
	s.PR.HeadSHA = anotherSHA
	if pushed := Decide(s, pullRequestEvent("synchronize")).Environment; pushed == nil || describeSource(pushed.Source) != "helm chart [{a 1}] at 9f8e7d6 of main" {
		t.Errorf("after a push: %+v", pushed)
	}
}

// members are who is in which team, as "TEAM LOGIN".
type members []string

func (m members) Member(_ context.Context, _ RepositoryRef, team, login string) (bool, error) {
	return slices.Contains(m, team+" "+login), nil
}

// TestApproveSourceByTeam: where the platform team lets one team approve previews, that is
// read for a head's own source as well.
func TestApproveSourceByTeam(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Base = validSpec(t, service+"preview: {source: {helm: {path: chart}}}\n")
	s.Spec = validSpec(t, service+"preview: {source: {helm: {path: mine}}}\n")
	s.Platform.Previews = platform.Access{Actions: map[string]platform.Rule{"approve": {Teams: []string{"web", "charts"}}}}
	s = with(s, pullRequestEvent("opened"))
	h := &Handler{Log: secrettest.Logger(t)}
	event := commentEvent("/idp approve " + newSHA)
	for who, in := range map[string]members{"bob": {"charts bob"}, "nobody": nil} {
		asked := s
		if err := h.memberships(t.Context(), in, event, &asked); err != nil {
			t.Fatal(err)
		}
		d := Decide(asked, event)
		if approved := after(asked, d).Environment.Source.Own(); approved != (who == "bob") || len(asked.Teams) != 2 {
			t.Errorf("%s: approved %v by %v: %q", who, approved, asked.Teams, replies(d))
		}
	}
}

func describeSource(s *previews.Source) string {
	switch {
	case s == nil:
		return "idp"
	case s.Base == "":
		return fmt.Sprintf("idp, without %v", s.Left)
	}
	var from []string
	for _, one := range s.From {
		text := fmt.Sprintf("%s %s %v", one.Kind, one.Path, one.Values)
		if one.Service != "" {
			text = one.Service + ": " + text
		}
		from = append(from, text)
	}
	return fmt.Sprintf("%s at %.7s of %s", strings.Join(from, ", "), s.Base, s.Branch)
}

// TestSourceIsKept records it with the revision that is wanted.
func TestSourceIsKept(t *testing.T) {
	t.Parallel()
	s := open(t)
	s.Base = validSpec(t, service+"preview: {source: {manifests: {path: deploy}}}\n")
	s.Spec = s.Base
	got := Decide(s, pullRequestEvent("opened")).Environment
	if got == nil || !got.Sourced() || got.Source.From[0].Path != "deploy" {
		t.Fatalf("wanted %+v", got)
	}
	got.Fail(previews.Problem{Kind: previews.ProblemSpec, Message: "the chart is broken"}, now)
	s.Environment, s.BaseSHA = got, anotherSHA
	if again := Decide(s, commentEvent("/idp preview")).Environment; again == nil || again.Source.Base != anotherSHA || again.Blocked == again.Generation {
		t.Errorf("asked for again: %+v", again)
	}
	s.Environment, s.Spec, s.PR.HeadSHA = got, validSpec(t, service), anotherSHA
	if got = Decide(s, pullRequestEvent("synchronize")).Environment; got == nil || got.Source != nil {
		t.Errorf("after it was taken away: %+v", got)
	}
}
