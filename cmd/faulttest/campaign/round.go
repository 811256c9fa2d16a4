package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews/store"
)

const (
	// fewestEvents and mostEvents bound what people do in a round: at least the first, and
	// on and on until the faults have done enough.
	fewestEvents, mostEvents = 90, 120
	// longestRound is how long faults may go on.
	longestRound = 6 * time.Minute
	// rest is how long idp may take to come to rest. What it tries again for as long: a
	// delivery five times, the last two minutes after the one before; and on PostgreSQL
	// what a replica was at that died, three minutes later.
	rest = 7 * time.Minute
	// tellEvery is how often is told what a round waits for.
	tellEvery = 30 * time.Second
)

// round is one round being played.
type round struct {
	*world
	plan    plan
	tell    func(line string)
	history *history
	figures figures
	// control is held while a replica is ended and started on purpose.
	control sync.Mutex

	breaking   sync.Mutex
	violations []Violation
}

func newRound(ctx context.Context, program string, p plan, tell func(string)) (*round, error) {
	random := rand.New(rand.NewPCG(p.seed, 1))
	w, err := newWorld(ctx, program, p, random)
	if err != nil {
		return nil, fmt.Errorf("prepare the round: %w", err)
	}
	return &round{world: w, plan: p, tell: tell, history: newHistory(w, rand.New(rand.NewPCG(p.seed, 3))), figures: figures{counts: map[string]int{}}}, nil
}

// leave has close leave the round's folder behind.
func (r *round) leave() { r.Dir = "" }

// play plays the round. The error is for what kept it from being played.
func (r *round) play(ctx context.Context) error {
	if r.argocd != nil {
		steering, end := context.WithCancel(ctx)
		var steers sync.WaitGroup
		steers.Go(func() { r.steer(steering) })
		defer steers.Wait()
		defer end()
	}
	if err := r.startAll(ctx); err != nil {
		return err
	}
	if err := r.trouble(ctx); err != nil {
		return err
	}
	for _, each := range r.replicas {
		if err := r.alone(func() error { return r.revive(ctx, each) }); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// trouble has people do things while the faults last.
func (r *round) trouble(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longestRound)
	defer cancel()
	lasting, end := context.WithCancel(ctx)
	defer end()
	var bounded, all sync.WaitGroup
	failed := make(chan error, len(r.plan.faults)+1)
	for i, f := range r.plan.faults {
		random := rand.New(rand.NewPCG(r.plan.seed, uint64(100+i)))
		if f.bounded {
			bounded.Add(1)
		}
		all.Go(func() {
			if f.bounded {
				defer bounded.Done()
			}
			if err := f.run(lasting, r, random); err != nil && lasting.Err() == nil {
				failed <- fmt.Errorf("%s: %w", f.name, err)
			}
		})
	}
	enough := make(chan struct{})
	go func() {
		bounded.Wait()
		close(enough)
	}()
	err := r.happen(ctx, enough)
	end()
	all.Wait()
	close(failed)
	for each := range failed {
		err = errors.Join(err, each)
	}
	return err
}

// happen has people do things until the faults have done enough.
func (r *round) happen(ctx context.Context, enough <-chan struct{}) error {
	random := rand.New(rand.NewPCG(r.plan.seed, 4))
	for n := 0; ; n++ {
		select {
		case <-enough:
			if n >= fewestEvents {
				return nil
			}
		default:
		}
		if n < mostEvents {
			if err := r.history.step(); err != nil {
				return err
			}
		}
		if stage.Pause(ctx, time.Duration(random.IntN(250))*time.Millisecond) != nil {
			return nil // it has lasted long enough
		}
	}
}

// alone does something to a replica while nobody else does.
func (r *round) alone(do func() error) error {
	r.control.Lock()
	defer r.control.Unlock()
	return do()
}

// revive starts a replica again and again until it serves, as whoever supervises it would.
func (r *round) revive(ctx context.Context, one *stage.Program) error {
	if one.Address() != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	var last error
	err := stage.Until(ctx, 300*time.Millisecond, func() (bool, error) {
		var refused *stage.RefusedToStart
		last = one.Start(ctx)
		if errors.As(last, &refused) {
			r.figures.add("starts that failed", 1)
			return false, nil
		}
		return last == nil, last
	})
	if err != nil && ctx.Err() != nil {
		return errors.Join(err, last)
	}
	return err
}

// settle waits until everything is as it should be, or until it will not be any more.
func (r *round) settle(ctx context.Context) error {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, rest)
	defer cancel()
	var found []Violation
	var trouble error
	quiet, told := 0, time.Now()
	err := stage.Until(limited, 700*time.Millisecond, func() (bool, error) {
		if time.Since(told) > tellEvery {
			told = time.Now()
			r.tell(fmt.Sprintf("seed %d comes to rest since %s: %s", r.plan.seed, time.Since(began).Round(time.Second), r.waitsFor(ctx, found, trouble)))
		}
		if trouble = r.operate(limited); trouble != nil {
			return false, nil // the database may be busy
		}
		var f Facts
		if f, trouble = r.look(limited); trouble != nil {
			return false, nil
		}
		found = Judge(f)
		for _, v := range found {
			if v.final {
				return true, nil
			}
		}
		if len(found) > 0 || r.busy(limited) != "" {
			quiet = 0
			return false, nil
		}
		// What is still under way may say or write something twice.
		quiet++
		return quiet == 3, nil
	})
	r.figures.add("seconds to rest", int(time.Since(began).Seconds()))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(found) == 0 {
		return errors.Join(fmt.Errorf("it does not come to rest in %s: it is busy with %s", rest, r.busy(ctx)), trouble)
	}
	r.count()
	r.breaking.Lock()
	defer r.breaking.Unlock()
	r.violations = append(r.violations, found...)
	return nil
}

// waitsFor says why the round is not over, in a line.
func (r *round) waitsFor(ctx context.Context, found []Violation, trouble error) string {
	switch {
	case trouble != nil:
		return trouble.Error()
	case len(found) > 0:
		return fmt.Sprintf("%d do not hold yet, such as %s: %s", len(found), found[0].Invariant, found[0].Where)
	default:
		return "busy with " + r.busy(ctx)
	}
}

// count takes down what the round's figures say beside.
func (r *round) count() {
	r.edge.mu.Lock()
	defer r.edge.mu.Unlock()
	r.figures.add("webhooks acknowledged", len(r.edge.acked))
	r.figures.add("webhooks refused or lost on the way", r.edge.refused)
	r.figures.add("webhooks that came again", r.edge.again)
	r.figures.add("pushes", r.GitOps.Pushes())
	r.figures.add("requests in a ban window", r.GitHub.BannedRequests())
}

// break_ writes down what a fault has found by itself.
func (r *round) break_(invariant, where string) {
	r.breaking.Lock()
	defer r.breaking.Unlock()
	r.violations = append(r.violations, Violation{invariant, where, true})
}

// operate does what an operator is for: where the breaker holds back removals that were
// inferred, since the webhooks about them never came, it is looked at and confirmed.
func (r *round) operate(ctx context.Context) error {
	latched := false
	err := r.WithStore(ctx, func(s *store.Store) error {
		b, err := s.Breaker(ctx)
		latched = b.Latched
		return err
	})
	if err != nil || !latched {
		return err
	}
	r.figures.add("breaker confirmed", 1)
	_, err = r.run(ctx, "reap", "--confirm")
	return err
}

// run runs another of idp's commands, and looks for secrets in what it prints.
func (r *round) run(ctx context.Context, args ...string) ([]byte, error) {
	out, err := r.replicas[0].Run(ctx, args...)
	r.watch.text("what idp "+args[0]+" prints", fmt.Append(nil, string(out), err))
	return out, err
}

// busy says what idp has still to do, "" when that is nothing.
func (r *round) busy(ctx context.Context) (with string) {
	err := r.WithStore(ctx, func(s *store.Store) error {
		depth, err := s.QueueDepth(ctx)
		if err != nil || depth > 0 {
			with = "deliveries"
			return err
		}
		soon := time.Now().Add(time.Hour)
		rows, err := s.Uncommitted(ctx, gitops.Lane{}, 1)
		if err != nil || len(rows) > 0 {
			with = "commits"
			return err
		}
		unsaid, err := s.Unreported(ctx, soon, 1)
		if err != nil || len(unsaid) > 0 {
			with = "reports"
			return err
		}
		effects, err := s.PendingEffects(ctx, soon, 1)
		if err != nil || len(effects) > 0 {
			with = "replies"
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return with
}

// holds says whether a replica has the lease of the GitOps repository.
func (r *round) holds(ctx context.Context, one *stage.Program) bool {
	if one.Scrape() == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	metrics, err := scrape(ctx, one) // an error says that it is stopped, or gone
	return err == nil && strings.Contains(string(metrics), `idp_lease_held{lease="gitops"} 1`)
}

// tails are the newest lines of the replicas' logs.
func (r *round) tails() string {
	var out []string
	for _, each := range r.replicas {
		out = append(out, each.Name+":\n"+each.Tail(15))
	}
	return strings.Join(out, "\n")
}
