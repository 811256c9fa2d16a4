package bot_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot"
	"github.com/idp-bot/idp/bot/access"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest"
)

// race is one repository with many pull requests of mallory's forks, between a real
// store, the handler and the committer. Whatever reads or writes says so first, for
// something else to come in between.
type race struct {
	*testing.T
	clock     *storetest.Clock
	store     *store.Store
	handler   *bot.Handler
	committer *previews.Committer

	heads map[int]string
	// approvals are the commits that alice named in a command, by pull request.
	approvals map[int][]string
	events    int
	// between is called with each step's name; nil while nothing is to come between.
	between func(step string)
	steps   map[string]int
	// committed counts the commits of revisions, unapproved those of them that nobody had
	// approved or that were not what is approved in the moment of the commit.
	committed, unapproved, refused int
}

func (r *race) at(step string) {
	r.steps[step]++
	if between := r.between; between != nil {
		r.between = nil // what comes in between is not interrupted itself
		between(step)
		if r.between == nil {
			r.between = between
		}
	}
}

func newRace(t *testing.T) *race {
	t.Helper()
	r := &race{T: t, clock: storetest.NewClock(), heads: map[int]string{}, approvals: map[int][]string{}, steps: map[string]int{}}
	var err error
	if r.store, err = store.Open(t.Context(), store.Options{URL: "sqlite://" + filepath.Join(secrettest.Dir(t), "idp.db"), Now: r.clock.Now, NoSync: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.store.Close() })
	log := secrettest.Logger(t)
	r.handler = &bot.Handler{
		Store: slowRows{r.store, r}, GitHub: func(int64) bot.Handling { return hub{r} }, AppID: 7,
		Class:    platform.Class{TTL: 72 * time.Hour, MaxTTL: 7 * 24 * time.Hour},
		Platform: func(context.Context) (platform.Platform, error) { r.at("platform"); return platform.Platform{}, nil },
		Decided:  func() {}, Now: r.clock.Now, Log: log,
	}
	r.committer = &previews.Committer{
		Store: slowCommits{r.store, r}, Git: writer{r}, Batch: previews.DefaultBatch, Now: r.clock.Now, Log: log,
		Render: func(_ context.Context, e previews.Environment) (previews.Rendered, error) {
			r.at("render")
			return previews.Rendered{Files: []gitops.File{{Path: e.Ref.RecordPath(), Content: []byte(e.SHA)}}}, nil
		},
		List: func(previews.Listed, []previews.Environment) (gitops.File, error) {
			return gitops.File{Path: "applicationsets/web.yaml"}, nil
		},
		Pushed: func([]previews.Environment) {},
	}
	return r
}

// slowRows and slowCommits are the store with something in between.
type (
	slowRows struct {
		*store.Store
		*race
	}
	slowCommits struct {
		*store.Store
		*race
	}
)

func (s slowRows) Environment(ctx context.Context, id int64, key string) (previews.Environment, error) {
	s.at("row")
	return s.Store.Environment(ctx, id, key)
}

func (s slowRows) Apply(ctx context.Context, o store.Outcome) error {
	s.at("apply")
	return s.Store.Apply(ctx, o)
}

func (s slowCommits) CommittedIn(ctx context.Context, id int64) ([]previews.Environment, error) {
	s.at("list")
	return s.Store.CommittedIn(ctx, id)
}

func (s slowCommits) UpdateAll(ctx context.Context, ids []int64, fn func(*previews.Environment) error) error {
	s.at("update")
	return s.Store.UpdateAll(ctx, ids, fn)
}

// hub is GitHub.
type hub struct{ *race }

func (h hub) PullRequest(_ context.Context, repo bot.RepositoryRef, number int) (bot.PullRequest, error) {
	h.at("pull request")
	return bot.PullRequest{
		Repository: repo, Number: number, Open: true, HeadSHA: h.heads[number], HeadRef: "topic", BaseRef: "main", Fork: true,
		Author: bot.Actor{ID: 66, Login: "mallory"},
	}, nil
}

func (h hub) File(_ context.Context, _ bot.RepositoryRef, _, sha string) ([]byte, error) {
	h.at("file")
	return []byte("service: {name: web}\n"), nil
}

func (h hub) Permission(_ context.Context, _ bot.RepositoryRef, who bot.Actor) (access.Permission, error) {
	login := who.Login
	h.at("permission")
	if login == "alice" {
		return access.Write, nil
	}
	return access.Read, nil
}

func (h hub) Commit(_ context.Context, _ bot.RepositoryRef, ref string) (bot.Commit, error) {
	h.at("commit")
	if ref == "heads/main" {
		return bot.Commit{SHA: sha('0', 0)}, nil
	}
	return bot.Commit{SHA: ref}, nil
}

func (h hub) ChangedFiles(context.Context, bot.RepositoryRef, int) ([]string, error) { return nil, nil }
func (h hub) React(context.Context, bot.RepositoryRef, int64, string) error          { return nil }
func (h hub) Member(context.Context, bot.RepositoryRef, string, string) (bool, error) {
	return false, nil
}
func (h hub) DefaultBranch(context.Context, bot.RepositoryRef) (string, error) { return "main", nil }
func (h hub) BranchProtected(context.Context, bot.RepositoryRef, string) (bool, error) {
	return true, nil
}
func (h hub) Contains(context.Context, bot.RepositoryRef, string, string) (bool, error) {
	return false, nil
}
func (h hub) Checks(context.Context, bot.RepositoryRef, string) ([]bot.CheckState, error) {
	return nil, nil
}
func (h hub) Statuses(context.Context, bot.RepositoryRef, string) ([]bot.CheckState, error) {
	return nil, nil
}

func (h hub) Pushers(context.Context, bot.RepositoryRef, string) (map[string]bot.Actor, error) {
	return nil, nil
}

// writer is the GitOps repository. What it takes is looked at in the moment that the
// committing transaction has ended.
type writer struct{ *race }

func (w writer) Delay() time.Duration { return 0 }

func (w writer) Diff(context.Context, string, string, string, int) (string, error) { return "", nil }

func (w writer) Files(context.Context, string, string) ([]gitops.File, error) { return nil, nil }

func (w writer) Parent(context.Context, string) (string, error) { return "", nil }

func (w writer) Commit(ctx context.Context, c repo.Commit, intent func(repo.Prepared) error) (repo.Result, error) {
	w.at("commit prepared")
	p := repo.Prepared{Trees: map[string]string{}}
	result := repo.Result{Commit: "c0ffee"}
	for _, change := range c.Changes {
		p.Trees[change.Key] = "7ree"
		result.Applied = append(result.Applied, repo.Applied{Key: change.Key, Dir: change.Dir, Commit: "c0ffee", Tree: "7ree"})
	}
	if err := intent(p); err != nil {
		w.refused++
		return repo.Result{}, fmt.Errorf("record what is about to be pushed: %w", err)
	}
	for _, change := range c.Changes {
		w.look(ctx, change)
	}
	w.at("pushed")
	return result, nil
}

func (r *race) look(ctx context.Context, change repo.Change) {
	if len(change.Files) == 0 {
		return
	}
	sha, id := string(change.Files[0].Content), change.Dir[strings.LastIndex(change.Dir, "/")+1:]
	row, err := r.store.Environment(ctx, 1, id)
	if err != nil {
		r.Fatal(err)
	}
	r.committed++
	if row.Fork.Approved.SHA != sha || !slices.Contains(r.approvals[row.PR], sha) {
		r.unapproved++
		r.Errorf("%s was committed at %s: alice approved %q, in force is %q", id, sha, r.approvals[row.PR], row.Fork.Approved.SHA)
	}
}

// sha is a commit of a pull request: the a-th, b-th…
func sha(which byte, pr int) string {
	return strings.Repeat(string(which), 30) + fmt.Sprintf("%010d", pr)
}

func (r *race) handle(pr int, change func(*bot.Event)) {
	r.Helper()
	r.events++
	e := bot.Event{
		Kind: bot.EventPullRequest, Delivery: fmt.Sprintf("d%d", r.events), ReceivedAt: r.clock.Now(), Name: "pull_request", Action: "synchronize",
		Repository: bot.RepositoryRef{ID: 1, Owner: "acme", Name: "web"}, PR: pr, Actor: bot.Actor{ID: 66, Login: "mallory"},
	}
	change(&e)
	storetest.Deliver(r, r.store, store.Delivery{GUID: e.Delivery, Event: e.Name, RepositoryID: 1, PR: pr})
	if err := r.handler.Handle(r.Context(), e); err != nil && !errors.Is(err, previews.ErrStale) {
		r.Fatal(err)
	}
}

func (r *race) pushed(pr int) { r.handle(pr, func(*bot.Event) {}) }

// approve is a command or a press of the button.
func (r *race) approve(pr int, by bot.Actor, commit string, button bool) {
	r.Helper()
	if by.Login == "alice" {
		r.approvals[pr] = append(r.approvals[pr], commit)
	}
	r.handle(pr, func(e *bot.Event) {
		e.Actor = by
		if button {
			ref := gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: gitops.PreviewID(pr)}
			e.Kind, e.Name, e.Action, e.HeadSHA, e.PR, e.CheckOf = bot.EventButton, "check_run", "requested_action", commit, 0, ref.Name()
			e.Button = &bot.Button{Check: int64(r.events), Identifier: "approve", ExternalID: ref.Name()}
			return
		}
		e.Kind, e.Name, e.Action, e.Comment = bot.EventComment, "issue_comment", "created", &bot.Comment{ID: int64(r.events), Body: "/idp approve " + commit}
	})
}

// work finds images and commits, until there is nothing to do.
func (r *race) work(pr int) {
	r.Helper()
	row, err := r.store.Environment(r.Context(), 1, gitops.PreviewID(pr))
	if err != nil {
		r.Fatal(err)
	}
	r.at("images")
	_, err = r.store.Update(r.Context(), row.RowID, func(e *previews.Environment) error {
		if !e.NeedsImages() {
			return previews.ErrUnchanged
		}
		e.Resolve([]previews.Image{{Service: "web", Reference: "ghcr.io/acme/web:" + e.SHA}}, r.clock.Now())
		return nil
	})
	if err != nil && !errors.Is(err, previews.ErrUnchanged) {
		r.Fatal(err)
	}
	r.at("images found")
	for more := true; more; {
		if more, err = r.committer.Step(r.Context()); err != nil {
			r.Fatal(err)
		}
	}
}

// TestPushWhileApproved lets something come in between at every step from an approval to
// its commit, 150 times or, by the scale of tests, more: a push, told of at once or later, an
// approval of what was pushed, an outsider's try at one, and the first commit pushed back. Whatever is
// committed is what somebody with write permission named, and what is approved then.
func TestPushWhileApproved(t *testing.T) {
	t.Parallel()
	rounds := figure.Scaled(t, 150)
	r := newRace(t)
	alice, eve := bot.Actor{ID: 2, Login: "alice"}, bot.Actor{ID: 67, Login: "eve"}
	random := rand.New(rand.NewPCG(1, 2))
	came := map[string]int{}
	for pr := 1; pr <= rounds; pr++ {
		first, second := sha('a', pr), sha('b', pr)
		r.heads[pr] = first
		r.pushed(pr)
		kind, countdown := random.IntN(6), random.IntN(24)
		r.between = func(step string) {
			if countdown--; countdown >= 0 {
				return
			}
			r.between = func(string) {}
			came[step]++
			r.heads[pr] = second
			switch kind {
			case 0: // nobody tells of it
			case 1:
				r.pushed(pr)
			case 2:
				r.pushed(pr)
				r.approve(pr, alice, second, true)
				r.work(pr)
			case 3:
				r.approve(pr, eve, second, false)
			case 4:
				r.pushed(pr)
				r.approve(pr, alice, first, false)
				r.heads[pr] = first
			case 5:
				r.approve(pr, alice, second, false)
				r.update(pr, func(e *previews.Environment) { e.Resolve(nil, r.clock.Now()) })
			}
		}
		r.approve(pr, alice, first, pr%2 == 0)
		r.work(pr)
		r.between = nil
		r.pushed(pr)
		r.work(pr)
		r.ended(pr)
		r.clock.Advance(time.Second)
	}
	if len(came) < 10 || r.refused == 0 || r.committed < rounds/2 {
		t.Errorf("it tested little: %d commits, %d refused when committing, something came before %v", r.committed, r.refused, came)
	}
	figure.Tell(t, "%d pushes, before %v: %d commits, %d refused when committing, %d unapproved", rounds, came, r.committed, r.refused, r.unapproved)
}

func (r *race) update(pr int, f func(*previews.Environment)) {
	row, err := r.store.Environment(r.Context(), 1, gitops.PreviewID(pr))
	if err == nil {
		_, err = r.store.Update(r.Context(), row.RowID, func(e *previews.Environment) error { f(e); return nil })
	}
	if err != nil {
		r.Fatal(err)
	}
}

// ended holds that what runs in the end was approved, and is the head where that was.
func (r *race) ended(pr int) {
	r.Helper()
	row, err := r.store.Environment(r.Context(), 1, gitops.PreviewID(pr))
	if err != nil {
		r.Fatal(err)
	}
	if row.AppliedSHA != "" && !slices.Contains(r.approvals[pr], row.AppliedSHA) {
		r.Errorf("#%d runs %s: %q are approved", pr, row.AppliedSHA, r.approvals[pr])
	}
	waits := row.Problem != nil && row.Problem.Kind == previews.ProblemFork
	if head := r.heads[pr]; row.AppliedSHA != head && !waits {
		r.Errorf("#%d is at %s, runs %q, and nobody is asked: %+v", pr, head, row.AppliedSHA, row.Problem)
	}
	if parsed, errs := spec.Parse(spec.Path, row.Spec); row.Wanted == previews.Present && (len(errs) > 0 || parsed == nil) {
		r.Errorf("#%d: %v", pr, errs)
	}
}
