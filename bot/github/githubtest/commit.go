package githubtest

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// commit is one commit with the whole content of its tree.
type commit struct {
	network *Repository // the root of the forks that share it
	sha     string
	parents []string
	author  *account
	message string
	at      time.Time
	tree    map[string]string // path → content; never changed
}

// commit stores a commit with that tree.
func (r *Repository) commit(author *account, message string, tree map[string]string, parents ...string) *commit {
	r.notMirrored()
	s := r.s
	c := &commit{network: r.network(), parents: parents, author: author, message: message, at: s.now(), tree: maps.Clone(tree)}
	if c.tree == nil {
		c.tree = map[string]string{}
	}
	c.sha = digest("commit", fmt.Sprintf("%d\n%s\n%v\n%s\n%s", s.nextID(), treeSHA(c.tree), parents, author.login, message))
	s.commits[c.sha] = c
	return c
}

// digest hashes as git does: sha1 of "<kind> <length>\0<content>". A blob's is
// exactly git's own.
func digest(kind, content string) string {
	sum := sha1.Sum([]byte(fmt.Sprintf("%s %d\x00%s", kind, len(content), content)))
	return hex.EncodeToString(sum[:])
}

func treeSHA(tree map[string]string) string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(tree)) {
		fmt.Fprintf(&b, "%s %s\n", digest("blob", tree[path]), path)
	}
	return digest("tree", b.String())
}

// with returns the tree with the files laid over it; an empty content removes
// the path.
func with(tree, files map[string]string) map[string]string {
	out := maps.Clone(tree)
	for path, content := range files {
		if content == "" {
			delete(out, path)
		} else {
			out[path] = content
		}
	}
	return out
}

// Commit lays files over a branch (made from the default branch where it does
// not exist), pushes the commit and returns its SHA. An empty content removes
// the file. The author is the repository's owner; see PushAs.
func (r *Repository) Commit(branch string, files map[string]string) string {
	return r.PushAs("", branch, "Update "+listPaths(files), files)
}

// PushAs is Commit with an author (empty: the owner) and a message.
func (r *Repository) PushAs(by, branch, message string, files map[string]string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.notMirrored()
	author := r.owner
	if by != "" {
		author = r.s.account(by)
	}
	before := r.branches[branch]
	parent := before
	if parent == "" {
		parent = r.branches[r.defaultBranch]
	}
	c := r.commit(author, message, with(r.s.commits[parent].tree, files), parent)
	r.moveBranch(author, branch, c.sha, false)
	return c.sha
}

// ForcePush replaces a branch by one commit on top of the default branch's tip
// and returns its SHA.
func (r *Repository) ForcePush(by, branch string, files map[string]string) string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.notMirrored()
	author := r.s.account(by)
	base := r.branches[r.defaultBranch]
	if branch == r.defaultBranch {
		base = r.root(base)
	}
	c := r.commit(author, "Rewrite "+listPaths(files), with(r.s.commits[base].tree, files), base)
	r.moveBranch(author, branch, c.sha, true)
	return c.sha
}

func (r *Repository) root(sha string) string {
	for len(r.s.commits[sha].parents) > 0 {
		sha = r.s.commits[sha].parents[0]
	}
	return sha
}

// Reset force-pushes a branch to a commit that exists, such as an earlier head.
func (r *Repository) Reset(by, branch, sha string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.notMirrored()
	if c := r.s.commits[sha]; c == nil || c.network != r.network() {
		return fmt.Errorf("reset %s of %s: no commit %s", branch, r.fullName(), sha)
	}
	r.moveBranch(r.s.account(by), branch, sha, true)
	return nil
}

// DeleteBranch removes a branch, which closes the pull requests that it heads.
func (r *Repository) DeleteBranch(by, branch string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.notMirrored()
	if r.branches[branch] != "" {
		r.dropBranch(r.s.account(by), branch)
	}
}

// dropBranch forgets a branch and tells everyone.
func (r *Repository) dropBranch(actor *account, branch string) {
	before := r.branches[branch]
	delete(r.branches, branch)
	r.note("branch_deletion", branch, before, "", actor)
	r.s.emitPush(r, actor, branch, before, "", false)
	for _, pr := range r.s.headedBy(r, branch) {
		pr.close(actor, nil)
	}
}

// moveBranch points a branch at a commit and tells everyone.
func (r *Repository) moveBranch(by *account, branch, sha string, forced bool) {
	before := r.branches[branch]
	r.branches[branch], r.pushed = sha, r.s.now()
	kind := "push"
	if forced {
		kind = "force_push"
	}
	r.note(kind, branch, before, sha, by)
	heads := r.s.headedBy(r, branch)
	for _, pr := range heads {
		pr.headSHA, pr.updated = sha, r.s.now()
	}
	r.s.emitPush(r, by, branch, before, sha, forced)
	r.s.requestSuites(r, by, branch, before, sha)
	for _, pr := range heads {
		r.s.emitPull(pr, by, "synchronize", object{"before": before, "after": sha})
	}
}

// Branch returns the SHA of a branch; empty where there is none.
func (r *Repository) Branch(name string) string {
	r.mustCatchUp()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.branches[name]
}

// listPaths names the files of a generated commit message.
func listPaths(files map[string]string) string {
	paths := slices.Sorted(maps.Keys(files))
	if len(paths) > 3 {
		return fmt.Sprintf("%d files", len(paths))
	}
	return strings.Join(paths, ", ")
}

// resolve finds the commit of a branch, full or short ref, pull request ref or
// SHA (7 digits at least), as GitHub does; nil where there is none, or several.
func (r *Repository) resolve(ref string) *commit {
	if sha := r.refSHA(ref); sha != "" {
		return r.s.commits[sha]
	}
	if sha, ok := r.branches[ref]; ok {
		return r.s.commits[sha]
	}
	if c := r.s.commits[ref]; c != nil && c.network == r.network() {
		return c
	}
	if len(ref) < 7 {
		return nil
	}
	var found *commit
	for sha, c := range r.s.commits {
		if strings.HasPrefix(sha, ref) && c.network == r.network() {
			if found != nil {
				return nil
			}
			found = c
		}
	}
	return found
}

// refSHA resolves "heads/x" and "pull/1/head", with or without "refs/".
func (r *Repository) refSHA(ref string) string {
	ref = strings.TrimPrefix(ref, "refs/")
	if branch, ok := strings.CutPrefix(ref, "heads/"); ok {
		return r.branches[branch]
	}
	var number int
	var side string
	if _, err := fmt.Sscanf(ref, "pull/%d/%s", &number, &side); err != nil || r.pulls[number] == nil {
		return ""
	}
	switch side {
	case "head":
		return r.pulls[number].headSHA
	case "merge":
		return r.pulls[number].mergeSHA()
	}
	return ""
}

// ancestors returns every commit that sha reaches, itself included.
func (s *Server) ancestors(sha string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{sha}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c := s.commits[next]; c != nil && !seen[next] {
			seen[next] = true
			todo = append(todo, c.parents...)
		}
	}
	return seen
}

// between returns the commits that head reaches and base does not, oldest first.
func (s *Server) between(base, head string) []*commit {
	known := s.ancestors(base)
	var out []*commit
	for sha := range s.ancestors(head) {
		if !known[sha] {
			out = append(out, s.commits[sha])
		}
	}
	depth := func(c *commit) int { return len(s.ancestors(c.sha)) }
	slices.SortFunc(out, func(a, b *commit) int {
		if d := depth(a) - depth(b); d != 0 {
			return d
		}
		return strings.Compare(a.sha, b.sha)
	})
	return out
}

// mergeBase returns the best common ancestor: the first that a walk from head by
// generations meets; nil for unrelated histories.
func (s *Server) mergeBase(base, head string) *commit {
	known, seen := s.ancestors(base), map[string]bool{}
	for todo := []string{head}; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if known[next] {
			return s.commits[next]
		}
		if c := s.commits[next]; c != nil && !seen[next] {
			seen[next] = true
			todo = append(todo, c.parents...)
		}
	}
	return nil
}
