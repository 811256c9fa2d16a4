package bot_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/previews/store"
)

const replyMarker = "<!-- idp:reply"

func TestReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	event := w.said("help", "/idp help")
	w.handle(event)
	w.equal("before the reply", w.reactions(event.Comment.ID), "eyes")
	w.speak()
	w.equal("after it", w.reactions(event.Comment.ID), "eyes rocket")
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies", n)
	}
	w.handle(event)
	w.speak()
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies to one delivery", n)
	}
}

// forgetful is an outbox whose process ends before it can note that a reply was
// made.
type forgetful struct{ *store.Store }

func (forgetful) FinishEffect(context.Context, int64) error { return errDied }

// Fault: the reply was made again after a crash, for its marker was looked for only
// after a failure.
func TestReplyOnceAfterCrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.said("help", "/idp help"))
	for range 3 { // reactions come first
		w.speaker.Store = forgetful{w.store}
		if _, err := w.speaker.Step(t.Context()); err != nil && !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		w.restart()
		if len(w.mine(replyMarker)) == 0 {
			due, err := w.store.PendingEffects(t.Context(), w.clock.Now(), 1)
			if err != nil || len(due) == 0 {
				t.Fatalf("nothing is due (%v)", err)
			}
			if due[0].Kind == string(bot.EffectReaction) {
				if err := w.store.FinishEffect(t.Context(), due[0].ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	w.speak()
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies", n)
	}
}

// An answer that was lost after GitHub had acted makes no second reply.
func TestReplyAnswerLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.said("help", "/idp help"))
	w.github.Inject(githubtest.Fault{Times: 1, Method: "POST", Path: "/repos/*/*/issues/*/comments", Status: 502, AfterEffect: true})
	for range 4 {
		w.speak()
		w.clock.Advance(time.Minute)
	}
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies", n)
	}
	if _, due, err := w.store.NextEffect(t.Context()); due || err != nil {
		t.Errorf("still due (%v)", err)
	}
}

// A reply that cannot be made is given up, and the ones after it are made.
func TestReplyGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.said("help", "/idp help"))
	restore := w.github.Inject(githubtest.Fault{Method: "POST", Path: "/repos/*/*/issues/*/comments", Status: 403})
	for range 45 {
		w.speak()
		w.clock.Advance(10 * time.Minute)
	}
	restore()
	if _, due, err := w.store.NextEffect(t.Context()); due || err != nil {
		t.Errorf("still due (%v)", err)
	}
	w.handle(w.said("again", "/idp help"))
	w.speak()
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies", n)
	}
}

// limitedReplier is a GitHub that takes no more for now.
type limitedReplier struct {
	bot.Replier
	until func() time.Time
}

type rateError struct{ at time.Time }

func (rateError) Error() string        { return "rate limited" }
func (e rateError) RetryAt() time.Time { return e.at }

func (l limitedReplier) React(context.Context, bot.RepositoryRef, int64, string) error {
	return rateError{l.until()}
}

// Fault: replies were given up after eight rate limits, though nothing was tried.
func TestReplySurvivesRateLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	event := w.said("help", "/idp help")
	w.handle(event)
	client := w.speaker.GitHub
	w.speaker.GitHub = func(id int64) bot.Replier {
		return limitedReplier{client(id), func() time.Time { return w.clock.Now().Add(time.Hour) }}
	}
	for range 12 {
		w.speak()
		// Fault: the reply behind the reaction counted as due, and the loop span.
		if at, due, err := w.store.NextEffect(t.Context()); err != nil || !due || !at.Equal(w.clock.Now().Add(time.Hour)) {
			t.Fatalf("next at %s, %v (%v)", at, due, err)
		}
		w.clock.Advance(time.Hour)
	}
	w.speaker.GitHub = client
	w.speak()
	if n := len(w.mine(replyMarker)); n != 1 || w.reactions(event.Comment.ID) != "eyes rocket" {
		t.Errorf("%d replies, reactions %s", n, w.reactions(event.Comment.ID))
	}
}

// What was done is noted though the program is being stopped.
func TestReplyStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.said("help", "/idp help"))
	ctx, cancel := context.WithCancel(t.Context())
	client := w.speaker.GitHub
	w.speaker.GitHub = func(id int64) bot.Replier { return stopping{client(id), cancel} }
	_, _ = w.speaker.Step(ctx)
	_, _ = w.speaker.Step(t.Context())
	w.restart()
	w.speak()
	if n := len(w.mine(replyMarker)); n != 1 {
		t.Errorf("%d replies", n)
	}
}

// stopping ends the program while GitHub answers.
type stopping struct {
	bot.Replier
	stop func()
}

func (s stopping) CreateComment(ctx context.Context, repo bot.RepositoryRef, number int, body string) (int64, error) {
	id, err := s.Replier.CreateComment(ctx, repo, number, body)
	s.stop()
	return id, err
}
