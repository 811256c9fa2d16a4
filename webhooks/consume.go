package webhooks

import (
	"context"
	"fmt"
	"sync"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/previews/store"
)

// Pending is what a Consumer needs of the inbox.
type Pending interface {
	Delivery(ctx context.Context, guid string) (store.Delivery, error)
	PendingDeliveries(ctx context.Context, repositoryID int64, pr int) ([]store.Delivery, error)
	Apply(ctx context.Context, o store.Outcome) error
}

// Consumer takes stored deliveries to the bot. Deliveries of one pull request are
// handled one after another, in the order they arrived; those of different pull
// requests at the same time.
type Consumer struct {
	inbox  Pending
	handle func(context.Context, bot.Event) error
	locks  locks
}

// NewConsumer returns a Consumer that gives each event to handle.
func NewConsumer(inbox Pending, handle func(context.Context, bot.Event) error) *Consumer {
	return &Consumer{inbox: inbox, handle: handle}
}

// Handle handles a delivery and, before it, whatever arrived earlier for the same
// pull request. The error is of the delivery itself: one of an earlier delivery
// belongs to that one's own job and holds nobody up.
func (c *Consumer) Handle(ctx context.Context, d store.Delivery) error {
	if d.PR == 0 {
		return c.one(ctx, d)
	}
	unlock := c.locks.lock(subject{d.RepositoryID, d.PR})
	defer unlock()
	pending, err := c.inbox.PendingDeliveries(ctx, d.RepositoryID, d.PR)
	if err != nil {
		return fmt.Errorf("list deliveries of pull request %d: %w", d.PR, err)
	}
	for i, p := range pending {
		if p.GUID != d.GUID && p.Attempts > 0 {
			continue // it failed before and comes back by itself
		}
		err := c.inOrder(ctx, p, pending[i+1:])
		if p.GUID == d.GUID {
			return err
		}
	}
	return nil // another job of this pull request took it along
}

// inOrder handles a delivery, unless a later one makes it say nothing new: a
// decision reads the pull request as it is, so of several pushes the last is
// enough.
func (c *Consumer) inOrder(ctx context.Context, d store.Delivery, later []store.Delivery) error {
	for _, next := range later {
		if coalesces(d) && coalesces(next) {
			return c.inbox.Apply(ctx, store.Outcome{Delivery: d.GUID, Result: "ignored: a later delivery says as much"})
		}
	}
	return c.one(ctx, d)
}

// coalesces says that a delivery tells no more than "look at the pull request".
func coalesces(d store.Delivery) bool {
	return d.Event == "pull_request" && (d.Action == "synchronize" || d.Action == "edited") || d.Event == bot.SweepEvent
}

func (c *Consumer) one(ctx context.Context, d store.Delivery) error {
	event, err := Decode(d.Event, d.GUID, d.Payload)
	if err != nil {
		return fmt.Errorf("decode %s: %w", d.Event, err)
	}
	return c.handle(ctx, event)
}

// subject is what deliveries are handled in order for.
type subject struct {
	repositoryID int64
	pr           int
}

// locks are one mutex per subject, kept only while somebody holds or wants it.
type locks struct {
	mu   sync.Mutex
	held map[subject]*heldLock
}

type heldLock struct {
	mu    sync.Mutex
	users int
}

func (l *locks) lock(s subject) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[subject]*heldLock{}
	}
	held := l.held[s]
	if held == nil {
		held = &heldLock{}
		l.held[s] = held
	}
	held.users++
	l.mu.Unlock()
	held.mu.Lock()
	return func() {
		held.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if held.users--; held.users == 0 {
			delete(l.held, s)
		}
	}
}
