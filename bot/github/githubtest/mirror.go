package githubtest

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// mirror is a repository's other half: the one that a git server beside this
// GitHub serves. What git has counts.
type mirror struct {
	served *gittest.Repository
	// catching is held while what was pushed is learned, so that nothing older
	// comes after; it is taken before the server's mutex.
	catching sync.Mutex
}

// Mirror makes the repository, with no branch yet, the one that a git server beside
// this GitHub serves: what is asked of it or done to it is of the branches as they
// are there, and a pull request merged here is merged there. What moves branches
// otherwise (Commit, PushAs, ForcePush, Reset, DeleteBranch) is git's to do, and
// panics.
func (r *Repository) Mirror(served *gittest.Repository) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.git, r.branches = &mirror{served: served}, map[string]string{}
}

// notMirrored guards what would leave git behind.
func (r *Repository) notMirrored() {
	if r.git != nil {
		panic("githubtest: the commits of " + r.fullName() + " are in git: commit there")
	}
}

// mirrored says whether the repository is.
func (r *Repository) mirrored() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.git != nil
}

// catchUp catches up with every mirrored repository.
func (s *Server) catchUp(ctx context.Context) error {
	s.mu.Lock()
	var mirrored []*Repository
	for _, r := range s.repositories {
		if r.git != nil {
			mirrored = append(mirrored, r)
		}
	}
	s.mu.Unlock()
	for _, r := range mirrored {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mirroredAt returns the mirrored repository that a request of the API is about, or
// nil.
func (s *Server) mirroredAt(r *http.Request) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.newCall(r, nil)
	if c.route == nil || c.params["repo"] == "" {
		return nil
	}
	if found := s.find(c.params["owner"], c.params["repo"]); found != nil && found.git != nil {
		return found
	}
	return nil
}

// mustCatchUp is catchUp for what people do. Git on this machine's disk does not
// fail by itself.
func (r *Repository) mustCatchUp() {
	if err := r.catchUp(context.Background()); err != nil {
		panic("githubtest: " + err.Error())
	}
}

// catchUp learns what was pushed to a mirrored repository since the last time, and
// tells everyone, as of whoever wrote the newest commit.
func (r *Repository) catchUp(ctx context.Context) error {
	if !r.mirrored() {
		return nil
	}
	git := r.git // which never changes once it is there
	git.catching.Lock()
	defer git.catching.Unlock()
	heads, err := git.served.Heads(ctx)
	if err != nil {
		return fmt.Errorf("catch up with git: %w", err)
	}
	unknown, known := r.compareHeads(heads)
	pushed, err := git.served.History(ctx, unknown, known)
	if err != nil {
		return fmt.Errorf("catch up with git: %w", err)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, one := range pushed {
		r.learn(one)
	}
	r.follow(heads)
	return nil
}

// compareHeads returns the tips that are new here, and those that were known.
func (r *Repository) compareHeads(heads map[string]string) (unknown, known []string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, sha := range heads {
		if r.s.commits[sha] == nil {
			unknown = append(unknown, sha)
		}
	}
	for _, sha := range r.branches {
		known = append(known, sha)
	}
	return unknown, known
}

// learn stores a commit of git's. Its author is a stranger to GitHub, as most are
// whose address no account has.
func (r *Repository) learn(one gittest.Commit) {
	r.s.commits[one.SHA] = &commit{
		network: r.network(), sha: one.SHA, parents: one.Parents, author: &account{login: one.Author},
		message: one.Message, at: one.At, tree: one.Files,
	}
}

// follow moves the branches to where git has them.
func (r *Repository) follow(heads map[string]string) {
	for name, sha := range heads {
		if before := r.branches[name]; before != sha {
			forced := before != "" && !r.s.ancestors(sha)[before]
			r.moveBranch(r.owner, name, sha, forced)
		}
	}
	for name := range r.branches {
		if heads[name] == "" {
			r.dropBranch(r.owner, name)
		}
	}
}

// mergeCommit makes the commit that a pull request is merged by, in git where the
// repository is mirrored; there the branch must be where it was.
func (r *Repository) mergeCommit(by *account, branch, message string, tree map[string]string, parents []string) (*commit, error) {
	if r.git == nil {
		return r.commit(by, message, tree, parents...), nil
	}
	edit := gittest.Edit{Message: message, Author: by.login, At: r.s.now(), Onto: parents[0]}
	if len(parents) > 1 {
		edit.Merges = parents[1]
	}
	base := r.s.commits[parents[0]].tree
	for path, content := range tree {
		if old, had := base[path]; !had || old != content {
			edit.Put = append(edit.Put, gitops.File{Path: path, Content: []byte(content)})
		}
	}
	for path := range base {
		if _, kept := tree[path]; !kept {
			edit.Remove = append(edit.Remove, path)
		}
	}
	sha, err := r.git.served.Commit(context.Background(), branch, edit)
	if err != nil {
		return nil, err
	}
	c := &commit{network: r.network(), sha: sha, parents: parents, author: by, message: message, at: edit.At, tree: tree}
	r.s.commits[sha] = c
	return c, nil
}
