package previews_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// workshop is a committer between a real store and a real GitOps repository.
type workshop struct {
	*testing.T
	clock     *storetest.Clock
	store     *store.Store
	remote    *gittest.Repository
	dir       string
	git       *repo.Repo
	committer *previews.Committer
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	clock := storetest.NewClock()
	w := &workshop{T: t, clock: clock, store: openStore(t, clock), dir: secrettest.Dir(t)}
	server, err := gittest.Start(t.Context(), secrettest.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if w.remote, err = server.Create(t.Context(), "acme/gitops"); err != nil {
		t.Fatal(err)
	}
	w.restart()
	t.Cleanup(func() { w.git.Close() })
	return w
}

// restart takes a new committer, as after a crash.
func (w *workshop) restart() {
	w.Helper()
	if w.git != nil {
		if err := w.git.Close(); err != nil {
			w.Fatal(err)
		}
	}
	var err error
	if w.git, err = repo.Open(w.Context(), repo.Options{URL: w.remote.URL, Branch: "main", Dir: w.dir, Now: w.clock.Now}); err != nil {
		w.Fatal(err)
	}
	w.committer = &previews.Committer{
		Store: w.store, Git: w.git, Batch: previews.DefaultBatch, Render: renderPlainly, List: listPlainly,
		Pushed: func([]previews.Environment) {}, Now: w.clock.Now, Log: secrettest.Logger(w),
	}
}

func renderPlainly(_ context.Context, e previews.Environment) (previews.Rendered, error) {
	switch string(e.Spec) {
	case "broken":
		return previews.Rendered{}, fault.New(fault.Conflict, "the host is taken", "Name the service otherwise.")
	case "away":
		return previews.Rendered{}, &previews.LaterError{Err: errors.New("GitHub is away")}
	}
	return previews.Rendered{Notes: []string{"Secret db: dropped"}, Files: []gitops.File{
		{Path: e.Ref.RecordPath(), Content: fmt.Appendf(nil, "expires: %s\n", e.ExpiresAt)},
		{Path: e.Ref.ManifestsDir() + "/deployment.yaml", Content: fmt.Appendf(nil, "revision: %s\n", e.SHA)},
	}}, nil
}

// listPlainly is a line for each environment.
func listPlainly(of previews.Listed, rows []previews.Environment) (gitops.File, error) {
	lines := []string{}
	for _, row := range rows {
		if row.HeadRef == "unlistable" {
			return gitops.File{}, errors.New("no path of an environment")
		}
		lines = append(lines, row.Ref.Dir()+"\n")
	}
	slices.Sort(lines)
	path, _ := gitops.PreviewsApplicationSet(of.RepositoryID, of.Repo)
	if of.Declared {
		path, _ = gitops.DeployedApplicationSet(of.RepositoryID, of.Repo)
	}
	return gitops.File{Path: path, Content: []byte(strings.Join(lines, ""))}, nil
}

// add stores a preview that is ready to be committed and returns its row.
func (w *workshop) add(repositoryID int64, pr int, change ...func(*previews.Environment)) int64 {
	w.Helper()
	e := storetest.Preview(repositoryID, pr, w.clock.Now())
	e.Resolve(nil, w.clock.Now())
	for _, f := range change {
		f(&e)
	}
	return storetest.Add(w, w.store, e).RowID
}

func (w *workshop) change(row int64, f func(*previews.Environment)) {
	w.Helper()
	if _, err := w.store.Update(context.WithoutCancel(w.Context()), row, func(e *previews.Environment) error { f(e); return nil }); err != nil {
		w.Error(err)
	}
}

// push gives a preview a new head, ready to be committed.
func (w *workshop) push(row int64, sha string) {
	w.Helper()
	w.change(row, func(e *previews.Environment) {
		e.Want(previews.Revision{SHA: sha, Ref: "topic", Spec: []byte("service: {}"), TTL: 72 * time.Hour}, w.clock.Now())
		e.Resolve(nil, w.clock.Now())
	})
}

func (w *workshop) remove(row int64) {
	w.Helper()
	w.change(row, func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedClosed}, w.clock.Now())
	})
}

// step takes one step, which must succeed.
func (w *workshop) step() {
	w.Helper()
	if _, err := w.committer.Step(w.Context()); err != nil {
		w.Fatal(err)
	}
}

// settle takes steps until nothing is due.
func (w *workshop) settle() {
	w.Helper()
	for range 10 {
		rows, err := w.store.Uncommitted(w.Context(), w.committer.Lane, 1)
		if err != nil {
			w.Fatal(err)
		}
		if len(rows) == 0 {
			return
		}
		w.step()
	}
	w.Fatal("always more to commit")
}

func (w *workshop) row(row int64) previews.Environment {
	w.Helper()
	all, err := w.store.Environments(w.Context(), store.Filter{})
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range all {
		if e.RowID == row {
			whole, err := w.store.Environment(w.Context(), e.Ref.RepositoryID, e.Ref.Key())
			if err != nil {
				w.Fatal(err)
			}
			return whole
		}
	}
	w.Fatalf("there is no row %d", row)
	return previews.Environment{}
}

func (w *workshop) tip() string {
	w.Helper()
	tip, err := w.remote.Tip(w.Context(), "main")
	if err != nil {
		w.Fatal(err)
	}
	return tip
}

// deployed returns the revision in Git of every environment, by its folder, and
// holds the lists to it.
func (w *workshop) deployed() map[string]string {
	w.Helper()
	tip := w.tip()
	if tip == "" {
		return nil
	}
	list, err := w.remote.List(w.Context(), tip)
	if err != nil {
		w.Fatal(err)
	}
	deployed, listed := map[string]string{}, []string{}
	for _, line := range list {
		path := line[strings.LastIndexByte(line, ' ')+1:]
		content, err := w.remote.Content(w.Context(), tip, path)
		if err != nil {
			w.Fatal(err)
		}
		if dir, ok := strings.CutSuffix(path, "/manifests/deployment.yaml"); ok {
			deployed[dir] = strings.TrimSpace(strings.TrimPrefix(content, "revision: "))
		}
		if strings.HasPrefix(path, gitops.ApplicationSetsDir) {
			listed = append(listed, strings.Fields(content)...)
		}
	}
	for _, dir := range listed {
		if _, ok := deployed[dir]; !ok {
			w.Errorf("%s is listed and not there", dir)
		}
	}
	if len(listed) != len(deployed) {
		w.Errorf("listed are %s, there are %v", listed, deployed)
	}
	return deployed
}

func (w *workshop) wantDeployed(want map[string]string) {
	w.Helper()
	got := w.deployed()
	for dir, sha := range want {
		if got["environments/acme/"+dir] != sha {
			w.Errorf("%s is at %q, want %q", dir, got["environments/acme/"+dir], sha)
		}
	}
	if len(got) != len(want) {
		w.Errorf("in Git is %v, want %v", got, want)
	}
}

// commits returns the messages of all commits, newest first.
func (w *workshop) commits() []string {
	w.Helper()
	if w.tip() == "" {
		return nil
	}
	all, err := w.remote.Messages(w.Context(), w.tip())
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// once holds that no change was committed twice.
func (w *workshop) once() {
	w.Helper()
	seen := map[string]int{}
	for _, message := range w.commits() {
		for _, line := range strings.Split(message, "\n") {
			if key, ok := strings.CutPrefix(line, "Idp-Change: "); ok {
				seen[key]++
			}
		}
	}
	for key, n := range seen {
		if n != 1 {
			w.Errorf("%s was committed %d times", key, n)
		}
	}
}

func firstSHA(pr int) string { return fmt.Sprintf("%040d", pr) }

var errCrash = errors.New("the power went")

// crashing is a writer whose process dies at some moment of a commit.
type crashing struct {
	previews.Writer
	// planned, prepared and pushed are what happens at those moments; an error ends
	// the commit.
	planned, prepared, pushed func() error
	delay                     func() time.Duration
}

func (c crashing) Delay() time.Duration {
	if c.delay == nil {
		return 0
	}
	return c.delay()
}

func (c crashing) Commit(ctx context.Context, commit repo.Commit, intent func(repo.Prepared) error) (repo.Result, error) {
	at := func(moment func() error) error {
		if moment == nil {
			return nil
		}
		return moment()
	}
	if err := at(c.planned); err != nil {
		return repo.Result{}, err
	}
	result, err := c.Writer.Commit(ctx, commit, func(p repo.Prepared) error {
		if err := intent(p); err != nil {
			return err
		}
		return at(c.prepared)
	})
	if err == nil {
		err = at(c.pushed)
	}
	return result, err
}
