package previews_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// sourced gives a preview a chart.
func sourced(e *previews.Environment) {
	e.Source = &previews.Source{Base: firstSHA(9), Branch: "main", From: spec.Sources{{Source: spec.Source{Kind: spec.Helm, Path: "chart"}}}}
}

// TestSourceNotes keeps what was told of a chart's objects with the row.
func TestSourceNotes(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	charted, plain := w.add(1, 1, sourced), w.add(1, 2)
	w.step()
	if got := w.row(charted); !got.Sourced() || !slices.Equal(got.Source.Notes, []string{"Secret db: dropped"}) {
		t.Errorf("the chart's row has %+v", got.Source)
	}
	if got := w.row(plain); got.Sourced() || got.Source != nil {
		t.Errorf("one without has %+v", got.Source)
	}
}

// TestPinsOfAGeneration: the digests that one generation was rendered with are not for the
// next, which asks anew.
func TestPinsOfAGeneration(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	pins := []previews.Pin{{Image: "redis:7", Digest: "sha256:old"}}
	next := 0
	var id int64
	render := w.committer.Render
	w.committer.Render = func(ctx context.Context, e previews.Environment) (previews.Rendered, error) {
		rendered, err := render(ctx, e)
		rendered.Pins = pins
		if next++; next == 1 { // somebody pushes while it is prepared
			w.change(id, func(e *previews.Environment) {
				e.Want(previews.Revision{SHA: firstSHA(7), Spec: e.Spec}, w.clock.Now())
				sourced(e)
			})
		}
		return rendered, err
	}
	id = w.add(1, 1, sourced)
	w.step()
	if row := w.row(id); row.SHA != firstSHA(7) || len(row.Source.Pins) > 0 {
		t.Errorf("the next generation, of %s, has %+v", row.SHA, row.Source.Pins)
	}
	w.change(id, func(e *previews.Environment) { e.Resolve(nil, w.clock.Now()) })
	w.step()
	if row := w.row(id); row.AppliedSHA != firstSHA(7) || len(row.Source.Pins) != 1 {
		t.Errorf("committed at %s with %+v", row.AppliedSHA, row.Source.Pins)
	}
}

// TestUnrouted: a row says whether its last commit has a route, until the next one is pushed.
func TestUnrouted(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	unrouted, render := true, w.committer.Render
	w.committer.Render = func(ctx context.Context, e previews.Environment) (previews.Rendered, error) {
		rendered, err := render(ctx, e)
		rendered.Unrouted = unrouted
		return rendered, err
	}
	id := w.add(1, 1)
	w.step()
	if row := w.row(id); !row.Unrouted {
		t.Error("committed without a route, and nothing says so")
	}
	unrouted = false
	w.change(id, func(e *previews.Environment) {
		e.Want(previews.Revision{SHA: firstSHA(7), Spec: e.Spec}, w.clock.Now())
	})
	if row := w.row(id); !row.Unrouted {
		t.Error("what stands in Git has a route before it has")
	}
	w.change(id, func(e *previews.Environment) { e.Resolve(nil, w.clock.Now()) })
	w.step()
	if row := w.row(id); row.Unrouted || row.AppliedSHA != firstSHA(7) {
		t.Errorf("committed with a route: unrouted is %v, of %s", row.Unrouted, row.AppliedSHA)
	}
}

// TestRenderLater leaves a row due that cannot be rendered now, and writes the others.
func TestRenderLater(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	away := w.add(1, 1, func(e *previews.Environment) { e.Spec = []byte("away") })
	w.add(1, 2)
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-2": firstSHA(2)})
	var later *previews.LaterError
	if more, err := w.committer.Step(t.Context()); more || !errors.As(err, &later) {
		t.Errorf("alone: more %v, %v", more, err)
	}
	if row := w.row(away); row.Problem != nil || row.State() != previews.StateCommitting {
		t.Errorf("it is %s with %+v", row.State(), row.Problem)
	}
	w.change(away, func(e *previews.Environment) { e.Spec = []byte("service: {}") })
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2)})
}

// TestPropose bounds what is kept of a pull request's own manifests.
func TestPropose(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("+x\n", 8_000) // 24,000 bytes: two of them are kept
	given := []manifests.Difference{{Object: "A a", Diff: long}, {Object: "B b", Diff: long}, {Object: "C c", Diff: "+x\n"}}
	got := previews.Propose(given)
	for i, kept := range []bool{true, true, false} {
		if (got.Changes[i].Diff != "") != kept || got.Changes[i].Object != given[i].Object || given[i].Diff == "" {
			t.Errorf("%s: kept %d bytes of %d", given[i].Object, len(got.Changes[i].Diff), len(given[i].Diff))
		}
	}
}
