package github

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
)

// Deliveries that no attempt brought home are found and brought home.
func TestFailedDeliveries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var ill atomic.Bool
	arrived := make(chan string, 1000)
	receiver := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		arrived <- r.Header.Get("X-GitHub-Delivery")
		rw.WriteHeader(http.StatusAccepted)
	}))
	defer receiver.Close()
	w.server.SetWebhook(receiver.URL, "a webhook secret of thirty-two bytes")
	settle := func() {
		t.Helper()
		if err := w.server.WaitDeliveries(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ill.Store(true)
	pr := w.open(t, "lost")
	settle()
	lostBefore := w.clock.Now()
	w.clock.advance(time.Hour)
	pr.Close("alice")
	settle()
	ill.Store(false)
	w.clock.advance(time.Minute)
	for range 60 { // to fill more than one page
		pr.Reopen("alice")
		pr.Close("alice")
	}
	settle()

	failed, err := w.app.FailedDeliveries(t.Context(), lostBefore.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if len(failed) != 1 || failed[0].Event != "pull_request" || failed[0].Action != "closed" {
		t.Fatalf("failed: %+v", failed)
	}
	all, err := w.app.FailedDeliveries(t.Context(), lostBefore.Add(-time.Minute))
	if err != nil || len(all) < 2 {
		t.Fatalf("since the beginning: %+v, %v", all, err)
	}
	for len(arrived) > 0 {
		<-arrived
	}
	for _, one := range all {
		if err := w.app.Redeliver(t.Context(), one.ID); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	if len(arrived) != len(all) {
		t.Errorf("%d of %d arrived", len(arrived), len(all))
	}
	if left, err := w.app.FailedDeliveries(t.Context(), lostBefore.Add(-time.Minute)); err != nil || len(left) != 0 {
		t.Errorf("still failed: %+v, %v", left, err)
	}
}

// With a third of all answers failing, the limits kept and the clock running,
// everything gets done and nothing is done twice that must not be.
func TestThirtyPercentErrors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pr := w.open(t, "a")
	for _, fault := range []githubtest.Fault{
		{Probability: 0.1, Status: 502, HTML: true}, {Probability: 0.1, Drop: true},
		{Probability: 0.05, Status: 403, RetryAfter: 30 * time.Second, Secondary: true}, {Probability: 0.05, Status: 429, RetryAfter: 2 * time.Second},
	} {
		w.server.Inject(fault)
	}
	done := 0
	for begun := w.clock.Now(); w.clock.Now().Sub(begun) < 10*time.Minute; w.clock.advance(time.Second) {
		if got, err := w.client.PullRequest(t.Context(), w.ref(), 1); err == nil {
			done++
			if got.HeadSHA != pr.HeadSHA() {
				t.Fatalf("read %+v", got)
			}
		} else if isAbsence(err) {
			t.Fatalf("a failure was taken for absence: %v", err)
		}
	}
	if n := w.server.BannedRequests(); n != 0 {
		t.Errorf("%d requests within a ban", n)
	}
	if done < 20 {
		t.Errorf("only %d reads went through", done)
	}
	t.Logf("%d reads in ten minutes, %d requests, 0 of them within a ban", done, len(w.server.Requests()))
}

func isAbsence(err error) bool { return errors.Is(err, bot.ErrNotFound) }
