package campaign

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
)

const (
	// repositories is how many there are in a round, mostOpen how many pull requests each
	// has open at most.
	repositories = 2
	mostOpen     = 6
)

// history is what people do in a round, drawn from a seed, and what GitHub has to show
// for it. All of it is decided before any of it reaches idp.
type history struct {
	random *rand.Rand

	mu           sync.Mutex
	repositories []*repository
	counts       map[string]int
}

type repository struct {
	repo  *githubtest.Repository
	pulls []*pull
}

// pull is a pull request with the heads that it has had.
type pull struct {
	pr    *githubtest.PullRequest
	head  string
	heads []string
	// reopened, pinned and destroyed are what people have asked for so far.
	reopened, pinned, destroyed bool
}

func newHistory(w *world, random *rand.Rand) *history {
	h := &history{random: random, counts: map[string]int{}}
	for i := range repositories {
		repo := w.GitHub.AddRepository(fmt.Sprintf("%s/web-%d", stage.Org, i+1), githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": stage.DeploySpec}})
		repo.Grant(stage.Developer, "write")
		h.repositories = append(h.repositories, &repository{repo: repo})
	}
	return h
}

// step does one thing.
func (h *history) step() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.repositories[h.random.IntN(len(h.repositories))]
	open := r.those(func(p *pull) bool { return p.pr.State() == "open" })
	if len(open) == 0 || len(open) < mostOpen && h.random.IntN(4) == 0 {
		h.counts["open"]++
		return h.open(r)
	}
	p := open[h.random.IntN(len(open))]
	switch n := h.random.IntN(20); {
	case n < 8 && !p.destroyed:
		h.push(r, p)
	case n < 10 && !p.destroyed && len(p.heads) > 1:
		return h.back(r, p)
	case n < 15 && !p.destroyed:
		h.comment(p)
	case n < 16:
		h.counts["merge"]++
		return p.pr.Merge(stage.Developer)
	case n < 18:
		h.counts["close"]++
		p.pr.Close(stage.Developer)
	default:
		h.reopen(r)
	}
	return nil
}

func (r *repository) those(which func(*pull) bool) (out []*pull) {
	for _, p := range r.pulls {
		if which(p) {
			out = append(out, p)
		}
	}
	return out
}

func (h *history) open(r *repository) error {
	name := fmt.Sprintf("topic-%d", len(r.pulls)+1)
	sha := r.repo.PushAs(stage.Developer, name, "Begin "+name, map[string]string{name + ".txt": "1"})
	pr, err := r.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: stage.Developer, Title: name, Head: name})
	if err != nil {
		return err
	}
	r.pulls = append(r.pulls, &pull{pr: pr, head: name, heads: []string{sha}})
	return nil
}

func (h *history) push(r *repository, p *pull) {
	h.counts["push"]++
	p.heads = append(p.heads, r.repo.PushAs(stage.Developer, p.head, "Go on", map[string]string{p.head + ".txt": fmt.Sprint(len(p.heads) + 1)}))
}

// back moves the branch to a commit that it has had, by force.
func (h *history) back(r *repository, p *pull) error {
	sha := p.heads[h.random.IntN(len(p.heads)-1)]
	if sha == p.pr.HeadSHA() {
		return nil
	}
	h.counts["push back"]++
	p.heads = append(p.heads, sha)
	p.reopened = true // the commit is told of anew
	return r.repo.Reset(stage.Developer, p.head, sha)
}

func (h *history) comment(p *pull) {
	h.counts["comment"]++
	verbs := []string{"status", "extend 24h", "help"}
	if !p.reopened {
		verbs = append(verbs, "pin")
	}
	if len(p.heads) > 1 && !p.pinned {
		verbs = append(verbs, "destroy")
	}
	verb := verbs[h.random.IntN(len(verbs))]
	p.pinned = p.pinned || verb == "pin"
	p.destroyed = p.destroyed || verb == "destroy"
	p.pr.Comment(stage.Developer, "/idp "+verb)
}

// reopen opens again what was closed and neither merged nor asked to be otherwise.
func (h *history) reopen(r *repository) {
	closed := r.those(func(p *pull) bool { return p.pr.State() == "closed" && !p.pinned && !p.destroyed })
	if len(closed) == 0 {
		return
	}
	p := closed[h.random.IntN(len(closed))]
	h.counts["reopen"]++
	p.reopened = true
	p.pr.Reopen(stage.Developer)
}

// events is how many things were done.
func (h *history) events() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, each := range h.counts {
		n += each
	}
	return n
}
