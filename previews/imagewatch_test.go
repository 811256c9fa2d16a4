package previews_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// shelf is a registry: what it holds, by reference. A reference that it holds as
// "" may not be read.
type shelf struct {
	mu     sync.Mutex
	images map[string]string
	// asked is called for each question, while it is being answered.
	asked func(reference string)
}

var (
	errNoImage   = errors.New("manifest unknown")
	errForbidden = errors.New("denied: secret details of the registry")
)

func (s *shelf) Resolve(_ context.Context, reference string) (string, error) {
	if s.asked != nil {
		s.asked(reference)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch digest, ok := s.images[reference]; {
	case !ok:
		return "", errNoImage
	case digest == "":
		return "", errForbidden
	default:
		return digest, nil
	}
}

func (s *shelf) put(reference, digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images[reference] = digest
}

const twoServices = "services:\n  - name: api\n  - name: web\n"

// watching is an image watcher between a real store and a shelf, with one preview
// of two services that waits.
type watching struct {
	*testing.T
	clock   *storetest.Clock
	store   *store.Store
	shelf   *shelf
	watcher *previews.ImageWatcher
	row     int64
	changed atomic.Int64
}

func newWatching(t *testing.T) *watching {
	t.Helper()
	clock := storetest.NewClock()
	w := &watching{T: t, clock: clock, store: openStore(t, clock), shelf: &shelf{images: map[string]string{}}}
	w.watcher = &previews.ImageWatcher{
		Store: w.store, Resolver: w.shelf, Timeout: 10 * time.Minute,
		Template: func(e previews.Environment, s spec.Service) (string, error) {
			if e.HeadRef == "nowhere" {
				return "", errors.New("no image template")
			}
			return cmp.Or(s.Image, "{service}:{sha}"), nil
		},
		Reference: func(_ previews.Environment, s spec.Service, of previews.Build) (string, error) {
			vars := spec.Vars{Service: s.Name, SHA: of.SHA, MergeSHA: cmp.Or(of.Merge, "{merge_sha}")}
			return vars.Expand(cmp.Or(s.Image, "{service}:{sha}")), nil
		},
		Absent:    func(err error) bool { return errors.Is(err, errNoImage) },
		NextCheck: func(attempt int) time.Duration { return time.Duration(attempt+1) * time.Minute },
		Describe: func(err error) string {
			if errors.Is(err, errNoImage) {
				return "not in the registry"
			}
			return "may not be read"
		},
		Changed: func() { w.changed.Add(1) }, Now: clock.Now, Log: secrettest.Logger(t),
	}
	w.row = w.want("a")
	return w
}

// want stores a preview of two services.
func (w *watching) want(sha string) int64 {
	e := storetest.Preview(1, 1, w.clock.Now())
	e.Want(revisionOf(sha), w.clock.Now())
	return storetest.Add(w, w.store, e).RowID
}

func revisionOf(sha string) previews.Revision {
	return previews.Revision{SHA: sha, Ref: "topic", Spec: []byte(twoServices), TTL: 72 * time.Hour}
}

func (w *watching) step() previews.Environment {
	w.Helper()
	if _, err := w.watcher.Step(w.Context()); err != nil {
		w.Fatal(err)
	}
	e, err := w.store.Environment(w.Context(), 1, "pr-1")
	if err != nil {
		w.Fatal(err)
	}
	return e
}

func (w *watching) update(f func(*previews.Environment)) {
	w.Helper()
	if _, err := w.store.Update(w.Context(), w.row, func(e *previews.Environment) error { f(e); return nil }); err != nil {
		w.Error(err)
	}
}

// Nothing is committed before the last image is there; then its digests are.
func TestImagesComeOneByOne(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	e := w.step()
	if e.State() != previews.StateWaiting || e.ImageAttempts != 1 || !e.NextImageCheck.Equal(w.clock.Now().Add(time.Minute)) {
		t.Errorf("%s after %d attempts, next at %s", e.State(), e.ImageAttempts, e.NextImageCheck)
	}
	if got := fmt.Sprint(e.Images); got != "[{api api:a  false   not in the registry} {web web:a  false   not in the registry}]" {
		t.Errorf("images %s", got)
	}
	w.shelf.put("web:a", "sha256:web")
	if e := w.step(); e.ImageAttempts != 1 {
		t.Error("asked again before it was due")
	}
	w.clock.Advance(time.Minute)
	e = w.step()
	if got := fmt.Sprint(e.Images); got != "[{api api:a  false   not in the registry} {web web:a sha256:web false   }]" || !e.NextImageCheck.Equal(w.clock.Now().Add(2*time.Minute)) {
		t.Errorf("images %s, next at %s", got, e.NextImageCheck)
	}
	w.shelf.put("api:a", "sha256:api")
	w.clock.Advance(2 * time.Minute)
	e = w.step()
	if got := fmt.Sprint(e.Images); e.State() != previews.StateCommitting || got != "[{api api:a sha256:api false   } {web web:a sha256:web false   }]" {
		t.Errorf("%s with %s", e.State(), got)
	}
	if next, waits, err := w.store.NextImageCheck(t.Context()); waits || err != nil {
		t.Errorf("waits until %s (%v)", next, err)
	}
	if n := w.changed.Load(); n != 3 {
		t.Errorf("%d changes were announced", n)
	}
}

func TestImagesNeverCome(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.shelf.put("api:a", "")
	e := w.step()
	if got := e.Images[0].Missing; got != "may not be read" {
		t.Errorf("shown is %q", got)
	}
	w.clock.Advance(10 * time.Minute)
	e = w.step()
	if e.State() != previews.StateFailed || e.Problem.Kind != previews.ProblemImage || e.Problem.SHA != "a" ||
		e.Problem.Message != "image api:a did not appear within 10m: may not be read" {
		t.Fatalf("%s: %+v", e.State(), e.Problem)
	}
	w.clock.Advance(time.Hour)
	w.shelf.put("api:a", "sha256:api")
	w.shelf.put("web:a", "sha256:web")
	if e := w.step(); e.State() != previews.StateFailed {
		t.Errorf("what was given up is %s", e.State())
	}
	w.update(func(e *previews.Environment) { e.Retry(w.clock.Now()) })
	if e := w.step(); e.State() != previews.StateCommitting || e.Problem != nil {
		t.Errorf("tried again it is %s: %+v", e.State(), e.Problem)
	}
}

// An extension gives images no more time, and takes none of their attempts away.
func TestImagesExtendedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.step()
	w.clock.Advance(9 * time.Minute)
	w.update(func(e *previews.Environment) { e.Extend(time.Hour, 1000*time.Hour, w.clock.Now()) })
	w.clock.Advance(time.Minute)
	if e := w.step(); e.State() != previews.StateFailed || e.Generation != 3 {
		t.Errorf("%s, generation %d", e.State(), e.Generation)
	}
}

// What was found for a revision is nothing to the one that took its place.
func TestImagesOvertaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*previews.Environment, time.Time)
		want   previews.State
	}{
		"by a push":    {func(e *previews.Environment, now time.Time) { e.Want(revisionOf("b"), now) }, previews.StateWaiting},
		"by a removal": {func(e *previews.Environment, now time.Time) { e.Remove(previews.Removal{}, now) }, previews.StateGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWatching(t)
			w.shelf.put("api:a", "sha256:api")
			w.shelf.put("web:a", "sha256:web")
			w.shelf.asked = func(reference string) {
				if reference == "web:a" {
					w.update(func(e *previews.Environment) { test.change(e, w.clock.Now()) })
				}
			}
			if e := w.step(); e.State() != test.want || len(e.Images) != 0 {
				t.Errorf("%s with %v", e.State(), e.Images)
			}
		})
	}
}

func TestImagesUnchecked(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.watcher.Resolver = nil
	if e := w.step(); e.State() != previews.StateCommitting || e.Images[1].Reference != "web:a" || e.Images[1].Digest != "" {
		t.Errorf("%s with %v", e.State(), e.Images)
	}
}

// What has no reference to ask for fails at once, and says nothing of the inside.
func TestImagesWithoutReference(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	w.update(func(e *previews.Environment) { e.HeadRef = "nowhere" })
	if e := w.step(); e.State() != previews.StateFailed || e.Problem.Message != "this revision cannot be rendered" {
		t.Errorf("%s: %+v", e.State(), e.Problem)
	}
}

// A registry that is still being asked when the program ends leaves the row alone.
func TestImagesStopped(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.shelf.asked = func(string) { cancel() }
	if _, err := w.watcher.Step(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.shelf.asked = nil
	if e, err := w.store.Environment(t.Context(), 1, "pr-1"); err != nil || e.ImageAttempts != 0 {
		t.Errorf("%d attempts (%v)", e.ImageAttempts, err)
	}
}
