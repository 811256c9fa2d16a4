// Package storetest is the conformance suite of the store: what every database
// that idp can be run on must do alike. A driver's test calls Run with a function
// that opens an empty store on it.
//
// Each test judges what the store then holds, never how it got there. The tests
// run in parallel, each on a store of its own.
package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// Open returns an empty store with the given options, their URL filled in, and
// closes it when the test ends.
type Open func(t *testing.T, o store.Options) *store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Deliveries", testDeliveries},
		{"DeliveriesTogether", testDeliveriesTogether},
		{"Apply", testApply},
		{"ApplyStale", testApplyStale},
		{"ApplyAtOnce", testApplyAtOnce},
		{"Effects", testEffects},
		{"SaidOnce", testSaidOnce},
		{"Update", testUpdate},
		{"UpdateAllOrNone", testUpdateAllOrNone},
		{"Rerender", testRerender},
		{"RoundRobin", testRoundRobin},
		{"Scans", testScans},
		{"Lanes", testLanes},
		{"Reports", testReports},
		{"ReportsLongestFirst", testReportsLongestFirst},
		{"ReportsParked", testReportsParked},
		{"ReportsPaced", testReportsPaced},
		{"Live", testLive},
		{"LiveIdle", testLiveIdle},
		{"Taken", testTaken},
		{"TakenOrNeither", testTakenOrNeither},
		{"TakenAtOnce", testTakenAtOnce},
		{"LiveByAuthorID", testLiveByAuthorID},
		{"Room", testRoom},
		{"RoomAtOnce", testRoomAtOnce},
		{"Leases", testLeases},
		{"Restore", testRestore},
		{"Breaker", testBreaker},
		{"Pause", testPause},
		{"Observe", testObserve},
		{"Audit", testAudit},
		{"AuditOfItself", testAuditOfItself},
		{"Prune", testPrune},
		{"Answers", testAnswers},
		{"ImageReports", testImageReports},
		{"Metrics", testMetrics},
		{"JobsHandle", testJobsHandle},
		{"JobsDie", testJobsDie},
		{"JobsDrain", testJobsDrain},
		{"JobsOnSchedule", testJobsOnSchedule},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open)
		})
	}
}

// Clock is a clock that only moves when it is told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at noon on 1 November 2026.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)} }

// Now returns where the clock stands.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on by d and returns where it then stands.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// Preview returns the preview of a pull request as wanted at a time: its images
// not looked up yet, its time to live three days.
func Preview(repositoryID int64, pr int, now time.Time) previews.Environment {
	repo := fmt.Sprintf("repo-%d", repositoryID)
	e := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: repositoryID, Owner: "acme", Repo: repo, ID: gitops.PreviewID(pr)},
		Owner: "acme", Repo: repo, PR: pr, InstallationID: 1, Author: "ada",
	}
	e.Want(previews.Revision{SHA: fmt.Sprintf("%040d", pr), Ref: "topic", Spec: []byte("service: {}"), TTL: 72 * time.Hour}, now)
	return e
}

// Add stores an environment by way of a delivery of its own and returns it as it
// was stored.
func Add(t testing.TB, s *store.Store, e previews.Environment) previews.Environment {
	t.Helper()
	guid := fmt.Sprintf("add-%d-%s", e.Ref.RepositoryID, e.Ref.Key())
	Deliver(t, s, store.Delivery{GUID: guid, RepositoryID: e.Ref.RepositoryID, PR: e.PR})
	if err := s.Apply(t.Context(), store.Outcome{Delivery: guid, Environment: &e}); err != nil {
		t.Fatal(err)
	}
	return e
}

// Deliver stores a delivery and fails the test when it was there already.
func Deliver(t testing.TB, s *store.Store, d store.Delivery) {
	t.Helper()
	stored, err := s.AddDelivery(t.Context(), d)
	if err != nil || !stored {
		t.Fatalf("add delivery %s: stored %v, error %v", d.GUID, stored, err)
	}
}

// commit brings an environment to where its wanted generation is in Git.
func commit(t testing.TB, s *store.Store, rowID int64, now time.Time) {
	t.Helper()
	update(t, s, rowID, func(e *previews.Environment) {
		e.Resolve([]previews.Image{{Service: "web", Reference: "example.com/web:1"}}, now)
		e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c0ffee", Tree: "7ree", Diff: "+web", At: now})
	})
}

func update(t testing.TB, s *store.Store, rowID int64, fn func(*previews.Environment)) previews.Environment {
	t.Helper()
	e, err := s.Update(t.Context(), rowID, func(e *previews.Environment) error {
		fn(e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// names lists "repository/id", for comparing what a scan returned.
func names(list []previews.Environment) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, fmt.Sprintf("%d/%s", e.Ref.RepositoryID, e.Ref.ID))
	}
	return out
}
