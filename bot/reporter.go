package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	AppID  int64
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
	p := &publication{
		gh: r.GitHub(one.Environment.InstallationID), env: one.Environment, saved: one.Report, appID: r.AppID,
		repo:     RepositoryRef{ID: one.Environment.Ref.RepositoryID, Owner: one.Environment.Owner, Name: one.Environment.Repo},
		in:       report.Input{Environment: one.Environment, Class: r.Class, Now: r.Now()},
		remember: func(so store.Report) error { return r.save(ctx, one, so) },
	}
	failures := slices.DeleteFunc([]error{p.check(ctx), p.deployment(ctx), p.comment(ctx)}, func(err error) bool { return err == nil })
	if ctx.Err() != nil {
		failures = []error{ctx.Err()}
	}
	saved := p.saved
	settle(&saved, failures, one.Environment.Version, r.Now())
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
	saved.Parked, saved.GivenUp, saved.NotBefore, saved.LastError = false, false, time.Time{}, ""
	if len(failures) == 0 {
		saved.ReportedVersion, saved.Attempts = version, 0
		return
	}
	err := errors.Join(failures...)
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

// save remembers what was written, even when the program is being stopped.
func (r *Reporter) save(ctx context.Context, one store.Reportable, saved store.Report) error {
	if err := r.Store.SaveReport(context.WithoutCancel(ctx), one.Environment.RowID, saved); err != nil {
		return fmt.Errorf("save report of %s: %w", one.Environment.Ref, err)
	}
	return nil
}

// publication is the writing of one environment's reports.
type publication struct {
	gh    Publisher
	env   previews.Environment
	repo  RepositoryRef
	in    report.Input
	saved store.Report
	appID int64
	// remember stores what is about to be created, so that it is looked for even when
	// nobody lives to hear that it was.
	remember func(store.Report) error
}

// check writes the check run of the head, and concludes the one of an older head.
func (p *publication) check(ctx context.Context) error {
	if err := p.supersede(ctx); err != nil {
		return err
	}
	check := report.CheckOf(p.in)
	hash := check.Hash()
	if p.saved.CheckSHA == check.HeadSHA && p.saved.CheckHash == hash {
		return nil
	}
	id, err := p.checkRun(ctx, check)
	if id != 0 {
		p.saved.CheckRunID = id
	}
	if err != nil {
		return err
	}
	p.saved.CheckHash, p.saved.CheckDone = hash, check.Status == "completed"
	return nil
}

// supersede concludes the check run of an older head, unless it concluded.
func (p *publication) supersede(ctx context.Context) error {
	old := p.saved.CheckSHA
	if old == "" || old == p.env.HeadSHA || p.saved.CheckDone {
		return nil
	}
	check, id := report.Superseded(p.in, old), p.saved.CheckRunID
	var err error
	if id == 0 {
		id, err = p.gh.FindCheckRun(ctx, p.repo, old, check.Name, p.env.Ref.Name())
	}
	if err == nil && id != 0 {
		err = p.gh.UpdateCheckRun(ctx, p.repo, id, check)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("conclude the check of %.7s: %w", old, err)
	}
	p.saved.CheckDone = true
	return nil
}

// checkRun updates the head's check run, or creates it where there is none.
func (p *publication) checkRun(ctx context.Context, check report.Check) (int64, error) {
	if p.saved.CheckSHA != check.HeadSHA {
		p.saved.CheckRunID, p.saved.CheckSHA, p.saved.CheckHash = 0, check.HeadSHA, ""
		p.saved.CheckDone = check.Status == "completed"
		if err := p.remember(p.saved); err != nil {
			return 0, err
		}
	}
	id := p.saved.CheckRunID
	if id == 0 {
		found, err := p.gh.FindCheckRun(ctx, p.repo, check.HeadSHA, check.Name, p.env.Ref.Name())
		if err != nil {
			return 0, fmt.Errorf("look for the check of %.7s: %w", check.HeadSHA, err)
		}
		id = found
	}
	if id != 0 {
		err := p.gh.UpdateCheckRun(ctx, p.repo, id, check)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return id, err
		}
	}
	return p.gh.CreateCheckRun(ctx, p.repo, check)
}

// deployment keeps one GitHub Deployment per revision that was committed, and
// makes the one before it inactive, so that no dead link stays.
func (p *publication) deployment(ctx context.Context) error {
	if err := p.retire(ctx); err != nil {
		return err
	}
	d, ok := report.DeploymentOf(p.in)
	if !ok || p.saved.DeploymentSHA == d.SHA && p.saved.DeploymentState == d.Key() {
		return nil
	}
	if p.saved.DeploymentSHA != d.SHA || p.saved.DeploymentID == 0 {
		if err := p.deploy(ctx, d); err != nil {
			return fmt.Errorf("create the deployment of %.7s: %w", d.SHA, err)
		}
	}
	err := p.gh.SetDeploymentStatus(ctx, p.repo, p.saved.DeploymentID, d)
	if errors.Is(err, ErrNotFound) {
		// Somebody deleted it: the next try makes another.
		p.saved.DeploymentID = 0
	}
	if err != nil {
		return fmt.Errorf("set the status of deployment %d: %w", p.saved.DeploymentID, err)
	}
	p.saved.DeploymentState = d.Key()
	return nil
}

// retire makes the deployment inactive when what it shows is no longer there.
func (p *publication) retire(ctx context.Context) error {
	old := p.saved.DeploymentSHA
	if old == "" || p.saved.DeploymentState == "inactive" || old == p.env.AppliedSHA && p.env.Wanted != previews.Absent {
		return nil
	}
	d, id := report.Inactive(p.in), p.saved.DeploymentID
	d.SHA = old
	var err error
	if id == 0 {
		id, err = p.gh.FindDeployment(ctx, p.repo, d)
	}
	if err == nil && id != 0 {
		err = p.gh.SetDeploymentStatus(ctx, p.repo, id, d)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("retire the deployment of %.7s: %w", old, err)
	}
	p.saved.DeploymentState = "inactive"
	return nil
}

// deploy finds the deployment of the revision, or creates it.
func (p *publication) deploy(ctx context.Context, d report.Deployment) error {
	p.saved.DeploymentID, p.saved.DeploymentSHA, p.saved.DeploymentState = 0, d.SHA, ""
	if err := p.remember(p.saved); err != nil {
		return err
	}
	id, err := p.gh.FindDeployment(ctx, p.repo, d)
	if err == nil && id == 0 {
		id, err = p.gh.CreateDeployment(ctx, p.repo, d)
	}
	p.saved.DeploymentID = id
	return err
}

// comment keeps the pull request's one comment.
func (p *publication) comment(ctx context.Context) error {
	body := report.Comment(p.in)
	if body == "" || !report.CommentWanted(p.in, p.saved.CommentID != 0) {
		return nil
	}
	hash := report.Hash(body)
	if p.saved.CommentID != 0 && p.saved.CommentHash == hash {
		return nil
	}
	id, err := p.write(ctx, body)
	if err != nil {
		return err
	}
	p.saved.CommentID, p.saved.CommentHash = id, hash
	return nil
}

// write edits the comment by its stored id; where that is unknown or deleted, the
// one with the marker, on whatever page; where there is none, it creates one.
func (p *publication) write(ctx context.Context, body string) (int64, error) {
	if id := p.saved.CommentID; id != 0 {
		err := p.gh.EditComment(ctx, p.repo, id, body)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return id, err
		}
	}
	id, err := p.findComment(ctx)
	if err != nil {
		return 0, err
	}
	if id != 0 {
		return id, p.gh.EditComment(ctx, p.repo, id, body)
	}
	return p.gh.CreateComment(ctx, p.repo, p.env.PR, body)
}

// findComment finds our comment by its marker and deletes what it finds of it
// beyond the first.
func (p *publication) findComment(ctx context.Context) (int64, error) {
	comments, err := p.gh.Comments(ctx, p.repo, p.env.PR)
	if err != nil {
		return 0, fmt.Errorf("look for the comment on #%d: %w", p.env.PR, err)
	}
	var first int64
	for _, comment := range comments {
		if comment.ViaApp != p.appID || !strings.Contains(comment.Body, report.Marker) {
			continue
		}
		if first == 0 {
			first = comment.ID
			continue
		}
		if err := p.gh.DeleteComment(ctx, p.repo, comment.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return 0, fmt.Errorf("delete a duplicate comment on #%d: %w", p.env.PR, err)
		}
	}
	return first, nil
}
