package bot_test

import (
	"context"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
)

// keeping is a platform whose team keeps charts of these names.
func (w *world) keeping(names ...string) platform.Platform {
	w.Helper()
	pins := "charts:\n"
	for _, name := range names {
		pins += "  " + name + ": {digest: \"h1:" + strings.Repeat("A", 43) + "=\"}\n"
	}
	loaded, errs := platform.Load([]gitops.File{{Path: platform.ChartsPath, Content: []byte(pins)}}, w.handler.Class)
	if len(errs) > 0 {
		w.Fatal(errs.Err())
	}
	return loaded
}

// TestHandleCharts: a chart that there is not is an error on its line, but what was read a
// moment ago says that of nobody. Where nothing is known nothing is said.
func TestHandleCharts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	recent, now := w.keeping("worker"), w.keeping("worker", "web")
	var asked []string
	read := func(name string, what *platform.Platform) func(context.Context) (platform.Platform, error) {
		return func(context.Context) (platform.Platform, error) { asked = append(asked, name); return *what, nil }
	}
	w.handler.Recent, w.handler.Platform = read("recent", &recent), read("now", &now)
	push := func(chart string) *previews.Problem {
		t.Helper()
		asked = nil
		w.pr.Push("alice", map[string]string{".idp/deploy.yaml": "service: {name: web}\npreview:\n  source:\n    helm: {chart: " + chart + "}\n"})
		w.handle(w.event("push-" + w.pr.HeadSHA()))
		return w.row().Problem
	}
	if p := push("worker"); p != nil || strings.Join(asked, " ") != "recent" {
		t.Errorf("one that there is: %+v, asked %v", p, asked)
	}
	if p := push("web"); p != nil || strings.Join(asked, " ") != "recent now" {
		t.Errorf("one that came a moment ago: %+v, asked %v", p, asked)
	}
	runs := w.row().SHA
	p := push("wbe")
	if p == nil || p.Kind != previews.ProblemSpec || len(p.Errors) != 1 || p.Errors[0].Line != 4 || p.Errors[0].Column != 19 || p.Errors[0].Suggestion != "web" {
		t.Fatalf("one that there is not: %+v", p)
	}
	if got := w.row(); got.SHA != runs || got.Wanted != previews.Present {
		t.Errorf("what was wanted before is %s, %s", got.Wanted, got.SHA)
	}
	recent = platform.Platform{}
	if p := push("other"); p != nil {
		t.Errorf("where nothing is known: %+v", p)
	}
}
