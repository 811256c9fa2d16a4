package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/robfig/cron/v3"

	"github.com/idp-bot/idp/previews"
)

const (
	deliveryQueue  = "deliveries"
	periodicQueue  = "periodic"
	defaultWorkers = 16
	// pollInterval is how late a retry, or a job whose ring was lost, is picked up.
	pollInterval = 500 * time.Millisecond
	// fetchCooldown bounds how often a burst makes River fetch.
	fetchCooldown = 5 * time.Millisecond

	deliveryTimeout = 2 * time.Minute
	periodicTimeout = 30 * time.Minute
	// rescueAlone and rescueAmongOthers are how long a job runs before River takes it
	// for one whose process has ended; never before the job's own timeout. A SQLite
	// file's server rescues everything as it starts. Where others may be at work a
	// delivery whose replica died is handled by another after this time.
	rescueAlone       = time.Hour
	rescueAmongOthers = deliveryTimeout + time.Minute
	// maxAttempts only has to exceed every Options.Retry and maxLost: how often a delivery
	// is tried is decided in work.
	maxAttempts = 1000
	// maxLost is how often the server may end while a delivery is being handled before that
	// is what is given up. A server may be killed for any reason, so it takes far more than
	// failures that are the delivery's own.
	maxLost = 20
)

// Jobs is the work that the store's queue does.
type Jobs struct {
	// Handle does what a delivery asks for. An error has it called again after a
	// pause; after the last attempt the delivery is dead. Deliveries are handled
	// concurrently and in any order; one that is done already is not handled again.
	Handle func(ctx context.Context, d Delivery) error
	// Periodic is run on schedules; their names are unique.
	Periodic []Periodic
	// Workers is how many deliveries are handled at once; 0 means 16.
	Workers int
	// Failed, when set, counts what failed: "delivery", or a schedule's name.
	Failed func(kind string)
}

// Periodic is something to be done on a schedule. It never runs beside itself. Its
// errors are logged; the schedule goes on.
type Periodic struct {
	Name     string
	Schedule cron.Schedule
	Run      func(ctx context.Context) error
	// RunOnStart has it run once, within about two seconds of StartJobs.
	RunOnStart bool
}

// jobs is a running River client.
type jobs struct {
	worker   worker
	stopping atomic.Bool
	failed   func(kind string)
}

func (j *jobs) count(kind string) {
	if j.failed != nil {
		j.failed(kind)
	}
}

type deliveryJob struct {
	GUID string `json:"guid"`
}

func (deliveryJob) Kind() string { return "delivery" }

type periodicJob struct {
	Name string `json:"name"`
}

func (periodicJob) Kind() string { return "periodic" }

const (
	// crowd is how many deliveries of a repository may wait before more of it yield to those
	// of others, which would wait for all of a burst otherwise.
	crowd = defaultWorkers
	// yields is River's priority of those: it takes what has a lower one first.
	yields = 2
)

// waiting is how many deliveries of a repository are not done, crowd at most.
func waiting(ctx context.Context, tx *transaction, repositoryID int64) (n int, err error) {
	err = tx.QueryRowContext(ctx, `SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE state = 'pending' AND repository_id = ? LIMIT ?) AS early`,
		repositoryID, crowd).Scan(&n)
	return n, err
}

// enqueue inserts one job per delivery; those in late yield to others. Jobs are not unique:
// River skips an insert while its twin runs, which would lose the event.
func (s *Store) enqueue(ctx context.Context, tx *transaction, guids []string, late map[string]bool) error {
	if len(guids) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(guids))
	for i, guid := range guids {
		params[i] = river.InsertManyParams{
			Args:       deliveryJob{GUID: guid},
			InsertOpts: &river.InsertOpts{Queue: deliveryQueue, MaxAttempts: maxAttempts},
		}
		if late[guid] {
			params[i].InsertOpts.Priority = yields
		}
	}
	if err := s.queue.insert(ctx, tx, params); err != nil {
		return fmt.Errorf("insert jobs: %w", err)
	}
	return nil
}

// StartJobs starts working deliveries and schedules, those left over from the
// last run included. It may be called once until StopJobs.
func (s *Store) StartJobs(ctx context.Context, j Jobs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs != nil {
		return errors.New("start jobs: they are running already")
	}
	j.Periodic = append([]Periodic{s.pruning()}, j.Periodic...)
	if err := checkNames(j.Periodic); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	if s.db.recover != nil {
		if err := s.inTx(ctx, "recover_jobs", func(tx *transaction) error { return s.db.recover(ctx, tx) }); err != nil {
			return fmt.Errorf("start jobs: %w", err)
		}
	}
	running := &jobs{failed: j.Failed}
	client, err := s.queue.worker(s.config(j, running))
	if err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	// StopJobs ends them, not the end of ctx, so that they can be drained.
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	running.worker, s.jobs = client, running
	return nil
}

func checkNames(periodic []Periodic) error {
	seen := map[string]bool{}
	for _, p := range periodic {
		if seen[p.Name] {
			return fmt.Errorf("two schedules are named %q", p.Name)
		}
		seen[p.Name] = true
	}
	return nil
}

// StopJobs takes no more work and waits for what is under way. When ctx ends
// first, what is left is cancelled and begins anew at the next start. Without
// running jobs it does nothing.
func (s *Store) StopJobs(ctx context.Context) error {
	s.mu.Lock()
	running := s.jobs
	s.jobs = nil
	s.mu.Unlock()
	if running == nil {
		return nil
	}
	running.stopping.Store(true)
	err := running.worker.Stop(ctx)
	if err == nil {
		return nil
	}
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := running.worker.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

func (s *Store) config(j Jobs, running *jobs) *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &deliveryWorker{store: s, handle: j.Handle, jobs: running})
	periodic := &periodicWorker{store: s, jobs: running, tasks: map[string]*task{}}
	river.AddWorker(workers, periodic)

	schedules := make([]*river.PeriodicJob, 0, len(j.Periodic))
	for _, p := range j.Periodic {
		periodic.tasks[p.Name] = &task{run: p.Run}
		schedules = append(schedules, river.NewPeriodicJob(p.Schedule, func() (river.JobArgs, *river.InsertOpts) {
			return periodicJob{Name: p.Name}, &river.InsertOpts{Queue: periodicQueue, MaxAttempts: 1}
		}, &river.PeriodicJobOpts{RunOnStart: p.RunOnStart}))
	}
	parallel := j.Workers
	if parallel == 0 {
		parallel = defaultWorkers
	}
	return &river.Config{
		Logger:  quiet(s.log),
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			deliveryQueue: {MaxWorkers: parallel},
			periodicQueue: {MaxWorkers: max(len(j.Periodic), 1)},
		},
		PeriodicJobs:                schedules,
		FetchCooldown:               fetchCooldown,
		FetchPollInterval:           pollInterval,
		RetryPolicy:                 retryPolicy{s.retry},
		CompletedJobRetentionPeriod: time.Hour,
		CancelledJobRetentionPeriod: time.Hour,
		DiscardedJobRetentionPeriod: time.Hour,
		ReindexerIndexNames:         []string{},
	}
}

// quiet lets River's warnings through alone, and of those none about an end that was asked for.
func quiet(log *slog.Logger) *slog.Logger { return slog.New(warnings{log.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// Handle leaves out what failed only because the server ends.
func (w warnings) Handle(ctx context.Context, r slog.Record) error {
	ended := false
	r.Attrs(func(a slog.Attr) bool {
		ended = strings.HasSuffix(a.Value.String(), context.Canceled.Error())
		return !ended
	})
	if ended {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

// retryPolicy pauses as Options.Retry says.
type retryPolicy struct{ pauses []time.Duration }

// NextRetry returns when a failed job is due again, by River's clock.
func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	now := time.Now().UTC()
	if len(p.pauses) == 0 {
		return now
	}
	return now.Add(p.pauses[min(max(job.Attempt, 1), len(p.pauses))-1])
}

type deliveryWorker struct {
	river.WorkerDefaults[deliveryJob]
	store  *Store
	handle func(context.Context, Delivery) error
	jobs   *jobs
	// suspect is held by the one delivery that is handled although the server ended while it
	// was handled before: should it be what ends the server, it takes no other with it.
	suspect sync.Mutex
}

func (w *deliveryWorker) Timeout(*river.Job[deliveryJob]) time.Duration { return deliveryTimeout }

// Work handles one delivery. What it returns only tells River whether to come
// back: the delivery's own row says how it stands.
func (w *deliveryWorker) Work(ctx context.Context, job *river.Job[deliveryJob]) error {
	guid := job.Args.GUID
	d, err := w.store.Delivery(ctx, guid)
	if errors.Is(err, previews.ErrNotFound) || err == nil && d.State != DeliveryPending {
		return nil
	}
	if err != nil {
		w.store.log.Warn("a delivery cannot be read; it will be tried again", "delivery", guid, "error", err)
		return river.JobSnooze(time.Second)
	}
	// What neither ended well nor was written down as a failure never came back.
	if lost := job.Attempt - 1 - d.Attempts; lost > 0 {
		if !w.suspect.TryLock() {
			return river.JobSnooze(100 * time.Millisecond)
		}
		defer w.suspect.Unlock()
		if lost > maxLost {
			return w.giveUp(ctx, d, fmt.Errorf("the server ended %d times while it was being handled", lost))
		}
	}
	if err = call(ctx, func(ctx context.Context) error { return w.handle(ctx, d) }); err == nil {
		return w.done(ctx, guid)
	}
	if w.jobs.stopping.Load() && ctx.Err() != nil {
		return river.JobSnooze(0)
	}
	if wait, ok := notYet(err, d, w.store.now()); ok {
		// It has not failed: it is not its turn yet.
		return river.JobSnooze(wait)
	}
	return w.fail(ctx, d, err)
}

// maxOutage is how long a delivery outlives a peer that is away.
const maxOutage = 3 * 24 * time.Hour

// notYet returns how long to wait for what has not failed but cannot be done now,
// by what the error says of itself: until when a limit holds (RetryAt), after what
// time to ask again (RetryAfter), or that a peer is away (Temporary); the longer it
// has been, the longer the wait.
func notYet(err error, d Delivery, now time.Time) (time.Duration, bool) {
	var limited interface{ RetryAt() time.Time }
	if errors.As(err, &limited) {
		return max(limited.RetryAt().Sub(now), 0), true
	}
	var turn interface{ RetryAfter() time.Duration }
	if errors.As(err, &turn) {
		return turn.RetryAfter(), true
	}
	var away interface{ Temporary() bool }
	age := now.Sub(d.ReceivedAt)
	if errors.As(err, &away) && away.Temporary() && age < maxOutage {
		return min(max(age/4, time.Second), time.Minute), true
	}
	return 0, false
}

// done marks a delivery whose handler had nothing to apply.
func (w *deliveryWorker) done(ctx context.Context, guid string) error {
	ended, err := w.store.ended(ctx, guid)
	if err != nil || ended {
		return err
	}
	return w.store.inTx(ctx, "end_delivery", func(tx *transaction) error {
		_, err := endDelivery(ctx, tx, guid, "handled", w.store.now())
		return err
	})
}

// fail records a failure of a delivery's own, and gives it up with the last.
func (w *deliveryWorker) fail(ctx context.Context, d Delivery, cause error) error {
	failures := d.Attempts + 1
	if failures > len(w.store.retry) {
		return w.giveUp(ctx, d, cause)
	}
	w.jobs.count("delivery")
	w.store.log.Info("delivery failed and will be tried again", "delivery", d.GUID, "event", d.Event, "attempt", failures, "error", cause)
	return errors.Join(cause, w.record(ctx, d, false, cause))
}

// giveUp ends a delivery, until somebody replays it.
func (w *deliveryWorker) giveUp(ctx context.Context, d Delivery, cause error) error {
	w.jobs.count("delivery")
	w.store.log.Error("delivery failed too often and was given up", "delivery", d.GUID, "event", d.Event, "attempt", d.Attempts+1, "error", cause)
	if err := w.record(ctx, d, true, cause); err != nil {
		return errors.Join(cause, err)
	}
	return river.JobCancel(cause)
}

func (w *deliveryWorker) record(ctx context.Context, d Delivery, dead bool, cause error) error {
	// The job's own time may be what ran out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	return w.store.failDelivery(ctx, d.GUID, d.Attempts+1, dead, cause)
}

// task is one schedule's work; mu keeps it from running beside itself.
type task struct {
	mu  sync.Mutex
	run func(context.Context) error
}

type periodicWorker struct {
	river.WorkerDefaults[periodicJob]
	store *Store
	jobs  *jobs
	tasks map[string]*task
}

func (w *periodicWorker) Timeout(*river.Job[periodicJob]) time.Duration { return periodicTimeout }

// Work runs one schedule's work, unless it still runs from the last time.
func (w *periodicWorker) Work(ctx context.Context, job *river.Job[periodicJob]) error {
	t := w.tasks[job.Args.Name]
	if t == nil || !t.mu.TryLock() {
		return nil
	}
	defer t.mu.Unlock()
	err := call(ctx, t.run)
	if err != nil && !w.jobs.stopping.Load() {
		w.jobs.count(job.Args.Name)
		w.store.log.Warn("scheduled work failed; it will run again on schedule", "job", job.Args.Name, "error", err)
	}
	return nil
}

// call turns a panic into an error, so that it counts as a failed attempt.
func call(ctx context.Context, fn func(context.Context) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	return fn(ctx)
}
