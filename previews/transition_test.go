package previews

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// revision is one that lives for an hour.
func revision(sha string) Revision {
	return Revision{SHA: sha, Ref: "topic", Spec: []byte("service: {}"), TTL: time.Hour}
}

// wanted is a preview of revision a, its images not found yet.
func wanted() *Environment {
	e := &Environment{Wanted: Absent}
	e.Want(revision("a"), noon)
	return e
}

// running is a preview of revision a in Git, as the first commit left it.
func running() *Environment {
	e := wanted()
	e.Resolve([]Image{{Service: "web", Digest: "sha256:1"}}, noon)
	e.Commit(Applied{Generation: 1, SHA: "a", Commit: "c1", Tree: "t1", Diff: "+web", At: noon})
	return e
}

func commitNow(e *Environment, tree string, at time.Time) {
	if e.NeedsImages() {
		e.Resolve(nil, at)
	}
	a := Applied{Generation: e.Generation, Commit: "c", Tree: tree, At: at}
	if e.Wanted == Present {
		a.SHA = e.SHA
	}
	e.Commit(a)
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	later := noon.Add(10 * time.Minute)
	problem := Problem{Kind: ProblemSpec, SHA: "b", Message: "1 error"}
	for name, test := range map[string]struct {
		from *Environment
		do   func(*Environment)
		want State
		hold func(*Environment) bool
	}{
		"wanted for the first time": {wanted(), func(*Environment) {}, StateWaiting, func(e *Environment) bool {
			return e.Generation == 1 && e.ExpiresAt.Equal(noon.Add(time.Hour)) && e.NeedsImages() && !e.NeedsCommit()
		}},
		"wanted again": {running(), func(e *Environment) { e.Want(revision("a"), later) }, StateCommitted, func(e *Environment) bool {
			return reflect.DeepEqual(e, running())
		}},
		"pushed": {running(), func(e *Environment) { e.Want(revision("b"), later) }, StateWaiting, func(e *Environment) bool {
			return e.Generation == 2 && e.AppliedSHA == "a" && e.ExpiresAt.Equal(later.Add(time.Hour)) && e.Images == nil
		}},
		"pushed while pinned": {running(), func(e *Environment) { e.Pin(noon); e.Want(revision("b"), later) }, StateWaiting, func(e *Environment) bool {
			return e.Pinned && e.ExpiresAt.IsZero()
		}},
		// Fault: after a head that was refused, pushing the former commit again left its
		// expiry as it was, and a failure of it without its reason.
		"pushed back to the commit that runs": {running(), func(e *Environment) {
			e.SeeHead("b", "topic", noon)
			e.Refuse(problem, noon)
			e.Want(revision("a"), later)
		}, StateWaiting, func(e *Environment) bool {
			return e.Problem == nil && e.ExpiresAt.Equal(later.Add(time.Hour)) && e.Generation == 2
		}},
		"pushed back to the commit that failed": {wanted(), func(e *Environment) {
			e.Fail(Problem{Kind: ProblemImage}, noon)
			e.SeeHead("b", "topic", noon)
			e.Refuse(problem, noon)
			e.Want(revision("a"), later)
		}, StateWaiting, func(e *Environment) bool { return e.NeedsImages() && e.Problem == nil }},
		// Fault: a failure of the older revision took the place of what is wrong with the head.
		"old revision fails under a refused head": {wanted(), func(e *Environment) {
			e.SeeHead("b", "topic", noon)
			e.Refuse(problem, noon)
			e.Fail(Problem{Kind: ProblemImage}, later)
		}, StateFailed, func(e *Environment) bool { return e.Problem.Kind == ProblemSpec && e.Problem.SHA == "b" }},
		"retried under a refused head": {wanted(), func(e *Environment) {
			e.SeeHead("b", "topic", noon)
			e.Refuse(problem, noon)
			e.Fail(Problem{Kind: ProblemImage}, later)
			e.Retry(later)
		}, StateWaiting, func(e *Environment) bool { return e.Problem.SHA == "b" && e.SHA == "a" }},
		"another time to live": {running(), func(e *Environment) {
			rev := revision("a")
			rev.TTL = 3 * time.Hour
			e.Want(rev, later)
		}, StateWaiting, func(e *Environment) bool { return e.ExpiresAt.Equal(noon.Add(3 * time.Hour)) }},
		"removed": {running(), func(e *Environment) { e.Remove(Removal{Reason: RemovedClosed}, later) }, StateRemoving, func(e *Environment) bool {
			return e.NeedsCommit() && e.Removal.At.Equal(later) && e.ExpiresAt.IsZero()
		}},
		"removed with nothing written": {wanted(), func(e *Environment) { e.Remove(Removal{}, later) }, StateGone, func(e *Environment) bool {
			return !e.NeedsCommit() && !e.NeedsImages()
		}},
		"removed while the first commit is under way": {wanted(), func(e *Environment) {
			e.Resolve(nil, noon)
			e.Intend("t1")
			e.Remove(Removal{}, later)
		}, StateRemoving, (*Environment).NeedsCommit},
		// Fault: it counted as gone, and after a crash before the commit was recorded its
		// files stayed in Git for good.
		"removed just before the first commit is announced": {wanted(), func(e *Environment) {
			e.Resolve(nil, noon)
			e.Remove(Removal{}, later)
			e.Intend("t1")
		}, StateRemoving, (*Environment).NeedsCommit},
		"removed, and the commit under way lands": {wanted(), func(e *Environment) {
			e.Resolve(nil, noon)
			e.Remove(Removal{}, later)
			e.Intend("t1")
			e.Commit(Applied{Generation: 1, SHA: "a", Tree: "t1"})
		}, StateRemoving, (*Environment).NeedsCommit},
		"back before its removal was committed": {running(), func(e *Environment) {
			e.Remove(Removal{Reason: RemovedClosed}, noon)
			e.Want(revision("a"), later)
			commitNow(e, "t3", later)
		}, StateCommitted, func(e *Environment) bool {
			return e.Removal == Removal{} && e.ExpiresAt.Equal(later.Add(time.Hour)) && e.AppliedAt.Equal(noon)
		}},
		"back while its removal is under way": {running(), func(e *Environment) {
			e.Remove(Removal{}, noon)
			e.Intend("")
			e.Want(revision("a"), later)
			e.Commit(Applied{Generation: 2, Tree: ""})
		}, StateWaiting, func(e *Environment) bool { return !e.Live() && e.AppliedSHA == "" && e.NeedsImages() }},
		"overtaken while being committed": {wanted(), func(e *Environment) {
			e.Resolve(nil, noon)
			e.Intend("t1")
			e.Want(revision("b"), later)
			e.Commit(Applied{Generation: 1, SHA: "a", Tree: "t1"})
		}, StateWaiting, func(e *Environment) bool { return e.AppliedSHA == "a" && e.SHA == "b" && e.AppliedGeneration == 1 }},
		"failed": {wanted(), func(e *Environment) { e.Fail(Problem{Kind: ProblemImage}, later) }, StateFailed, func(e *Environment) bool {
			return e.Problem.SHA == "a" && !e.NeedsImages() && !e.NeedsCommit()
		}},
		"retried": {wanted(), func(e *Environment) {
			e.Fail(Problem{Kind: ProblemImage}, noon)
			e.Retry(later)
		}, StateWaiting, func(e *Environment) bool { return e.NextImageCheck.Equal(later) && e.Problem == nil && !e.Overwrite }},
		"retried without need": {running(), func(e *Environment) { e.Retry(later) }, StateCommitted, func(e *Environment) bool {
			return reflect.DeepEqual(e, running())
		}},
		"retried after a change by somebody else": {running(), func(e *Environment) {
			e.Want(revision("b"), noon)
			e.Resolve(nil, noon)
			e.Fail(Problem{Kind: ProblemChanged}, noon)
			e.Retry(later)
		}, StateWaiting, func(e *Environment) bool { return e.Overwrite }},
		// Fault: where the row moved on meanwhile, the leave to overwrite outlived the
		// commit that used it.
		"overwritten once": {running(), func(e *Environment) {
			e.Want(revision("b"), noon)
			e.Fail(Problem{Kind: ProblemChanged}, noon)
			e.Retry(later)
			e.Resolve(nil, later)
			e.Extend(time.Hour, 24*time.Hour, later)
			e.Commit(Applied{Generation: 3, SHA: "b", Tree: "t3"})
		}, StateCommitted, func(e *Environment) bool { return !e.Overwrite && e.NeedsCommit() }},
		"removal given up": {running(), func(e *Environment) {
			e.Remove(Removal{}, noon)
			e.Fail(Problem{Kind: ProblemChanged}, noon)
		}, StateRemoving, func(e *Environment) bool { return !e.NeedsCommit() && e.Problem != nil }},
		// Fault: a reopened pull request with a mistake in its spec took the place of the
		// reason, and with it the way to remove the preview all the same.
		"removal given up, then a new head refused": {running(), func(e *Environment) {
			e.Remove(Removal{}, noon)
			e.Fail(Problem{Kind: ProblemChanged}, noon)
			e.SeeHead("b", "topic", later)
			e.Refuse(problem, later)
		}, StateRemoving, func(e *Environment) bool { return e.Problem.Kind == ProblemChanged && e.HeadSHA == "b" }},
		"removal retried": {running(), func(e *Environment) {
			e.Remove(Removal{}, noon)
			e.Fail(Problem{Kind: ProblemChanged}, noon)
			e.Retry(later)
		}, StateRemoving, func(e *Environment) bool { return e.NeedsCommit() && e.Overwrite }},
		"extended": {running(), func(e *Environment) { e.Extend(time.Hour, 24*time.Hour, later) }, StateCommitted, func(e *Environment) bool {
			return e.ExpiresAt.Equal(noon.Add(2*time.Hour)) && e.NeedsCommit() && e.WantedAt.Equal(noon)
		}},
		"extended while waiting": {wanted(), func(e *Environment) { e.Extend(time.Hour, 24*time.Hour, later) }, StateWaiting, func(e *Environment) bool {
			return e.NeedsImages() && e.WantedAt.Equal(noon)
		}},
		"extended when failed": {wanted(), func(e *Environment) {
			e.Fail(Problem{Kind: ProblemImage}, noon)
			e.Extend(time.Hour, 24*time.Hour, later)
		}, StateFailed, func(e *Environment) bool { return !e.NeedsImages() }},
		"extended beyond the limit": {running(), func(e *Environment) { e.Extend(99*time.Hour, 2*time.Hour, later) }, StateCommitted, func(e *Environment) bool {
			return e.ExpiresAt.Equal(later.Add(2 * time.Hour))
		}},
		"extended with more left than the limit": {running(), func(e *Environment) { e.Extend(time.Hour, time.Minute, later) }, StateCommitted, func(e *Environment) bool {
			return e.ExpiresAt.Equal(noon.Add(time.Hour)) && e.Generation == 1
		}},
		"pinned": {running(), func(e *Environment) { e.Pin(later) }, StateCommitted, func(e *Environment) bool { return e.ExpiresAt.IsZero() && e.NeedsCommit() }},
		"extended, pinned": {running(), func(e *Environment) { e.Pin(noon); e.Extend(time.Hour, 24*time.Hour, later) }, StateCommitted, func(e *Environment) bool {
			return e.ExpiresAt.IsZero() && e.Generation == 2
		}},
		"unpinned": {running(), func(e *Environment) { e.Pin(noon); e.Unpin(later) }, StateCommitted, func(e *Environment) bool {
			return e.ExpiresAt.Equal(later.Add(time.Hour)) && !e.Pinned
		}},
		"refused": {&Environment{Wanted: Absent}, func(e *Environment) { e.SeeHead("b", "topic", noon); e.Refuse(problem, noon) }, StateRefused, func(e *Environment) bool {
			return e.Generation == 0 && !e.NeedsCommit() && !e.NeedsImages()
		}},
		"new head refused": {running(), func(e *Environment) { e.SeeHead("b", "topic", later); e.Refuse(problem, later) }, StateCommitted, func(e *Environment) bool {
			return e.Problem.At.Equal(later) && e.AppliedSHA == "a" && e.Generation == 1
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.do(test.from)
			if got := test.from.State(); got != test.want {
				t.Errorf("state %s, want %s", got, test.want)
			}
			if !test.hold(test.from) {
				t.Errorf("is %+v", *test.from)
			}
		})
	}
}

// What people are told is what they asked for.
func TestTransitionAnswers(t *testing.T) {
	t.Parallel()
	e := running()
	if expires, capped := e.Extend(99*time.Hour, 2*time.Hour, noon); !capped || !expires.Equal(noon.Add(2*time.Hour)) {
		t.Errorf("extended to %s, capped %v", expires, capped)
	}
	for _, step := range []struct {
		name string
		do   func() bool
		want bool
	}{
		{"unpin what is not pinned", func() bool { return e.Unpin(noon) }, false},
		{"pin", func() bool { return e.Pin(noon) }, true},
		{"pin again", func() bool { return e.Pin(noon) }, false},
		{"see the same head", func() bool { return e.SeeHead("a", "renamed", noon) }, false},
		{"remove", func() bool { return e.Remove(Removal{}, noon) }, true},
		{"remove again", func() bool { return e.Remove(Removal{}, noon) }, false},
		{"pin what is absent", func() bool { return e.Pin(noon) }, false},
		{"want back", func() bool { return e.Want(revision("a"), noon) }, true},
		{"want again", func() bool { return e.Want(revision("a"), noon) }, false},
		{"refuse", func() bool { return e.Refuse(Problem{Kind: ProblemFork, SHA: "a"}, noon) }, true},
		{"refuse again", func() bool { return e.Refuse(Problem{Kind: ProblemFork, SHA: "a"}, noon) }, false},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("%s: changed %v, want %v", step.name, got, step.want)
		}
	}
}

// A commit that brings a new expiry alone leaves what people see of the revision:
// its diff, when it came, and what Argo CD says of it.
func TestRenewalKeepsTheStory(t *testing.T) {
	t.Parallel()
	e := running()
	e.Observed = &Observation{Generation: 1, Sync: "Synced", Health: "Healthy"}
	e.Extend(time.Hour, 24*time.Hour, noon)
	if got := e.State(); got != StateReady {
		t.Errorf("while the extension waits: %s", got)
	}
	before := e.Observed
	e.Commit(Applied{Generation: 2, SHA: "a", Commit: "c2", Tree: "t2", Watched: true, At: noon.Add(time.Minute)})
	if e.State() != StateReady || e.Diff != "+web" || !e.AppliedAt.Equal(noon) || before.Generation != 1 {
		t.Errorf("after it: %s, diff %q, since %s; the observation before: %+v", e.State(), e.Diff, e.AppliedAt, before)
	}
	e.Want(revision("b"), noon)
	e.Resolve(nil, noon)
	e.Commit(Applied{Generation: 3, SHA: "b", Commit: "c3", Tree: "t3", Watched: true, Diff: "-web"})
	if e.State() != StateSyncing || e.Diff != "-web" {
		t.Errorf("after a new revision: %s, diff %q", e.State(), e.Diff)
	}
}

// Every state is in States, and the table is what the documentation says.
func TestStates(t *testing.T) {
	t.Parallel()
	seen := func(o *Observation) *Environment { e := running(); e.Observed = o; return e }
	for want, e := range map[State]*Environment{
		StateCommitted: seen(nil),
		StateSyncing:   seen(&Observation{Generation: 1, Sync: "OutOfSync", Health: "Healthy"}),
		StateReady:     seen(&Observation{Generation: 1, Sync: "Synced", Health: "Healthy"}),
		StateDegraded:  seen(&Observation{Generation: 1, Sync: "OutOfSync", Health: "Degraded"}),
	} {
		if got := e.State(); got != want {
			t.Errorf("%+v: %s, want %s", e.Observed, got, want)
		}
		if !slices.Contains(States, want) {
			t.Errorf("%s is not in States", want)
		}
	}
	stale := seen(&Observation{Generation: 0, Sync: "Synced", Health: "Healthy"})
	if got := stale.State(); got != StateSyncing {
		t.Errorf("observed before the commit: %s", got)
	}
	resolved := wanted()
	resolved.Resolve(nil, noon)
	if got := resolved.State(); got != StateCommitting {
		t.Errorf("found and not pushed: %s", got)
	}
}
