package previews_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest"
)

// judges holds the workshop's commits to real policies from now on.
func (w *workshop) judges(source string) {
	w.committer.Policies = func(ctx context.Context) previews.Judge {
		set := policy.Compile(ctx, []gitops.File{{Path: policy.Dir + "/own.rego", Content: []byte("package main\n\n" + source)}})
		return func(ctx context.Context, row previews.Environment, files []gitops.File) policy.Verdict {
			return set.Objects(ctx, policy.Rendered{Environment: policy.Environment{Name: row.Ref.ID}, Files: files, Manifests: row.Ref.ManifestsDir(), Now: w.clock.Now()})
		}
	}
}

const (
	denyAll  = `deny contains "no revisions here" if input.revision`
	warnAll  = `warn contains "an old kind" if input.revision`
	brokenIt = `deny contains "x" if to_number(concat("", ["x", input.revision])) == 1`
	allowAll = `deny contains "never" if input.kind == "Nothing"`
)

// Of what is refused nothing is committed, and its row says why; others of the same batch
// go on. What warns is kept, and passes.
func TestCommitterJudges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source    string
		committed bool
		problem   string
		warnings  []string
	}{
		"lets pass":       {allowAll, true, "", []string{"told before"}},
		"denies":          {denyAll, false, "a policy refuses it: main.deny: no revisions here (/)", []string{"told before"}},
		"warns":           {warnAll, true, "", []string{"told before", "main.warn: an old kind (/)"}},
		"warns as before": {`warn contains "before" if input.revision`, true, "", []string{"told before", "main.warn: before (/)"}},
		"is broken":       {brokenIt, false, "the platform team's policies cannot be asked: platform/policies/own.rego:3:", []string{"told before"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.judges(c.source)
			told := []string{"told before"}
			if name == "warns as before" {
				told = append(told, "main.warn: before (/)") // each is told once
			}
			row := w.add(7, 42, func(e *previews.Environment) { e.Warnings = told })
			w.step()
			e := w.row(row)
			if (e.AppliedSHA == e.SHA) != c.committed || e.Live() != c.committed {
				t.Errorf("committed: %q of %q", e.AppliedSHA, e.SHA)
			}
			if c.problem == "" && e.Problem != nil || c.problem != "" && (e.Problem == nil || e.Problem.Kind != previews.ProblemPolicy || !strings.HasPrefix(e.Problem.Message, c.problem) || e.State() != previews.StateFailed) {
				t.Errorf("%s: %+v", e.State(), e.Problem)
			}
			if !slices.Equal(e.Warnings, c.warnings) {
				t.Errorf("warnings are %q", e.Warnings)
			}
		})
	}
}

// What runs is not asked about again, nor what is gone back to, and a removal never.
func TestCommitterJudgesWhatIsNew(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(7, 42)
	w.settle()
	w.judges(denyAll)
	w.change(row, func(e *previews.Environment) { e.Extend(time.Hour, 1000*time.Hour, w.clock.Now()) })
	w.settle()
	if e := w.row(row); e.Problem != nil || e.AppliedGeneration != e.Generation {
		t.Errorf("extended, it has %+v", e.Problem)
	}
	w.push(row, strings.Repeat("e", 40))
	w.settle()
	e := w.row(row)
	if e.Problem == nil || e.AppliedSHA == e.SHA || !e.Live() {
		t.Errorf("pushed to, it runs %s with %+v", e.AppliedSHA, e.Problem)
	}
	for _, kind := range []previews.ReleaseKind{previews.ReleaseDeploy, previews.ReleaseRollback, previews.ReleaseAbort} {
		back := previews.Environment{SHA: "new", AppliedSHA: "old", Deployed: &previews.Deployed{Current: previews.Release{Kind: kind}}}
		if back.Known() != (kind != previews.ReleaseDeploy) {
			t.Errorf("%s of another revision is known: %v", kind, back.Known())
		}
	}
	w.remove(row)
	w.settle()
	if e := w.row(row); e.Live() || e.State() != previews.StateGone {
		t.Errorf("removed, it is %s with %+v", e.State(), e.Problem)
	}
}

// Trying a declared environment's release again asks the policies again, and takes it no
// further while they refuse it.
func TestCommitterJudgesRetries(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.judges(denyAll)
	e := storetest.Preview(7, 42, w.clock.Now())
	e.Ref.ID, e.Ref.Service, e.Deployed = "staging", "web", &previews.Deployed{}
	e.Wanted, e.Generation, e.SHA = previews.Absent, 0, ""
	e.Deploy(previews.Release{Kind: previews.ReleaseDeploy, SHA: strings.Repeat("e", 40), Spec: []byte("service: {}"), At: w.clock.Now()}, w.clock.Now())
	e.Resolve(nil, w.clock.Now())
	row := storetest.Add(t, w.store, e).RowID
	again := func() previews.Environment {
		w.change(row, func(e *previews.Environment) { e.Again("bob", 2, w.clock.Now()); e.Resolve(nil, w.clock.Now()) })
		w.settle()
		return w.row(row)
	}
	w.settle()
	first := w.row(row)
	if first.Problem == nil || first.Problem.Kind != previews.ProblemPolicy || first.Live() {
		t.Fatalf("%s: %+v", first.State(), first.Problem)
	}
	if second := again(); second.Problem == nil || second.Problem.Kind != previews.ProblemPolicy || second.Live() || second.Blocked <= first.Blocked {
		t.Errorf("tried again, it is %s: %+v", second.State(), second.Problem)
	}
	w.judges(allowAll)
	if third := again(); third.Problem != nil || third.AppliedSHA != third.SHA {
		t.Errorf("with the policies mended, it is %s: %+v", third.State(), third.Problem)
	}
}

// A step that ends while the policies are asked gives nothing up for it.
func TestCommitterJudgesToTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(7, 42)
	ctx, cancel := context.WithCancel(t.Context())
	w.committer.Policies = func(context.Context) previews.Judge {
		return func(ctx context.Context, _ previews.Environment, _ []gitops.File) policy.Verdict {
			cancel()
			return policy.Verdict{Broken: ctx.Err()}
		}
	}
	if _, err := w.committer.Step(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("the step ends with %v", err)
	}
	if e := w.row(row); e.Problem != nil || !e.NeedsCommit() {
		t.Errorf("it is given up: %+v", e.Problem)
	}
}

// Policies that cannot be read now refuse nothing: what waits for them stays due, and is
// committed once they can be.
func TestCommitterWaitsForPolicies(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(7, 42)
	away := policy.Verdict{Broken: &previews.LaterError{Err: errors.New("the GitOps repository cannot be read")}}
	w.committer.Policies = func(context.Context) previews.Judge {
		return func(context.Context, previews.Environment, []gitops.File) policy.Verdict { return away }
	}
	if _, err := w.committer.Step(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("the step ends with %v", err)
	}
	if e := w.row(row); e.Problem != nil || !e.NeedsCommit() || e.Blocked == e.Generation {
		t.Errorf("it is given up: %+v", e.Problem)
	}
	w.judges(allowAll)
	w.settle()
	if e := w.row(row); e.Problem != nil || e.AppliedSHA != e.SHA {
		t.Errorf("with the policies back, it is %s: %+v", e.State(), e.Problem)
	}
	// What is refused before there is a row to commit is looked at again by the sweep.
	if p := previews.PolicyProblem(away); p.Kind != previews.ProblemPlatform {
		t.Errorf("the problem is %+v", p)
	}
}
