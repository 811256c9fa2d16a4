package bot_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// sweep sweeps, and returns the pull requests that were found, handled as the
// queue would.
func (w *world) sweep() string {
	w.Helper()
	if err := w.sweeper.Sweep(w.Context()); err != nil {
		w.Fatal(err)
	}
	return w.swept()
}

func (w *world) swept() string {
	w.Helper()
	var found []string
	for pr := range 9 {
		pending, err := w.store.PendingDeliveries(w.Context(), w.repo.ID(), pr)
		if err != nil {
			w.Fatal(err)
		}
		for _, d := range pending {
			var e bot.Event
			if err := json.Unmarshal(d.Payload, &e); err != nil {
				w.Fatal(err)
			}
			if e.Delivery != d.GUID || !e.Swept || e.PR != pr {
				w.Errorf("swept event %+v", e)
			}
			w.handle(e)
			found = append(found, fmt.Sprint(pr))
		}
	}
	slices.Sort(found)
	// Sweeps are minutes apart.
	w.clock.Advance(10 * time.Minute)
	return strings.Join(found, " ")
}

// open opens another pull request.
func (w *world) open(branch string) *githubtest.PullRequest {
	w.Helper()
	w.repo.Commit(branch, map[string]string{branch + ".txt": "a"})
	pr, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: branch, Head: branch})
	if err != nil {
		w.Fatal(err)
	}
	return pr
}

// What no webhook told is found, once each.
func TestSweep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// Fault: repositories without rows were never looked at.
	w.equal("nothing is known yet", w.sweep(), "1")
	w.equal("after it", w.sweep(), "")
	w.equal("all is as it looks", w.sweep(), "")
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.equal("a push", w.sweep(), "1")
	w.equal("head", w.row().HeadSHA, w.pr.HeadSHA())
	w.equal("after it", w.sweep(), "")
	w.pr.Close("alice")
	w.equal("a closing", w.sweep(), "1")
	if e := w.row(); e.Wanted != previews.Absent || !e.Removal.Inferred {
		t.Errorf("wanted %s: %+v", e.Wanted, e.Removal)
	}
	w.equal("after it", w.sweep(), "")
	w.pr.Reopen("alice")
	// Fault: a reopening that no webhook told was never found.
	w.equal("a reopening", w.sweep(), "1")
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
	w.pr.ConvertToDraft("alice")
	w.open("other")
	w.equal("a draft, and one without a row", w.sweep(), "1 2")
	w.equal("after it", w.sweep(), "")
}

// Labels make and end previews: one that was taken away unheard is found.
func TestSweepSeesLabels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pr.Push("alice", map[string]string{".idp/deploy.yaml": "service: {name: web}\npreview: {trigger: label, label: preview}\n"})
	w.equal("unlabelled", w.sweep(), "1")
	w.equal("again", w.sweep(), "")
	w.pr.Label("alice", "preview")
	w.equal("labelled", w.sweep(), "1")
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
	w.equal("again", w.sweep(), "")
	w.pr.Unlabel("alice", "preview")
	// A command that was heard meanwhile does not hide what was not.
	w.handle(w.said("help", "/idp help"))
	w.equal("unlabelled", w.sweep(), "1")
	w.equal("wanted", string(w.row().Wanted), string(previews.Absent))
	w.equal("again", w.sweep(), "")
}

// Repositories without rows have their turn, a bounded number at a time.
func TestSweepTakesTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 110 {
		w.github.AddRepository(fmt.Sprintf("acme/r%03d", i), githubtest.RepositoryOptions{Files: map[string]string{"x": "y"}})
	}
	listed := func() int {
		w.github.ForgetRequests()
		w.sweep()
		n := 0
		for _, r := range w.github.Requests() {
			if r.Route == "/repos/{owner}/{repo}/pulls" {
				n++
			}
		}
		return n
	}
	// The first finds a pull request in acme/web, which then is one with rows.
	if first, second := listed(), listed(); first != 100 || second != 101 {
		t.Errorf("listed %d, then %d", first, second)
	}
}

// Pull requests that idp never heard of come in a bounded number at a time, and all
// of them in the end.
func TestSweepBoundsNewcomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 204 {
		w.open(fmt.Sprintf("topic-%d", i))
	}
	for _, want := range []int{200, 205, 205} {
		if err := w.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if depth, err := w.store.QueueDepth(t.Context()); err != nil || depth != want {
			t.Errorf("%d are told of, want %d (%v)", depth, want, err)
		}
	}
}

// A repository that idp may not read ends neither the sweep nor its pace.
func TestSweepLeavesDeadRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	dead := w.github.AddRepository("acme/dead", githubtest.RepositoryOptions{Files: map[string]string{"x": "y"}})
	restore := w.github.Inject(githubtest.Fault{Method: "GET", Path: "/repos/acme/dead/pulls", Status: 403})
	asked := func() int {
		n := 0
		for _, r := range w.github.Requests() {
			if strings.HasPrefix(r.Path, "/repos/acme/dead/pulls") {
				n++
			}
		}
		return n
	}
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.equal("the others", w.sweep(), "1")
	if n := asked(); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	for range 18 { // three hours
		w.sweep()
	}
	if n := asked(); n < 2 || n > 6 {
		t.Errorf("asked %d times in three hours", n)
	}
	restore()
	dead.Delete("alice")
	w.equal("after it", w.sweep(), "")
}

// A reopened pull request that gets no preview is looked at once, until it changes.
func TestSweepLooksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.pr.Close("alice")
	w.handle(w.event("closed"))
	w.pr.Push("alice", map[string]string{".idp/deploy.yaml": "service: {nmae: web}\n"})
	w.pr.Reopen("alice")
	w.equal("reopened with a mistake", w.sweep(), "1")
	w.equal("again", w.sweep(), "")
	w.pr.Close("alice")
	w.sweep()
	w.pr.Reopen("alice")
	w.equal("closed and reopened", w.sweep(), "1")
	w.pr.Push("alice", map[string]string{".idp/deploy.yaml": "service: {name: web}\n"})
	w.equal("mended", w.sweep(), "1")
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
}

// Nothing follows from a list that cannot be read, and little from one that is
// empty: the pull request itself is asked.
func TestSweepInfersNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	list := githubtest.Fault{Method: "GET", Path: "/repos/*/*/pulls", Status: 500}
	restore := w.github.Inject(list)
	if err := w.sweeper.Sweep(t.Context()); err == nil {
		t.Error("nobody hears of a list that cannot be read")
	}
	restore()
	w.equal("found", w.swept(), "")
	list.Status, list.Body = 200, "[]"
	restore = w.github.Inject(list)
	w.equal("an empty list", w.sweep(), "1")
	restore()
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
}

// full is a store that takes no deliveries.
type full struct{ *store.Store }

func (full) AddDelivery(context.Context, store.Delivery) (bool, error) {
	return false, errors.New("disk full")
}

// Fault: a pull request counted as looked at though its delivery was not stored.
func TestSweepStoresFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.open("other")
	w.sweeper.Store = full{w.store}
	if err := w.sweeper.Sweep(t.Context()); err == nil {
		t.Error("nobody hears of it")
	}
	w.sweeper.Store = w.store
	w.equal("found", w.sweep(), "2")
}

// Deliveries that never arrived are asked for again, until they do.
func TestSweepRedelivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var status atomic.Int32
	status.Store(http.StatusServiceUnavailable)
	arrived := atomic.Int32{}
	hook := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != http.StatusAccepted {
			rw.WriteHeader(code)
			return
		}
		arrived.Add(1)
		rw.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(hook.Close)
	w.app.SetWebhook(hook.URL, strings.Repeat("s", 32))
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	sweep := func(want int32) {
		t.Helper()
		if err := w.github.WaitDeliveries(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(10 * time.Minute)
		if err := w.sweeper.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.github.WaitDeliveries(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := arrived.Load(); got != want {
			t.Errorf("%d arrived, want %d", got, want)
		}
	}
	sent := int32(len(w.app.Deliveries()))
	if sent == 0 {
		t.Fatal("nothing was delivered")
	}
	sweep(0)
	sweep(0)
	status.Store(http.StatusAccepted)
	sweep(sent)
	sweep(sent)
}

// atLimit is an installation whose limits are used up by the time that a repository of
// its is looked at.
type atLimit struct {
	asked      []string
	importance []bot.Importance
}

type limitError struct{ error }

func (limitError) RetryAt() time.Time { return time.Now() }

func (l *atLimit) Repositories(context.Context) ([]bot.RepositoryRef, error) {
	return []bot.RepositoryRef{{ID: 901, Owner: "acme", Name: "a"}, {ID: 902, Owner: "acme", Name: "b"}}, nil
}

func (l *atLimit) OpenPullRequests(ctx context.Context, repo bot.RepositoryRef) ([]bot.PullRequest, error) {
	l.asked, l.importance = append(l.asked, repo.Name), append(l.importance, bot.ImportanceOf(ctx))
	return nil, limitError{errors.New("rate limited")}
}

// An installation at its limits is left alone for the rest of the sweep, which matters
// least of all.
func TestSweepStopsAtLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := &atLimit{}
	w.sweeper.GitHub = func(int64) bot.Lister { return l }
	if err := w.sweeper.Sweep(t.Context()); err == nil || strings.Count(err.Error(), "rate limited") != 1 {
		t.Errorf("the sweep says %v", err)
	}
	w.equal("asked", fmt.Sprint(l.asked), "[a]")
	w.equal("importance", fmt.Sprint(l.importance), fmt.Sprint([]bot.Importance{bot.ForUpkeep}))
}
