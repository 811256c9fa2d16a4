package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// building is a repository on GitHub, as it answers about what is built.
type building struct {
	merge   TestMerge
	commits map[string]Commit
	base    string
	changed []string
	history []Commit
	// changes are by path, and became by commit.
	changes map[string][]Commit
	became  map[string][]string
	runs    []WorkflowRun
	took    map[int64][]time.Duration
	err     error
	asked   []string
}

func (b *building) TestMerge(context.Context, RepositoryRef, int) (TestMerge, error) {
	return b.merge, b.err
}

func (b *building) Commit(_ context.Context, _ RepositoryRef, ref string) (Commit, error) {
	b.asked = append(b.asked, ref)
	c, ok := b.commits[ref]
	if !ok {
		return c, ErrNotFound
	}
	return c, nil
}

func (b *building) DefaultBranch(context.Context, RepositoryRef) (string, error) {
	return "trunk", b.err
}

func (b *building) Compare(_ context.Context, _ RepositoryRef, base, head string) (Comparison, error) {
	if b.base == "" {
		return Comparison{}, ErrNotFound
	}
	b.asked = append(b.asked, base+"..."+head)
	return Comparison{Base: b.base, Files: b.changed}, nil
}

func (b *building) History(context.Context, RepositoryRef, string) ([]Commit, error) {
	return b.history, b.err
}

func (b *building) Changes(_ context.Context, _ RepositoryRef, sha, path string, most int) ([]Commit, error) {
	b.asked = append(b.asked, fmt.Sprintf("%d of %s to %s", most, path, sha))
	return b.changes[path], b.err
}

func (b *building) Became(_ context.Context, _ RepositoryRef, sha, branch string) ([]string, error) {
	b.asked = append(b.asked, sha+" in "+branch)
	return b.became[sha], b.err
}

func (b *building) WorkflowRuns(context.Context, RepositoryRef, string) ([]WorkflowRun, error) {
	return b.runs, b.err
}

func (b *building) Durations(_ context.Context, _ RepositoryRef, workflow int64) ([]time.Duration, error) {
	b.asked = append(b.asked, fmt.Sprint(workflow))
	took, ok := b.took[workflow]
	if !ok {
		return nil, ErrNotFound
	}
	return took, nil
}

func (b *building) upstream() Upstream {
	return Upstream{GitHub: func(int64) Building { return b }}
}

var headed = previews.Environment{SHA: "head", PR: 7}

// Only a merge of the head itself counts, whatever GitHub says of the pull request.
func TestUpstreamMerge(t *testing.T) {
	t.Parallel()
	commits := map[string]Commit{
		"merge":  {SHA: "merge", Parents: []string{"base", "head"}},
		"stale":  {SHA: "stale", Parents: []string{"base", "older"}},
		"single": {SHA: "single", Parents: []string{"head"}},
	}
	for name, test := range map[string]struct {
		tried TestMerge
		known []string
		want  previews.TestMerge
	}{
		"a merge":                  {tried: TestMerge{SHA: "merge"}, want: previews.TestMerge{SHA: "merge", Head: "head"}},
		"of an older head":         {tried: TestMerge{SHA: "stale"}, want: previews.TestMerge{SHA: "stale", Head: "older"}},
		"no merge":                 {tried: TestMerge{SHA: "single"}},
		"not known everywhere yet": {tried: TestMerge{SHA: "absent"}},
		"not tried yet":            {},
		"conflicts":                {tried: TestMerge{SHA: "merge", Conflicts: true}, want: previews.TestMerge{Conflicts: true}},
		"known":                    {tried: TestMerge{SHA: "unread"}, known: []string{"unread"}, want: previews.TestMerge{SHA: "unread", Head: "head"}},
	} {
		b := &building{merge: test.tried, commits: commits}
		if got, err := b.upstream().TestMerge(t.Context(), headed, test.known); err != nil || got != test.want {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, test.want)
		}
	}
	b := &building{err: errors.New("ill")}
	if _, err := b.upstream().TestMerge(t.Context(), headed, nil); err == nil {
		t.Error("an error is none")
	}
}

func TestUpstreamDivergence(t *testing.T) {
	t.Parallel()
	b := &building{base: "b1", changed: []string{"a"}, commits: map[string]Commit{"heads/trunk": {SHA: "tip"}}}
	got, err := b.upstream().Divergence(t.Context(), headed)
	if err != nil || got.Branch != "trunk" || got.Base != "b1" || got.Partial || !slices.Equal(got.Files, []string{"a"}) || !slices.Contains(b.asked, "tip...head") {
		t.Errorf("%+v (%v), asked %v", got, err, b.asked)
	}
	b.changed = make([]string, MaxCompared)
	if got, err := b.upstream().Divergence(t.Context(), headed); err != nil || !got.Partial {
		t.Errorf("with as many files as are listed: %+v (%v)", got.Partial, err)
	}
	b.base = ""
	if got, err := b.upstream().Divergence(t.Context(), headed); err != nil || !got.Partial {
		t.Errorf("without a common history: %+v (%v)", got, err)
	}
	b.commits = nil
	if _, err := b.upstream().Divergence(t.Context(), headed); err == nil {
		t.Error("without a default branch nothing is known")
	}
}

// What was merged into the default branch is no state of it.
func TestUpstreamLineage(t *testing.T) {
	t.Parallel()
	b := &building{history: []Commit{
		{SHA: "m2", Parents: []string{"m1", "side2"}}, {SHA: "side2", Parents: []string{"side1"}}, {SHA: "m1", Parents: []string{"m0"}},
		{SHA: "side1", Parents: []string{"m0"}}, {SHA: "m0", Parents: []string{"beyond"}},
	}}
	for most, want := range map[int][]string{20: {"m2", "m1", "m0"}, 2: {"m2", "m1"}} {
		if got, err := b.upstream().Lineage(t.Context(), headed, "m2", most); err != nil || !slices.Equal(got, want) {
			t.Errorf("at most %d: %v (%v), want %v", most, got, err, want)
		}
	}
	b.history = []Commit{{SHA: "root"}}
	if got, err := b.upstream().Lineage(t.Context(), headed, "root", 20); err != nil || !slices.Equal(got, []string{"root"}) {
		t.Errorf("of a first commit: %v (%v)", got, err)
	}
}

// Where a service last changed is what CI built: the merge of the pull request before its
// commits, as long as that came no later than where this one parts.
func TestUpstreamTouches(t *testing.T) {
	t.Parallel()
	b := &building{base: "m1", changes: map[string][]Commit{"api": {{SHA: "c2"}, {SHA: "c1"}}, "libs": {{SHA: "c1"}}},
		became: map[string][]string{"c2": {"m1", "later"}}}
	got, err := b.upstream().Touches(t.Context(), headed, "trunk", "base", []string{"api", "libs", "x", "y"})
	if want := []string{"m1", "c2", "c1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v (%v), want %v", got, err, want)
	}
	if !slices.Contains(b.asked, "3 of api to base") || !slices.Contains(b.asked, "c2 in trunk") || slices.Contains(b.asked, "3 of y to base") {
		t.Errorf("asked %v", b.asked)
	}
	b.err = errors.New("ill")
	if _, err := b.upstream().Touches(t.Context(), headed, "trunk", "base", []string{"api"}); err == nil {
		t.Error("an error is none")
	}
}

func TestUpstreamRuns(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0).UTC()
	b := &building{
		took: map[int64][]time.Duration{1: {9 * time.Minute, 5 * time.Minute, 6 * time.Minute}, 2: nil},
		runs: []WorkflowRun{
			{ID: 1, Workflow: 1, Name: "ci", Status: "completed", Conclusion: "failure", StartedAt: at},
			{ID: 9, Workflow: 1, Name: "ci", Status: "in_progress", AskedAt: at, StartedAt: at.Add(time.Minute)},
			{ID: 3, Workflow: 2, Name: "e2e", Status: "queued", AskedAt: at},
			{ID: 4, Workflow: 3, Name: "lint", Status: "completed", Conclusion: "cancelled", StartedAt: at},
			{ID: 5, Workflow: 4, Name: "docs", Status: "completed", Conclusion: "success", StartedAt: at},
			{ID: 6, Workflow: 5, Name: "labels", Status: "completed", Conclusion: "skipped", StartedAt: at},
			{ID: 7, Workflow: 3, Name: "lint", Event: "push", Status: "completed", Conclusion: "action_required", AskedAt: at},
		},
	}
	got, err := b.upstream().Runs(t.Context(), headed, nil)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, run := range got {
		lines = append(lines, fmt.Sprintf("%s %s since %d usually %s", run.Name, run.State, run.Since.Unix(), run.Usual))
	}
	want := []string{
		"ci running since 1060 usually 6m0s", "e2e queued since 1000 usually 0s", "lint queued since 1000 usually 0s",
		"lint failed since 1000 usually 0s", "docs passed since 1000 usually 0s",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("runs are %q, want %q", lines, want)
	}
	b.asked = nil
	if again, err := b.upstream().Runs(t.Context(), headed, got); err != nil || again[0].Usual != 6*time.Minute || len(b.asked) != 0 {
		t.Errorf("knowing them it asked %v, and says %+v (%v)", b.asked, again, err)
	}
	for i := range 20 {
		b.runs = append(b.runs, WorkflowRun{ID: int64(100 + i), Workflow: int64(100 + i), Name: "x", Status: "completed", Conclusion: "success"})
	}
	if got, err := b.upstream().Runs(t.Context(), headed, got); err != nil || len(got) != maxRuns || got[0].Name != "ci" {
		t.Errorf("of many %d are followed, %+v first (%v)", len(got), got[0], err)
	}
	b.err = ErrNoAccess
	if _, err := b.upstream().Runs(t.Context(), headed, nil); !errors.Is(err, previews.ErrNoRuns) {
		t.Errorf("without the permission: %v", err)
	}
	b.err = errors.New("ill")
	if _, err := b.upstream().Runs(t.Context(), headed, nil); err == nil || errors.Is(err, previews.ErrNoRuns) {
		t.Errorf("an error: %v", err)
	}
}
