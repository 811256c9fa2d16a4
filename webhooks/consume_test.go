package webhooks

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/previews/store"
)

// desk holds deliveries that are still to be done, and does them.
type desk struct {
	mu      sync.Mutex
	pending []store.Delivery
	done    []string
	broken  map[string]bool
	// busy counts the deliveries at work for each pull request, most the most ever.
	busy map[int]int
	most int
}

func (d *desk) enter(pr, by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy[pr] += by
	d.most = max(d.most, d.busy[pr])
}

func (d *desk) PendingDeliveries(_ context.Context, repositoryID int64, pr int) ([]store.Delivery, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []store.Delivery
	for _, one := range d.pending {
		if one.RepositoryID == repositoryID && one.PR == pr {
			out = append(out, one)
		}
	}
	return out, nil
}

func (d *desk) Apply(_ context.Context, o store.Outcome) error {
	d.finish(o.Delivery, "skipped "+o.Delivery)
	return nil
}

func (d *desk) finish(guid, note string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = append(d.done, note)
	d.pending = slices.DeleteFunc(d.pending, func(one store.Delivery) bool { return one.GUID == guid })
}

func (d *desk) handle(_ context.Context, e bot.Event) error {
	d.mu.Lock()
	broken := d.broken[e.Delivery]
	d.mu.Unlock()
	if broken {
		return errors.New("broken")
	}
	d.finish(e.Delivery, e.Delivery)
	return nil
}

// stored is a delivery as the store hands it out.
func stored(guid, action string, pr int) store.Delivery {
	return store.Delivery{
		GUID: guid, Event: "pull_request", Action: action, RepositoryID: 9, PR: pr,
		Payload: fmt.Appendf(nil, `{"action":%q,"number":%d,"repository":{"id":9,"name":"web","owner":{"login":"acme"}}}`, action, pr),
	}
}

// told is one that tells of a state of the pull request, seconds after the others.
func told(guid, action string, second int, head string) store.Delivery {
	d := stored(guid, action, 1)
	d.Payload = fmt.Appendf(nil, `{"action":%q,"number":1,"pull_request":{"updated_at":"2026-11-24T12:00:%02dZ","head":{"sha":%q}},"repository":{"id":9,"name":"web","owner":{"login":"acme"}}}`, action, second, head)
	return d
}

func TestConsumerKeepsOrder(t *testing.T) {
	t.Parallel()
	broken := stored("broken", "labeled", 1)
	tried := stored("tried", "labeled", 1)
	tried.Attempts = 1
	triedCommand := tried
	triedCommand.Event = "issue_comment"
	for name, test := range map[string]struct {
		pending []store.Delivery
		handled int // index of the one whose job runs
		fails   bool
		want    []string
	}{
		"older ones first":     {pending: []store.Delivery{stored("a", "opened", 1), stored("b", "labeled", 1), stored("c", "closed", 1)}, handled: 1, want: []string{"a", "b"}},
		"done on the way":      {pending: []store.Delivery{stored("a", "opened", 1)}, handled: -1, want: []string{"a"}},
		"other pull requests":  {pending: []store.Delivery{stored("a", "opened", 2), stored("b", "opened", 1)}, handled: 1, want: []string{"b"}},
		"broken holds nobody":  {pending: []store.Delivery{broken, stored("b", "closed", 1)}, handled: 1, want: []string{"b"}},
		"tried waits":          {pending: []store.Delivery{tried, stored("b", "closed", 1)}, handled: 1, want: []string{"b"}},
		"no command overtaken": {pending: []store.Delivery{triedCommand, stored("b", "closed", 1)}, handled: 1, fails: true},
		"its own error is its": {pending: []store.Delivery{broken}, handled: 0, fails: true},
		"pushes fold":          {pending: []store.Delivery{stored("a", "synchronize", 1), stored("b", "labeled", 1), stored("c", "synchronize", 1)}, handled: 2, want: []string{"skipped a", "b", "c"}},
		"opening folds":        {pending: []store.Delivery{stored("a", "opened", 1), stored("b", "synchronize", 1)}, handled: 0, want: []string{"skipped a"}},
		"into no other":        {pending: []store.Delivery{stored("a", "opened", 1), stored("b", "labeled", 1)}, handled: 0, want: []string{"a"}},
		"nor into an opening":  {pending: []store.Delivery{stored("a", "synchronize", 1), stored("b", "opened", 1)}, handled: 0, want: []string{"a"}},
		"into a later state":   {pending: []store.Delivery{told("a", "synchronize", 5, "b0"), told("b", "edited", 6, "b0")}, handled: 0, want: []string{"skipped a"}},
		"not into an older":    {pending: []store.Delivery{told("a", "synchronize", 5, "b0"), told("b", "edited", 3, "a0")}, handled: 1, want: []string{"a", "b"}},
		"nor another head's":   {pending: []store.Delivery{told("a", "synchronize", 5, "b0"), told("b", "synchronize", 5, "a0")}, handled: 0, want: []string{"a"}},
		"the latest of many":   {pending: []store.Delivery{told("a", "synchronize", 5, "b0"), told("b", "synchronize", 7, "c0"), told("c", "edited", 3, "a0")}, handled: 0, want: []string{"skipped a"}},
		"the job's own folds":  {pending: []store.Delivery{stored("a", "synchronize", 1), stored("b", "synchronize", 1)}, handled: 0, want: []string{"skipped a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &desk{pending: slices.Clone(test.pending), broken: map[string]bool{"broken": true}}
			mine := stored("gone", "opened", 1)
			if test.handled >= 0 {
				mine = test.pending[test.handled]
			}
			err := NewConsumer(d, d.handle).Handle(t.Context(), mine)
			if (err != nil) != test.fails || !slices.Equal(d.done, test.want) {
				t.Errorf("did %v, %v, want %v", d.done, err, test.want)
			}
		})
	}
}

// Deliveries of one pull request never run beside each other; those of others do,
// and one whose turn has not come keeps no worker.
func TestConsumerTakesTurns(t *testing.T) {
	t.Parallel()
	d := &desk{busy: map[int]int{}}
	entered, leave := make(chan int), make(chan struct{})
	consumer := NewConsumer(d, func(ctx context.Context, e bot.Event) error {
		d.enter(e.PR, 1)
		defer d.enter(e.PR, -1)
		entered <- e.PR
		<-leave
		return d.handle(ctx, e)
	})
	for i := range 3 {
		d.pending = append(d.pending, stored(fmt.Sprint("one", i), "labeled", 1))
	}
	d.pending = append(d.pending, stored("other", "labeled", 2))
	var jobs sync.WaitGroup
	for _, one := range d.pending {
		jobs.Go(func() {
			for {
				err := consumer.Handle(t.Context(), one)
				if _, later := errors.AsType[notYet](err); later {
					runtime.Gosched() // the queue comes back to it
					continue
				}
				if err != nil {
					t.Error(err)
				}
				return
			}
		})
	}
	if both := []int{<-entered, <-entered}; !slices.Contains(both, 1) || !slices.Contains(both, 2) {
		t.Errorf("at work at once: pull requests %v", both)
	}
	if _, later := errors.AsType[notYet](consumer.Handle(t.Context(), stored("one9", "labeled", 1))); !later {
		t.Error("a worker waits for a pull request that is busy")
	}
	leave <- struct{}{}
	leave <- struct{}{}
	for range 2 {
		<-entered
		leave <- struct{}{}
	}
	jobs.Wait()
	if d.most != 1 {
		t.Errorf("%d deliveries of one pull request at once", d.most)
	}
	if len(d.done) != 4 || len(consumer.turns.held) != 0 {
		t.Errorf("did %v, %d turns kept", d.done, len(consumer.turns.held))
	}
}
