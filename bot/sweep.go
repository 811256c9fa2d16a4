package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

// Sweeper finds what no webhook told: it compares the open pull requests of every
// repository that has environments with their rows and, for each that differs,
// stores a delivery of its own. That one goes the way of every other, so whatever
// follows is decided from the pull request as it then is.
type Sweeper struct {
	Store  SweepStore
	GitHub func(installationID int64) Lister
	Now    func() time.Time
	Log    *slog.Logger

	// looked holds the heads of pull requests without a row that were looked at
	// already: nothing was wanted for them, and until they move nothing will be.
	looked map[pullRequestKey]string
}

type pullRequestKey struct {
	repositoryID int64
	number       int
}

// Sweep looks at every repository once; calls must not overlap. One that cannot be listed is left as it
// is and named in the error; the others go on.
func (s *Sweeper) Sweep(ctx context.Context) error {
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
	for _, number := range s.differing(rows, open) {
		stored, err := s.deliver(ctx, newest.InstallationID, repo, number)
		if err != nil {
			return err
		}
		if stored {
			found++
		}
	}
	if found > 0 {
		s.Log.Info("sweep found changes that no webhook told", "repo", repo.Owner+"/"+repo.Name, "pull_requests", found)
	}
	return nil
}

// differing returns the numbers of the pull requests that do not look like their
// rows: a head that moved on, one without a row, one with a row but not open.
func (s *Sweeper) differing(rows []previews.Environment, open []PullRequest) []int {
	heads := make(map[int]string, len(open))
	for _, pr := range open {
		heads[pr.Number] = pr.HeadSHA
	}
	var numbers []int
	known := make(map[int]bool, len(rows))
	for _, row := range rows {
		known[row.PR] = true
		head, isOpen := heads[row.PR]
		if isOpen && head != row.HeadSHA || !isOpen && row.Wanted == previews.Present {
			numbers = append(numbers, row.PR)
		}
	}
	if s.looked == nil {
		s.looked = map[pullRequestKey]string{}
	}
	for _, pr := range open {
		key := pullRequestKey{pr.Repository.ID, pr.Number}
		if !known[pr.Number] && s.looked[key] != pr.HeadSHA {
			s.looked[key] = pr.HeadSHA
			numbers = append(numbers, pr.Number)
		}
	}
	return numbers
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
