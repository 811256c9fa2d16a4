package webhooks

import (
	"context"
	"slices"
	"sync"
	"time"

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
	return &Consumer{pending: pending, handle: handle, turns: turns{held: map[turn]bool{}}}
}

// Handle does what a delivery asks for. An error means that it is to be tried
// again later; what happens to the older ones that are done on the way is told
// by their own jobs.
func (c *Consumer) Handle(ctx context.Context, d store.Delivery) error {
	if d.PR == 0 {
		return c.one(ctx, d)
	}
	done, free := c.turns.take(turn{d.RepositoryID, d.PR})
	if !free {
		// Whoever has the turn may be long; the worker is of more use elsewhere.
		return notYet(100 * time.Millisecond)
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
		// One that failed before waits for its own next try, and so do those behind a
		// command: commands are not overtaken. Anything else that can never be handled
		// does not take those behind it with it. What fails here is reported by its
		// own job, which finds the same error.
		if each.Attempts == 0 && c.inOrder(ctx, each, pending[i+1:]) == nil {
			continue
		}
		if commands(each) {
			return notYet(time.Second)
		}
	}
	// Not pending any more: a younger one did it on its way.
	return nil
}

// inOrder handles a delivery, unless one that came later makes it say nothing new: a
// decision reads the pull request as it is, so of several pushes the last is
// enough.
func (c *Consumer) inOrder(ctx context.Context, d store.Delivery, later []store.Delivery) error {
	if (coalesces(d) || opens(d)) && saidBy(d, later) {
		return c.pending.Apply(ctx, store.Outcome{Delivery: d.GUID, Result: "ignored: a later delivery says as much"})
	}
	return c.one(ctx, d)
}

// saidBy says whether one that came later tells of a state of the pull request that is no
// older. What came later may be of an older one, delivered again; it may be ignored for that
// (see bot.Event.AsOf), and would take with it what nobody decided about.
func saidBy(d store.Delivery, later []store.Delivery) bool {
	of, err := Decode(d.Event, d.GUID, d.Payload)
	if err != nil {
		return false
	}
	for _, l := range slices.Backward(later) { // most often the last
		if !coalesces(l) {
			continue
		}
		by, err := Decode(l.Event, l.GUID, l.Payload)
		if err == nil && (by.AsOf.IsZero() || by.AsOf.After(of.AsOf) || by.AsOf.Equal(of.AsOf) && by.HeadSHA == of.HeadSHA) {
			return true
		}
	}
	return false
}

// coalesces says that a delivery tells no more than "look at the pull request".
func coalesces(d store.Delivery) bool {
	return d.Event == "pull_request" && (d.Action == "synchronize" || d.Action == "edited")
}

// opens says that a delivery tells of a new pull request: after a push to it, no more than that.
func opens(d store.Delivery) bool { return d.Event == "pull_request" && d.Action == "opened" }

// commands says that a delivery may give commands.
func commands(d store.Delivery) bool {
	return d.Event == "issue_comment" || d.Event == bot.RequestEvent
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

// notYet is the error of a delivery whose turn has not come; it did not fail.
type notYet time.Duration

func (n notYet) Error() string { return "an earlier delivery of the pull request is being handled" }

// RetryAfter returns how long to wait before asking again.
func (n notYet) RetryAfter() time.Duration { return time.Duration(n) }

// turns hands out turns. A turn that nobody holds takes no memory.
type turns struct {
	mu   sync.Mutex
	held map[turn]bool
}

// take takes the turn if nobody has it; call done to give it back.
func (t *turns) take(key turn) (done func(), free bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[key] {
		return nil, false
	}
	t.held[key] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.held, key)
	}, true
}
