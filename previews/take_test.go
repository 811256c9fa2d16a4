package previews

import (
	"testing"
	"time"
)

// What is under way, held on to, declared or on its way out is never taken, however long
// nobody did anything about it; and what is taken says so.
func TestTake(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	late := start.Add(30 * 24 * time.Hour)
	resolved := func(e *Environment) { e.Resolve(nil, start) }
	committed := func(e *Environment) {
		resolved(e)
		e.Commit(Applied{Generation: e.Generation, SHA: e.SHA, Commit: "c", Tree: "t", Watched: true, At: start})
	}
	found := func(health string) func(*Environment) {
		return func(e *Environment) {
			committed(e)
			e.Observe(&Observation{Generation: e.Generation, Sync: "Synced", Health: health, At: start}, start)
		}
	}
	ready := found("Healthy")
	after := func(changes ...func(*Environment)) func(*Environment) {
		return func(e *Environment) {
			for _, change := range changes {
				change(e)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*Environment)
		at     time.Time
		state  State
		taken  bool
	}{
		"ready":                  {ready, late, StateReady, true},
		"degraded":               {found("Degraded"), late, StateDegraded, true},
		"given up":               {func(e *Environment) { e.Fail(Problem{Kind: ProblemImage}, start) }, late, StateFailed, true},
		"extended long ago":      {after(ready, func(e *Environment) { e.Extend(time.Hour, 1000*time.Hour, start) }), late, StateReady, true},
		"idle for long enough":   {ready, start.Add(MinIdle), StateReady, true},
		"idle for not so long":   {ready, start.Add(MinIdle - time.Second), StateReady, false},
		"asked for lately":       {after(ready, func(e *Environment) { e.AskedAt = late }), late, StateReady, false},
		"pushed to, and refused": {after(ready, func(e *Environment) { e.SeeHead("b", "topic", late) }), late, StateReady, false},
		"waiting for its image":  {func(*Environment) {}, late, StateWaiting, false},
		"being committed":        {resolved, late, StateCommitting, false},
		"rolling out":            {committed, late, StateSyncing, false},
		"pinned":                 {after(ready, func(e *Environment) { e.Pin(start) }), late, StateReady, false},
		"up for approval": {after(ready, func(e *Environment) {
			e.SeeHead("b", "topic", start)
			e.Refuse(Problem{Kind: ProblemFork, SHA: "b"}, start)
		}), late, StateReady, false},
		"declared": {after(ready, func(e *Environment) { e.Deployed = &Deployed{} }), late, StateReady, false},
		"going":    {after(ready, func(e *Environment) { e.Remove(Removal{Reason: RemovedClosed}, start) }), late, StateRemoving, false},
		"that cannot be removed": {after(ready, func(e *Environment) {
			e.Remove(Removal{Reason: RemovedClosed}, start)
			e.Fail(Problem{Kind: ProblemChanged}, start)
		}), late, StateRemoving, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := Environment{PR: 42}
			e.Want(Revision{SHA: "a", Ref: "topic", TTL: 60 * 24 * time.Hour}, start)
			c.change(&e)
			if got := e.State(); got != c.state {
				t.Fatalf("it is %s, want %s", got, c.state)
			}
			before := e.Removal
			if taken := e.Take(Removal{For: "acme/web#57", Inferred: true}, c.at); taken != c.taken || e.MayBeTaken(c.at) {
				t.Fatalf("taken: %v; it may still be: %v", taken, e.MayBeTaken(c.at))
			}
			want := Removal{Reason: RemovedEvicted, For: "acme/web#57", At: c.at}
			if !c.taken {
				want = before
			}
			if e.Removal != want {
				t.Errorf("it goes by %+v, want %+v", e.Removal, want)
			}
		})
	}
}
