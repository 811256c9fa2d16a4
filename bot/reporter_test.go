package bot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

const sticky = report.Marker

// reported is a world whose pull request has a preview in Git, reported.
func reported(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.committed()
	w.report()
	return w
}

func (w *world) head() string { return w.pr.HeadSHA()[:7] }

func TestReportTwice(t *testing.T) {
	t.Parallel()
	w := reported(t)
	w.equal("checks", w.checks(), w.head()+" neutral")
	w.equal("deployments", w.deployments(), w.head()+" success")
	w.github.ForgetRequests()
	w.update(func(e *previews.Environment) { e.HeadRef = "renamed" })
	w.report()
	for _, r := range w.github.Requests() {
		if r.Method != "GET" && !strings.Contains(r.Route, "deployment") {
			t.Errorf("%s %s for nothing new", r.Method, r.Route)
		}
	}
	if n := len(w.mine(sticky)); n != 1 {
		t.Errorf("%d comments", n)
	}
}

// A new head takes the deployment over, and no check of an older one hangs.
func TestReportNewHead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.report() // waiting for an image
	first := w.head()
	w.equal("while it waits", w.checks(), first+" in_progress")
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.handle(w.event("pushed"))
	w.report()
	w.equal("after the push", w.checks(), first+" cancelled, "+w.head()+" in_progress")
	w.committed()
	w.report()
	second := w.head()
	w.pr.Push("alice", map[string]string{"a.txt": "c"})
	w.handle(w.event("pushed again"))
	w.report()
	w.equal("while the second serves", w.deployments(), second+" success")
	w.equal("and the third waits", w.checks(), first+" cancelled, "+second+" neutral, "+w.head()+" in_progress")
	w.committed()
	w.report()
	w.equal("in the end", w.deployments(), second+" inactive, "+w.head()+" success")
}

// Pushed back to a commit that had its check, idp writes that one again.
func TestReportPushedBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.report()
	first := w.pr.HeadSHA()
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.handle(w.event("pushed"))
	w.report()
	second := w.head()
	if err := w.repo.Reset("alice", "topic", first); err != nil {
		t.Fatal(err)
	}
	w.handle(w.event("pushed back"))
	w.report()
	w.equal("checks", w.checks(), first[:7]+" in_progress, "+second+" cancelled")
}

func TestReportRemovedAndBack(t *testing.T) {
	t.Parallel()
	w := reported(t)
	w.pr.Close("alice")
	w.handle(w.event("closed"))
	w.report()
	w.equal("while it is being removed", w.deployments(), w.head()+" inactive")
	w.committed()
	w.report()
	w.pr.Reopen("alice")
	w.handle(w.event("reopened"))
	w.report()
	w.equal("while it waits", w.deployments(), w.head()+" inactive")
	w.committed()
	w.report()
	w.equal("brought back", w.deployments(), w.head()+" success")
	if n := len(w.mine(sticky)); n != 1 {
		t.Errorf("%d comments", n)
	}
}

// The comment is found by its marker on any page, duplicates go, others' stay, and
// a deleted one is written anew.
func TestReportFindsItsComment(t *testing.T) {
	t.Parallel()
	w := reported(t)
	first := w.mine(sticky)[0]
	gh := w.client.Installation(w.install.ID())
	for i := range 205 {
		w.comment("alice", fmt.Sprint("number ", i))
	}
	for range 2 {
		if _, err := gh.CreateComment(t.Context(), w.ref(), 1, sticky+"env=x -->\ntwin"); err != nil {
			t.Fatal(err)
		}
	}
	w.comment("alice", sticky+"env=x -->\nnot the App's")
	w.forget(func(r *store.Report) { r.CommentID, r.CommentHash = 0, "" })
	w.report()
	if now := w.mine(sticky); len(now) != 1 || now[0].ID != first.ID || strings.Contains(now[0].Body, "twin") {
		t.Errorf("comments %+v", now)
	}
	if n := len(w.pr.Comments()); n != 207 {
		t.Errorf("%d comments are left", n)
	}
	if err := w.repo.DeleteComment("alice", first.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := gh.CreateComment(t.Context(), w.ref(), 1, sticky+"env=x -->\non page 3"); err != nil {
		t.Fatal(err)
	}
	w.update(func(e *previews.Environment) { e.Pin(w.clock.Now()) })
	w.report()
	if now := w.mine(sticky); len(now) != 1 || strings.Contains(now[0].Body, "on page 3") {
		t.Errorf("the one on page 3 was not taken: %+v", now)
	}
	if err := w.repo.DeleteComment("alice", w.mine(sticky)[0].ID); err != nil {
		t.Fatal(err)
	}
	w.update(func(e *previews.Environment) { e.Unpin(w.clock.Now()) })
	w.report()
	if now := w.mine(sticky); len(now) != 1 {
		t.Errorf("after it was deleted: %+v", now)
	}
}

// forget changes what is known to have been said, and makes it due to be said again.
func (w *world) forget(f func(*store.Report)) {
	w.Helper()
	saved, err := w.store.Report(w.Context(), w.row().RowID)
	if err != nil {
		w.Fatal(err)
	}
	saved.ReportedVersion = 0
	f(&saved)
	if err := w.store.SaveReport(w.Context(), w.row().RowID, saved); err != nil {
		w.Fatal(err)
	}
}

// dying is a store whose process ends at the end of a report: what was written to
// GitHub is known to nobody.
type dying struct{ *store.Store }

var errDied = errors.New("the power went")

func (d dying) SaveReport(ctx context.Context, row int64, r store.Report) error {
	if r.ReportedVersion != 0 || r.LastError != "" || r.CommentID != 0 {
		return errDied
	}
	return d.Store.SaveReport(ctx, row, r)
}

// Fault: where idp ended before it stored what it had created and the pull request
// moved on meanwhile, a check hung and a dead deployment stayed for good.
func TestReportCrash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		down                       func(*world)
		wantChecks, wantDeployment string
	}{
		"nothing happens": {func(*world) {}, "1 neutral", "1 success"},
		"pushed": {func(w *world) {
			w.pr.Push("alice", map[string]string{"a.txt": "b"})
			w.handle(w.event("pushed"))
		}, "1 neutral, 2 in_progress", "1 success"},
		"pushed and committed": {func(w *world) {
			w.pr.Push("alice", map[string]string{"a.txt": "b"})
			w.handle(w.event("pushed"))
			w.committed()
		}, "1 neutral, 2 neutral", "1 inactive, 2 success"},
		"closed": {func(w *world) {
			w.pr.Close("alice")
			w.handle(w.event("closed"))
		}, "", "1 inactive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.handle(w.event("opened"))
			w.committed()
			w.reporter.Store = dying{w.store}
			if _, err := w.reporter.Step(t.Context()); !errors.Is(err, errDied) {
				t.Fatalf("error %v", err)
			}
			first := w.head()
			w.equal("before", w.checks()+" | "+w.deployments(), first+" neutral | "+first+" success")
			w.restart()
			test.down(w)
			w.report()
			shas := strings.NewReplacer(first, "1", w.head(), "2")
			if checks := shas.Replace(w.checks()); name != "closed" {
				w.equal("checks", checks, test.wantChecks)
			}
			w.equal("deployments", shas.Replace(w.deployments()), test.wantDeployment)
			if n := len(w.mine(sticky)); n != 1 {
				t.Errorf("%d comments", n)
			}
		})
	}
}

// The check that hung: created, not stored, and its commit is the head no more.
func TestReportCrashWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.reporter.Store = dying{w.store}
	if _, err := w.reporter.Step(t.Context()); !errors.Is(err, errDied) {
		t.Fatalf("error %v", err)
	}
	first := w.head()
	w.restart()
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.handle(w.event("pushed"))
	w.report()
	w.equal("checks", w.checks(), first+" cancelled, "+w.head()+" in_progress")
}

// What GitHub does not take is written later; what it took meanwhile is known.
func TestReportFailures(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"checks": "/repos/*/*/check-runs**", "deployments": "/repos/*/*/deployments/**", "comments": "/repos/*/*/issues/**",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.handle(w.event("opened"))
			w.committed()
			restore := w.github.Inject(githubtest.Fault{Method: "POST", Path: path, Status: 422})
			if _, err := w.reporter.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			saved, err := w.store.Report(t.Context(), w.row().RowID)
			if err != nil || saved.Attempts != 1 || !saved.NotBefore.After(w.clock.Now()) || saved.LastError == "" {
				t.Fatalf("saved %+v (%v)", saved, err)
			}
			for what, written := range map[string]bool{"checks": w.checks() != "", "deployments": strings.Contains(w.deployments(), "success"), "comments": len(w.mine(sticky)) == 1} {
				if written == (what == name) {
					t.Errorf("%s are written: %v", what, written)
				}
			}
			restore()
			if left, _ := w.store.Unreported(t.Context(), w.clock.Now(), 1); len(left) > 0 {
				t.Error("it does not wait")
			}
			w.clock.Advance(time.Second)
			w.report()
			w.equal("in the end", w.checks()+" | "+w.deployments()+" | "+fmt.Sprint(len(w.mine(sticky))),
				w.head()+" neutral | "+w.head()+" success | 1")
		})
	}
}

// A rate limit holds reports back until GitHub says so.
func TestReportRateLimited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.github.Inject(githubtest.Fault{Times: 1, Method: "POST", Path: "/repos/*/*/check-runs", Status: 403, RetryAfter: 7 * time.Minute, Secondary: true})
	if _, err := w.reporter.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if at, _, err := w.store.NextReport(t.Context()); err != nil || at.Before(w.clock.Now().Add(7*time.Minute)) {
		t.Errorf("next at %s (%v)", at, err)
	}
	w.clock.Advance(8 * time.Minute)
	w.report()
	if w.github.BannedRequests() != 0 {
		t.Error("something was sent while GitHub said to wait")
	}
}

// Fault: a deployment that somebody deleted was told of its states for ever.
func TestReportDeletedDeployment(t *testing.T) {
	t.Parallel()
	w := reported(t)
	w.forget(func(r *store.Report) { r.DeploymentID, r.DeploymentState = 1, "" })
	if _, err := w.reporter.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	w.report()
	if saved, err := w.store.Report(t.Context(), w.row().RowID); err != nil || saved.LastError != "" || saved.DeploymentID != w.repo.Deployments()[0].ID {
		t.Errorf("saved %+v (%v)", saved, err)
	}
}

// A pull request that cannot be reported keeps no other from it.
func TestReportOneFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	lost := storetest.Preview(999, 5, w.clock.Now())
	lost.InstallationID = w.install.ID()
	storetest.Add(t, w.store, lost)
	w.handle(w.event("opened"))
	if _, err := w.reporter.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.equal("the other", w.checks(), w.head()+" in_progress")
	if next, due, err := w.store.NextReport(t.Context()); err != nil || !due || !next.After(w.clock.Now()) {
		t.Errorf("the lost one is due at %s, %v (%v)", next, due, err)
	}
}

// Two pull requests may have one head: each has a check of its own, which is found
// again by its external id when nobody heard that it was made.
func TestReportFindsItsOwnCheck(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.repo.Commit("release", map[string]string{"r.txt": "r"})
	if _, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Backport", Head: "topic", Base: "release"}); err != nil {
		t.Fatal(err)
	}
	w.report()
	w.handle(w.event("opened too", func(e *bot.Event) { e.PR = 2 }))
	w.github.Inject(githubtest.Fault{Method: "POST", Path: "/repos/*/*/check-runs", Drop: true, AfterEffect: true, Times: 1})
	for range 3 {
		if _, err := w.reporter.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Minute)
	}
	w.report()
	owners := map[string]int64{}
	for _, run := range w.repo.CheckRuns() {
		owner, _, _ := strings.Cut(run.ExternalID, "@")
		if owners[owner] != 0 {
			t.Errorf("%s has two checks", owner)
		}
		owners[owner] = run.ID
	}
	rows, err := w.store.Environments(t.Context(), store.Filter{})
	if err != nil || len(rows) != 2 || len(owners) != 2 {
		t.Fatalf("checks %v of %d environments, %v", owners, len(rows), err)
	}
	for _, row := range rows {
		said, err := w.store.Report(t.Context(), row.RowID)
		if err != nil || said.CheckRunID != owners[row.Ref.Name()] {
			t.Errorf("%s took check %d for its own, not %d (%v)", row.Ref, said.CheckRunID, owners[row.Ref.Name()], err)
		}
	}
}
