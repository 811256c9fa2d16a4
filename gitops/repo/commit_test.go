package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

func TestCommitToEmptyRepository(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	change := deploy("pr-1", "v1")
	var intents []Prepared
	result, err := r.Commit(t.Context(), Commit{
		Body:    "Because.\n\nIdp-Change: forged",
		Changes: []Change{change},
		Shared:  []gitops.File{{Path: "applicationsets/web-previews.yaml", Content: []byte("list\n")}},
	}, func(p Prepared) error {
		equal(t, "tip while intent is recorded", tipOf(t, remote), "")
		intents = append(intents, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "commit", result.Commit, tipOf(t, remote))
	equal(t, "intents", len(intents), 1)
	equal(t, "intended commit", intents[0].SHA, result.Commit)
	equal(t, "intended parent", intents[0].Parent, "")
	tree, err := remote.TreeID(t.Context(), result.Commit, change.Dir)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "intended tree", intents[0].Trees[change.Key], tree)
	equal(t, "applied", result.Applied[0], Applied{Key: change.Key, Dir: change.Dir, Commit: result.Commit, Tree: tree})
	equalList(t, "files", paths(t, remote), []string{
		"applicationsets/web-previews.yaml",
		"environments/acme/web/pr-1/environment.yaml",
		"environments/acme/web/pr-1/manifests/deployment.yaml",
	})
	equal(t, "message", messages(t, remote)[0], "Deploy pr-1\n\nBecause.\n\nIdp-Change: forged\n\n"+
		"Idp-Change: acme/web/pr-1#v1\nIdp-Environment: acme/web/pr-1 generation 1\nIdp-Actor: alice\n")
}

func TestCommitBatch(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	var batch []Change
	for i := range 40 {
		batch = append(batch, deploy(fmt.Sprintf("pr-%d", i+1), "v1"))
	}
	result := mustCommit(t, r, batch...)
	equal(t, "applied", len(result.Applied), 40)
	equal(t, "files", len(paths(t, remote)), 80)
	equal(t, "commits", len(messages(t, remote)), 1)
	for _, c := range batch {
		equal(t, "commits of "+c.Key, commitsOf(t, remote, c), 1)
	}
	if m := messages(t, remote)[0]; !strings.HasPrefix(m, "Update 40 environments\n\n- Deploy pr-1\n") {
		t.Errorf("message: %s", m)
	}
}

func TestCommitNoOp(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	change := deploy("pr-1", "v1")
	shared := []gitops.File{{Path: "applicationsets/a.yaml", Content: []byte("a")}}
	commit := Commit{Changes: []Change{change}, Shared: shared}
	if _, err := r.Commit(t.Context(), commit, nil); err != nil {
		t.Fatal(err)
	}
	tip, pushes := tipOf(t, remote), remote.Pushes()
	commit.Changes = append(commit.Changes, Change{Key: "no-folder"}, Change{Key: "gone", Dir: "environments/acme/web/pr-9"})
	result, err := r.Commit(t.Context(), commit, func(Prepared) error { return errors.New("asked for nothing") })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "no-op", result.NoOp, true)
	equal(t, "commit", result.Commit, tip)
	equal(t, "applied", len(result.Applied), 3)
	equal(t, "unchanged", result.Applied[0], Applied{Key: change.Key, Dir: change.Dir, Commit: tip, Tree: treeOf(change), Unchanged: true})
	equal(t, "pushes", remote.Pushes(), pushes)
}

// What the clone holds may be old: a folder that somebody removed meanwhile is
// not "unchanged".
func TestCommitNoOpIsConfirmedByRemote(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	change := deploy("pr-1", "v1")
	mustCommit(t, r, change)
	mustEdit(t, remote, gittest.Edit{Remove: []string{change.Dir}})
	result := mustCommit(t, r, change)
	equal(t, "no-op", result.NoOp, false)
	equal(t, "files", len(paths(t, remote)), 2)
}

func TestCommitConflict(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	first, second := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	mustCommit(t, r, first, second)
	foreign := mustEdit(t, remote, gittest.Edit{
		Author: "Mallory", Put: []gitops.File{{Path: first.Dir + "/manifests/deployment.yaml", Content: []byte("hers\n")}},
	})
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "README.md", Content: []byte("unrelated\n")}}})

	next1, next2 := deploy("pr-1", "v2", treeOf(first)), deploy("pr-2", "v2", treeOf(second))
	result := mustCommit(t, r, next1, next2)
	equal(t, "applied", len(result.Applied), 1)
	equal(t, "applied", result.Applied[0].Key, next2.Key)
	equal(t, "conflicts", len(result.Conflicts), 1)
	c := result.Conflicts[0]
	equal(t, "key", c.Key, next1.Key)
	equal(t, "error", errors.Is(c.Err, ErrConflict), true)
	equal(t, "commit", c.Commit, foreign)
	equal(t, "author", c.Author, "Mallory")
	equal(t, "date", c.Date.Unix(), 1_700_000_000)
	content, err := remote.Content(t.Context(), tipOf(t, remote), first.Dir+"/manifests/deployment.yaml")
	equal(t, "content", content, "hers\n")
	equal(t, "content error", err, nil)

	alone := mustCommit(t, r, next1)
	equal(t, "alone: no-op", alone.NoOp, true)
	equal(t, "alone: conflicts", len(alone.Conflicts), 1)
	next1.Accept = append(next1.Accept, c.Tree)
	equal(t, "accepted", len(mustCommit(t, r, next1).Applied), 1)
}

func TestCommitWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	theirs, ours := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	mustEdit(t, remote, gittest.Edit{Put: theirs.Files})
	next := deploy("pr-1", "v2")
	c := Commit{
		Whole: true, Changes: []Change{next, ours},
		Shared: []gitops.File{{Path: "applicationsets/web.yaml", Content: []byte("pr-1, pr-2\n")}},
	}
	result, err := r.Commit(t.Context(), c, func(Prepared) error { return errors.New("asked for nothing") })
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "applied", len(result.Applied), 0)
	equal(t, "conflicts", len(result.Conflicts), 1)
	equal(t, "who", result.Conflicts[0].Author, "somebody else")
	equal(t, "pushes", remote.Pushes(), 0)

	c.Changes[0].Accept = []string{AnyTree}
	result, err = r.Commit(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "applied", len(result.Applied), 2)
	equal(t, "files", len(paths(t, remote)), 5)
}

func TestCommitRemovesFolderAndNothingElse(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/classes/preview.yaml", Content: []byte("theirs\n")}}})
	gone, stays := deploy("pr-1", "v1"), deploy("pr-10", "v1")
	mustCommit(t, r, stays)
	before, err := remote.List(t.Context(), tipOf(t, remote))
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, r, gone)
	result := mustCommit(t, r, remove(gone))
	equal(t, "tree", result.Applied[0].Tree, "")
	after, err := remote.List(t.Context(), result.Commit)
	if err != nil {
		t.Fatal(err)
	}
	equalList(t, "tree after removal", after, before)
}

func TestCommitReplacesWholeFolder(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	first := deploy("pr-1", "v1")
	mustCommit(t, r, first)
	next := first
	next.Key, next.Accept = "next", []string{treeOf(first)}
	next.Files = []gitops.File{{Path: first.Dir + "/manifests", Content: []byte("a file where a folder was\n")}}
	mustCommit(t, r, next)
	equalList(t, "files", paths(t, remote), []string{first.Dir + "/manifests"})
}

func TestIntentErrorStopsPush(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	stop := errors.New("row has changed")
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-1", "v1")}}, func(Prepared) error { return stop })
	equal(t, "error", errors.Is(err, stop), true)
	equal(t, "pushes", remote.Pushes(), 0)
	equal(t, "tip", tipOf(t, remote), "")
}

func TestForeignWriterBetween(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	mustCommit(t, r, deploy("pr-1", "v1"))
	var once sync.Once
	remote.BeforePush(func() {
		once.Do(func() {
			mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/x.yaml", Content: []byte("x\n")}}})
		})
	})
	same, change := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	var intents []Prepared
	result, err := r.Commit(t.Context(), Commit{Changes: []Change{same, change}}, func(p Prepared) error {
		intents = append(intents, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "intents", len(intents), 2)
	equal(t, "intended", intents[1].SHA, result.Commit)
	for _, c := range []Change{same, change} {
		equal(t, "intended tree", intents[1].Trees[c.Key], treeOf(c))
	}
	equal(t, "commit", result.Commit, tipOf(t, remote))
	equal(t, "files", len(paths(t, remote)), 5)
	equal(t, "commits", len(messages(t, remote)), 3)
}

func TestRefusedThreeTimes(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	remote.RefusePushes(10, "branch is \x1b[31mprotected")
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-1", "v1")}}, nil)
	var refused *RefusedError
	if !errors.Is(err, ErrRefused) || !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(refused.Message, "protected") || strings.Contains(refused.Message, "\x1b") {
		t.Errorf("message %q", refused.Message)
	}
	equal(t, "pushes", remote.Pushes(), 3)
	remote.RefusePushes(2, "not now")
	equal(t, "lands later", len(mustCommit(t, r, deploy("pr-1", "v1")).Applied), 1)
}

func TestLandedWithoutAnswer(t *testing.T) {
	t.Parallel()
	change, later := deploy("pr-1", "v1"), deploy("pr-2", "v1")
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		r, remote := setup(t)
		mustCommit(t, r, later)
		remote.DropPushAnswers(1)
		result := mustCommit(t, r, change)
		equal(t, "commit", result.Commit, tipOf(t, remote))
		equal(t, "commits", commitsOf(t, remote, change), 1)
		equal(t, "pushes", remote.Pushes(), 2)
	})
	t.Run("dropped, and others came after it", func(t *testing.T) {
		t.Parallel()
		r, remote := setup(t)
		other := open(t, remote)
		remote.DropPushAnswers(1)
		// The commit lands before the answer is lost, and with it comes another.
		result, err := r.Commit(t.Context(), Commit{Changes: []Change{change}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustCommit(t, other, later)
		again := mustCommit(t, r, change)
		equal(t, "again: no-op", again.NoOp, true)
		equal(t, "commits", commitsOf(t, remote, change), 1)
		contains, err := r.Contains(t.Context(), again.Commit, result.Commit)
		equal(t, "contains", contains, true)
		equal(t, "contains error", err, nil)
	})
	t.Run("writer gave up and tries again", func(t *testing.T) {
		t.Parallel()
		r, remote := setup(t)
		other := open(t, remote)
		mustCommit(t, r, later)
		remote.HoldPushAnswers(1)
		result, err := commitAndHangUp(t, r, remote, change)
		equal(t, "error", err != nil, true)
		equal(t, "result", result.Commit, "")
		landed := tipOf(t, remote)
		next := deploy("pr-2", "v2", treeOf(later))
		mustCommit(t, other, next)
		again := mustCommit(t, r, change)
		equal(t, "commits", commitsOf(t, remote, change), 1)
		equal(t, "found", again.Applied[0].Commit, landed)
	})
}

// commitAndHangUp gives up as soon as the remote has the commit.
func commitAndHangUp(t *testing.T, r *Repo, remote *gittest.Repository, c Change) (Result, error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	landed := make(chan struct{})
	remote.AfterPush(func() { close(landed) })
	go func() {
		<-landed
		cancel()
	}()
	return r.Commit(ctx, Commit{Changes: []Change{c}}, nil)
}

func TestForgedTrailerHidesNothing(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	mustCommit(t, r, deploy("pr-1", "v1"))
	change := deploy("pr-2", "v1")
	mustEdit(t, remote, gittest.Edit{Message: "x\n\nIdp-Change: " + change.Key, Put: []gitops.File{{Path: "a", Content: []byte("b")}}})
	result := mustCommit(t, r, change)
	equal(t, "no-op", result.NoOp, false)
	equal(t, "files", len(paths(t, remote)), 5)
}

func TestFaultyRemoteIsTriedAgain(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	remote.FailPushes(2)
	mustCommit(t, r, deploy("pr-1", "v1"))
	remote.FailPushes(3)
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-2", "v1")}}, nil)
	equal(t, "unavailable", errors.Is(err, ErrUnavailable), true)
	equal(t, "refused", errors.Is(err, ErrRefused), false)
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	const writers, each, batch = 4, 25, 9 // three commits each
	var all sync.WaitGroup
	for w := range writers {
		r := open(t, remote)
		all.Go(func() {
			var changes []Change
			for i := range each {
				changes = append(changes, deploy(fmt.Sprintf("pr-%d", w*each+i+1), "v1"))
			}
			for some := range slices.Chunk(changes, batch) {
				if _, err := r.Commit(t.Context(), Commit{Changes: some}, nil); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	all.Wait()
	equal(t, "files", len(paths(t, remote)), 2*writers*each)
	equal(t, "commits", len(messages(t, remote)), 3*writers)
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	old, successor := open(t, remote), open(t, remote)
	ctx := t.Context()
	equal(t, "first takeover", old.Takeover(ctx, "1"), nil)
	mustCommit(t, old, deploy("pr-1", "v1"))
	equal(t, "second takeover", successor.Takeover(ctx, "2"), nil)
	for range 2 {
		_, err := old.Commit(ctx, Commit{Changes: []Change{deploy("pr-2", "stale")}}, nil)
		equal(t, "superseded", errors.Is(err, ErrSuperseded), true)
	}
	mustCommit(t, successor, deploy("pr-3", "v1"))
	equal(t, "takes back", old.Takeover(ctx, "3"), nil)
	mustCommit(t, old, deploy("pr-4", "v1"))
	equal(t, "files", len(paths(t, remote)), 6)
	equal(t, "bad epoch", errors.Is(old.Takeover(ctx, "a\nb"), ErrInvalid), true)
}
