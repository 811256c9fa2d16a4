package bot_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// about is an event of the repository, or of the installation.
func (w *world) about(kind bot.EventKind, name, action string) bot.Event {
	return w.event(name+" "+action+" "+w.clock.Now().String(), func(e *bot.Event) {
		e.Kind, e.Name, e.Action, e.PR = kind, name, action, 0
		if kind == bot.EventInstallation {
			e.Repository = bot.RepositoryRef{}
		}
	})
}

// writes counts the tries to write to GitHub, those for a token included.
func (w *world) writes() (n int) {
	for _, r := range w.github.Requests() {
		if r.Method != "GET" {
			n++
		}
	}
	return n
}

// changed makes something new to say.
func (w *world) changed() {
	w.update(func(e *previews.Environment) {
		e.Extend(time.Hour, 30*24*time.Hour, w.clock.Now())
	})
}

// tried lets the reporter try as often as it wants to within a day.
func (w *world) tried() {
	w.Helper()
	for range 24 * 6 {
		if _, err := w.reporter.Step(w.Context()); err != nil {
			w.Fatal(err)
		}
		w.clock.Advance(10 * time.Minute)
	}
}

// staging is a declared environment of the repository that is ready.
func (w *world) staging() previews.Environment {
	w.Helper()
	e := storetest.Preview(w.repo.ID(), 1, w.clock.Now())
	e.Ref.ID, e.Ref.Service, e.Deployed, e.Wanted = "staging", "web", &previews.Deployed{}, previews.Absent
	e.InstallationID, e.ExpiresAt = w.row().InstallationID, time.Time{}
	e.Owner, e.Repo = w.row().Owner, w.row().Repo
	e.Deploy(previews.Release{Kind: previews.ReleaseDeploy, SHA: strings.Repeat("a", 40), Spec: []byte("service: {name: web}"), Images: []previews.Image{{Service: "web"}}}, w.clock.Now())
	e.Commit(previews.Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c", Tree: "t", At: w.clock.Now()})
	return storetest.Add(w.T, w.store, e)
}

func (w *world) again(e previews.Environment) previews.Environment {
	w.Helper()
	after, err := w.store.Environment(w.Context(), e.Ref.RepositoryID, e.Ref.Key())
	if err != nil {
		w.Fatal(err)
	}
	return after
}

// Why nothing more is heard of a repository is on its rows until something is: what was told, and
// what only a sweep found. An archived one can be read, and is lost all the same.
func TestRepositoryLost(t *testing.T) {
	t.Parallel()
	for _, how := range []struct {
		name       string
		lose, find func(w *world)
		why        previews.LossReason
	}{
		{"uninstalled", func(w *world) {
			w.handle(w.about(bot.EventInstallation, "installation", "deleted"))
		}, func(w *world) {
			w.sweep()
		}, previews.LostUninstalled},
		{"suspended", func(w *world) {
			w.install.Suspend()
			w.handle(w.about(bot.EventInstallation, "installation", "suspend"))
			w.sweep()
		}, func(w *world) {
			w.sweep()
			w.install.Unsuspend()
			w.handle(w.about(bot.EventInstallation, "installation", "unsuspend"))
		}, previews.LostSuspended},
		{"archived", func(w *world) {
			w.repo.Archive("alice", true)
			w.handle(w.about(bot.EventRepository, "repository", "archived"))
			w.sweep()
		}, func(w *world) {
			w.repo.Archive("alice", false)
			w.sweep()
		}, previews.LostArchived},
		{"found out", func(w *world) {
			w.install.Suspend()
			w.sweep()
		}, func(w *world) {
			w.install.Unsuspend()
			w.clock.Advance(24 * time.Hour) // longer than the sweep leaves anything alone
			w.sweep()
		}, previews.LostUnreadable},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			w := reported(t)
			staging := w.staging()
			told := map[previews.LossReason]int{}
			w.sweeper.Lost = func(counts map[previews.LossReason]int) { maps.Copy(told, counts) }
			how.lose(w)
			lost := w.again(staging)
			if lost.Lost == nil || lost.Lost.Reason != how.why || lost.Generation != staging.Generation {
				t.Fatalf("lost: %+v, generation %d", lost.Lost, lost.Generation)
			}
			how.find(w)
			if told[how.why] == 0 {
				t.Errorf("the sweep counted %v", told)
			}
			if found := w.again(staging); found.Lost != nil || found.Generation != staging.Generation {
				t.Errorf("found: %+v, generation %d", found.Lost, found.Generation)
			}
		})
	}
}

// Fault: a deleted repository kept its previews until they expired.
func TestRepositoryDeleted(t *testing.T) {
	t.Parallel()
	w := reported(t)
	other := storetest.Add(t, w.store, storetest.Preview(w.repo.ID()+1, 1, w.clock.Now()))
	staging := w.staging()
	w.repo.Delete("alice")
	deleted := w.about(bot.EventRepository, "repository", "deleted")
	w.handle(deleted)
	// What serves people stays, and says why nothing more comes of it.
	if after := w.again(staging); after.Wanted != previews.Present || after.Generation != staging.Generation || after.Lost == nil || after.Lost.Reason != previews.LostDeleted {
		t.Errorf("staging is wanted %s, lost %+v", after.Wanted, after.Lost)
	}
	e := w.row()
	if e.Wanted != previews.Absent || e.Removal.Reason != previews.RemovedDeleted || e.Removal.Inferred || e.Removal.By != "alice" || !e.NeedsCommit() {
		t.Errorf("wanted %s: %+v", e.Wanted, e.Removal)
	}
	if again, err := w.store.Environment(t.Context(), other.Ref.RepositoryID, "pr-1"); err != nil || again.Version != other.Version {
		t.Errorf("another repository's row was written (%v)", err)
	}
	w.committed()
	if e = w.row(); e.State() != previews.StateGone {
		t.Errorf("it is %s", e.State())
	}
	w.github.ForgetRequests()
	w.tried()
	if n := w.writes(); n > 4*finalTries { // of the other row, which GitHub does not know
		t.Errorf("%d writes about a repository that is gone", n)
	}
	// A late event of one of its pull requests brings nothing back.
	if err := w.handler.Handle(t.Context(), w.event("late")); err == nil || w.row().Wanted != previews.Absent {
		t.Errorf("wanted %s, %v", w.row().Wanted, err)
	}
}

// finalTries is how often the reporter asks before it takes a refusal as final.
const finalTries = 3

// An archived repository keeps its previews, and what GitHub refuses to take about
// it is not tried for ever, nor lost once it is brought back.
func TestRepositoryArchived(t *testing.T) {
	t.Parallel()
	w := reported(t)
	restore := w.github.Inject(githubtest.Fault{Method: "PATCH", Status: 403})
	defer w.github.Inject(githubtest.Fault{Method: "POST", Path: "/repos/*/*/deployments*", Status: 403})()
	w.handle(w.about(bot.EventRepository, "repository", "archived"))
	w.equal("wanted", string(w.row().Wanted), string(previews.Present))
	w.changed()
	w.github.ForgetRequests()
	w.tried()
	// Fault: it was tried every ten minutes, for ever.
	if n := w.writes(); n == 0 || n > 4*finalTries {
		t.Errorf("%d writes in a day", n)
	}
	restore()
	w.changed()
	w.report()
}

// While the App is suspended, nothing is tried; then what is new is said.
func TestInstallationSuspended(t *testing.T) {
	t.Parallel()
	for _, how := range []struct{ name, lost, found string }{
		{"told", "suspend", "unsuspend"}, {"found out", "", "unsuspend"}, {"swept", "suspend", ""},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			w := reported(t)
			w.sweep()
			w.install.Suspend()
			if how.lost != "" {
				w.handle(w.about(bot.EventInstallation, "installation", how.lost))
			}
			w.changed()
			w.github.ForgetRequests()
			w.tried()
			if n := w.writes(); n > 4*finalTries || how.lost != "" && n > 0 {
				t.Errorf("%d writes without access", n)
			}
			before := w.mine(sticky)[0].Body
			w.sweep()
			w.install.Unsuspend()
			w.clock.Advance(24 * time.Hour) // longer than the sweep leaves anything alone
			if how.found != "" {
				w.handle(w.about(bot.EventInstallation, "installation", how.found))
			} else {
				w.sweep()
			}
			w.report()
			if after := w.mine(sticky)[0].Body; after == before {
				t.Error("what waited for access was never said")
			}
		})
	}
}

// Nor is a reply tried for hours that nobody may write any more.
func TestReplyWithoutAccess(t *testing.T) {
	t.Parallel()
	w := reported(t)
	failed := 0
	w.speaker.Failed = func() { failed++ }
	w.handle(w.said("help", "/idp help"))
	w.install.Suspend()
	for range 24 * 6 {
		if _, err := w.speaker.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(10 * time.Minute)
	}
	// A reaction and a reply; what was counted before it was tried is a try.
	if failed == 0 || failed > 2*(finalTries+1) {
		t.Errorf("tried %d times in a day", failed)
	}
	if next, waits, err := w.store.NextEffect(t.Context()); err != nil || waits {
		t.Errorf("still to be said at %s, %v", next, err)
	}
}

// Installed anew, under another id: previews follow, and a late farewell of the old
// installation is about nothing any more.
func TestInstalledAnew(t *testing.T) {
	t.Parallel()
	w := reported(t)
	w.install.Uninstall()
	farewell := w.about(bot.EventInstallation, "installation", "deleted")
	farewell.Repositories = []bot.RepositoryRef{w.ref()}
	w.install = w.app.Install("acme", githubtest.InstallOptions{})
	w.clock.Advance(time.Minute)
	welcome := w.about(bot.EventInstallation, "installation", "created")
	welcome.Repositories = []bot.RepositoryRef{w.ref()}
	w.handle(welcome)
	w.handle(farewell)
	if id := w.row().InstallationID; id != w.install.ID() {
		t.Errorf("installation %d, not %d", id, w.install.ID())
	}
	w.changed()
	w.report()
}

// A transferred repository is spoken to by its new owner's installation at once;
// where no event told of it, after the next sweep.
func TestRepositoryTransferred(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{true, false} {
		w := reported(t)
		labs := w.app.Install("acme-labs", githubtest.InstallOptions{})
		if err := w.repo.Transfer("alice", "acme-labs"); err != nil {
			t.Fatal(err)
		}
		if told {
			moved := w.about(bot.EventRepository, "repository", "transferred")
			moved.InstallationID, moved.Repository.Owner = labs.ID(), "acme-labs"
			w.handle(moved)
		} else {
			w.sweep()
		}
		if e := w.row(); e.InstallationID != labs.ID() || e.Owner != "acme-labs" || e.Ref.Owner != "acme" {
			t.Errorf("told %t: %s/%s in %s by installation %d", told, e.Owner, e.Repo, e.Ref, e.InstallationID)
		}
		w.changed()
		w.report()
	}
}

// Fault: of two pull requests with one head, "Re-run" reached the first alone.
func TestRerequestReachesAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handle(w.event("opened"))
	w.repo.Commit("release", map[string]string{"r.txt": "r"})
	if _, err := w.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Backport", Head: "topic", Base: "release"}); err != nil {
		t.Fatal(err)
	}
	w.handle(w.event("opened too", func(e *bot.Event) { e.PR = 2 }))
	w.clock.Advance(time.Minute)
	w.handle(w.event("rerun", func(e *bot.Event) {
		e.Kind, e.Name, e.Action, e.HeadSHA = bot.EventRerequest, "check_run", "rerequested", w.pr.HeadSHA()
	}))
	w.equal("each by itself", w.rerequested(), "1 2")
	rows, err := w.store.Environments(t.Context(), store.Filter{})
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if !row.RecheckAt.Equal(w.clock.Now()) {
			t.Errorf("%s was not run again", row.Ref)
		}
	}
}

// A check of a commit that is no longer the newest is answered on the newest.
func TestRerequestOfAnOldCommit(t *testing.T) {
	t.Parallel()
	w := reported(t)
	old := w.pr.HeadSHA()
	w.pr.Push("alice", map[string]string{"a.txt": "b"})
	w.handle(w.event("pushed"))
	before := w.row()
	w.clock.Advance(time.Minute)
	w.handle(w.event("rerun", func(e *bot.Event) {
		e.Kind, e.PR, e.HeadSHA, e.CheckOf = bot.EventRerequest, 0, old, before.Ref.Name()
	}))
	if e := w.row(); e.HeadSHA != w.pr.HeadSHA() || e.SHA != before.SHA || e.Generation != before.Generation || !e.RecheckAt.Equal(w.clock.Now()) {
		t.Errorf("%.7s wanted at generation %d, run again at %s", e.SHA, e.Generation, e.RecheckAt)
	}
}

// rerequested handles the events that a "Re-run" of several made.
func (w *world) rerequested() string {
	w.Helper()
	var numbers []string
	for pr := range 9 {
		pending, err := w.store.PendingDeliveries(w.Context(), w.repo.ID(), pr)
		if err != nil {
			w.Fatal(err)
		}
		for _, d := range pending {
			var e bot.Event
			if err := json.Unmarshal(d.Payload, &e); err != nil || e.Delivery != d.GUID || d.Event != bot.RerequestEvent {
				w.Fatalf("%+v, %v", e, err)
			}
			w.handle(e)
			numbers = append(numbers, strconv.Itoa(e.PR))
		}
	}
	slices.Sort(numbers)
	return strings.Join(numbers, " ")
}
