package bot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/idp-bot/idp/previews"
)

// Building reads what images are named and waited for by.
type Building interface {
	// TestMerge returns how GitHub would merge a pull request.
	TestMerge(ctx context.Context, repo RepositoryRef, number int) (TestMerge, error)
	// Commit reads the commit that a branch's name or a whole SHA stands for.
	Commit(ctx context.Context, repo RepositoryRef, ref string) (Commit, error)
	DefaultBranch(ctx context.Context, repo RepositoryRef) (string, error)
	// Compare returns what head changes since it parted from base, both whole SHAs.
	// ErrNotFound says that they share no history, or that there is no such commit.
	Compare(ctx context.Context, repo RepositoryRef, base, head string) (Comparison, error)
	// History returns a commit and up to 99 that it comes after, in GitHub's order.
	History(ctx context.Context, repo RepositoryRef, sha string) ([]Commit, error)
	// Changes returns the newest commits up to one that change something at a path, at most so
	// many, in GitHub's order. Became returns what the pull requests into a branch that have
	// the commit became there when they were merged.
	Changes(ctx context.Context, repo RepositoryRef, sha, path string, most int) ([]Commit, error)
	Became(ctx context.Context, repo RepositoryRef, sha, branch string) ([]string, error)
	// WorkflowRuns returns the runs of Actions at a commit, and Durations how long the last
	// successful runs of a workflow took. ErrNoAccess says that the App may not see them.
	WorkflowRuns(ctx context.Context, repo RepositoryRef, sha string) ([]WorkflowRun, error)
	Durations(ctx context.Context, repo RepositoryRef, workflow int64) ([]time.Duration, error)
}

// TestMerge is the merge of a pull request that GitHub tries by itself.
type TestMerge struct {
	// SHA is the merge commit, "" while GitHub has not tried, and where it cannot.
	SHA string
	// Conflicts says that it cannot.
	Conflicts bool
}

// Comparison is what a commit changes since it parted from another.
type Comparison struct {
	// Base is the commit that they part at, and Files are the paths that were changed since,
	// with the former paths of what was renamed: MaxCompared or more say that there may be
	// others.
	Base  string
	Files []string
}

// MaxCompared is how many changed files of a comparison GitHub lists.
// Source: docs.github.com/rest/commits/commits#compare-two-commits.
const MaxCompared = 300

// WorkflowRun is a run of a GitHub Actions workflow.
type WorkflowRun struct {
	ID, Workflow int64
	// Name is the workflow's, Event what started it, URL its page.
	Name, Event, URL string
	// Status is GitHub's, such as "in_progress", and Conclusion what a completed one came to.
	Status, Conclusion string
	// AskedAt is when it was asked for, StartedAt when it began, the last time it did.
	AskedAt, StartedAt time.Time
}

// Upstream implements previews.Upstream.
type Upstream struct {
	GitHub func(installationID int64) Building
}

// reach is the client and the repository of an environment.
func (u Upstream) reach(env previews.Environment) (Building, RepositoryRef) {
	return u.GitHub(env.InstallationID), RepositoryRef{ID: env.Ref.RepositoryID, Owner: env.Owner, Name: env.Repo, Private: env.Private}
}

// TestMerge implements previews.Upstream. GitHub tries a merge anew when the base branch
// moves, and what it names meanwhile may merge an older commit: only the merge itself says
// what its second parent is.
func (u Upstream) TestMerge(ctx context.Context, env previews.Environment, known []string) (previews.TestMerge, error) {
	gh, repo := u.reach(env)
	tried, err := gh.TestMerge(ctx, repo, env.PR)
	switch {
	case err != nil || tried.Conflicts || tried.SHA == "":
		return previews.TestMerge{Conflicts: tried.Conflicts}, err
	case slices.Contains(known, tried.SHA):
		return previews.TestMerge{SHA: tried.SHA, Head: env.SHA}, nil
	}
	merge, err := gh.Commit(ctx, repo, tried.SHA)
	switch {
	case errors.Is(err, ErrNotFound):
		return previews.TestMerge{}, nil // it is not known everywhere yet
	case err != nil || len(merge.Parents) != 2:
		return previews.TestMerge{}, err
	}
	return previews.TestMerge{SHA: merge.SHA, Head: merge.Parents[1]}, nil
}

// Divergence implements previews.Upstream.
func (u Upstream) Divergence(ctx context.Context, env previews.Environment) (previews.Divergence, error) {
	gh, repo := u.reach(env)
	branch, err := gh.DefaultBranch(ctx, repo)
	if err != nil {
		return previews.Divergence{}, err
	}
	tip, err := gh.Commit(ctx, repo, "heads/"+branch)
	if err != nil {
		return previews.Divergence{}, err
	}
	compared, err := gh.Compare(ctx, repo, tip.SHA, env.SHA)
	if errors.Is(err, ErrNotFound) {
		return previews.Divergence{Branch: branch, Partial: true}, nil // all of it is new
	}
	return previews.Divergence{Branch: branch, Base: compared.Base, Files: compared.Files, Partial: len(compared.Files) >= MaxCompared}, err
}

// Lineage implements previews.Upstream by the first parent of each commit: what a merge took
// in has not all that the commits beside it have.
func (u Upstream) Lineage(ctx context.Context, env previews.Environment, sha string, most int) ([]string, error) {
	gh, repo := u.reach(env)
	listed, err := gh.History(ctx, repo, sha)
	if err != nil {
		return nil, err
	}
	before := map[string]string{}
	for _, one := range listed {
		before[one.SHA] = ""
		if len(one.Parents) > 0 {
			before[one.SHA] = one.Parents[0]
		}
	}
	var out []string
	for sha != "" && len(out) < most {
		parent, known := before[sha]
		if !known {
			break
		}
		out, sha = append(out, sha), parent
	}
	return out, nil
}

const (
	// maxTouchedPaths is of how many folders of a service it is asked when they changed, and
	// maxTouches how many changes of each.
	maxTouchedPaths = 3
	maxTouches      = 3
)

// Touches implements previews.Upstream. The history of a path has the commits of a pull
// request where that was merged, and CI builds the merge; one that came after sha may have
// more of it.
func (u Upstream) Touches(ctx context.Context, env previews.Environment, branch, sha string, paths []string) ([]string, error) {
	gh, repo := u.reach(env)
	var out []string
	for _, path := range paths[:min(len(paths), maxTouchedPaths)] {
		changes, err := gh.Changes(ctx, repo, sha, path, maxTouches)
		if err != nil {
			return nil, err
		}
		for _, one := range changes {
			became, err := gh.Became(ctx, repo, one.SHA, branch)
			if err != nil {
				return nil, err
			}
			for _, merge := range became {
				switch compared, err := gh.Compare(ctx, repo, merge, sha); {
				case err != nil && !errors.Is(err, ErrNotFound):
					return nil, err
				case compared.Base == merge && !slices.Contains(out, merge):
					out = append(out, merge)
				}
			}
			if !slices.Contains(out, one.SHA) {
				out = append(out, one.SHA)
			}
		}
	}
	return out, nil
}

// maxRuns bounds how many runs of a commit are followed.
const maxRuns = 5

// Runs implements previews.Upstream. What runs comes first, the one that is expected to end
// last before the others, then what failed.
func (u Upstream) Runs(ctx context.Context, env previews.Environment, known []previews.CIRun) ([]previews.CIRun, error) {
	gh, repo := u.reach(env)
	ctx = WithImportance(ctx, ForProgress)
	listed, err := gh.WorkflowRuns(ctx, repo, env.SHA)
	if err != nil {
		return nil, norun(err)
	}
	runs := newestRuns(listed)
	for i := range runs {
		usual, asked := usualOf(runs[i].Workflow, known)
		if runs[i].Ongoing() && !asked {
			if usual, err = median(gh.Durations(ctx, repo, runs[i].Workflow)); err != nil {
				return nil, norun(err)
			}
		}
		runs[i].Usual = usual
	}
	slices.SortStableFunc(runs, func(a, b previews.CIRun) int {
		return cmp.Or(cmp.Compare(runRank(a.State), runRank(b.State)), b.Since.Add(b.Usual).Compare(a.Since.Add(a.Usual)))
	})
	return runs, nil
}

// norun is the error of somebody who may not see what runs.
func norun(err error) error {
	if errors.Is(err, ErrNoAccess) {
		return fmt.Errorf("%w: %w", previews.ErrNoRuns, err)
	}
	return err
}

func runRank(s previews.RunState) int {
	return slices.Index([]previews.RunState{previews.RunRunning, previews.RunQueued, previews.RunFailed, previews.RunPassed}, s)
}

// newestRuns are the newest runs of each workflow for each event, in the order of their
// names, without those that were skipped.
func newestRuns(listed []WorkflowRun) []previews.CIRun {
	type key struct {
		workflow int64
		event    string
	}
	newest := map[key]WorkflowRun{}
	for _, run := range listed {
		if k := (key{run.Workflow, run.Event}); newest[k].ID < run.ID {
			newest[k] = run
		}
	}
	runs := []previews.CIRun{}
	for _, run := range newest {
		state, since := runState(run)
		if state != "" {
			runs = append(runs, previews.CIRun{Workflow: run.Workflow, Name: run.Name, URL: run.URL, State: state, Since: since})
		}
	}
	slices.SortFunc(runs, func(a, b previews.CIRun) int {
		return cmp.Or(cmp.Compare(runRank(a.State), runRank(b.State)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.URL, b.URL))
	})
	return runs[:min(len(runs), maxRuns)]
}

// runState is how a run stands and since when; "" of one that does not count.
// Source: docs.github.com/rest/actions/workflow-runs.
func runState(run WorkflowRun) (previews.RunState, time.Time) {
	switch {
	case run.Status == "in_progress":
		return previews.RunRunning, run.StartedAt
	case run.Status != "completed", run.Conclusion == "action_required": // a fork's waits for somebody who lets it run
		return previews.RunQueued, run.AskedAt
	}
	switch run.Conclusion {
	case "success":
		return previews.RunPassed, run.StartedAt
	case "failure", "timed_out", "cancelled", "startup_failure":
		return previews.RunFailed, run.StartedAt
	}
	return "", time.Time{}
}

// usualOf is how long a workflow takes, as far as that was asked while one of the runs that
// are known went on.
func usualOf(workflow int64, known []previews.CIRun) (usual time.Duration, asked bool) {
	for _, run := range known {
		if run.Workflow == workflow && (run.Usual > 0 || run.Ongoing()) {
			return run.Usual, true
		}
	}
	return 0, false
}

// median is that of how long a workflow's runs took; 0 for one that is gone, or never ended.
func median(took []time.Duration, err error) (time.Duration, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		return 0, nil
	case err != nil || len(took) == 0:
		return 0, err
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
