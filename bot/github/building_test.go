package github

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
)

func TestTestMerge(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "feature")
	read := func() bot.TestMerge {
		t.Helper()
		got, err := w.client.TestMerge(t.Context(), w.ref(), pr.Number())
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := read()
	merge, err := w.client.Commit(t.Context(), w.ref(), first.SHA)
	if err != nil || len(merge.Parents) != 2 || merge.Parents[1] != pr.HeadSHA() || first.Conflicts {
		t.Fatalf("%+v, which is %+v (%v)", first, merge, err)
	}
	// While GitHub thinks, what it names is the last one, and it says that it knows nothing.
	pr.Ponder(true)
	w.web.Commit("main", map[string]string{"main.txt": "1"})
	if got := read(); got != (bot.TestMerge{}) {
		t.Errorf("pondering: %+v", got)
	}
	pr.Ponder(false)
	if got := read(); got.SHA == "" || got.SHA == first.SHA {
		t.Errorf("after the base moved: %+v, before it was %+v", got, first)
	}
	w.web.Commit("main", map[string]string{"feature.txt": "theirs"})
	if got := read(); got != (bot.TestMerge{Conflicts: true}) {
		t.Errorf("conflicting: %+v", got)
	}
	pr.Close("alice")
	if got := read(); got != (bot.TestMerge{}) {
		t.Errorf("closed: %+v", got)
	}
	if _, err := w.client.TestMerge(t.Context(), w.ref(), 99); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("none: %v", err)
	}
	other := w.ref()
	other.ID++
	if _, err := w.client.TestMerge(t.Context(), other, pr.Number()); err == nil {
		t.Error("another repository of the name is read")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	w := setup(t)
	fork := w.web.Branch("main")
	head := w.web.Commit("feature", map[string]string{"a.txt": "a", "b.txt": "b"})
	tip := w.web.Commit("main", map[string]string{"main.txt": "1"})
	got, err := w.client.Compare(t.Context(), w.ref(), tip, head)
	if diff := cmp.Diff(bot.Comparison{Base: fork, Files: []string{"a.txt", "b.txt"}}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err = w.client.Compare(t.Context(), w.ref(), tip, tip); err != nil || got.Base != tip || len(got.Files) != 0 {
		t.Errorf("of itself: %+v (%v)", got, err)
	}
	many := map[string]string{}
	for i := range bot.MaxCompared + 5 {
		many[fmt.Sprintf("many/%d.txt", i)] = "x"
	}
	if got, err = w.client.Compare(t.Context(), w.ref(), tip, w.web.Commit("many", many)); err != nil || len(got.Files) < bot.MaxCompared {
		t.Errorf("%d files of many (%v)", len(got.Files), err)
	}
	for _, bad := range [][2]string{{"main", head}, {tip, "--output"}, {tip, strings.Repeat("0", 40)}} {
		if _, err := w.client.Compare(t.Context(), w.ref(), bad[0], bad[1]); !errors.Is(err, bot.ErrNotFound) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	want := []string{w.web.Branch("main")}
	for i := range 3 {
		want = append(want, w.web.Commit("main", map[string]string{"a.txt": fmt.Sprint(i)}))
	}
	got, err := w.client.History(t.Context(), w.ref(), want[3])
	if err != nil || len(got) < 4 || !slices.Equal(got[0].Parents, want[2:3]) {
		t.Fatalf("%+v (%v)", got, err)
	}
	for i := range 4 {
		if got[i].SHA != want[3-i] {
			t.Errorf("commit %d is %s, want %s", i, got[i].SHA, want[3-i])
		}
	}
	for _, bad := range []string{"main", strings.Repeat("0", 40)} {
		if _, err := w.client.History(t.Context(), w.ref(), bad); !errors.Is(err, bot.ErrNotFound) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestWorkflowRuns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "feature")
	at := w.clock.Now()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.web.RanWorkflow("alice", "build", 6*time.Minute))
	must(w.web.RanWorkflow("alice", "build", 4*time.Minute))
	must(w.web.StartWorkflow("alice", "build", "feature", true))
	w.clock.advance(time.Minute)
	must(w.web.StartWorkflow("alice", "build", "feature", false))
	must(w.web.FinishWorkflow("alice", "lint", "feature", "failure"))
	got, err := w.client.WorkflowRuns(t.Context(), w.ref(), pr.HeadSHA())
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v (%v)", got, err)
	}
	build := got[1]
	if build.Name != "build" || build.Status != "in_progress" || build.Event != "push" || !build.AskedAt.Equal(at) || !build.StartedAt.Equal(at.Add(time.Minute)) || !strings.HasSuffix(build.URL, fmt.Sprintf("/acme/web/actions/runs/%d", build.ID)) {
		t.Errorf("build is %+v", build)
	}
	if lint := got[0]; lint.Status != "completed" || lint.Conclusion != "failure" || lint.Workflow == build.Workflow {
		t.Errorf("lint is %+v", lint)
	}
	took, err := w.client.Durations(t.Context(), w.ref(), build.Workflow)
	if err != nil || !slices.Equal(took, []time.Duration{4 * time.Minute, 6 * time.Minute}) {
		t.Errorf("it took %v (%v)", took, err)
	}
	if took, err := w.client.Durations(t.Context(), w.ref(), got[0].Workflow); err != nil || len(took) != 0 {
		t.Errorf("lint, which never was successful, took %v (%v)", took, err)
	}
	if _, err := w.client.Durations(t.Context(), w.ref(), 1); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("no workflow: %v", err)
	}
	if _, err := w.client.WorkflowRuns(t.Context(), w.ref(), "feature"); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("no SHA: %v", err)
	}
	// What has not changed costs nothing of the hour's requests.
	before := w.count("GET", "/repos/{owner}/{repo}/actions/runs")
	if _, err := w.client.WorkflowRuns(t.Context(), w.ref(), pr.HeadSHA()); err != nil {
		t.Fatal(err)
	}
	requests := w.server.Requests()
	if last := requests[len(requests)-1]; w.count("GET", "/repos/{owner}/{repo}/actions/runs") != before+1 || last.Status != 304 {
		t.Errorf("the same again was answered %d", last.Status)
	}
}

// An App that was not given the permission says so, and lacks nothing else.
func TestWorkflowRunsNotPermitted(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "feature")
	client := w.without(t, "actions")
	if _, err := client.WorkflowRuns(t.Context(), w.ref(), pr.HeadSHA()); !errors.Is(err, bot.ErrNoAccess) || errors.Is(err, bot.ErrNotFound) {
		t.Errorf("runs: %v", err)
	}
	if _, err := client.Durations(t.Context(), w.ref(), 1); !errors.Is(err, bot.ErrNoAccess) {
		t.Errorf("durations: %v", err)
	}
	if got, err := client.TestMerge(t.Context(), w.ref(), pr.Number()); err != nil || got.SHA == "" {
		t.Errorf("the merge: %+v, %v", got, err)
	}
	w.server.Inject(githubtest.Fault{Path: "/repos/acme/web/actions/**", Status: 404})
	if _, err := w.client.WorkflowRuns(t.Context(), w.ref(), pr.HeadSHA()); !errors.Is(err, bot.ErrNotFound) {
		t.Errorf("where there is no Actions: %v", err)
	}
}
