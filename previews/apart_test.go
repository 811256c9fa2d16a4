package previews_test

import (
	"context"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// renderNamed renders a ConfigMap of each name that stands in the spec.
func renderNamed(_ context.Context, e previews.Environment) (previews.Rendered, error) {
	out := previews.Rendered{Files: []gitops.File{{Path: e.Ref.RecordPath(), Content: []byte("kind: Environment\nmetadata: {name: record}\n")}}}
	for _, name := range strings.Fields(string(e.Spec)) {
		out.Files = append(out.Files, gitops.File{Path: e.Ref.ManifestsDir() + "/configmap-" + name + ".yaml", Content: []byte("kind: ConfigMap\nmetadata: {name: " + name + "}\n")})
	}
	return out, nil
}

// named adds a service of an environment that is to be deployed, with objects of some names.
func (w *workshop) named(environment, service, names string, chart bool) int64 {
	w.Helper()
	return w.add(7, 0, func(e *previews.Environment) {
		e.Ref.ID, e.Ref.Service, e.PR, e.Spec = environment, service, 1, []byte(names)
		if chart {
			e.Source = &previews.Source{Base: firstSHA(9), Branch: "main", From: spec.Sources{{Service: service, Source: spec.Source{Kind: spec.Helm, Path: service}}}}
		}
		e.Deployed = &previews.Deployed{Current: previews.Release{SHA: e.SHA, Spec: e.Spec, Source: e.Source}}
	})
}

// TestApart: no two services of an environment get an object of one name, whichever is there
// first, and the others go on.
func TestApart(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.committer.Render = renderNamed
	api, web := w.named("staging", "api", "a settings", true), w.named("staging", "web", "w settings", false)
	mail, elsewhere := w.named("staging", "mail", "m", true), w.named("production", "web", "a settings w m", true)
	w.settle()
	if p := w.row(web).Problem; p == nil || p.Message != "ConfigMap settings is rendered twice in staging: by the helm source of service api and by idp for service web" || p.Hint == "" {
		t.Errorf("in one commit: %+v", p)
	}
	for _, id := range []int64{api, mail, elsewhere} {
		if row := w.row(id); row.Problem != nil || row.State() != previews.StateCommitted {
			t.Errorf("%s is %s: %+v", row.Ref, row.State(), row.Problem)
		}
	}

	// What Git has of a service counts while that is left alone, and no longer.
	again := func(id int64, names string) {
		w.change(id, func(e *previews.Environment) {
			e.Deployed.Current.Spec = []byte(names)
			e.Again("alice", 1, w.clock.Now())
			e.Resolve(nil, w.clock.Now())
		})
	}
	again(mail, "m settings")
	w.settle()
	if p := w.row(mail).Problem; p == nil || p.Message != "ConfigMap settings is rendered twice in staging: by the helm source of service api and by the helm source of service mail" {
		t.Errorf("beside what Git has: %+v", p)
	}
	again(api, "a")
	again(mail, "m settings")
	w.settle()
	if row := w.row(mail); row.Problem != nil || row.State() != previews.StateCommitted {
		t.Errorf("once it is given up by the other: %s, %+v", row.State(), row.Problem)
	}
}

// TestApartOfIdp: where idp renders all, nothing is looked at.
func TestApartOfIdp(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.committer.Render = renderNamed
	one := w.named("staging", "api", "a", false)
	w.settle()
	w.committer.Git = unread{w.committer.Git, t}
	other := w.named("staging", "web", "w", false)
	w.settle()
	for _, id := range []int64{one, other} {
		if row := w.row(id); row.State() != previews.StateCommitted {
			t.Errorf("%s is %s", row.Ref, row.State())
		}
	}
}

// unread is a repository nothing of which is to be read.
type unread struct {
	previews.Writer
	t *testing.T
}

func (u unread) Files(_ context.Context, _, dir string) ([]gitops.File, error) {
	u.t.Errorf("%s is read", dir)
	return nil, nil
}
