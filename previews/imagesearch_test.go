package previews_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/idp-bot/idp/previews"
)

// upstream is a repository on GitHub: how it answers, and how often it was asked.
type upstream struct {
	merge     previews.TestMerge
	differs   previews.Divergence
	lineage   []string
	touches   []string
	runs      []previews.CIRun
	err       error
	asked     []string
	knowing   []string
	following []previews.CIRun
}

func (u *upstream) TestMerge(_ context.Context, _ previews.Environment, known []string) (previews.TestMerge, error) {
	u.asked, u.knowing = append(u.asked, "merge"), known
	return u.merge, u.err
}

func (u *upstream) Divergence(context.Context, previews.Environment) (previews.Divergence, error) {
	u.asked = append(u.asked, "divergence")
	return u.differs, u.err
}

func (u *upstream) Lineage(_ context.Context, _ previews.Environment, sha string, most int) ([]string, error) {
	u.asked = append(u.asked, fmt.Sprintf("lineage of %s, %d", sha, most))
	return u.lineage, u.err
}

func (u *upstream) Touches(_ context.Context, _ previews.Environment, branch, sha string, paths []string) ([]string, error) {
	u.asked = append(u.asked, fmt.Sprintf("touches of %v on %s to %s", paths, branch, sha))
	return u.touches, u.err
}

func (u *upstream) Runs(_ context.Context, _ previews.Environment, known []previews.CIRun) ([]previews.CIRun, error) {
	u.asked, u.following = append(u.asked, "runs"), known
	return u.runs, u.err
}

// count is how often something was asked.
func (u *upstream) count(what string) (n int) {
	for _, one := range u.asked {
		if one == what {
			n++
		}
	}
	return n
}

// newUpstream is a watcher of a preview with that spec, beside GitHub.
func newUpstream(t *testing.T, text string) (*watching, *upstream) {
	t.Helper()
	w, u := newWatching(t), &upstream{}
	w.watcher.Upstream = u
	w.watcher.NextCheck = func(int) time.Duration { return 10 * time.Second }
	w.update(func(e *previews.Environment) {
		e.Want(previews.Revision{SHA: "head", Ref: "topic", Spec: []byte(text), TTL: time.Hour}, w.clock.Now())
	})
	return w, u
}

const merged = `service: {name: web, image: "web:{merge_sha}"}`

// Every merge of the head that GitHub tried is right: what CI built is the one of its time.
func TestMerges(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, merged)
	if e := w.step(); e.Images[0].Reference != "web:{merge_sha}" || e.Images[0].Missing != "GitHub has not made the pull request's merge commit yet" {
		t.Errorf("it waits for %+v", e.Images[0])
	}
	for _, sha := range []string{"m1", "m1", "m2", "other", "m3", "m4", "m5", "m6"} {
		u.merge = previews.TestMerge{SHA: sha, Head: "head"}
		if sha == "other" {
			u.merge.Head = "older"
		}
		w.clock.Advance(30 * time.Second)
		w.step()
	}
	e := w.step()
	if want := []string{"m1", "m3", "m4", "m5", "m6"}; !slices.Equal(e.Merge.Seen, want) {
		t.Errorf("it has seen %v, want %v", e.Merge.Seen, want)
	}
	if got := e.Images[0]; got.Reference != "web:m1" || got.Missing != "not in the registry, under this name or those of 4 later merges" {
		t.Errorf("it waits for %+v", got)
	}
	if !slices.Equal(u.knowing, []string{"m1", "m2", "m3", "m4", "m5"}) {
		t.Errorf("GitHub was asked knowing %v", u.knowing)
	}
	w.shelf.put("web:m4", "sha256:4")
	w.shelf.put("web:m2", "sha256:2")
	w.clock.Advance(10 * time.Second)
	if e = w.step(); e.State() != previews.StateCommitting || e.Images[0].Reference != "web:m4" || e.Images[0].Of() != "@m4" || e.Images[0].Digest != "sha256:4" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
}

// GitHub is asked with each look until it has made a merge, and then each 30 s; a push begins
// anew.
func TestMergeIsAskedForNowAndThen(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, merged)
	w.step()
	w.clock.Advance(10 * time.Second)
	w.step()
	if got := u.count("merge"); got != 2 {
		t.Errorf("asked %d times while there was none", got)
	}
	u.merge = previews.TestMerge{SHA: "m1", Head: "head"}
	for range 7 { // at 20 s to 80 s: asked at 20, 50 and 80
		w.clock.Advance(10 * time.Second)
		w.step()
	}
	if got := u.count("merge"); got != 5 {
		t.Errorf("asked %d times in all", got)
	}
	w.update(func(e *previews.Environment) {
		e.Want(previews.Revision{SHA: "next", Ref: "topic", Spec: []byte(merged), TTL: time.Hour}, w.clock.Now())
	})
	if e := w.step(); len(e.Merge.Seen) != 0 || e.Merge.Head != "next" || e.Images[0].Reference != "web:{merge_sha}" {
		t.Errorf("of another head it has %+v, and waits for %+v", e.Merge, e.Images[0])
	}
}

// What conflicts is said, waited for, and given up with its reason and what to do.
func TestMergeConflicts(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, merged)
	u.merge.Conflicts = true
	const why = "the pull request conflicts with its base branch, so GitHub makes no merge commit for CI to build"
	if e := w.step(); e.State() != previews.StateWaiting || e.Images[0].Missing != why {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
	w.clock.Advance(10 * time.Minute)
	if e := w.step(); e.State() != previews.StateFailed || e.Problem.Hint != "Resolve the conflicts, and push: CI builds no pull request that has any." {
		t.Errorf("%s: %+v", e.State(), e.Problem)
	}
}

// What GitHub could not be asked is waited for, and nothing is taken back that it said before.
func TestMergeUnread(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, merged)
	u.err = errors.New("it is ill")
	if e := w.step(); e.Images[0].Missing != "idp cannot tell just now by which commit GitHub would merge the pull request" || e.Merge != nil {
		t.Errorf("it waits for %+v, knowing %+v", e.Images[0], e.Merge)
	}
	u.err, u.merge = nil, previews.TestMerge{SHA: "m1", Head: "head"}
	w.clock.Advance(10 * time.Second)
	w.step()
	u.err = errors.New("it is ill")
	w.shelf.put("web:m1", "sha256:1")
	w.clock.Advance(time.Minute)
	if e := w.step(); e.State() != previews.StateCommitting {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
}

// Where images are not looked up their names have to be known all the same.
func TestMergeUnchecked(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, merged)
	w.watcher.Resolver = nil
	if e := w.step(); e.State() != previews.StateWaiting {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
	u.merge = previews.TestMerge{SHA: "m1", Head: "head"}
	w.clock.Advance(10 * time.Second)
	if e := w.step(); e.State() != previews.StateCommitting || e.Images[0].Reference != "web:m1" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
}

// A report needs no name, and may be of the merge that a workflow ran at.
func TestMergeReported(t *testing.T) {
	t.Parallel()
	for _, of := range []string{"head", "m1"} {
		w, u := newUpstream(t, merged)
		u.merge = previews.TestMerge{SHA: "m1", Head: "head"}
		w.watcher.Reported = func(_ context.Context, env previews.Environment, service, reference string) (string, string, error) {
			if env.SHA != of {
				return "", "", nil
			}
			return "sha256:5", service + "@sha256:5", nil
		}
		w.shelf.put("web@sha256:5", "sha256:5")
		e := w.step()
		if e.State() != previews.StateCommitting || !e.Images[0].Reported || e.Images[0].Digest != "sha256:5" || (e.Images[0].Commit == "m1") != (of == "m1") {
			t.Errorf("of %s: %s with %+v", of, e.State(), e.Images)
		}
	}
}

const mono = `services:
  - {name: api, path: services/api}
  - {name: web, path: services/web, paths: ["libs/**"]}
  - {name: jobs}
  - {name: db, path: db, image: "db:15"}
`

// What a pull request does not change runs the default branch's newest image.
func TestBaseline(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, mono)
	u.differs = previews.Divergence{Branch: "main", Base: "b1", Files: []string{"services/api/main.go"}}
	u.lineage = []string{"b1", "b2", "b3"}
	w.shelf.put("web:b3", "sha256:3")
	w.shelf.put("web:b2", "sha256:2")
	w.shelf.put("api:b1", "sha256:1")
	w.shelf.put("jobs:b1", "sha256:1")
	w.shelf.put("db:15", "sha256:15")
	e := w.step()
	if got := e.Images[1]; got.Reference != "web:b2" || got.Digest != "sha256:2" || got.Of() != "main@b2" {
		t.Errorf("web is %+v", got)
	}
	for i, want := range []string{"api:head", "web:b2", "jobs:head", "db:15"} {
		if got := e.Images[i]; got.Reference != want || (got.Missing == "") != (i == 1 || i == 3) {
			t.Errorf("%s is %+v", want, got)
		}
	}
	w.clock.Advance(10 * time.Second)
	w.step()
	if got := fmt.Sprint(u.count("divergence"), u.count("lineage of b1, 20")); got != "1 1" {
		t.Errorf("asked %v", u.asked)
	}
	// The same commit under a spec that makes web of everything.
	w.update(func(e *previews.Environment) {
		e.Want(previews.Revision{SHA: "head", Ref: "topic", Spec: []byte("services: [{name: api}, {name: web, paths: ['**']}]"), TTL: time.Hour}, w.clock.Now())
	})
	if e = w.step(); e.Images[1].Reference != "web:head" || u.count("divergence") != 2 {
		t.Errorf("web is %+v, asked %v", e.Images[1], u.asked)
	}
}

// A service that none of the newest commits has an image of has one of the commit in which it
// last changed; GitHub is asked once where that is.
func TestTouched(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, mono)
	u.differs = previews.Divergence{Branch: "main", Base: "b0", Files: []string{"services/api/main.go"}}
	for i := range 20 {
		u.lineage = append(u.lineage, fmt.Sprintf("b%d", i))
	}
	u.touches = []string{"b3", "m7", "c7"}
	e := w.step()
	const asked = "touches of [services/web libs] on main to b0"
	if got := e.Images[1]; got.Missing != "not in the registry; it is unchanged here, and the registry has none of main's last 20 commits either, nor of the 2 before those in which it last changed" {
		t.Errorf("web is %+v", got)
	}
	w.shelf.put("web:c7", "sha256:7")
	w.clock.Advance(10 * time.Second)
	if e = w.step(); e.Images[1].Reference != "web:c7" || e.Images[1].Of() != "main@c7" || u.count(asked) != 1 {
		t.Errorf("web is %+v, asked %v", e.Images[1], u.asked)
	}

	// Of a short history there is nothing further back.
	w, u = newUpstream(t, mono)
	u.differs, u.lineage = previews.Divergence{Branch: "main", Base: "b0"}, []string{"b0"}
	if w.step(); u.count(asked) != 0 {
		t.Errorf("asked %v", u.asked)
	}
}

// Nothing is taken for unchanged that may be changed.
func TestBaselineUnsure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*upstream, *watching)
		why    string
	}{
		"more files than are listed": {func(u *upstream, _ *watching) { u.differs.Partial = true }, "not in the registry"},
		"its own folder":             {func(u *upstream, _ *watching) { u.differs.Files = []string{"services/web/a.go"} }, "not in the registry"},
		"what it shares":             {func(u *upstream, _ *watching) { u.differs.Files = []string{"libs/a/b.go"} }, "not in the registry"},
		"nobody can tell":            {func(u *upstream, _ *watching) { u.err = errors.New("ill") }, "idp cannot tell just now whether the pull request changes it"},
		"no image":                   {func(_ *upstream, w *watching) { delete(w.shelf.images, "web:b1") }, "not in the registry; it is unchanged here, and the registry has none of main's last 1 commits either"},
		"a registry that is ill": {func(_ *upstream, w *watching) {
			w.shelf.put("web:b1", "")
		}, "may not be read"},
	} {
		w, u := newUpstream(t, mono)
		u.differs, u.lineage = previews.Divergence{Branch: "main", Base: "b1"}, []string{"b1"}
		w.shelf.put("web:b1", "sha256:1")
		test.change(u, w)
		if e := w.step(); e.Images[1].Missing != test.why || e.Images[1].Digest != "" {
			t.Errorf("%s: %+v", name, e.Images[1])
		}
	}
}

// What the cluster's nodes cannot run is said and waited for, once every image is there.
func TestUnfit(t *testing.T) {
	t.Parallel()
	w, _ := newUpstream(t, twoServices)
	var asked []string
	lacking, err := []string{"linux/arm64", "linux/s390x"}, error(nil)
	w.watcher.Lacking = func(_ context.Context, _ previews.Environment, image previews.Image) ([]string, error) {
		asked = append(asked, image.Service)
		if image.Service == "web" {
			return lacking, err
		}
		return nil, nil
	}
	w.shelf.put("web:head", "sha256:1")
	if w.step(); len(asked) > 0 {
		t.Errorf("asked about %v while an image is missing", asked)
	}
	w.shelf.put("api:head", "sha256:2")
	w.clock.Advance(10 * time.Second)
	if e := w.step(); e.State() != previews.StateWaiting || e.Images[1].Missing != "in the registry, but not for linux/arm64, linux/s390x, which nodes of the cluster are" || e.Images[0].Missing != "" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
	lacking, err = nil, errNoImage
	w.clock.Advance(10 * time.Second)
	if e := w.step(); e.Images[1].Missing != "in the registry, but idp cannot tell just now what it runs on: not in the registry" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
	err = nil
	w.clock.Advance(10 * time.Second)
	if e := w.step(); e.State() != previews.StateCommitting {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
}

// Of a declared environment every image is of its own commit.
func TestNothingIsAskedForDeclared(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, mono)
	env := previews.Environment{SHA: "head", Spec: []byte(`services: [{name: web, path: web, image: "web:{merge_sha}"}]`), Deployed: &previews.Deployed{}}
	env.Ref.ID, env.Ref.Service = "staging", "web"
	images, err := w.watcher.Images(t.Context(), env)
	if err != nil || images[0].Reference != "web:head" || images[0].Missing != "not in the registry: {merge_sha} is the commit itself in staging" || len(u.asked) > 0 {
		t.Errorf("%+v (%v), asked %v", images, err, u.asked)
	}
}

// An approval holds to the name that it found, whichever others have an image later.
func TestHeldName(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, `services: [{name: web, path: web, image: "web:{merge_sha}"}, {name: api, path: api}]`)
	u.differs, u.lineage = previews.Divergence{Branch: "main", Base: "b1", Files: []string{"web/a.go"}}, []string{"b1", "b2"}
	w.update(func(e *previews.Environment) {
		e.Merge = &previews.Merge{Head: "head", Seen: []string{"m1", "m2"}, AskedAt: w.clock.Now()}
		e.Clear(previews.Approval{SHA: "head"})
	})
	w.shelf.put("web:m2", "sha256:2")
	w.shelf.put("api:b2", "sha256:b2")
	if e := w.step(); e.State() != previews.StateCommitting {
		t.Fatalf("%s with %+v", e.State(), e.Images)
	}
	w.shelf.put("web:m1", "sha256:evil")
	w.shelf.put("api:b1", "sha256:evil")
	w.update(func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedByCommand}, w.clock.Now())
		e.Want(previews.Revision{SHA: "head", Ref: "topic", Spec: e.Spec, TTL: time.Hour}, w.clock.Now())
	})
	if e := w.step(); e.State() != previews.StateCommitting || e.Images[0].Reference != "web:m2" || e.Images[1].Reference != "api:b2" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
	w.shelf.put("api:b2", "sha256:evil")
	w.update(func(e *previews.Environment) {
		e.Remove(previews.Removal{Reason: previews.RemovedByCommand}, w.clock.Now())
		e.Want(previews.Revision{SHA: "head", Ref: "topic", Spec: e.Spec, TTL: time.Hour}, w.clock.Now())
	})
	if e := w.step(); e.State() != previews.StateFailed || e.Fork.Withdrawn == "" {
		t.Errorf("%s with %+v", e.State(), e.Images)
	}
}

// CI is asked each 30 s while an image is missing, at once when a workflow ended, and no more
// where idp may not see it or nothing is missing.
func TestFollowCI(t *testing.T) {
	t.Parallel()
	w, u := newUpstream(t, "service: {name: web}")
	u.runs = []previews.CIRun{{Workflow: 1, State: previews.RunRunning, Since: w.clock.Now(), Usual: 10 * time.Second}}
	for range 4 { // at 0 s, 10 s, 20 s and 30 s
		w.step()
		w.clock.Advance(10 * time.Second)
	}
	if u.count("runs") != 2 || len(u.following) != 1 {
		t.Errorf("asked %v, the last time knowing %v", u.asked, u.following)
	}
	w.update(func(e *previews.Environment) { e.AskCI() })
	if e := w.step(); u.count("runs") != 3 || !e.Runs()[0].Late {
		t.Errorf("asked %v, and has %+v", u.asked, e.Runs())
	}
	u.err = errors.New("ill")
	w.clock.Advance(30 * time.Second)
	if e := w.step(); len(e.Runs()) != 1 || u.count("runs") != 4 {
		t.Errorf("it forgot what it knew: %+v", e.CI)
	}
	u.err = fmt.Errorf("%w: not granted", previews.ErrNoRuns)
	w.clock.Advance(30 * time.Second)
	w.step()
	w.update(func(e *previews.Environment) { e.AskCI() })
	w.clock.Advance(30 * time.Second)
	if e := w.step(); !e.CI.Refused || u.count("runs") != 5 {
		t.Errorf("asked %v after it was refused", u.asked)
	}
	w.shelf.put("web:head", "sha256:1")
	w.clock.Advance(30 * time.Second)
	if e := w.step(); e.State() != previews.StateCommitting || e.CI != nil || u.count("runs") != 5 {
		t.Errorf("%s, knowing %+v, asked %v", e.State(), e.CI, u.asked)
	}
}

func TestImageOf(t *testing.T) {
	t.Parallel()
	for _, want := range []previews.Image{{}, {Commit: "c0ffee"}, {Commit: "c0ffee", Branch: "user@host/main"}} {
		var got previews.Image
		if got.From(want.Of()); got != want {
			t.Errorf("%q is %+v", want.Of(), got)
		}
	}
}
