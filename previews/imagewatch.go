package previews

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/idp-bot/idp/gitops/spec"
	"golang.org/x/sync/errgroup"
)

const (
	imageBatch    = 100
	imageParallel = 8
	// idleImages bounds how late an image is noticed when a wake-up was lost.
	idleImages = 30 * time.Second
)

// ImageStore is what the image watcher needs of the store.
type ImageStore interface {
	AwaitingImages(ctx context.Context, now time.Time, limit int) ([]Environment, error)
	NextImageCheck(ctx context.Context) (time.Time, bool, error)
	Update(ctx context.Context, rowID int64, fn func(*Environment) error) (Environment, error)
}

// ImageResolver asks a registry for the digest of a reference.
type ImageResolver interface {
	Resolve(ctx context.Context, reference string) (digest string, err error)
}

// ImageWatcher finds the images of wanted generations. Nothing is committed until
// every image of an environment exists, and what is committed is its digest.
type ImageWatcher struct {
	Store    ImageStore
	Resolver ImageResolver // nil where images are not checked
	// Template returns the template of the image of one service of an environment, and
	// Reference what it names for a build.
	Template  func(Environment, spec.Service) (string, error)
	Reference func(Environment, spec.Service, Build) (string, error)
	// Upstream, when set, reads of GitHub what images are named and waited for by.
	Upstream Upstream
	// Absent tells a registry's answer that it has no such image, or shows none, from one
	// that says nothing of it.
	Absent func(error) bool
	// Reported, when set, returns the digest that was reported for a service of an
	// environment, and the reference to find it by; "" where none was.
	Reported func(ctx context.Context, env Environment, service, reference string) (digest, pinned string, err error)
	// Lacking, when set, returns which platforms of its cluster's nodes an image that was found
	// is not there for.
	Lacking func(context.Context, Environment, Image) ([]string, error)
	// Prove, when set, says which images are not attested yet, which are waited for as well.
	Prove Prove
	// NextCheck returns the pause after the n-th attempt.
	NextCheck func(attempt int) time.Duration
	// Timeout is how long an image may take to appear.
	Timeout time.Duration
	// Describe turns a resolver's error into a short reason for people.
	Describe func(error) string
	// Changed is woken when an environment became ready to commit, or changed.
	Changed func()
	Now     func() time.Time
	Log     *slog.Logger
}

// Loop returns the watcher's loop, woken by wake.
func (w *ImageWatcher) Loop(wake Signal) Loop {
	return Loop{Name: "images", Step: w.Step, Wake: wake, Idle: idleImages, Due: w.due, Log: w.Log}
}

func (w *ImageWatcher) due(ctx context.Context) time.Duration {
	next, ok, err := w.Store.NextImageCheck(ctx)
	if err != nil || !ok {
		return idleImages
	}
	return next.Sub(w.Now())
}

// Step checks the images that are due.
func (w *ImageWatcher) Step(ctx context.Context) (more bool, err error) {
	due, err := w.Store.AwaitingImages(ctx, w.Now(), imageBatch)
	if err != nil {
		return false, fmt.Errorf("list environments that wait for images: %w", err)
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(imageParallel)
	for _, env := range due {
		group.Go(func() error { return w.check(gctx, env) })
	}
	err = group.Wait()
	return len(due) == imageBatch, err
}

// check asks for one environment's images and records what it found, unless the
// row has moved on to another generation meanwhile.
func (w *ImageWatcher) check(ctx context.Context, env Environment) error {
	images, cause := w.find(ctx, &env)
	if cause == nil {
		w.unfit(ctx, env, images)
		w.unattested(ctx, env, images)
	}
	if cause == nil && firstMissing(images) != nil {
		w.followCI(ctx, &env)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cause != nil {
		w.Log.Warn("has no images to look for", "env", env.Ref.String(), "error", cause)
	}
	now := w.Now()
	_, err := w.Store.Update(ctx, env.RowID, func(e *Environment) error {
		if e.Generation != env.Generation || !e.NeedsImages() {
			return ErrUnchanged
		}
		e.Merge, e.Baseline, e.CI = env.Merge, env.Baseline, env.CI
		w.record(e, images, cause, now)
		return nil
	})
	if err != nil && !errors.Is(err, ErrUnchanged) {
		return fmt.Errorf("record images of %s: %w", env.Ref, err)
	}
	w.Changed()
	return nil
}

func (w *ImageWatcher) record(e *Environment, images []Image, cause error, now time.Time) {
	missing := firstMissing(images)
	switch {
	case cause != nil:
		e.Fail(renderProblem(cause), now)
	case missing == nil:
		if e.hold(images) != nil {
			e.Fail(Problem{Kind: ProblemFork, Message: e.Fork.Withdrawn, Hint: "Somebody with write permission looks at it and approves the commit again."}, now)
			return
		}
		e.Resolve(images, now)
	case now.Sub(e.WantedAt) >= w.Timeout:
		e.Images = images
		problem := imageProblem(*missing, now.Sub(e.WantedAt))
		if e.Merge != nil && e.Merge.Head == e.SHA && e.Merge.Conflicts && len(e.Merge.Seen) == 0 {
			problem.Hint = "Resolve the conflicts, and push: CI builds no pull request that has any."
		}
		e.Fail(problem, now)
	default:
		e.Missing(images, now.Add(w.NextCheck(e.ImageAttempts)))
	}
}

func imageProblem(image Image, waited time.Duration) Problem {
	return Problem{
		Kind:    ProblemImage,
		Message: fmt.Sprintf("image %s did not appear within %s: %s", image.Reference, span(waited), image.Missing),
		Hint:    "Check that CI builds and pushes this tag, then push again or comment /idp preview.",
	}
}

func firstMissing(images []Image) *Image {
	for i := range images {
		if images[i].Missing != "" {
			return &images[i]
		}
	}
	return nil
}
