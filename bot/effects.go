package bot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

const (
	effectBatch = 50
	idleEffects = 15 * time.Second
	// effectTries is how often an effect is tried before it is given up: a reply
	// that cannot be written must not hold up the ones behind it for ever.
	effectTries = 40
)

// Outbox is what the speaker needs of the store.
type Outbox interface {
	PendingEffects(ctx context.Context, now time.Time, limit int) ([]store.Effect, error)
	NextEffect(ctx context.Context) (time.Time, bool, error)
	FinishEffect(ctx context.Context, id int64) error
	RetryEffect(ctx context.Context, id int64, at time.Time, cause string) error
}

// Replier writes replies and reactions.
type Replier interface {
	Reactor
	Comments(ctx context.Context, repo RepositoryRef, number int) ([]Comment, error)
	CreateComment(ctx context.Context, repo RepositoryRef, number int, body string) (id int64, err error)
}

// Speaker does the effects of decisions: reactions, and replies to commands. Each
// is done once: a reaction is idempotent at GitHub, a reply carries its key in a
// hidden marker and is looked for before it is written a second time.
type Speaker struct {
	Store  Outbox
	GitHub func(installationID int64) Replier
	// Quiet says nothing: what there is to say is taken for said.
	Quiet bool
	// Failed, when set, counts the reactions and replies that failed.
	Failed func()
	Now    func() time.Time
	Log    *slog.Logger
}

// Loop returns the speaker's loop, woken by wake.
func (s *Speaker) Loop(wake previews.Signal) previews.Loop {
	return previews.Loop{Name: "replies", Step: s.Step, Wake: wake, Idle: idleEffects, Due: due(s.Store.NextEffect, s.Now), Log: s.Log}
}

// Step does the effects that are due, in the order they were decided.
func (s *Speaker) Step(ctx context.Context) (more bool, err error) {
	effects, err := s.Store.PendingEffects(ctx, s.Now(), effectBatch)
	if err != nil {
		return false, fmt.Errorf("list pending replies: %w", err)
	}
	for _, effect := range effects {
		if err := s.settle(ctx, effect, s.do(ctx, effect)); err != nil {
			return false, err
		}
	}
	return len(effects) == effectBatch, nil
}

func (s *Speaker) do(ctx context.Context, e store.Effect) error {
	if e.Kind == string(EffectAnswer) {
		return nil
	}
	if s.Quiet {
		s.Log.Info("would say", "kind", e.Kind, "repository", e.Owner+"/"+e.Repo, "pr", e.PR, "content", e.Content)
		return nil
	}
	gh := s.GitHub(e.InstallationID)
	repo := RepositoryRef{ID: e.RepositoryID, Owner: e.Owner, Name: e.Repo}
	if e.Kind == string(EffectReaction) {
		return gh.React(ctx, repo, e.CommentID, e.Content)
	}
	marker := fmt.Sprintf("<!-- idp:reply %s/%d -->", e.Delivery, e.Index)
	if e.Attempts == 0 {
		// Counted before it is made: should idp end before it hears how it went, the
		// reply is looked for.
		if err := s.Store.RetryEffect(ctx, e.ID, s.Now(), "under way"); err != nil {
			return err
		}
	} else if said, err := alreadySaid(ctx, gh, repo, e.PR, marker); said || err != nil {
		return err
	}
	_, err := gh.CreateComment(ctx, repo, e.PR, e.Content+"\n\n"+marker)
	return err
}

func alreadySaid(ctx context.Context, gh Replier, repo RepositoryRef, number int, marker string) (bool, error) {
	comments, err := gh.Comments(ctx, repo, number)
	if err != nil {
		return false, err
	}
	for _, comment := range comments {
		if strings.Contains(comment.Body, marker) {
			return true, nil
		}
	}
	return false, nil
}

// settle records what became of an effect, even when the program is being stopped.
func (s *Speaker) settle(ctx context.Context, e store.Effect, cause error) error {
	if cause != nil && ctx.Err() == nil && s.Failed != nil {
		s.Failed()
	}
	switch {
	case cause == nil:
		return s.Store.FinishEffect(context.WithoutCancel(ctx), e.ID)
	case ctx.Err() != nil:
		return ctx.Err()
	case e.Attempts+1 >= effectTries && !limited(cause), e.Attempts >= finalTries && denied(cause):
		s.Log.Warn("gave a reply up", "delivery", e.Delivery, "pr", e.PR, "error", cause)
		return s.Store.FinishEffect(ctx, e.ID)
	default:
		return s.Store.RetryEffect(ctx, e.ID, nextTry(cause, e.Attempts, s.Now()), cause.Error())
	}
}

// nextTry returns when to try again after a failure: when GitHub said, for a rate
// limit, else after a pause that doubles from a second to ten minutes.
func nextTry(cause error, attempts int, now time.Time) time.Time {
	var limit rateLimit
	if errors.As(cause, &limit) {
		return limit.RetryAt()
	}
	return now.Add(min(time.Second<<min(attempts, 12), 10*time.Minute))
}

// rateLimit is an error that says from when on GitHub takes the same request.
type rateLimit interface {
	error
	RetryAt() time.Time
}

// limited says that nothing was tried: GitHub takes no requests for now.
func limited(cause error) bool {
	var limit rateLimit
	return errors.As(cause, &limit)
}
