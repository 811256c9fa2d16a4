package webhooks

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/previews/store"
)

// Pending is what a Consumer needs of the inbox: what is still to be done about a
// pull request, oldest first, and to be able to say that one of it is done.
type Pending interface {
	PendingDeliveries(ctx context.Context, repositoryID int64, pr int) ([]store.Delivery, error)
	Apply(ctx context.Context, o store.Outcome) error
}

// Consumer feeds stored deliveries to the bot. Those of one pull request never
// run beside each other, and an older one that was not tried yet goes first;
// those of different pull requests run at once. Handling one twice is for the
// bot to make harmless, and it does: a decision is applied once per delivery.
type Consumer struct {
	pending Pending
	handle  func(context.Context, bot.Event) error
	turns   turns
}

// NewConsumer returns a consumer that hands events to handle.
func NewConsumer(pending Pending, handle func(context.Context, bot.Event) error) *Consumer {
	return &Consumer{pending: pending, handle: handle, turns: turns{held: map[turn]*waiting{}}}
}

// Handle does what a delivery asks for. An error means that it is to be tried
// again later; what happens to the older ones that are done on the way is told
// by their own jobs.
func (c *Consumer) Handle(ctx context.Context, d store.Delivery) error {
	if d.PR == 0 {
		return c.one(ctx, d)
	}
	done, err := c.turns.take(ctx, turn{d.RepositoryID, d.PR})
	if err != nil {
		return fmt.Errorf("wait for the turn of delivery %s: %w", d.GUID, err)
	}
	defer done()
	pending, err := c.pending.PendingDeliveries(ctx, d.RepositoryID, d.PR)
	if err != nil {
		return err
	}
	for i, each := range pending {
		if each.GUID == d.GUID {
			return c.inOrder(ctx, d, pending[i+1:])
		}
		// One that failed before waits for its own next try, so that a delivery that
		// can never be handled does not take those behind it with it.
		if each.Attempts == 0 {
			// Its own job finds it done, or finds the same error and reports it.
			_ = c.inOrder(ctx, each, pending[i+1:])
		}
	}
	// Not pending any more: a younger one did it on its way.
	return nil
}

// inOrder handles a delivery, unless a later one makes it say nothing new: a
// decision reads the pull request as it is, so of several pushes the last is
// enough.
func (c *Consumer) inOrder(ctx context.Context, d store.Delivery, later []store.Delivery) error {
	if coalesces(d) && slices.ContainsFunc(later, coalesces) {
		return c.pending.Apply(ctx, store.Outcome{Delivery: d.GUID, Result: "ignored: a later delivery says as much"})
	}
	return c.one(ctx, d)
}

// coalesces says that a delivery tells no more than "look at the pull request".
func coalesces(d store.Delivery) bool {
	return d.Event == "pull_request" && (d.Action == "synchronize" || d.Action == "edited")
}

func (c *Consumer) one(ctx context.Context, d store.Delivery) error {
	event, err := Decode(d.Event, d.GUID, d.Payload)
	if err != nil {
		return err
	}
	event.ReceivedAt = d.ReceivedAt
	return c.handle(ctx, event)
}

// turn is what is done one after the other.
type turn struct {
	repositoryID int64
	pr           int
}

// turns hands out turns. A turn that nobody holds or waits for takes no memory.
type turns struct {
	mu   sync.Mutex
	held map[turn]*waiting
}

type waiting struct {
	free  chan struct{} // holds one token while nobody has the turn
	count int
}

// take waits for the turn; call done to pass it on.
func (t *turns) take(ctx context.Context, key turn) (done func(), err error) {
	t.mu.Lock()
	w, ok := t.held[key]
	if !ok {
		w = &waiting{free: make(chan struct{}, 1)}
		w.free <- struct{}{}
		t.held[key] = w
	}
	w.count++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if w.count--; w.count == 0 {
			delete(t.held, key)
		}
	}
	select {
	case <-w.free:
		return func() { w.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
