package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// illGitHub has GitHub fail in all the ways it does, a few at a time.
func illGitHub(ctx context.Context, r *round, random *rand.Rand) error {
	share := func() float64 { return 0.05 + 0.3*random.Float64() }
	for ctx.Err() == nil {
		hung := make(chan struct{})
		kinds := []githubtest.Fault{
			{Status: 500 + random.IntN(4), Probability: share()},
			{HTML: true, Status: 502, Probability: share()},
			{Drop: true, Probability: share()},
			{Drop: true, AfterEffect: true, Probability: share()},
			{Status: 502, AfterEffect: true, Probability: share()},
			{Method: "POST", Path: "/repos/*/*/**", Drop: true, AfterEffect: true, Probability: 0.5},
			{Method: "POST", Path: "/repos/*/*/issues/*/comments", Drop: true, AfterEffect: true, Probability: 0.8},
			{Truncate: true, Probability: share()},
			{Delay: time.Duration(random.IntN(3000)) * time.Millisecond, Probability: share()},
			{Until: hung, Probability: 0.03},
			{Status: 429, RetryAfter: time.Second, Probability: 0.05},
			{Status: 403, Secondary: true, RetryAfter: 2 * time.Second, Probability: 0.05},
			{Method: "GET", Path: "/repos/*/*/pulls", Body: "[]", Status: 200, Probability: 0.5},
			{Method: "GET", Path: "/repos/*/*/pulls", Status: 404, Probability: 0.5},
			{Method: "GET", Path: "/installation/repositories", Status: 500, Probability: 0.5},
		}
		var end []func()
		for range 1 + random.IntN(3) {
			end = append(end, r.GitHub.Inject(kinds[random.IntN(len(kinds))]))
			r.figures.add("GitHub faults", 1)
		}
		_ = stage.Pause(ctx, time.Duration(500+random.IntN(2500))*time.Millisecond) // an end ends them
		for _, each := range end {
			each()
		}
		close(hung)
		_ = stage.Pause(ctx, time.Duration(random.IntN(500))*time.Millisecond)
	}
	return nil
}

// illGit has pushes fail, and now and then all of git. Three in a row that are refused are a refusal for good, which
// people have to mend: there are never that many.
func illGit(ctx context.Context, r *round, random *rand.Rand) error {
	defer func() {
		r.GitOps.RefusePushes(0, "")
		r.GitOps.DropPushAnswers(0)
		r.GitOps.HoldPushAnswers(0)
		r.GitOps.FailPushes(0)
		r.shut(false)
	}()
	for ctx.Err() == nil {
		before := r.GitOps.Pushes()
		switch random.IntN(6) {
		case 5:
			r.shut(true)
			r.figures.add("git out of reach", 1)
			_ = stage.Pause(ctx, time.Duration(500+random.IntN(4000))*time.Millisecond) // an end brings it back
			r.shut(false)
			continue
		case 0:
			r.GitOps.RefusePushes(1+random.IntN(2), "cannot lock ref")
			r.figures.add("pushes refused", 1)
		case 1:
			r.GitOps.FailPushes(1 + random.IntN(2))
			r.figures.add("pushes failed", 1)
		case 2:
			r.GitOps.HoldPushAnswers(1)
			r.figures.add("pushes landed, answer never sent", 1)
		default:
			r.GitOps.DropPushAnswers(1 + random.IntN(2))
			r.figures.add("pushes landed, answer lost", 1)
		}
		// The next one after it has come.
		_ = stage.Until(ctx, 50*time.Millisecond, func() (bool, error) { return r.GitOps.Pushes() > before+1, nil })
		_ = stage.Pause(ctx, time.Duration(random.IntN(800))*time.Millisecond)
	}
	return nil
}

// shut takes the Git server out of every replica's reach, or brings it back.
func (r *round) shut(away bool) {
	for _, d := range r.doors {
		d.shut(away)
	}
}

// foreigners commit when idp has sent a push and git has not seen it yet, and at any time.
func foreigners(ctx context.Context, r *round, random *rand.Rand) error {
	coming := make(chan struct{}, 1)
	committed := make(chan struct{})
	remove := r.listen(func(moment string) {
		if moment != "push" {
			return
		}
		select {
		case coming <- struct{}{}:
			select {
			case <-committed:
			case <-ctx.Done():
			}
		default:
		}
	})
	defer remove()
	for n := 0; ; n++ {
		pushing, timer := true, time.NewTimer(time.Duration(50+random.IntN(400))*time.Millisecond)
		select {
		case <-ctx.Done():
			return nil
		case <-coming:
		case <-timer.C:
			pushing = false
		}
		timer.Stop()
		if !pushing || random.IntN(3) > 0 {
			if err := r.commitForeign(ctx, fmt.Sprintf("%s/%d.txt", foreignFolder, random.IntN(50)), fmt.Sprintln("note", n)); err != nil && ctx.Err() == nil {
				return err
			}
			r.figures.add("foreign commits", 1)
		}
		if !pushing {
			continue
		}
		select {
		case committed <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
}

// oddDeliveries has webhooks come late, in another order and twice, and old ones again:
// under their own GUID, and under another.
func oddDeliveries(ctx context.Context, r *round, random *rand.Rand) error {
	r.edge.disturb(0.4, 0.3, 3*time.Second)
	defer r.edge.disturb(0, 0, 0)
	for stage.Pause(ctx, time.Duration(100+random.IntN(1200))*time.Millisecond) == nil {
		if r.edge.replay(random.IntN(2) == 0) {
			r.figures.add("replays", 1)
		}
	}
	return nil
}

// poisons sends what cannot be handled, of pull requests that are and that are not.
func poisons(ctx context.Context, r *round, random *rand.Rand) error {
	for range 4 {
		if err := stage.Pause(ctx, time.Duration(random.IntN(1500))*time.Millisecond); err != nil {
			return nil // the round is over
		}
		repo := r.history.repositories[random.IntN(repositories)].repo
		if err := r.edge.poisoned(ctx, r.Installation.ID(), repo.ID(), 1+random.IntN(12)); err != nil {
			return nil
		}
		r.figures.add("poison", 1)
	}
	return nil
}

// replacedRemote puts another history in the branch's place while a push is on its way,
// holds that idp says so and writes nothing there, not after a restart either, and brings
// the branch back.
func replacedRemote(ctx context.Context, r *round, random *rand.Rand) error {
	if err := stage.Pause(ctx, time.Duration(1000+random.IntN(2000))*time.Millisecond); err != nil {
		return nil // the round is over
	}
	other, err := r.GitOps.Commit(ctx, "other", gittest.Edit{Message: "Begin anew", Put: []gitops.File{{Path: "README.md", Content: []byte("Another history.\n")}}})
	if err != nil {
		return err
	}
	before, err := r.replace(ctx, other)
	if err != nil || before == "" {
		return err
	}
	r.figures.add("remote replaced", 1)
	writer := r.replicas[0]
	for range 2 {
		saying, cancel := context.WithTimeout(ctx, patience)
		err := stage.Until(saying, 100*time.Millisecond, func() (bool, error) {
			return strings.Contains(writer.Tail(50), "was replaced by another history"), nil
		})
		cancel()
		if err != nil {
			r.break_("replaced", "idp does not say that the branch was replaced")
		}
		if tip, err := r.GitOps.Tip(ctx, branch); err != nil || tip != other {
			r.break_("replaced", fmt.Sprintf("the branch stands at %.7s, others put it to %.7s (%v)", tip, other, err))
		}
		if err := r.alone(func() error { return r.restart(ctx, writer) }); err != nil {
			return err
		}
	}
	return r.GitOps.Point(ctx, branch, before)
}

// replace points the branch at a commit when the next push comes in and git has not seen
// it, and returns where it stood.
func (r *round) replace(ctx context.Context, by string) (before string, err error) {
	done := make(chan struct{})
	var once sync.Once
	remove := r.listen(func(moment string) {
		if moment != "push" {
			return
		}
		once.Do(func() {
			defer close(done)
			r.mu.Lock()
			r.odd = by
			r.mu.Unlock()
			if before, err = r.GitOps.Tip(ctx, branch); err == nil {
				err = r.GitOps.Point(ctx, branch, by)
			}
		})
	})
	defer remove()
	select {
	case <-done:
		return before, err
	case <-ctx.Done():
		return "", nil
	}
}

// restart ends a replica in order and starts it again, with nothing in its log.
func (r *round) restart(ctx context.Context, one *stage.Program) error {
	one.Terminate()
	one.Forget()
	return r.revive(ctx, one)
}
