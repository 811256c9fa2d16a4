package previews_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

var began = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const withRollback = "service: {name: web}\nrollback: {auto: true}\n"

// stage plays one service of a declared environment through its life.
type stage struct {
	*previews.Environment
	t   *testing.T
	now time.Time
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, now: began, Environment: &previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: 7, Owner: "acme", Repo: "web", ID: "staging", Service: "web"},
		Owner: "acme", Repo: "web", Wanted: previews.Absent, Deployed: &previews.Deployed{},
	}}
}

// sha is a full commit that begins with a letter.
func sha(letter string) string { return strings.Repeat(letter, 40) }

func (s *stage) release(letter string, pr int) previews.Release {
	return previews.Release{
		Kind: previews.ReleaseDeploy, SHA: sha(letter), Spec: []byte(withRollback), PR: pr, By: "alice", ByID: 1, Author: "alice",
		At: s.now, CommittedAt: s.now.Add(-time.Hour),
	}
}

func (s *stage) deploy(letter string, pr int) bool {
	s.now = s.now.Add(time.Minute)
	return s.Deploy(s.release(letter, pr), s.now)
}

// commit plays the images and the commit of what is wanted.
func (s *stage) commit() {
	s.now = s.now.Add(time.Second)
	if s.NeedsImages() {
		s.Resolve([]previews.Image{{Service: "web", Reference: "r/web:" + s.SHA, Digest: "sha256:" + s.SHA}}, s.now)
	}
	s.Commit(previews.Applied{Generation: s.Generation, SHA: s.SHA, Commit: sha("c"), Tree: sha("d"), Watched: true, At: s.now})
}

// see plays what Argo CD says of the commit.
func (s *stage) see(health, message string) {
	s.now = s.now.Add(time.Minute)
	s.Observe(&previews.Observation{Generation: s.AppliedGeneration, Sync: "Synced", Health: health, Message: message, At: s.now}, s.now)
}

func (s *stage) want(letter string, state previews.State) {
	s.t.Helper()
	if s.SHA != sha(letter) || s.State() != state {
		s.t.Fatalf("it wants %.7s and is %s; expected %.7s and %s", s.SHA, s.State(), sha(letter), state)
	}
}

func (s *stage) outcomes() []string {
	var out []string
	for _, f := range s.Finished {
		out = append(out, f.SHA[:1]+" "+string(f.Outcome))
	}
	return out
}

// One deployment at a time: another pull request's waits, the newest of each, and has
// its turn when the one before is healthy.
func TestDeployQueues(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if !s.deploy("a", 1) {
		t.Fatal("the first does not start")
	}
	s.want("a", previews.StateWaiting)
	if s.deploy("b", 2) || s.deploy("e", 2) {
		t.Fatal("another pull request's starts beside it")
	}
	if len(s.Deployed.Queue) != 1 || s.Deployed.Queue[0].SHA != sha("e") {
		t.Fatalf("the queue is %+v, expected the newest of pull request 2 alone", s.Deployed.Queue)
	}
	s.commit()
	s.see("Progressing", "")
	s.want("a", previews.StateSyncing)
	s.see("Healthy", "")
	s.want("e", previews.StateWaiting)
	if got := s.outcomes(); !slices.Equal(got, []string{"a healthy"}) {
		t.Errorf("finished: %v", got)
	}
	if f := s.Finished[0]; f.Environment != "staging" || f.Service != "web" || f.EndedAt.Sub(f.AskedAt) <= 0 || f.AppliedAt.IsZero() || f.CommittedAt.IsZero() {
		t.Errorf("it is taken down as %+v", f)
	}
}

// A pull request's newer commit takes the place of its older one at once.
func TestDeploySupersedesItsOwn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	if !s.deploy("b", 1) {
		t.Fatal("it waits for its own older commit")
	}
	s.want("b", previews.StateWaiting)
	if got := s.outcomes(); !slices.Equal(got, []string{"a superseded"}) {
		t.Errorf("finished: %v", got)
	}
}

// What fails is taken back to what was healthy, by the digests that were healthy, and
// is not deployed again until somebody insists.
func TestDeployRollsBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	s.see("Healthy", "")
	images := s.Images
	s.deploy("b", 2)
	s.commit()
	s.see("Degraded", "error rate 4.7% > 1%")
	s.want("a", previews.StateCommitting)
	if !slices.Equal(s.Images, images) {
		t.Errorf("it goes back to images %v, expected %v", s.Images, images)
	}
	f := s.Deployed.Fallback
	if f == nil || f.From.SHA != sha("b") || f.Reason != "error rate 4.7% > 1%" || f.By != "" || s.PR != 2 {
		t.Fatalf("the fallback is %+v, told to pull request %d", f, s.PR)
	}
	if why := s.QuarantinedFor(sha("b")); why != "error rate 4.7% > 1%" {
		t.Errorf("it is quarantined for %q", why)
	}
	s.commit()
	s.see("Healthy", "")
	s.want("a", previews.StateReady)
	if got := s.outcomes(); !slices.Equal(got, []string{"a healthy", "b failed", "a healthy"}) {
		t.Errorf("finished: %v", got)
	}
	s.Admit(sha("b"))
	if s.QuarantinedFor(sha("b")) != "" {
		t.Error("it is quarantined still")
	}
	s.deploy("e", 3)
	if s.Deployed.Fallback != nil {
		t.Error("the next release is told as a fallback")
	}
}

// A rollback that fails as well stays where it is: there is no second guess.
func TestRollbackThatFails(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, letter := range []string{"a", "b"} {
		s.deploy(letter, 1)
		s.commit()
		s.see("Healthy", "")
	}
	s.deploy("e", 1)
	s.commit()
	s.see("Degraded", "crash")
	s.want("b", previews.StateCommitting)
	s.commit()
	s.see("Degraded", "crash")
	s.see("Degraded", "crash, 5 restarts")
	s.want("b", previews.StateDegraded)
	if got := s.outcomes(); !slices.Equal(got, []string{"a healthy", "b healthy", "e failed", "b failed"}) {
		t.Errorf("finished: %v", got)
	}
}

// What was healthy and fails later is no failed rollout.
func TestLaterFailureIsNotRolledBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, letter := range []string{"a", "b"} {
		s.deploy(letter, 1)
		s.commit()
		s.see("Healthy", "")
	}
	s.see("Degraded", "crash")
	s.want("b", previews.StateDegraded)
	if got := s.outcomes(); !slices.Equal(got, []string{"a healthy", "b healthy"}) {
		t.Errorf("finished: %v", got)
	}
}

// An image that never comes leaves what runs alone, and does not hold up the next.
func TestDeployWithoutImage(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	s.see("Healthy", "")
	s.deploy("b", 1)
	s.deploy("e", 2)
	s.Fail(previews.Problem{Kind: previews.ProblemImage, Message: "no image"}, s.now)
	s.want("e", previews.StateWaiting)
	if s.AppliedSHA != sha("a") {
		t.Errorf("%.7s runs, expected a", s.AppliedSHA)
	}
}

// Somebody may go back, or stop what is under way; both are revisions in Git.
func TestGoBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, letter := range []string{"a", "b"} {
		s.deploy(letter, 1)
		s.commit()
		s.see("Healthy", "")
	}
	to, ok := s.Target("")
	if !ok || to.SHA != sha("a") {
		t.Fatalf("it would go back to %.7s", to.SHA)
	}
	if to, ok := s.Target(sha("b")[:7]); !ok || to.SHA != sha("b") {
		t.Fatalf("a named commit gives %.7s", to.SHA)
	}
	s.GoBack(to, previews.ReleaseRollback, "bob", 2, "rollback by bob", s.now)
	s.want("a", previews.StateCommitting)
	if s.QuarantinedFor(sha("b")) != "" {
		t.Error("what somebody went back from is quarantined")
	}
	s.deploy("e", 1)
	s.commit()
	to, _ = s.Target("")
	s.GoBack(to, previews.ReleaseAbort, "bob", 2, "abort by bob", s.now)
	if got := s.outcomes(); !slices.Contains(got, "e stopped") {
		t.Errorf("finished: %v", got)
	}
}

// The same commit rolls out anew, as an attempt of its own.
func TestAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	s.see("Degraded", "crash")
	s.want("a", previews.StateDegraded)
	s.Again("bob", 2, s.now)
	s.want("a", previews.StateWaiting)
	s.commit()
	s.want("a", previews.StateSyncing)
	if s.Deployed.Current.Attempt != 1 {
		t.Errorf("it is attempt %d", s.Deployed.Current.Attempt)
	}
	s.see("Healthy", "")
	s.want("a", previews.StateReady)
}

// What needs an approval waits for somebody else's, of this very commit.
func TestApprove(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.release("a", 1)
	r.NeedsApproval = true
	if s.Deploy(r, s.now) {
		t.Fatal("it starts without an approval")
	}
	for _, who := range []struct {
		login string
		id    int64
		sha   string
		may   bool
	}{{"alice", 1, sha("a"), false}, {"Alice", 9, sha("a"), false}, {"bob", 2, sha("b"), false}, {"bob", 2, sha("a"), true}} {
		if got := s.Approve(who.sha, who.login, who.id, s.now); got != who.may {
			t.Errorf("%s (%d) approves %.7s: %v", who.login, who.id, who.sha, got)
		}
	}
	s.want("a", previews.StateWaiting)
	if s.Deployed.Current.ApprovedBy != "bob" {
		t.Errorf("approved by %q", s.Deployed.Current.ApprovedBy)
	}
}

// A lock holds what is asked for, and lets it go.
func TestLock(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.SetLock(&previews.Lock{By: "bob"}, s.now)
	if s.deploy("a", 1) {
		t.Fatal("it starts in spite of the lock")
	}
	s.SetLock(nil, s.now)
	s.want("a", previews.StateWaiting)
}

// A decision works on a copy of the row: what it changes of the deployment is its own.
func TestDeployedIsCopied(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.deploy("b", 2)
	before := *s.Deployed
	queue := slices.Clone(before.Queue)
	clone := *s.Environment
	clone.Deploy(s.release("e", 3), s.now)
	clone.SetLock(&previews.Lock{By: "bob"}, s.now)
	clone.NoteMerge(4)
	if s.Deployed.Lock != nil || len(s.Deployed.Queue) != len(queue) || s.Deployed.Queue[0].SHA != queue[0].SHA || len(s.Deployed.Merges) > 0 {
		t.Errorf("the row it was copied from has changed: %+v", s.Deployed)
	}
}

// What services share follows them at once and is not counted.
func TestShared(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Ref.Service = ""
	s.Share(s.release("a", 1), s.now)
	s.want("a", previews.StateCommitting)
	s.commit()
	s.see("Healthy", "")
	if len(s.Finished) > 0 {
		t.Errorf("finished: %v", s.outcomes())
	}
}

// What a release would make of the row is what it makes of it, and asking leaves the row
// as it is, whatever is under way or locked.
func TestWould(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.deploy("a", 1)
	s.commit()
	s.see("Progressing", "")
	s.deploy("b", 2)
	s.SetLock(&previews.Lock{By: "carol", At: s.now}, s.now)
	before, kept := *s.Environment, *s.Deployed
	would := s.Would(s.release("e", 3), s.now)
	if !reflect.DeepEqual(before, *s.Environment) || !reflect.DeepEqual(kept, *s.Deployed) {
		t.Errorf("asking changed it to %+v", s.Environment)
	}
	if would.SHA != sha("e") || would.Tree != before.Tree || would.AppliedCommit != before.AppliedCommit || would.State() != previews.StateWaiting || len(would.Finished) > len(before.Finished) {
		t.Errorf("it would be %s at %s: %+v", would.State(), would.SHA, would)
	}
	fresh := newStage(t)
	asked := fresh.Would(fresh.release("e", 3), fresh.now)
	if !fresh.Deploy(fresh.release("e", 3), fresh.now) || asked.Finished != nil {
		t.Fatal("it does not start")
	}
	if !reflect.DeepEqual(asked, *fresh.Environment) {
		t.Errorf("it would be %+v, and is %+v", asked, *fresh.Environment)
	}
}
