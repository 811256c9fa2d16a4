package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// SweepEvent is the event name of deliveries that the sweep makes itself; their
// payload is an Event as JSON.
const SweepEvent = "idp_sweep"

// Lister lists a repository's open pull requests. The list is only ever used to
// find what to look at: a pull request that is not on it is read by its number
// before anything follows from that.
type Lister interface {
	OpenPullRequests(ctx context.Context, repo RepositoryRef) ([]PullRequest, error)
}

// SweepStore is what the sweep needs of the store.
type SweepStore interface {
	Environments(ctx context.Context, f store.Filter) ([]previews.Environment, error)
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
}

// Redeliverer asks GitHub to deliver again what was sent since a time and never
// arrived, and returns how many deliveries that were.
type Redeliverer interface {
	RedeliverFailed(ctx context.Context, since time.Time) (int, error)
}

const (
	// redeliverable is how long GitHub keeps what failed; overlap is how much of the
	// time that the last sweep asked about is asked about again, for redeliveries
	// that failed too.
	redeliverable = 3 * 24 * time.Hour
	overlap       = time.Hour
)

// Sweeper finds what no webhook told. It asks GitHub to deliver again what never
// arrived. And, for events that GitHub never made, it compares the open pull
// requests of every repository that has environments with their rows and, for each
// that differs, stores a delivery of its own. That one goes the way of every other,
// so whatever follows is decided from the pull request as it then is.
type Sweeper struct {
	Store  SweepStore
	GitHub func(installationID int64) Lister
	// Hooks is nil where no webhook is expected.
	Hooks Redeliverer
	Now   func() time.Time
	Log   *slog.Logger

	// looked holds the heads of pull requests that were looked at already, of those
	// that are open and have no preview: nothing was wanted for them, and until they
	// move nothing will be.
	looked map[pullRequestKey]string
	// redelivered is when failed deliveries were last asked for.
	redelivered time.Time
}

type pullRequestKey struct {
	repositoryID int64
	number       int
}

// Sweep looks at everything once; calls must not overlap. A repository that cannot
// be listed is left as it is and named in the error; the others go on.
func (s *Sweeper) Sweep(ctx context.Context) error {
	return errors.Join(s.redeliver(ctx), s.pullRequests(ctx))
}

func (s *Sweeper) redeliver(ctx context.Context) error {
	if s.Hooks == nil {
		return nil
	}
	now := s.Now()
	since := now.Add(-redeliverable)
	if last := s.redelivered.Add(-overlap); last.After(since) {
		since = last
	}
	count, err := s.Hooks.RedeliverFailed(ctx, since)
	if count > 0 {
		s.Log.Info("asked GitHub to deliver again what never arrived", "deliveries", count)
	}
	if err != nil {
		return fmt.Errorf("redeliver webhooks: %w", err)
	}
	s.redelivered = now
	return nil
}

func (s *Sweeper) pullRequests(ctx context.Context) error {
	rows, err := s.Store.Environments(ctx, store.Filter{})
	if err != nil {
		return fmt.Errorf("list environments to sweep: %w", err)
	}
	byRepository := map[int64][]previews.Environment{}
	for _, row := range rows {
		byRepository[row.Ref.RepositoryID] = append(byRepository[row.Ref.RepositoryID], row)
	}
	var failed []error
	for _, rows := range byRepository {
		if err := s.repository(ctx, rows); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (s *Sweeper) repository(ctx context.Context, rows []previews.Environment) error {
	newest := rows[0]
	for _, row := range rows {
		if row.UpdatedAt.After(newest.UpdatedAt) {
			newest = row
		}
	}
	repo := RepositoryRef{ID: newest.Ref.RepositoryID, Owner: newest.Owner, Name: newest.Repo, Private: newest.Private}
	open, err := s.GitHub(newest.InstallationID).OpenPullRequests(ctx, repo)
	if err != nil {
		return fmt.Errorf("sweep %s/%s: %w", repo.Owner, repo.Name, err)
	}
	found := 0
	for _, number := range s.differing(repo.ID, rows, open) {
		stored, err := s.deliver(ctx, newest.InstallationID, repo, number)
		if err != nil {
			return err
		}
		if stored {
			found++
		}
	}
	s.remember(repo.ID, rows, open)
	if found > 0 {
		s.Log.Info("sweep found changes that no webhook told", "repo", repo.Owner+"/"+repo.Name, "pull_requests", found)
	}
	return nil
}

// differing returns the numbers of the pull requests that do not look like their
// rows: a head that moved on; one that is not open any more and has a preview; one
// that is open and has none because it was closed or a draft; one without a row.
func (s *Sweeper) differing(repositoryID int64, rows []previews.Environment, open []PullRequest) []int {
	pulls := make(map[int]PullRequest, len(open))
	for _, pr := range open {
		pulls[pr.Number] = pr
	}
	var numbers []int
	known := make(map[int]bool, len(rows))
	for _, row := range rows {
		known[row.PR] = true
		pr, isOpen := pulls[row.PR]
		switch {
		case isOpen && pr.HeadSHA != row.HeadSHA, !isOpen && row.Wanted == previews.Present,
			isOpen && revived(row, pr) && !s.lookedAt(repositoryID, pr):
			numbers = append(numbers, row.PR)
		}
	}
	for _, pr := range open {
		if !known[pr.Number] && !s.lookedAt(repositoryID, pr) {
			numbers = append(numbers, pr.Number)
		}
	}
	return numbers
}

// revived says that what took the preview away holds no more.
func revived(row previews.Environment, pr PullRequest) bool {
	if row.Wanted == previews.Present {
		return false
	}
	switch row.Removal.Reason {
	case previews.RemovedClosed, previews.RemovedMerged:
		return true
	case previews.RemovedDraft:
		return !pr.Draft
	default:
		return false
	}
}

func (s *Sweeper) lookedAt(repositoryID int64, pr PullRequest) bool {
	return s.looked[pullRequestKey{repositoryID, pr.Number}] == looks(pr)
}

// looks is what a pull request may change about itself to be looked at again.
func looks(pr PullRequest) string {
	if pr.Draft {
		return pr.HeadSHA + " draft"
	}
	return pr.HeadSHA
}

// remember keeps what a repository's open pull requests without a preview look
// like, and forgets the others.
func (s *Sweeper) remember(repositoryID int64, rows []previews.Environment, open []PullRequest) {
	if s.looked == nil {
		s.looked = map[pullRequestKey]string{}
	}
	maps.DeleteFunc(s.looked, func(key pullRequestKey, _ string) bool { return key.repositoryID == repositoryID })
	for _, pr := range open {
		s.looked[pullRequestKey{repositoryID, pr.Number}] = looks(pr)
	}
	for _, row := range rows {
		if row.Wanted == previews.Present {
			delete(s.looked, pullRequestKey{repositoryID, row.PR})
		}
	}
}

func (s *Sweeper) deliver(ctx context.Context, installationID int64, repo RepositoryRef, number int) (bool, error) {
	now := s.Now()
	event := Event{
		Kind: EventPullRequest, Name: SweepEvent, Action: "swept", InstallationID: installationID,
		Repository: repo, PR: number, Swept: true,
		// One delivery a pull request and minute: sweeps that overlap do not pile up.
		Delivery: fmt.Sprintf("sweep-%d-%d-%d", repo.ID, number, now.Unix()/60),
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return false, fmt.Errorf("encode swept event: %w", err)
	}
	return s.Store.AddDelivery(ctx, store.Delivery{
		GUID: event.Delivery, Event: SweepEvent, Action: event.Action, InstallationID: installationID,
		RepositoryID: repo.ID, PR: number, Payload: payload, ReceivedAt: now,
	})
}
