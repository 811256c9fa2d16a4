package previews_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

func TestCommitterBatch(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	one, two, three := w.add(1, 1), w.add(1, 2), w.add(2, 7)
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2), "repo-2/pr-7": firstSHA(7)})
	if n := len(w.commits()); n != 1 {
		t.Errorf("%d commits", n)
	}
	w.clock.Advance(time.Hour)
	w.push(one, "new")
	w.remove(two)
	w.remove(three)
	w.add(2, 8)
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-1": "new", "repo-2/pr-8": firstSHA(8)})
	if n := len(w.commits()); n != 2 {
		t.Errorf("%d commits", n)
	}
	for row, want := range map[int64]previews.State{one: previews.StateCommitted, two: previews.StateGone, three: previews.StateGone} {
		if e := w.row(row); e.State() != want || e.AppliedCommit != w.tip() {
			t.Errorf("%s: %s in %s", e.Ref, e.State(), e.AppliedCommit)
		}
	}
	if more, err := w.committer.Step(t.Context()); more || err != nil {
		t.Errorf("nothing is due: %v, %v", more, err)
	}
	w.once()
}

// More than fits a batch is committed in several, and the lists are true in between.
func TestCommitterBatches(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.committer.Batch = 2
	for pr := range 5 {
		w.add(int64(pr%2+1), pr+1)
	}
	for step, want := range []int{2, 4, 5} {
		more, err := w.committer.Step(t.Context())
		if got := len(w.deployed()); got != want || err != nil || more != (step < 2) {
			t.Errorf("step %d: %d in Git, more %v, error %v", step, got, more, err)
		}
	}
}

// Where a whole batch is removals, the others that wait go in the same commit: each push has
// a cost of its own. What is to be deployed does not wait behind them.
func TestCommitterRemovals(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	var rows []int64
	for pr := range 7 {
		rows = append(rows, w.add(int64(pr%2+1), pr+1))
	}
	w.step()
	w.committer.Batch = 2
	for _, row := range rows {
		w.remove(row)
	}
	w.clock.Advance(time.Minute)
	last := w.add(1, 100)
	w.step()
	w.wantDeployed(map[string]string{})
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-100": firstSHA(100)})
	if n := len(w.commits()); n != 3 {
		t.Errorf("%d commits", n)
	}
	w.remove(last)
	w.clock.Advance(time.Minute)
	w.add(2, 102)
	w.add(2, 103)
	w.step() // one of them is to be deployed: it is a batch like any other
	w.wantDeployed(map[string]string{"repo-2/pr-102": firstSHA(102)})
	w.once()
}

// What arrives while the pace makes the commit wait is in it.
func TestCommitterGathers(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.add(1, 1)
	w.committer.Git = crashing{Writer: w.committer.Git, delay: func() time.Duration {
		w.add(1, 2)
		return time.Millisecond
	}}
	w.step()
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2)})
	if n := len(w.commits()); n != 1 {
		t.Errorf("%d commits", n)
	}
}

// A row that changes while its commit is under way is committed again.
func TestCommitterOvertaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*workshop, int64)
		want   map[string]string
	}{
		"removed": {func(w *workshop, row int64) { w.remove(row) }, map[string]string{"repo-1/pr-2": firstSHA(2)}},
		"pushed": {func(w *workshop, row int64) { w.push(row, "new") }, map[string]string{
			"repo-1/pr-1": "new", "repo-1/pr-2": firstSHA(2),
		}},
		"removed and back": {func(w *workshop, row int64) { w.remove(row); w.push(row, firstSHA(1)) }, map[string]string{
			"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2),
		}},
	} {
		for _, moment := range []string{"planned", "prepared"} {
			t.Run(name+" when "+moment, func(t *testing.T) {
				t.Parallel()
				w := newWorkshop(t)
				row := w.add(1, 1)
				w.add(1, 2)
				once := func() error { test.change(w, row); return nil }
				git := w.committer.Git
				w.committer.Git = at(git, moment, once)
				w.step()
				w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2)})
				w.committer.Git = git
				w.settle()
				w.wantDeployed(test.want)
				w.once()
			})
		}
	}
}

func at(git previews.Writer, moment string, do func() error) crashing {
	c := crashing{Writer: git}
	switch moment {
	case "planned":
		c.planned = do
	case "prepared":
		c.prepared = do
	case "pushed":
		c.pushed = do
	}
	return c
}

// A process that dies at any moment of a commit leaves nothing that the next one
// cannot go on from: nothing is committed twice, nothing of its own is taken for
// somebody else's, and nothing stays behind.
func TestCommitterCrash(t *testing.T) {
	t.Parallel()
	type moves = []func(*workshop, int64)
	push := func(sha string) func(*workshop, int64) { return func(w *workshop, row int64) { w.push(row, sha) } }
	remove := func(w *workshop, row int64) { w.remove(row) }
	for name, test := range map[string]struct {
		// before is committed in peace, then a crash follows each of the moves; last is
		// what happens while the program is down.
		before, moves moves
		last          func(*workshop, int64)
		want          string
	}{
		"the first commit":             {nil, moves{push("a")}, nil, "a"},
		"the first commit and removal": {nil, moves{push("a"), remove}, nil, ""},
		"a push, then another":         {moves{push("a")}, moves{push("b")}, push("c"), "c"},
		// Fault: the second crash made it forget the tree of the first.
		"two pushes":                    {moves{push("a")}, moves{push("b"), push("c")}, push("d"), "d"},
		"a first, its removal and back": {nil, moves{push("a"), remove}, push("a"), "a"},
		// Fault: the folder that was not there was taken for somebody else's doing.
		"a removal, then back": {moves{push("a")}, moves{remove}, push("a"), "a"},
	} {
		for _, moment := range []string{"prepared", "pushed"} {
			t.Run(name+" when "+moment, func(t *testing.T) {
				t.Parallel()
				w := newWorkshop(t)
				row := w.add(1, 1, func(e *previews.Environment) { e.Remove(previews.Removal{}, w.clock.Now()) })
				for _, move := range test.before {
					move(w, row)
					w.step()
				}
				for _, move := range test.moves {
					move(w, row)
					w.committer.Git = at(w.committer.Git, moment, func() error { return errCrash })
					if _, err := w.committer.Step(t.Context()); err == nil {
						t.Fatal("it went on")
					}
					w.restart()
				}
				if test.last != nil {
					test.last(w, row)
				}
				w.settle()
				e := w.row(row)
				if e.Problem != nil {
					t.Fatalf("%s: %s", e.Problem.Kind, e.Problem.Message)
				}
				if test.want == "" {
					w.wantDeployed(nil)
				} else {
					w.wantDeployed(map[string]string{"repo-1/pr-1": test.want})
				}
				if len(e.Intents) != 0 || e.AppliedGeneration != e.Generation {
					t.Errorf("the row did not catch up: %+v", e)
				}
				w.once()
			})
		}
	}
}

// Fault: a removal that was decided between planning and announcing the first
// commit counted as done; a crash right after the push left the files for good.
func TestCommitterRemovedThenCrash(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(1, 1)
	w.committer.Git = crashing{
		Writer: w.committer.Git, pushed: func() error { return errCrash },
		planned: func() error { w.remove(row); return nil },
	}
	if _, err := w.committer.Step(t.Context()); err == nil {
		t.Fatal("it went on")
	}
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1)})
	w.restart()
	w.settle()
	w.wantDeployed(nil)
	if e := w.row(row); e.State() != previews.StateGone {
		t.Errorf("%s", e.State())
	}
}

// A commit that landed is recorded though the program is being stopped.
func TestCommitterStopped(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	w.committer.Git = crashing{Writer: w.committer.Git, pushed: func() error { cancel(); return nil }}
	if _, err := w.committer.Step(ctx); err != nil {
		t.Error(err)
	}
	if e := w.row(row); e.State() != previews.StateCommitted {
		t.Errorf("%s", e.State())
	}
}

// Somebody else's work in a folder is left alone, and only there; asked again, idp
// replaces it.
func TestCommitterHandEdit(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(*workshop, int64){
		"pushed":  func(w *workshop, row int64) { w.push(row, "new") },
		"removed": func(w *workshop, row int64) { w.remove(row) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			one, two := w.add(1, 1), w.add(1, 2)
			w.settle()
			edited := "environments/acme/repo-1/pr-1/manifests/deployment.yaml"
			if _, err := w.remote.Commit(t.Context(), "main", gittest.Edit{
				Message: "by hand", Author: "Grace", Put: []gitops.File{{Path: edited, Content: []byte("revision: hers\n")}},
			}); err != nil {
				t.Fatal(err)
			}
			next(w, one)
			w.push(two, "newer")
			w.settle()
			w.wantDeployed(map[string]string{"repo-1/pr-1": "hers", "repo-1/pr-2": "newer"})
			e := w.row(one)
			if e.Problem == nil || e.Problem.Kind != previews.ProblemChanged || !strings.Contains(e.Problem.Message, "was changed by Grace in commit") {
				t.Fatalf("problem %+v", e.Problem)
			}
			if w.row(two).Problem != nil {
				t.Errorf("the other: %+v", w.row(two).Problem)
			}
			w.change(one, func(e *previews.Environment) {
				e.Retry(w.clock.Now())
				if e.NeedsImages() {
					e.Resolve(nil, w.clock.Now())
				}
			})
			w.settle()
			want := map[string]string{"repo-1/pr-1": "new", "repo-1/pr-2": "newer"}
			if name == "removed" {
				delete(want, "repo-1/pr-1")
			}
			w.wantDeployed(want)
			if e := w.row(one); e.Problem != nil || e.Overwrite {
				t.Errorf("after asking again: %+v", e)
			}
		})
	}
}

// A push that the repository refuses is told where somebody waits for it; what is
// to go stays due.
func TestCommitterRefused(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	gone := w.add(1, 1)
	w.settle()
	w.remove(gone)
	wanted := w.add(1, 2)
	w.remote.RefusePushes(3, "the branch is protected")
	if _, err := w.committer.Step(t.Context()); err == nil {
		t.Error("nobody hears of it")
	}
	if e := w.row(wanted); e.State() != previews.StateFailed || e.Problem.Kind != previews.ProblemPush || !strings.Contains(e.Problem.Message, "the branch is protected") {
		t.Errorf("%s: %+v", e.State(), e.Problem)
	}
	if e := w.row(gone); !e.NeedsCommit() || e.Problem != nil {
		t.Errorf("the removal: %+v", e)
	}
	w.settle()
	w.wantDeployed(nil)
	w.change(wanted, func(e *previews.Environment) { e.Retry(w.clock.Now()); e.Resolve(nil, w.clock.Now()) })
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-2": firstSHA(2)})
}

// Out of reach is no verdict: everything stays due.
func TestCommitterUnreachable(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(1, 1)
	w.remote.FailPushes(20)
	if _, err := w.committer.Step(t.Context()); err == nil {
		t.Error("nobody hears of it")
	}
	if e := w.row(row); !e.NeedsCommit() || e.Problem != nil {
		t.Errorf("%+v", e)
	}
	w.remote.FailPushes(0)
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(1)})
	w.once()
}

// Nobody is left with a check that hangs: after a while the pull request is told,
// and the commit goes on by itself all the same.
func TestCommitterTellsWhatIsStuck(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	row := w.add(1, 1)
	gone := w.add(1, 2)
	w.settle()
	w.push(row, firstSHA(7))
	w.remove(gone)
	w.committer.Git = crashing{Writer: w.git, planned: func() error { return errCrash }}
	fail := func() {
		t.Helper()
		if _, err := w.committer.Step(t.Context()); err == nil {
			t.Error("nobody hears of it")
		}
	}
	fail()
	w.clock.Advance(4 * time.Minute)
	fail()
	if e := w.row(row); e.Problem != nil {
		t.Errorf("told too early: %+v", e.Problem)
	}
	w.clock.Advance(2 * time.Minute)
	fail()
	if e := w.row(row); e.Problem == nil || e.Problem.Kind != previews.ProblemPush || e.Problem.SHA != e.HeadSHA || !e.NeedsCommit() || e.AppliedSHA != firstSHA(1) {
		t.Fatalf("it is %s: %+v", e.State(), e.Problem)
	}
	told := w.row(row).Version
	fail()
	if e := w.row(row); e.Version != told {
		t.Errorf("told again: version %d after %d", e.Version, told)
	}
	w.committer.Git = w.git
	w.settle()
	if e := w.row(row); e.Problem != nil || e.AppliedSHA != firstSHA(7) {
		t.Errorf("it is %s: %+v", e.State(), e.Problem)
	}
	w.wantDeployed(map[string]string{"repo-1/pr-1": firstSHA(7)})
}

// Where somebody made a repository's list something that is no file, that
// repository's previews are told, and all others go on.
func TestCommitterListInTheWay(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	failed := 0
	w.committer.Failed = func() { failed++ }
	w.add(1, 1)
	w.settle()
	list, _ := gitops.PreviewsApplicationSet(2, "repo-2")
	if _, err := w.remote.Commit(t.Context(), "main", gittest.Edit{Message: "Link", Links: map[string]string{list: "/etc/passwd"}}); err != nil {
		t.Fatal(err)
	}
	one, blocked, three := w.add(1, 2), w.add(2, 1), w.add(3, 1)
	w.settle()
	if e := w.row(blocked); e.State() != previews.StateFailed || e.Problem == nil || e.Problem.Kind != previews.ProblemPush || !strings.Contains(e.Problem.Message, list) {
		t.Errorf("it is %s: %+v", e.State(), e.Problem)
	}
	for _, row := range []int64{one, three} {
		if e := w.row(row); e.AppliedGeneration != e.Generation {
			t.Errorf("%s is %s", e.Ref, e.State())
		}
	}
	if failed != 1 {
		t.Errorf("%d counted", failed)
	}
	// Mended, a command brings it.
	if _, err := w.remote.Commit(t.Context(), "main", gittest.Edit{Message: "Unlink", Remove: []string{list}}); err != nil {
		t.Fatal(err)
	}
	w.change(blocked, func(e *previews.Environment) { e.Retry(w.clock.Now()); e.Resolve(nil, w.clock.Now()) })
	w.settle()
	w.wantDeployed(map[string]string{
		"repo-1/pr-1": firstSHA(1), "repo-1/pr-2": firstSHA(2), "repo-2/pr-1": firstSHA(1), "repo-3/pr-1": firstSHA(1),
	})
}

// One that cannot be rendered, or listed, fails alone.
func TestCommitterRenderError(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	broken := w.add(1, 1, func(e *previews.Environment) { e.Spec = []byte("broken") })
	// Fault: it kept every repository from being committed.
	unlistable := w.add(1, 2, func(e *previews.Environment) { e.HeadRef = "unlistable" })
	w.add(1, 3)
	w.settle()
	w.wantDeployed(map[string]string{"repo-1/pr-3": firstSHA(3)})
	for row, why := range map[int64]string{broken: "the host is taken", unlistable: "this revision cannot be rendered"} {
		if e := w.row(row); e.State() != previews.StateFailed || e.Problem.Message != why {
			t.Errorf("%s: %s, %+v", e.Ref, e.State(), e.Problem)
		}
	}
}

// The diff that people see is of their own environment's last two revisions,
// whatever else was committed in between, and an extension leaves it.
func TestCommitterDiff(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	latency := &recorder{}
	w.committer.Latency = latency
	row := w.add(1, 1)
	w.settle()
	if diff := w.row(row).Diff; !strings.Contains(diff, "+revision: "+firstSHA(1)) {
		t.Errorf("the first diff: %s", diff)
	}
	w.add(2, 9)
	w.settle()
	w.clock.Advance(time.Minute)
	w.push(row, "second")
	w.settle()
	first := w.row(row)
	for _, want := range []string{"-revision: " + firstSHA(1), "+revision: second"} {
		if !strings.Contains(first.Diff, want) {
			t.Errorf("no %q in\n%s", want, first.Diff)
		}
	}
	if strings.Contains(first.Diff, "repo-2") || strings.Contains(first.Diff, "environment.yaml") {
		t.Errorf("others' changes in\n%s", first.Diff)
	}
	w.change(row, func(e *previews.Environment) { e.Extend(time.Hour, 1000*time.Hour, w.clock.Now()) })
	w.settle()
	if e := w.row(row); e.Diff != first.Diff || e.AppliedCommit == first.AppliedCommit || !e.AppliedAt.Equal(first.AppliedAt) {
		t.Errorf("after the extension: %q in %s, since %s", e.Diff, e.AppliedCommit, e.AppliedAt)
	}
	if len(latency.seen) != 3 {
		t.Errorf("%d revisions were timed, want 3", len(latency.seen))
	}
}

type recorder struct{ seen []float64 }

func (r *recorder) Observe(v float64) { r.seen = append(r.seen, v) }
