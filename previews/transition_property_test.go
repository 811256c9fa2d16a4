package previews

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// life is an environment with all that may befall it, and the folder that Git
// holds of it.
type life struct {
	env *Environment
	now time.Time
	// tree is what Git holds, made how many there have been.
	tree string
	made int
	// writing is the commit under way, as the committer read the row.
	writing *Environment
	future  string
	landed  bool
}

func (l *life) begin() {
	if l.writing != nil || !l.env.NeedsCommit() {
		return
	}
	snapshot := *l.env
	l.writing, l.future, l.landed = &snapshot, "", false
	if snapshot.Wanted == Present {
		l.made++
		l.future = fmt.Sprintf("tree-%d", l.made)
	}
}

// push announces the tree and lets it land.
func (l *life) push(lands bool) {
	if l.writing == nil || l.landed {
		return
	}
	l.env.Intend(l.future)
	if lands {
		l.tree, l.landed = l.future, true
	}
}

// end records the commit, or forgets it as a crash does.
func (l *life) end(crash bool) {
	if l.writing == nil {
		return
	}
	if l.landed && !crash {
		a := Applied{Generation: l.writing.Generation, Tree: l.future, Commit: "c", At: l.now}
		if l.writing.Wanted == Present {
			a.SHA = l.writing.SHA
		}
		l.env.Commit(a)
	}
	l.writing = nil
}

// settle lets everything that is due happen.
func (l *life) settle() {
	l.end(false)
	for range 3 {
		if l.env.NeedsImages() {
			l.env.Resolve(nil, l.now)
		}
		l.begin()
		l.push(true)
		l.end(false)
	}
}

func (l *life) actions() map[string]func(*rapid.T) {
	sha := rapid.SampledFrom([]string{"a", "b", "c"})
	ttl := rapid.SampledFrom([]time.Duration{time.Hour, 3 * time.Hour})
	return map[string]func(*rapid.T){
		"wait": func(t *rapid.T) {
			l.now = l.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "minutes")) * time.Minute)
		},
		// A head is seen by itself only of what is absent; else it is refused or wanted.
		"head": func(t *rapid.T) {
			l.env.SeeHead(sha.Draw(t, "sha"), "topic", l.now)
			if l.env.Wanted == Present {
				l.env.Refuse(Problem{Kind: ProblemSpec, SHA: l.env.HeadSHA}, l.now)
			}
		},
		"want": func(t *rapid.T) {
			rev := revision(sha.Draw(t, "sha"))
			rev.TTL = ttl.Draw(t, "ttl")
			l.env.Want(rev, l.now)
			once := *l.env
			if l.env.Want(rev, l.now.Add(time.Second)) || !reflect.DeepEqual(once, *l.env) {
				t.Fatalf("wanting it twice changed\n%+v\nto\n%+v", once, *l.env)
			}
		},
		"remove": func(t *rapid.T) {
			untouched := l.env.Tree == "" && len(l.env.Intents) == 0
			if l.env.Remove(Removal{Reason: RemovedClosed}, l.now) && untouched && l.env.State() != StateGone {
				t.Fatalf("nothing was written, and it is %s", l.env.State())
			}
		},
		"extend": func(t *rapid.T) {
			before := l.env.ExpiresAt
			l.env.Extend(time.Duration(rapid.IntRange(1, 48).Draw(t, "hours"))*time.Hour, 24*time.Hour, l.now)
			if l.env.ExpiresAt.Before(before) {
				t.Fatalf("extended from %s to %s", before, l.env.ExpiresAt)
			}
		},
		"pin":   func(*rapid.T) { l.env.Pin(l.now) },
		"unpin": func(*rapid.T) { l.env.Unpin(l.now) },
		"retry": func(*rapid.T) { l.env.Retry(l.now) },
		"resolve": func(*rapid.T) {
			if l.env.NeedsImages() {
				l.env.Resolve([]Image{{Service: "web"}}, l.now)
			}
		},
		"missing": func(*rapid.T) {
			if l.env.NeedsImages() {
				l.env.Missing([]Image{{Service: "web", Missing: "no"}}, l.now.Add(time.Second))
			}
		},
		"fail": func(*rapid.T) {
			if l.env.NeedsImages() {
				l.env.Fail(Problem{Kind: ProblemImage}, l.now)
			}
		},
		"give up the commit": func(*rapid.T) {
			if l.writing == nil && l.env.NeedsCommit() {
				l.env.Fail(Problem{Kind: ProblemChanged}, l.now)
			}
		},
		"begin a commit":      func(*rapid.T) { l.begin() },
		"push":                func(*rapid.T) { l.push(true) },
		"push, to no avail":   func(*rapid.T) { l.push(false) },
		"record the commit":   func(*rapid.T) { l.end(false) },
		"crash in the commit": func(*rapid.T) { l.end(true) },
	}
}

// Whatever happens to an environment in whatever order, crashes included: its
// generations only grow, it needs one thing at a time, what Git holds of it is
// known as its own, and in the end Git holds it just if it is wanted.
func TestTransitionProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &life{env: &Environment{Wanted: Absent}, now: noon}
		generation := int64(0)
		actions := l.actions()
		actions[""] = func(t *rapid.T) {
			e := l.env
			switch {
			case e.Generation < generation:
				t.Fatalf("generation %d after %d", e.Generation, generation)
			case e.AppliedGeneration > e.Generation || e.AppliedGeneration < 0:
				t.Fatalf("applied %d of %d", e.AppliedGeneration, e.Generation)
			case e.Pinned && !e.ExpiresAt.IsZero():
				t.Fatalf("pinned, and expires %s", e.ExpiresAt)
			case e.Wanted == Absent && (e.Pinned || !e.ExpiresAt.IsZero()):
				t.Fatalf("absent, and pinned %v, expires %s", e.Pinned, e.ExpiresAt)
			case e.NeedsCommit() && e.NeedsImages():
				t.Fatal("needs images and a commit")
			case !slices.Contains(States, e.State()):
				t.Fatalf("state %q", e.State())
			case e.State() == StateFailed && e.Problem == nil && e.SHA == e.HeadSHA:
				t.Fatal("failed without a reason")
			case e.State() == StateGone && l.tree != "" && l.writing == nil:
				t.Fatalf("gone, and Git holds %s", l.tree)
			case !slices.Contains(accepted(*e), l.tree) && !e.Overwrite:
				t.Fatalf("Git holds %q, which is not among %q", l.tree, accepted(*e))
			}
			generation = e.Generation
		}
		t.Repeat(actions)
		l.settle()
		e := l.env
		given := e.Generation > 0 && e.Blocked == e.Generation
		if !given && (l.tree != "") != (e.Wanted == Present) {
			t.Fatalf("in the end wanted %s, and Git holds %q: %+v", e.Wanted, l.tree, *e)
		}
		if !given && e.Generation > 0 && e.AppliedGeneration != e.Generation {
			t.Fatalf("in the end applied %d of %d", e.AppliedGeneration, e.Generation)
		}
	})
}
