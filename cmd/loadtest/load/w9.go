package load

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/store/floor"
)

// workers is how many deliveries idp works on at once.
const workers = 16

// noOps is W9: deliveries that ask for nothing and wait when idp starts, worked through its
// queue; against River alone, in the same file with the same settings, working jobs that do
// nothing. Of both the eight tenths in the middle count: neither the start nor the end.
func noOps(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	const turns = 3
	var own, alone []float64
	handled := 0
	for range turns {
		s.program.Terminate()
		perSecond, err := floor.River(ctx, s.DatabaseFile(), r.NoOps, workers)
		if err != nil {
			return nil, err
		}
		alone = append(alone, perSecond)
		if err := s.fill(ctx, r.NoOps); err != nil {
			return nil, err
		}
		if perSecond, err = s.work(ctx, r, len(own)); err != nil {
			return nil, err
		}
		own = append(own, perSecond)
	}
	done, err := s.store.Deliveries(ctx, store.DeliveryDone, 1_000_000)
	if err != nil {
		return nil, err
	}
	handled = len(done)
	return []Row{
		atLeast(fmt.Sprintf("%d deliveries that ask for nothing, against River alone", r.NoOps), Figure{mean(own), "/s"}, Figure{mean(alone), "/s"}, 0.8),
		exactly("deliveries handled", handled, turns*r.NoOps),
	}, nil
}

func mean(of []float64) (sum float64) {
	for _, each := range of {
		sum += each
	}
	return sum / float64(len(of))
}

// fill stores deliveries while nobody works.
func (s *site) fill(ctx context.Context, n int) error {
	body, err := worked(s.Installation.ID(), 0, 500)
	if err != nil {
		return err
	}
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range 64 {
		group.Go(func() error {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				d := store.Delivery{GUID: uuid.NewString(), Event: "workflow_run", Action: "completed", InstallationID: s.Installation.ID(), RepositoryID: 1000, Payload: body, ReceivedAt: time.Now()}
				if _, err := s.store.AddDelivery(ctx, d); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// work starts idp and returns how many deliveries it works in a second.
func (s *site) work(ctx context.Context, r *run, turn int) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	starting := make(chan error, 1)
	go func() { starting <- s.start(ctx) }()
	profiled := false
	stop := func() error { return nil }
	n := r.NoOps
	var from, to time.Time
	var first, last int
	err = stage.Until(ctx, 2*time.Millisecond, func() (bool, error) {
		select {
		case err := <-starting:
			if err != nil {
				return false, err
			}
			stop, profiled = r.profile(s, fmt.Sprint(turn)), true
		default:
		}
		depth, err := s.store.QueueDepth(ctx)
		switch {
		case err != nil:
			return false, err
		case depth > n*9/10:
			return false, nil
		case from.IsZero():
			from, first = time.Now(), depth
		case depth <= n/10 && to.IsZero():
			to, last = time.Now(), depth
		}
		return depth == 0, nil
	})
	if !profiled && err == nil {
		err = <-starting
	}
	if err := errors.Join(err, stop()); err != nil {
		return 0, err
	}
	if to.IsZero() || first == last {
		return 0, errors.New("they were done before it could be seen: take more of them")
	}
	return float64(first-last) / to.Sub(from).Seconds(), nil
}
