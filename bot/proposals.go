package bot

import (
	"context"
	"errors"
	"fmt"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
)

// Changes proposes changes to one installation's GitOps repositories.
type Changes interface {
	ProposeChange(ctx context.Context, repo RepositoryRef, change Change) (number int, err error)
	ChangeState(ctx context.Context, repo RepositoryRef, number int) (state, mergeSHA string, err error)
	CloseChange(ctx context.Context, repo RepositoryRef, number int, comment string) error
}

// Proposals are the pull requests of one GitOps repository, as the proposer opens and
// follows them.
type Proposals struct {
	// Repository returns the GitOps repository and the installation that reaches it.
	Repository func(ctx context.Context) (repo RepositoryRef, installation int64, err error)
	GitHub     func(installation int64) Changes
	// Base is the branch that they go to, and Page the root of GitHub's pages.
	Base, Page string
}

func (p *Proposals) reach(ctx context.Context) (Changes, RepositoryRef, error) {
	repo, installation, err := p.Repository(ctx)
	if err != nil {
		return nil, repo, fmt.Errorf("find the GitOps repository on GitHub: %w", err)
	}
	return p.GitHub(installation), repo, nil
}

// Open implements previews.Pulls.
func (p *Proposals) Open(ctx context.Context, branch string, rows []previews.Environment) (number int, url string, err error) {
	gh, repo, err := p.reach(ctx)
	if err != nil {
		return 0, "", err
	}
	title, body := report.Proposal(rows, p.Page)
	number, err = gh.ProposeChange(ctx, repo, Change{Branch: branch, Base: p.Base, Title: title, Body: body})
	switch {
	case errors.Is(err, ErrNothingToPropose):
		return 0, "", fmt.Errorf("%w: %w", previews.ErrMerged, err)
	case errors.Is(err, ErrNotFound):
		return 0, "", fmt.Errorf("%w: %w", previews.ErrNotFound, err)
	case err != nil:
		return 0, "", err
	}
	return number, fmt.Sprintf("%s/%s/%s/pull/%d", p.Page, repo.Owner, repo.Name, number), nil
}

// State implements previews.Pulls.
func (p *Proposals) State(ctx context.Context, number int) (state previews.PullState, mergeSHA string, err error) {
	gh, repo, err := p.reach(ctx)
	if err != nil {
		return "", "", err
	}
	found, mergeSHA, err := gh.ChangeState(ctx, repo, number)
	switch found {
	case ChangeMerged:
		state = previews.PullMerged
	case ChangeClosed:
		state = previews.PullClosed
	case ChangeOpen:
		state = previews.PullOpen
	}
	return state, mergeSHA, err
}

// Close implements previews.Pulls.
func (p *Proposals) Close(ctx context.Context, number int, why string) error {
	gh, repo, err := p.reach(ctx)
	if err != nil {
		return err
	}
	return gh.CloseChange(ctx, repo, number, why)
}
