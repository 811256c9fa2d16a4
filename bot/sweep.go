package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// SweepEvent is the event name of deliveries that the sweep makes itself; their
// payload is an Event as JSON.
const SweepEvent = "idp_sweep"

// Lister lists what one installation reaches. A list is only ever used to find
// what to look at: a pull request that is not on it is read by its number before
// anything follows from that.
type Lister interface {
	// Repositories leaves archived ones out.
	Repositories(ctx context.Context) ([]RepositoryRef, error)
	OpenPullRequests(ctx context.Context, repo RepositoryRef) ([]PullRequest, error)
}

// Directory is what the sweep asks GitHub as the App itself.
type Directory interface {
	// RedeliverFailed asks GitHub to deliver again what was sent since a time and
	// never arrived, and returns how many deliveries that were.
	RedeliverFailed(ctx context.Context, since time.Time) (int, error)
	// Installations lists those that are not suspended.
	Installations(ctx context.Context) ([]int64, error)
}

// SweepStore is what the sweep needs of the store.
type SweepStore interface {
	Environments(ctx context.Context, f store.Filter) ([]previews.Environment, error)
	UpdateAll(ctx context.Context, rowIDs []int64, fn func(*previews.Environment) error) error
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
	Delivery(ctx context.Context, guid string) (store.Delivery, error)
	ResumeReports(ctx context.Context, repositoryID int64) (resumed int, err error)
}

const (
	// redeliverable is how long GitHub keeps what failed; overlap is how much of the
	// time that the last sweep asked about is asked about again, for redeliveries
	// that failed too.
	redeliverable = 3 * 24 * time.Hour
	overlap       = time.Hour
	// newcomers is how many pull requests without a row one sweep tells of: each is
	// read with its spec, and an owner who just installed the App may have thousands.
	newcomers = 200
)

// Sweeper finds what no webhook told. It asks GitHub to deliver again what never
// arrived. And, for events that GitHub never made, it compares the open pull
// requests of the repositories that the App reaches with their rows and, for each
// that differs, stores a delivery of its own. That one goes the way of every other,
// so whatever follows is decided from the pull request as it then is.
//
// Repositories that have rows are looked at each time, the others in turn. Lists
// are asked for with their ETags: one that did not change costs nothing of
// GitHub's limits.
type Sweeper struct {
	Store  SweepStore
	GitHub func(installationID int64) Lister
	App    Directory
	// Lost, when set, is told for how many environments that are wanted nothing more is heard
	// of their repository, by why.
	Lost func(map[previews.LossReason]int)
	Now  func() time.Time
	Log  *slog.Logger

	// redelivered is when failed deliveries were last asked for.
	redelivered time.Time
	// room is how many pull requests without a row this sweep may still tell of.
	room      int
	itinerary itinerary
}

// Sweep looks at everything that is due; calls must not overlap. What cannot be
// read is left as it is and named in the error, and the rest goes on; a repository
// that idp may not read is no failure.
func (s *Sweeper) Sweep(ctx context.Context) error {
	ctx = WithImportance(ctx, ForUpkeep)
	return errors.Join(s.redeliver(ctx), s.repositories(ctx))
}

func (s *Sweeper) redeliver(ctx context.Context) error {
	now := s.Now()
	since := now.Add(-redeliverable)
	if last := s.redelivered.Add(-overlap); last.After(since) {
		since = last
	}
	count, err := s.App.RedeliverFailed(ctx, since)
	if count > 0 {
		s.Log.Info("asked GitHub to deliver again what never arrived", "deliveries", count)
	}
	if err != nil {
		return fmt.Errorf("redeliver webhooks: %w", err)
	}
	s.redelivered = now
	return nil
}

func (s *Sweeper) repositories(ctx context.Context) error {
	rows, err := s.Store.Environments(ctx, store.Filter{})
	if err != nil {
		return fmt.Errorf("list environments to sweep: %w", err)
	}
	if s.Lost != nil {
		s.Lost(countLost(rows))
	}
	s.room = newcomers
	places, err := s.places(ctx)
	failed := []error{err}
	full := map[int64]bool{} // installations that have to wait for their limits
	for _, stop := range s.itinerary.plan(rows, places, s.Now()) {
		if full[stop.installationID] {
			continue
		}
		if err := s.visit(ctx, stop); err != nil {
			full[stop.installationID] = limited(err)
			failed = append(failed, fmt.Errorf("sweep %s/%s: %w", stop.repo.Owner, stop.repo.Name, err))
		}
	}
	return errors.Join(failed...)
}

// countLost counts environments, each once however many services it has.
func countLost(rows []previews.Environment) map[previews.LossReason]int {
	counts, seen := map[previews.LossReason]int{}, map[gitops.EnvironmentRef]bool{}
	for _, row := range rows {
		if of := row.Ref.Shared(); row.Lost != nil && present(row) && !seen[of] {
			seen[of] = true
			counts[row.Lost.Reason]++
		}
	}
	return counts
}

// places finds where every repository is that the App reaches. An installation
// that cannot be read leaves its repositories to where their rows say they are.
func (s *Sweeper) places(ctx context.Context) (map[int64]place, error) {
	installations, err := s.App.Installations(ctx)
	if err != nil {
		return nil, err
	}
	places := map[int64]place{}
	var failed []error
	for _, id := range installations {
		repos, err := s.GitHub(id).Repositories(ctx)
		if err != nil && !denied(err) {
			failed = append(failed, err)
		}
		for _, repo := range repos {
			places[repo.ID] = place{installationID: id, repo: repo}
		}
	}
	return places, errors.Join(failed...)
}

// visit compares one repository with its rows.
func (s *Sweeper) visit(ctx context.Context, at stop) error {
	open, err := s.GitHub(at.installationID).OpenPullRequests(ctx, at.repo)
	if denied(err) {
		until := s.itinerary.rest(at.repo.ID, s.Now())
		s.Log.Info("a repository cannot be swept", "repo", at.repo.Owner+"/"+at.repo.Name, "next", until, "error", err)
		return lose(ctx, s.Store, s.Log, at.rows, previews.LostUnreadable, s.Now())
	}
	if err != nil {
		return err
	}
	if err := s.follow(ctx, at); err != nil {
		return err
	}
	found := 0
	for _, one := range differing(at.rows, open) {
		stored, err := s.deliver(ctx, at, one)
		if err != nil {
			return err
		}
		if stored {
			found++
		}
	}
	if found > 0 {
		s.Log.Info("sweep found changes that no webhook told", "repo", at.repo.Owner+"/"+at.repo.Name, "pull_requests", found)
	}
	return nil
}

// follow brings the rows to where their repository is, and lets reports go on that
// waited for access to it.
func (s *Sweeper) follow(ctx context.Context, at stop) error {
	if err := follow(ctx, s.Store, at.rows, at.place); err != nil {
		return err
	}
	if !s.itinerary.arrive(at.repo.ID) || len(at.rows) == 0 {
		return nil
	}
	_, err := s.Store.ResumeReports(ctx, at.repo.ID)
	return err
}

// difference is a pull request that does not look like its row.
type difference struct {
	number int
	// looks are those of one without a row, which is looked at once as it is.
	looks string
}

// differing returns the pull requests that do not look like their rows: a head that
// moved on, or a label, draft or base that changed; one that is not open any more;
// one without a row.
func differing(rows []previews.Environment, open []PullRequest) []difference {
	pulls := make(map[int]PullRequest, len(open))
	for _, pr := range open {
		pulls[pr.Number] = pr
	}
	var out []difference
	known := make(map[int]bool, len(rows))
	for _, row := range rows {
		if row.Declared() {
			continue // it is of no pull request
		}
		known[row.PR] = true
		pr, isOpen := pulls[row.PR]
		waits := row.Problem != nil && row.Problem.Kind == previews.ProblemPlatform
		if isOpen && (waits || pr.HeadSHA != row.HeadSHA || pr.looks() != row.Looks) || !isOpen && (present(row) || lookedOpen(row)) {
			out = append(out, difference{number: row.PR})
		}
	}
	for _, pr := range open {
		if !known[pr.Number] {
			out = append(out, difference{number: pr.Number, looks: pr.HeadSHA + "\n" + pr.looks()})
		}
	}
	return out
}

// deliver stores a delivery about a pull request, and says whether it did. About one
// with a row, sweeps that overlap store one a minute. One without a row is told of
// once for each of its looks: nothing was wanted for it as it is, and until it
// changes nothing will be.
func (s *Sweeper) deliver(ctx context.Context, at stop, d difference) (bool, error) {
	now := s.Now()
	guid := fmt.Sprintf("sweep-%d-%d-%d", at.repo.ID, d.number, now.Unix()/60)
	if d.looks != "" {
		if s.room == 0 {
			return false, nil
		}
		guid = fmt.Sprintf("sweep-%d-%d-%s", at.repo.ID, d.number, digest(d.looks))
		known, err := s.Store.Delivery(ctx, guid)
		if err == nil && known.State != store.DeliveryDead {
			return false, nil
		}
		if err != nil && !errors.Is(err, previews.ErrNotFound) {
			return false, err
		}
		s.room--
	}
	event := Event{
		Kind: EventPullRequest, Name: SweepEvent, Action: "swept", InstallationID: at.installationID,
		Repository: at.repo, PR: d.number, Swept: true, Delivery: guid,
	}
	return own(ctx, s.Store, event, now)
}

// own stores an event of idp's own as a delivery.
func own(ctx context.Context, inbox interface {
	AddDelivery(ctx context.Context, d store.Delivery) (stored bool, err error)
}, event Event, now time.Time) (stored bool, err error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return false, fmt.Errorf("encode %s: %w", event.Name, err)
	}
	return inbox.AddDelivery(ctx, store.Delivery{
		GUID: event.Delivery, Event: event.Name, Action: event.Action, InstallationID: event.InstallationID,
		RepositoryID: event.Repository.ID, PR: event.PR, Payload: payload, ReceivedAt: now,
	})
}
