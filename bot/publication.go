package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

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

// all writes everything there is to say, and returns what failed of it. Of a part that
// nothing was deployed to yet there is only what waits.
func (p *publication) all(ctx context.Context) []error {
	var errs []error
	if p.saved.CheckSHA == "" && p.saved.DeploymentSHA == "" && !p.env.Declared() {
		p.saved.Whole = true
	}
	if p.env.HeadSHA != "" {
		errs = []error{p.check(ctx), p.deployment(ctx), p.comment(ctx)}
	}
	// After the head's, which may be one that waited.
	errs = append(errs, p.queue(ctx))
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// check writes the check run of the head, and concludes the one of an older head.
func (p *publication) check(ctx context.Context) error {
	if err := p.supersede(ctx); err != nil {
		return err
	}
	check := report.CheckOf(p.in)
	hash := check.Hash()
	waited := p.unqueue(check.HeadSHA)
	if waited != 0 && p.saved.CheckSHA == check.HeadSHA {
		p.saved.CheckRunID, p.saved.CheckHash = waited, ""
	}
	if p.saved.CheckSHA == check.HeadSHA && p.saved.CheckHash == hash {
		return nil
	}
	id, err := p.checkRun(ctx, check, waited)
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

// checkRun updates the head's check run, or creates it where there is none. waited is
// the one that it had while it waited for its turn, 0 for none.
func (p *publication) checkRun(ctx context.Context, check report.Check, waited int64) (int64, error) {
	// Where nothing was ever set out to be said of it there is nothing to be found.
	first := waited == 0 && p.saved.CheckSHA != check.HeadSHA && (p.saved.CheckSHA == "" || p.untold(check.HeadSHA))
	if p.saved.CheckSHA != check.HeadSHA {
		p.leave(p.saved.CheckSHA)
		p.saved.CheckRunID, p.saved.CheckSHA, p.saved.CheckHash = waited, check.HeadSHA, ""
		p.saved.CheckDone = check.Status == "completed"
		if err := p.remember(p.saved); err != nil {
			return 0, err
		}
	}
	if first {
		return p.gh.CreateCheckRun(ctx, p.repo, check)
	}
	return p.putCheckRun(ctx, p.saved.CheckRunID, check)
}

// putCheckRun updates the check run with the id or, where that is 0, the one that is
// found; where there is none, it creates one.
func (p *publication) putCheckRun(ctx context.Context, id int64, check report.Check) (int64, error) {
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
	first := p.saved.DeploymentSHA == "" || p.saved.DeploymentSHA != d.SHA && p.untold(d.SHA)
	if p.saved.DeploymentSHA != d.SHA {
		p.leave(p.saved.DeploymentSHA)
	}
	p.saved.DeploymentID, p.saved.DeploymentSHA, p.saved.DeploymentState = 0, d.SHA, ""
	if err := p.remember(p.saved); err != nil {
		return err
	}
	var id int64
	var err error
	if !first {
		id, err = p.gh.FindDeployment(ctx, p.repo, d)
	}
	if err == nil && id == 0 {
		id, err = p.gh.CreateDeployment(ctx, p.repo, d)
	}
	p.saved.DeploymentID = id
	return err
}

// comment keeps the pull request's one comment.
func (p *publication) comment(ctx context.Context) error {
	if p.env.PR == 0 {
		return nil // there is nobody to tell
	}
	if err := p.handOver(ctx); err != nil {
		return err
	}
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

// handOver ends the comment of the pull request that deployed here before, and turns
// to the one that does now.
func (p *publication) handOver(ctx context.Context) error {
	if p.saved.CommentPR == p.env.PR {
		return nil
	}
	if p.env.Declared() && p.saved.CommentPR != 0 && p.saved.CommentID != 0 {
		err := p.gh.EditComment(ctx, p.repo, p.saved.CommentID, report.Passed(p.in, p.saved.CommentPR))
		if err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("end the comment on #%d: %w", p.saved.CommentPR, err)
		}
	}
	p.saved.CommentID, p.saved.CommentHash = 0, ""
	return nil
}

// write edits the comment by its stored id; where that is unknown or deleted, the
// one with the marker, on whatever page; where there is none, it creates one. The first on a
// pull request that had none is not looked for.
func (p *publication) write(ctx context.Context, body string) (int64, error) {
	if id := p.saved.CommentID; id != 0 {
		err := p.gh.EditComment(ctx, p.repo, id, body)
		if err == nil || !errors.Is(err, ErrNotFound) {
			return id, err
		}
	}
	first := p.env.Uncommented && p.saved.CommentPR == 0
	if p.saved.CommentPR != p.env.PR {
		p.saved.CommentPR = p.env.PR
		if err := p.remember(p.saved); err != nil {
			return 0, err
		}
	}
	var id int64
	var err error
	if !first {
		id, err = p.findComment(ctx)
	}
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
		if comment.ViaApp != p.appID || !strings.Contains(comment.Body, report.MarkerOf(&p.env)) {
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

// maxBefore is how many earlier commits of a pull request are remembered.
const maxBefore = 200

// untold says that nothing was ever set out to be created for a commit that is not the one
// at hand, so that there is nothing to be found.
func (p *publication) untold(sha string) bool {
	return p.saved.Whole && !slices.Contains(p.saved.Before, sha)
}

// leave remembers a commit that something may have been created for; after too many what was
// created is looked for again, as that of any other.
func (p *publication) leave(sha string) {
	switch {
	case sha == "" || !p.saved.Whole || slices.Contains(p.saved.Before, sha):
	case len(p.saved.Before) == maxBefore:
		p.saved.Whole, p.saved.Before = false, nil
	default:
		p.saved.Before = append(slices.Clone(p.saved.Before), sha)
	}
}
