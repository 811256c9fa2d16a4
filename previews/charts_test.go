package previews_test

import (
	"context"
	"errors"
	"testing"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// TestCharts keeps what a generation is rendered from before it is pushed, so that whoever goes
// on after a crash renders from the same; what is next may be from others, or from none.
func TestCharts(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	pinned := "h1:one"
	render := func(ctx context.Context, e previews.Environment) (previews.Rendered, error) {
		rendered, err := renderPlainly(ctx, e)
		if pinned != "" {
			rendered.Charts = &previews.Charts{Generation: e.Generation, UsedCharts: platform.UsedCharts{At: firstSHA(8), Digests: map[string]string{"web": pinned}}}
		}
		return rendered, err
	}
	w.committer.Render = render
	id := w.add(1, 1)
	w.committer.Git = at(w.git, "pushed", func() error { return errCrash })
	if _, err := w.committer.Step(t.Context()); !errors.Is(err, errCrash) {
		t.Fatalf("it did not crash: %v", err)
	}
	if got := w.row(id); got.AppliedGeneration == got.Generation || got.Charts == nil || got.Charts.Generation != got.Generation || got.Charts.Digests["web"] != "h1:one" {
		t.Errorf("after the crash: %+v, generation %d", got.Charts, got.Generation)
	}
	w.restart()
	w.committer.Render = render
	w.settle()
	pinned = "h1:two"
	w.push(id, firstSHA(7))
	if got := w.row(id); got.Charts.Digests["web"] != "h1:one" || got.Charts.Generation == got.Generation {
		t.Errorf("before it is committed: %+v, generation %d", got.Charts, got.Generation)
	}
	w.settle()
	if got := w.row(id); got.Charts.Digests["web"] != "h1:two" || got.Charts.Generation != got.Generation {
		t.Errorf("after a push: %+v, generation %d", got.Charts, got.Generation)
	}
	pinned = ""
	w.push(id, firstSHA(6))
	w.settle()
	if got := w.row(id); got.Charts != nil {
		t.Errorf("without a chart: %+v", got.Charts)
	}
}

// TestChartError tells whose it is to mend, and leaves alone what runs.
func TestChartError(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	id := w.add(1, 1)
	w.settle()
	render := w.committer.Render
	w.committer.Render = func(context.Context, previews.Environment) (previews.Rendered, error) {
		return previews.Rendered{}, &previews.ChartError{Err: fault.New(fault.Conflict, "the chart is another", "Mend it.")}
	}
	w.push(id, firstSHA(7))
	w.settle()
	got := w.row(id)
	if p := got.Problem; p == nil || p.Kind != previews.ProblemChart || p.Message != "the chart is another" || p.Hint != "Mend it." || got.Wanted != previews.Present {
		t.Errorf("it is %s: %+v", got.State(), got.Problem)
	}
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1)})
	w.committer.Render = render
	w.change(id, func(e *previews.Environment) { e.Retry(w.clock.Now()); e.Resolve(nil, w.clock.Now()) })
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(7)})
}
