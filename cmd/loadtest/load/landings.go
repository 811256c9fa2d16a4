package load

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// landings follows what lands in the GitOps repository, without keeping pushes waiting.
type landings struct {
	repository *gittest.Repository
	pushed     chan push
	ended      chan struct{}

	mu sync.Mutex
	// at is when the change of a key landed first.
	at map[string]time.Time
	// tries are how many pushes each of idp's commits took, commits those with changes.
	tries []int
	// own is when each of them landed.
	own              []time.Time
	commits, changes int
	err              error
	changed          chan struct{}
}

// push is one that git has dealt with: when, and where the branch stands.
type push struct {
	at  time.Time
	tip string
}

func watch(r *gittest.Repository) *landings {
	l := &landings{repository: r, pushed: make(chan push, 10_000), ended: make(chan struct{}), at: map[string]time.Time{}, changed: make(chan struct{})}
	r.AfterPush(func() { l.pushed <- push{time.Now(), r.Stands(stage.Branch)} })
	go l.follow()
	return l
}

// end ends it; nobody pushes any more.
func (l *landings) end() {
	l.repository.AfterPush(nil)
	close(l.pushed)
	<-l.ended
}

func (l *landings) follow() {
	defer close(l.ended)
	tip, pushes := "", 0
	for p := range l.pushed {
		pushes++
		if p.tip == tip {
			continue
		}
		messages, err := l.repository.Between(context.Background(), tip, p.tip)
		tip = p.tip
		l.mu.Lock()
		l.err = err
		if l.read(messages, p.at) {
			l.tries, l.own = append(l.tries, pushes), append(l.own, p.at)
			pushes = 0
		}
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
	}
}

// read notes what the commits of a push are about, and says whether idp's are among them.
func (l *landings) read(messages []string, at time.Time) (own bool) {
	for _, message := range messages {
		changes := 0
		for line := range strings.Lines(message) {
			own = own || strings.HasPrefix(line, "Idp-")
			key, ok := strings.CutPrefix(strings.TrimSpace(line), "Idp-Change: ")
			if !ok {
				continue
			}
			changes++
			if _, before := l.at[key]; !before {
				l.at[key] = at
			}
		}
		l.changes += changes
		if changes > 0 {
			l.commits++
		}
	}
	return own
}

// await waits until so holds, which is asked after each push.
func (l *landings) await(ctx context.Context, so func(*landings) bool) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	for {
		l.mu.Lock()
		changed, done, err := l.changed, so(l), l.err
		l.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("what is waited for does not land: %w", ctx.Err())
		}
	}
}

// environments is how many environments have a commit.
func (l *landings) environments() int { return l.environmentsOf("") }

// environmentsOf is how many have one whose key begins so.
func (l *landings) environmentsOf(prefix string) int {
	seen := map[string]bool{}
	for key := range l.at {
		if environment, _, _ := strings.Cut(key, "@"); strings.HasPrefix(environment, prefix) {
			seen[environment] = true
		}
	}
	return len(seen)
}

// of returns when a pull request's first commit landed.
func (l *landings) of(in *githubtest.Repository, number int) (at time.Time, ok bool) {
	prefix := fmt.Sprintf("%d/%s@", in.ID(), gitops.PreviewID(number))
	for key, when := range l.at {
		if strings.HasPrefix(key, prefix) && (!ok || when.Before(at)) {
			at, ok = when, true
		}
	}
	return at, ok
}
