package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"golang.org/x/sync/errgroup"
)

const (
	reportBatch    = 50
	reportParallel = 4
	idleReports    = 15 * time.Second
	// movingEvery is how often a check run and a comment are written at the most while there
	// is nothing new but how far a rollout has come.
	movingEvery = 10 * time.Second
	// finalTries is how often GitHub has to refuse before that is believed: what has
	// just been made is sometimes not found at once.
	finalTries = 3
)

// ReportStore is what the reporter needs of the store.
type ReportStore interface {
	Unreported(ctx context.Context, now time.Time, limit int) ([]store.Reportable, error)
	NextReport(ctx context.Context) (time.Time, bool, error)
	SaveReport(ctx context.Context, rowID int64, r store.Report) error
}

// Publisher writes what the reporter has to say about one installation's
// repositories.
type Publisher interface {
	Comments(ctx context.Context, repo RepositoryRef, number int) ([]Comment, error)
	CreateComment(ctx context.Context, repo RepositoryRef, number int, body string) (id int64, err error)
	EditComment(ctx context.Context, repo RepositoryRef, id int64, body string) error
	DeleteComment(ctx context.Context, repo RepositoryRef, id int64) error
	// FindCheckRun returns the id of this App's check run with the name at the
	// commit, 0 when there is none.
	FindCheckRun(ctx context.Context, repo RepositoryRef, sha, name, environment string) (id int64, err error)
	CreateCheckRun(ctx context.Context, repo RepositoryRef, check report.Check) (id int64, err error)
	UpdateCheckRun(ctx context.Context, repo RepositoryRef, id int64, check report.Check) error
	// FindDeployment returns the id of the deployment of the commit that carries
	// the key, 0 when there is none.
	FindDeployment(ctx context.Context, repo RepositoryRef, d report.Deployment) (id int64, err error)
	CreateDeployment(ctx context.Context, repo RepositoryRef, d report.Deployment) (id int64, err error)
	SetDeploymentStatus(ctx context.Context, repo RepositoryRef, id int64, d report.Deployment) error
}

// Reporter keeps each pull request's comment, check run and deployment as its
// environment's row says. What would not change is not written; what was written
// is found again by its stored id and, after a crash, by its marker.
type Reporter struct {
	Store  ReportStore
	GitHub func(installationID int64) Publisher
	Class  platform.Class
	// ClassOf, when set, returns the class of a part of a declared environment.
	ClassOf func(previews.Environment) platform.Class
	// NotesOf, when set, returns what an environment's spec asks for and does not get.
	NotesOf func(previews.Environment) []string
	// Web is the root of GitHub's pages, for links to them.
	Web   string
	AppID int64
	// Failed, when set, counts the reports that failed.
	Failed func()
	Now    func() time.Time
	Log    *slog.Logger
}

// Loop returns the reporter's loop, woken by wake.
func (r *Reporter) Loop(wake previews.Signal) previews.Loop {
	return previews.Loop{Name: "reports", Step: r.Step, Wake: wake, Idle: idleReports, Due: due(r.Store.NextReport, r.Now), Log: r.Log}
}

// due turns the instant of the next piece of work into how long that is away.
func due(next func(context.Context) (time.Time, bool, error), now func() time.Time) func(context.Context) time.Duration {
	return func(ctx context.Context) time.Duration {
		at, ok, err := next(ctx)
		if err != nil || !ok {
			return idleReports
		}
		return at.Sub(now())
	}
}

// Step reports the environments that changed. A report that fails never holds up the
// others: it is tried again later, waits for access to its repository (parked) or,
// where GitHub lets idp see the repository and not write to it, is given up.
func (r *Reporter) Step(ctx context.Context) (more bool, err error) {
	due, err := r.Store.Unreported(ctx, r.Now(), reportBatch)
	if err != nil {
		return false, fmt.Errorf("list environments to report: %w", err)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(reportParallel)
	for _, one := range due {
		group.Go(func() error { return r.report(gctx, one) })
	}
	err = group.Wait()
	return len(due) == reportBatch, err
}

// report writes one environment's reports and saves how far it came.
func (r *Reporter) report(ctx context.Context, one store.Reportable) error {
	if one.Environment.Shared() || one.Environment.HeadSHA == "" && !one.Environment.Declared() {
		one.Report.ReportedVersion = one.Environment.Version
		return r.save(ctx, one, one.Report) // there is nothing to say of it
	}
	p := &publication{
		gh: r.GitHub(one.Environment.InstallationID), env: one.Environment, saved: one.Report, appID: r.AppID,
		repo:     RepositoryRef{ID: one.Environment.Ref.RepositoryID, Owner: one.Environment.Owner, Name: one.Environment.Repo},
		in:       report.Input{Environment: one.Environment, Class: r.classOf(one.Environment), Notes: r.notesOf(one.Environment), Web: r.Web, Held: one.Report.HeldUntil, Now: r.Now()},
		remember: func(so store.Report) error { return r.save(ctx, one, so) },
	}
	failures := p.all(WithImportance(ctx, importanceOf(one.Environment.State())))
	if ctx.Err() != nil {
		failures = []error{ctx.Err()}
	}
	saved := p.saved
	settle(&saved, failures, one.Environment.Version, r.Now())
	if said := saved.CheckHash != one.Report.CheckHash || saved.CommentHash != one.Report.CommentHash; said && len(failures) == 0 {
		pace(&saved, one.Environment.State(), r.Now())
	}
	if len(failures) > 0 {
		if r.Failed != nil {
			r.Failed()
		}
		r.Log.Warn("report failed", "env", one.Environment.Ref.String(), "parked", saved.Parked, "given_up", saved.GivenUp, "next", saved.NotBefore, "error", saved.LastError)
	}
	return r.save(ctx, one, saved)
}

// settle says what becomes of a report. What failed is tried again, unless GitHub
// went on to refuse all of it: then it waits for access or, where the repository is
// not out of reach, for the next thing to say.
func settle(saved *store.Report, failures []error, version int64, now time.Time) {
	saved.Parked, saved.GivenUp, saved.Paced, saved.NotBefore, saved.LastError = false, false, false, time.Time{}, ""
	if len(failures) == 0 {
		saved.ReportedVersion, saved.Attempts, saved.HeldUntil = version, 0, time.Time{}
		return
	}
	err := errors.Join(failures...)
	if limited(err) {
		saved.HeldUntil = nextTry(err, 0, now)
	}
	saved.LastError = err.Error()
	saved.Attempts++
	final := saved.Attempts >= finalTries && !slices.ContainsFunc(failures, func(err error) bool { return !denied(err) })
	switch {
	case final:
		saved.Parked, saved.Attempts = unreachable(err), 0
		saved.GivenUp = !saved.Parked
	default:
		saved.NotBefore = nextTry(err, saved.Attempts-1, now)
	}
}

// importanceOf is how much it matters to say of an environment in a state how it is: people
// wait for how it ends.
func importanceOf(state previews.State) Importance {
	switch state {
	case previews.StateWaiting, previews.StateCommitting, previews.StateProposed, previews.StateSyncing, previews.StateRemoving:
		return ForProgress
	}
	return ForPeople
}

// pace has what is said next of a rollout under way wait a little.
func pace(saved *store.Report, state previews.State, now time.Time) {
	if state == previews.StateSyncing {
		saved.NotBefore, saved.Paced = now.Add(movingEvery), true
	}
}

// save remembers what was written, even when the program is being stopped.
func (r *Reporter) save(ctx context.Context, one store.Reportable, saved store.Report) error {
	if err := r.Store.SaveReport(context.WithoutCancel(ctx), one.Environment.RowID, saved); err != nil {
		return fmt.Errorf("save report of %s: %w", one.Environment.Ref, err)
	}
	return nil
}

func (r *Reporter) classOf(e previews.Environment) platform.Class {
	if r.ClassOf == nil {
		return r.Class
	}
	return r.ClassOf(e)
}

func (r *Reporter) notesOf(e previews.Environment) []string {
	if r.NotesOf == nil {
		return nil
	}
	return r.NotesOf(e)
}
