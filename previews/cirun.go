package previews

import (
	"context"
	"errors"
	"time"
)

// CI is what runs at a revision, as it was seen while an image was waited for.
type CI struct {
	// SHA is the revision.
	SHA     string    `json:"sha"`
	AskedAt time.Time `json:"askedAt"`
	// Refused says that idp may not see what runs.
	Refused bool    `json:"refused,omitempty"`
	Runs    []CIRun `json:"runs,omitempty"`
}

// RunState is how a run of a workflow stands.
type RunState string

// The states of a run.
const (
	RunQueued  RunState = "queued"
	RunRunning RunState = "running"
	RunPassed  RunState = "passed"
	RunFailed  RunState = "failed"
)

// CIRun is the newest run of one workflow at a revision.
type CIRun struct {
	// Workflow is GitHub's id of the workflow, and Name what it is called.
	Workflow int64  `json:"workflow"`
	Name     string `json:"name"`
	// URL is the run's page.
	URL   string   `json:"url"`
	State RunState `json:"state"`
	// Since is when it began or, of one that is queued, was asked for.
	Since time.Time `json:"since"`
	// Usual is how long the workflow took lately, as the median; 0 where nobody knows. Late
	// says that this run takes markedly longer.
	Usual time.Duration `json:"usual,omitempty"`
	Late  bool          `json:"late,omitempty"`
}

// Ongoing says that the run has not ended.
func (r CIRun) Ongoing() bool { return r.State == RunQueued || r.State == RunRunning }

// Runs are the runs at the revision that is wanted, as they were last seen.
func (e *Environment) Runs() []CIRun {
	if e.CI == nil || e.CI.SHA != e.SHA {
		return nil
	}
	return e.CI.Runs
}

// followCI has env know what CI does at its revision, as often as GitHub is asked. That it
// cannot be read holds nothing up.
func (w *ImageWatcher) followCI(ctx context.Context, env *Environment) {
	now := w.Now()
	seen := CI{SHA: env.SHA}
	if env.CI != nil && env.CI.SHA == env.SHA {
		seen = *env.CI
	}
	if w.Upstream == nil || seen.Refused || now.Sub(seen.AskedAt) < upstreamEvery {
		return
	}
	runs, err := w.Upstream.Runs(ctx, *env, seen.Runs)
	seen.AskedAt = now
	switch {
	case err == nil:
		for i := range runs {
			usual := runs[i].Usual
			runs[i].Late = usual > 0 && runs[i].State == RunRunning && now.Sub(runs[i].Since) > usual+usual/2
		}
		seen.Runs = runs
	case errors.Is(err, ErrNoRuns):
		seen.Refused = true
	default:
		w.Log.Info("it is not known what CI does", "env", env.Ref.String(), "error", err)
	}
	env.CI = &seen
}

// AskCI has CI asked for with the next look for images.
func (e *Environment) AskCI() {
	if e.CI != nil {
		ci := *e.CI
		ci.AskedAt = time.Time{}
		e.CI = &ci
	}
}
