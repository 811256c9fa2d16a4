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
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/storetest"
)

var byPull = gitops.Lane{Proposed: true}

// forge is the place where the GitOps repository has its pull requests.
type forge struct {
	*testing.T
	remote *gittest.Repository
	pulls  []*forgePull
	// asked counts how often the state of one was read; fail is what opening does.
	asked int
	fail  error
}

type forgePull struct {
	branch, said string
	rows         []string
	state        previews.PullState
	merged       string
}

func (f *forge) Open(ctx context.Context, branch string, rows []previews.Environment) (int, string, error) {
	if f.fail != nil {
		return 0, "", f.fail
	}
	heads, err := f.remote.Heads(ctx)
	if err != nil {
		return 0, "", err
	}
	if heads[branch] == "" {
		return 0, "", previews.ErrNotFound
	}
	if heads[branch] == heads["main"] {
		return 0, "", previews.ErrMerged
	}
	for i, pull := range f.pulls {
		if pull.branch == branch && pull.state == previews.PullOpen {
			return i + 1, address(i + 1), nil
		}
	}
	var names []string
	for _, row := range rows {
		names = append(names, row.Ref.Key())
	}
	f.pulls = append(f.pulls, &forgePull{branch: branch, rows: names, state: previews.PullOpen})
	return len(f.pulls), address(len(f.pulls)), nil
}

func address(n int) string { return fmt.Sprintf("https://github.example/acme/gitops/pull/%d", n) }

func (f *forge) State(_ context.Context, number int) (previews.PullState, string, error) {
	f.asked++
	pull := f.pulls[number-1]
	return pull.state, pull.merged, nil
}

func (f *forge) Close(_ context.Context, number int, why string) error {
	if pull := f.pulls[number-1]; pull.state == previews.PullOpen {
		pull.state, pull.said = previews.PullClosed, why
	}
	return nil
}

// merge squashes a pull request onto the branch, as whoever merges it may do, with
// what a reviewer changed in it.
func (f *forge) merge(number int, changed ...gitops.File) string {
	f.Helper()
	pull := f.pulls[number-1]
	tip, err := f.remote.Tip(f.Context(), pull.branch)
	if err != nil {
		f.Fatal(err)
	}
	edit := gittest.Edit{Message: "Merge pull request", Put: changed}
	list, err := f.remote.List(f.Context(), tip)
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range list {
		path := line[strings.LastIndexByte(line, ' ')+1:]
		if slices.ContainsFunc(changed, func(one gitops.File) bool { return one.Path == path }) {
			continue
		}
		content, err := f.remote.Content(f.Context(), tip, path)
		if err != nil {
			f.Fatal(err)
		}
		edit.Put = append(edit.Put, gitops.File{Path: path, Content: []byte(content)})
	}
	if pull.merged, err = f.remote.Commit(f.Context(), "main", edit); err != nil {
		f.Fatal(err)
	}
	pull.state = previews.PullMerged
	return pull.merged
}

// review is a workshop whose changes people merge.
type review struct {
	*workshop
	forge    *forge
	proposer *previews.Proposer
}

func newReview(t *testing.T) *review {
	w := newWorkshop(t)
	if _, err := w.remote.Commit(t.Context(), "main", gittest.Edit{Message: "Begin", Put: []gitops.File{{Path: "README.md", Content: []byte("ours\n")}}}); err != nil {
		t.Fatal(err)
	}
	r := &review{workshop: w, forge: &forge{T: t, remote: w.remote}}
	r.restart()
	return r
}

func (r *review) restart() {
	r.workshop.restart()
	r.committer.Lane = byPull
	r.proposer = &previews.Proposer{Committer: *r.committer, Store: r.store, Git: r.git, Pulls: r.forge}
}

// part stores a part of staging that has a release ready to be committed.
func (r *review) part(service, letter string) int64 {
	r.Helper()
	s := newStage(r.T)
	s.Ref, s.Lane, s.HeadRef = s.Ref.Of(service), byPull, "topic"
	s.deploy(letter, 1)
	if s.NeedsImages() {
		s.Resolve(nil, s.now)
	}
	return storetest.Add(r, r.store, *s.Environment).RowID
}

func (r *review) step() {
	r.Helper()
	r.clock.Advance(time.Minute)
	if _, err := r.proposer.Step(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// newer has the same pull request deploy another commit, ready to be committed.
func (r *review) newer(row int64, letter string) {
	r.Helper()
	r.change(row, func(e *previews.Environment) {
		s := stage{Environment: e, t: r.T, now: r.clock.Now()}
		s.deploy(letter, 1)
		s.Resolve(nil, s.now)
	})
}

// byID reads a row that may be a service's.
func (r *review) byID(row int64) previews.Environment {
	r.Helper()
	parts, err := r.store.PartsOf(r.Context(), 7, "staging")
	if err != nil {
		r.Fatal(err)
	}
	for _, e := range parts {
		if e.RowID == row {
			return e
		}
	}
	r.Fatalf("there is no part %d", row)
	return previews.Environment{}
}

func (r *review) want(row int64, state previews.State) previews.Environment {
	r.Helper()
	e := r.byID(row)
	if e.State() != state {
		r.Fatalf("%s is %s (%+v), want %s", e.Ref, e.State(), e.Proposal, state)
	}
	return e
}

// branches are those of the remote beside main.
func (r *review) branches() []string {
	r.Helper()
	heads, err := r.remote.Heads(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	var out []string
	for name := range heads {
		if name != "main" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// All that an environment needs is one pull request, and the merge is the commit that
// its parts then have.
func TestProposeAndMerge(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	before := r.tip()
	shared, web := r.part("", "a"), r.part("web", "a")
	r.step()
	if len(r.forge.pulls) != 1 || !slices.Equal(r.forge.pulls[0].rows, []string{"staging", "staging.web"}) {
		t.Fatalf("pull requests: %+v", r.forge.pulls)
	}
	if r.tip() != before {
		t.Error("the branch itself was pushed to")
	}
	if e := r.want(web, previews.StateProposed); e.Proposed().URL != address(1) || !e.Moving() {
		t.Errorf("proposal %+v", e.Proposal)
	}
	r.step() // open, it changes nothing
	r.want(shared, previews.StateProposed)
	commit := r.forge.merge(1)
	r.step()
	for _, row := range []int64{shared, web} {
		e := r.want(row, previews.StateCommitted)
		if e.AppliedCommit != commit || e.Proposal != nil || e.Tree == "" {
			t.Errorf("%s: commit %.7s, proposal %+v", e.Ref, e.AppliedCommit, e.Proposal)
		}
	}
	if left := r.branches(); len(left) != 0 {
		t.Errorf("branches are left: %v", left)
	}
	if lanes, err := r.store.Lanes(t.Context()); err != nil || len(lanes) != 0 {
		t.Errorf("something is left to do: %v %v", lanes, err)
	}
}

// Closed without a merge is a no, and the next has its turn.
func TestProposalTurnedDown(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.step()
	r.change(web, func(e *previews.Environment) {
		s := stage{Environment: e, t: t, now: r.clock.Now()}
		if s.deploy("b", 2) {
			t.Error("another pull request's release did not wait for the proposal")
		}
	})
	r.forge.pulls[0].state = previews.PullClosed
	r.step()
	e := r.byID(web)
	if e.SHA != sha("b") || e.Deployed.Last == nil || e.Deployed.Last.Outcome != previews.OutcomeFailed || !strings.Contains(e.Deployed.Last.Reason, address(1)) {
		t.Errorf("after the no: %.7s, last %+v", e.SHA, e.Deployed.Last)
	}
	if got := r.byID(web); got.Problem != nil {
		t.Errorf("the next release has the problem of the last: %+v", got.Problem)
	}
}

// What is newer closes what is open, whatever became of it meanwhile.
func TestProposalSuperseded(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.step()
	r.newer(web, "b")
	r.step()
	if len(r.forge.pulls) != 2 || r.forge.pulls[0].state != previews.PullClosed || r.forge.pulls[0].said == "" {
		t.Fatalf("pull requests: %+v %+v", r.forge.pulls[0], r.forge.pulls[len(r.forge.pulls)-1])
	}
	if e := r.want(web, previews.StateProposed); e.Proposed().URL != address(2) || e.SHA != sha("b") {
		t.Errorf("proposal %+v", e.Proposal)
	}
	// The older one is merged in the moment before it would be closed.
	r.newer(web, "c")
	r.forge.merge(2)
	r.step()
	if e := r.want(web, previews.StateProposed); e.Proposed().URL != address(3) || e.SHA != sha("c") {
		t.Errorf("proposal %+v", e.Proposal)
	}
	r.forge.merge(3)
	r.step()
	if e := r.want(web, previews.StateCommitted); e.AppliedSHA != sha("c") {
		t.Errorf("it is at %.7s", e.AppliedSHA)
	}
	r.wantDeployed(map[string]string{"web/staging.web": sha("c")})
}

// A branch that moved on under a proposal has it made anew; one that moved elsewhere
// does not.
func TestProposalOnMovedBranch(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.step()
	commit := func(file string) {
		if _, err := r.remote.Commit(t.Context(), "main", gittest.Edit{Message: "Theirs", Put: []gitops.File{{Path: file, Content: []byte(file)}}}); err != nil {
			t.Fatal(err)
		}
	}
	commit("platform/environments.yaml")
	r.step()
	if e := r.want(web, previews.StateProposed); e.Proposed().URL != address(1) {
		t.Errorf("proposed anew for a change elsewhere: %+v", e.Proposal)
	}
	list, _ := gitops.DeployedApplicationSet(7, "web")
	commit(list)
	r.step()
	r.step()
	if e := r.want(web, previews.StateProposed); e.Proposed().URL != address(2) || e.Proposed().Attempt != 1 || r.forge.pulls[0].state != previews.PullClosed {
		t.Errorf("proposal %+v, the first is %s", e.Proposal, r.forge.pulls[0].state)
	}
	r.forge.merge(2)
	r.step()
	r.want(web, previews.StateCommitted)
}

// A reviewer who changes what is proposed has the last word, and idp says so.
func TestProposalMergedChanged(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.step()
	theirs := gitops.File{Path: r.byID(web).Ref.ManifestsDir() + "/deployment.yaml", Content: []byte("revision: theirs\n")}
	r.forge.merge(1, theirs)
	r.step()
	e := r.want(web, previews.StateFailed)
	if e.Problem.Kind != previews.ProblemChanged || !strings.Contains(e.Problem.Message, address(1)) || e.Proposal != nil {
		t.Errorf("problem %+v, proposal %+v", e.Problem, e.Proposal)
	}
	r.change(web, func(e *previews.Environment) {
		e.Again("alice", 1, r.clock.Now())
		e.Overwrite = true
		e.Resolve(nil, r.clock.Now())
	})
	r.step()
	r.forge.merge(2)
	r.step()
	r.want(web, previews.StateCommitted)
	r.wantDeployed(map[string]string{"web/staging.web": sha("a")})
}

// Wherever idp dies, there is one pull request in the end.
func TestProposalAfterCrash(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(*review){
		"before the push":         func(r *review) { r.proposer.Git = dying{r.git, true} },
		"after the push":          func(r *review) { r.proposer.Git = dying{r.git, false} },
		"before the pull request": func(r *review) { r.forge.fail = errCrash },
		"after the pull request":  func(r *review) { r.proposer.Pulls = forgetful{r.forge} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReview(t)
			web := r.part("web", "a")
			crash(r)
			if _, err := r.proposer.Step(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("the step ended with %v", err)
			}
			r.restart()
			r.forge.fail = nil
			r.step()
			r.want(web, previews.StateProposed)
			if len(r.forge.pulls) != 1 || len(r.branches()) != 1 {
				t.Errorf("%d pull requests of %v", len(r.forge.pulls), r.branches())
			}
			r.forge.merge(1)
			r.step()
			r.want(web, previews.StateCommitted)
		})
	}
}

// Something newer is wanted after a crash: what was begun is found and closed.
func TestProposalBegunAndSuperseded(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.forge.fail = errCrash
	if _, err := r.proposer.Step(t.Context()); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	r.newer(web, "b")
	r.restart()
	r.forge.fail = nil
	r.step()
	open := 0
	for _, pull := range r.forge.pulls {
		if pull.state == previews.PullOpen {
			open++
		}
	}
	if e := r.want(web, previews.StateProposed); open != 1 || e.SHA != sha("b") {
		t.Errorf("%d are open; it wants %.7s", open, e.SHA)
	}
}

// Old proposals are asked about less often.
func TestProposalPace(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	r.part("web", "a")
	r.step()
	count := func(every time.Duration, steps int) int {
		r.forge.asked = 0
		for range steps {
			r.clock.Advance(every)
			if _, err := r.proposer.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return r.forge.asked
	}
	if n := count(time.Second, 30); n != 10 {
		t.Errorf("a new one was asked about %d times in 30 s", n)
	}
	r.clock.Advance(time.Hour)
	if n := count(10*time.Second, 30); n > 6 {
		t.Errorf("an old one was asked about %d times in 5 minutes", n)
	}
}

// A class that pushes from now on closes what it proposed.
func TestProposalOfClassThatPushes(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	web := r.part("web", "a")
	r.step()
	r.change(web, func(e *previews.Environment) { e.Lane = gitops.Lane{} })
	r.committer.Lane = gitops.Lane{}
	r.proposer.Committer.Lane = gitops.Lane{}
	r.step()
	if r.forge.pulls[0].state != previews.PullClosed {
		t.Errorf("it is %s", r.forge.pulls[0].state)
	}
	r.settle()
	if e := r.want(web, previews.StateCommitted); e.Proposal != nil {
		t.Errorf("proposal %+v", e.Proposal)
	}
}

// dying is a writer whose process dies as it proposes.
type dying struct {
	previews.BranchWriter
	before bool
}

func (d dying) Propose(ctx context.Context, c repo.Commit, branch string, intent func(repo.Prepared) error) (repo.Proposed, error) {
	made, err := d.BranchWriter.Propose(ctx, c, branch, func(p repo.Prepared) error {
		if err := intent(p); err != nil || !d.before {
			return err
		}
		return errCrash
	})
	return made, errors.Join(err, errCrash)
}

// forgetful opens pull requests, and its answers are lost.
type forgetful struct{ *forge }

func (f forgetful) Open(ctx context.Context, branch string, rows []previews.Environment) (int, string, error) {
	number, url, err := f.forge.Open(ctx, branch, rows)
	return number, url, errors.Join(err, errCrash)
}
