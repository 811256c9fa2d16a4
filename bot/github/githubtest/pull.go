package githubtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PullRequest is one pull request. Methods that act take the login of who acts;
// what is so already is left so, without an event, as GitHub's page would.
type PullRequest struct {
	*issue
	draft    bool
	headRepo *Repository
	headRef  string
	headSHA  string
	baseRef  string
	baseSHA  string // frozen when it closed; the branch's tip while open
	merged   bool
	mergedAt time.Time
	mergedBy *account
	merge    string // the merge commit's SHA
	// tried are the merges that GitHub has tried, the oldest first; pondering says that it
	// does not yet know what comes of the next one.
	tried     []string
	pondering bool
}

// PullRequestOptions describe a pull request to open.
type PullRequestOptions struct {
	Author string
	Title  string
	Body   string
	// Head is the branch to merge, of HeadRepository or of the repository itself.
	Head           string
	HeadRepository *Repository
	// Base is the branch to merge into; default: the default branch.
	Base   string
	Draft  bool
	Labels []string
}

// OpenPullRequest opens a pull request and emits "pull_request opened". It
// returns an error where GitHub refuses: no such branch, nothing to merge, or one
// open already for the same branches.
func (r *Repository) OpenPullRequest(opts PullRequestOptions) (*PullRequest, error) {
	r.mustCatchUp()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if opts.HeadRepository == nil {
		opts.HeadRepository = r
	}
	if opts.Base == "" {
		opts.Base = r.defaultBranch
	}
	if refusal := r.mayOpen(opts.HeadRepository, opts.Head, opts.Base); refusal != nil {
		return nil, fmt.Errorf("open a pull request in %s: %s", r.fullName(), refusal)
	}
	return r.openPull(r.s.account(opts.Author), opts), nil
}

// openPull opens what mayOpen let pass.
func (r *Repository) openPull(author *account, opts PullRequestOptions) *PullRequest {
	head, base := opts.HeadRepository, opts.Base
	pr := &PullRequest{
		issue: r.newIssue(author, opts.Title, opts.Body), draft: opts.Draft,
		headRepo: head, headRef: opts.Head, headSHA: head.branches[opts.Head], baseRef: base,
	}
	pr.pull, pr.labels = pr, slices.Clone(opts.Labels)
	r.pulls[pr.number] = pr
	r.s.emitPull(pr, author, "opened", nil)
	for _, name := range pr.labels {
		r.s.emitPull(pr, author, "labeled", object{"label": r.label(name)})
	}
	return pr
}

// mayOpen says in GitHub's words why a pull request cannot be; nil where it can.
func (r *Repository) mayOpen(head *Repository, ref, base string) *fieldError {
	switch {
	case head.branches[ref] == "":
		return &fieldError{Resource: "PullRequest", Field: "head", Code: "invalid"}
	case r.branches[base] == "":
		return &fieldError{Resource: "PullRequest", Field: "base", Code: "invalid"}
	case len(r.s.between(r.branches[base], head.branches[ref])) == 0:
		return &fieldError{Resource: "PullRequest", Code: "custom", Message: "No commits between " + base + " and " + ref}
	}
	for _, pr := range r.s.headedBy(head, ref) {
		if pr.repo == r && pr.baseRef == base {
			return &fieldError{Resource: "PullRequest", Code: "custom", Message: "A pull request already exists for " + pr.headLabel() + "."}
		}
	}
	return nil
}

// headedBy returns the open pull requests whose head is that branch.
func (s *Server) headedBy(head *Repository, branch string) []*PullRequest {
	var out []*PullRequest
	for _, r := range s.repositories {
		for _, pr := range r.pulls {
			if pr.state == "open" && pr.headRepo == head && pr.headRef == branch {
				out = append(out, pr)
			}
		}
	}
	slices.SortFunc(out, func(a, b *PullRequest) int { return int(a.id - b.id) })
	return out
}

// Push adds a commit to the head branch, emits "push" and "pull_request
// synchronize", and returns its SHA.
func (pr *PullRequest) Push(by string, files map[string]string) string {
	return pr.headRepo.PushAs(by, pr.headRef, "Update "+listPaths(files), files)
}

// ForcePush replaces the head branch's commits by one.
func (pr *PullRequest) ForcePush(by string, files map[string]string) string {
	return pr.headRepo.ForcePush(by, pr.headRef, files)
}

// act runs one change under the mutex.
func (pr *PullRequest) act(by string, do func(actor *account)) {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	do(pr.repo.s.account(by))
}

// Close closes it unmerged.
func (pr *PullRequest) Close(by string) {
	pr.act(by, func(actor *account) { pr.close(actor, nil) })
}

// Merge merges it by a merge commit, which pushes the base branch. It returns an
// error for a conflict and for one that is closed.
func (pr *PullRequest) Merge(by string) error {
	return pr.merges(by, true)
}

// Squash is Merge by a commit that holds the whole change and has no parent but
// the base: the head is then no ancestor of the base branch.
func (pr *PullRequest) Squash(by string) error {
	return pr.merges(by, false)
}

func (pr *PullRequest) merges(by string, keepsHead bool) error {
	pr.repo.mustCatchUp()
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	s, r := pr.repo.s, pr.repo
	tree, clean := pr.mergedTree()
	if pr.state != "open" || !clean {
		return fmt.Errorf("merge %s#%d: not mergeable", r.fullName(), pr.number)
	}
	actor := s.account(by)
	message, parents := fmt.Sprintf("%s (#%d)", pr.title, pr.number), []string{r.branches[pr.baseRef]}
	if keepsHead {
		message = fmt.Sprintf("Merge pull request #%d from %s", pr.number, pr.headLabel())
		parents = append(parents, pr.headSHA)
	}
	c, err := r.mergeCommit(actor, pr.baseRef, message, tree, parents)
	if err != nil {
		return fmt.Errorf("merge %s#%d: %w", r.fullName(), pr.number, err)
	}
	pr.close(actor, c)
	r.moveBranch(actor, pr.baseRef, c.sha, false)
	r.activities[len(r.activities)-1].kind = "pr_merge"
	return nil
}

// close closes it, merged by commit if that is given.
func (pr *PullRequest) close(actor *account, by *commit) {
	if pr.state == "closed" {
		return
	}
	now := pr.repo.s.now()
	pr.baseSHA = pr.base()
	pr.state, pr.closed, pr.updated = "closed", now, now
	if by != nil {
		pr.merged, pr.mergedAt, pr.mergedBy, pr.merge = true, now, actor, by.sha
	}
	pr.repo.s.emitPull(pr, actor, "closed", nil)
}

// Reopen opens it again, unless it is merged or its head branch is gone.
func (pr *PullRequest) Reopen(by string) {
	pr.act(by, func(actor *account) { pr.reopen(actor) })
}

func (pr *PullRequest) reopen(actor *account) {
	if pr.state == "open" || pr.merged || pr.headRepo.branches[pr.headRef] == "" {
		return
	}
	pr.state, pr.closed, pr.updated = "open", time.Time{}, pr.repo.s.now()
	pr.headSHA = pr.headRepo.branches[pr.headRef]
	pr.repo.s.emitPull(pr, actor, "reopened", nil)
}

// Label adds a label.
func (pr *PullRequest) Label(by, name string) {
	pr.act(by, func(actor *account) {
		if slices.Contains(pr.labels, name) {
			return
		}
		pr.labels, pr.updated = append(pr.labels, name), pr.repo.s.now()
		pr.repo.s.emitPull(pr, actor, "labeled", object{"label": pr.repo.label(name)})
	})
}

// Unlabel removes a label.
func (pr *PullRequest) Unlabel(by, name string) {
	pr.act(by, func(actor *account) {
		at := slices.Index(pr.labels, name)
		if at < 0 {
			return
		}
		pr.labels, pr.updated = slices.Delete(pr.labels, at, at+1), pr.repo.s.now()
		pr.repo.s.emitPull(pr, actor, "unlabeled", object{"label": pr.repo.label(name)})
	})
}

// ConvertToDraft makes it a draft.
func (pr *PullRequest) ConvertToDraft(by string) { pr.setDraft(by, true, "converted_to_draft") }

// ReadyForReview ends the draft.
func (pr *PullRequest) ReadyForReview(by string) { pr.setDraft(by, false, "ready_for_review") }

func (pr *PullRequest) setDraft(by string, draft bool, action string) {
	pr.act(by, func(actor *account) {
		if pr.draft == draft {
			return
		}
		pr.draft, pr.updated = draft, pr.repo.s.now()
		pr.repo.s.emitPull(pr, actor, action, nil)
	})
}

// Edit changes title and body and emits "pull_request edited".
func (pr *PullRequest) Edit(by, title, body string) {
	pr.act(by, func(actor *account) { pr.edit(actor, title, body) })
}

func (pr *PullRequest) edit(actor *account, title, body string) {
	was := object{}
	if title != pr.title {
		was["title"] = object{"from": pr.title}
	}
	if body != pr.body {
		was["body"] = object{"from": pr.body}
	}
	pr.title, pr.body, pr.updated = title, body, pr.repo.s.now()
	pr.repo.s.emitPull(pr, actor, "edited", object{"changes": was})
}

// Retarget changes the base branch and emits "pull_request edited".
func (pr *PullRequest) Retarget(by, base string) error {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	if pr.repo.branches[base] == "" {
		return fmt.Errorf("retarget %s#%d: no branch %s", pr.repo.fullName(), pr.number, base)
	}
	pr.retarget(pr.repo.s.account(by), base)
	return nil
}

func (pr *PullRequest) retarget(actor *account, base string) {
	was := object{"ref": object{"from": pr.baseRef}, "sha": object{"from": pr.base()}}
	pr.baseRef, pr.updated = base, pr.repo.s.now()
	pr.repo.s.emitPull(pr, actor, "edited", object{"changes": object{"base": was}})
}

// MergeSHA returns the commit that it was merged by; "" unless it is merged.
func (pr *PullRequest) MergeSHA() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.merge
}

// TestMerges returns the commits by which GitHub has tried to merge it, the oldest first.
func (pr *PullRequest) TestMerges() []string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return slices.Clone(pr.tried)
}

// Ponder has GitHub not know, or know again, whether it can be merged: as it is for some
// seconds after the head or the base has moved. What it names meanwhile is the last merge.
func (pr *PullRequest) Ponder(pondering bool) {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	pr.pondering = pondering
}

// HeadSHA returns the head commit.
func (pr *PullRequest) HeadSHA() string {
	pr.headRepo.mustCatchUp()
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.headSHA
}

// Title returns its title.
func (pr *PullRequest) Title() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.title
}

// Body returns its text, in Markdown.
func (pr *PullRequest) Body() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.body
}

// Head returns the branch that is to be merged.
func (pr *PullRequest) Head() string { return pr.headRef }

// Base returns the branch that it is to be merged into.
func (pr *PullRequest) Base() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.baseRef
}

// State returns "open", "closed" or "merged".
func (pr *PullRequest) State() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.displayState()
}

func (pr *PullRequest) displayState() string {
	if pr.merged {
		return "merged"
	}
	return pr.state
}

// HTMLURL returns the address of its page.
func (pr *PullRequest) HTMLURL() string {
	pr.repo.s.mu.Lock()
	defer pr.repo.s.mu.Unlock()
	return pr.repo.html(fmt.Sprintf("/pull/%d", pr.number))
}

// base is the base commit: the branch's tip while open.
func (pr *PullRequest) base() string {
	if pr.state == "closed" && pr.baseSHA != "" {
		return pr.baseSHA
	}
	return pr.repo.branches[pr.baseRef]
}

func (pr *PullRequest) headLabel() string { return pr.headRepo.owner.login + ":" + pr.headRef }

// files returns what the pull request changes, from the merge base.
func (pr *PullRequest) files() []fileChange {
	s := pr.repo.s
	from := map[string]string{}
	if c := s.mergeBase(pr.base(), pr.headSHA); c != nil {
		from = c.tree
	}
	return changes(from, s.commits[pr.headSHA].tree)
}

func (pr *PullRequest) mergedTree() (map[string]string, bool) {
	s := pr.repo.s
	base, fork := s.commits[pr.base()], s.mergeBase(pr.base(), pr.headSHA)
	if base == nil || fork == nil {
		return nil, false
	}
	return merge3(fork.tree, base.tree, s.commits[pr.headSHA].tree)
}

// mergeSHA is the merge commit: the real one, else GitHub's test merge, whose SHA
// depends on both sides; empty where they conflict.
func (pr *PullRequest) mergeSHA() string {
	if pr.merged {
		return pr.merge
	}
	if pr.pondering {
		if len(pr.tried) == 0 {
			return ""
		}
		return pr.tried[len(pr.tried)-1]
	}
	tree, clean := pr.mergedTree()
	if !clean {
		return ""
	}
	c := &commit{network: pr.repo.network(), parents: []string{pr.base(), pr.headSHA}, author: pr.author, message: "Merge " + pr.headSHA, at: pr.updated, tree: tree}
	c.sha = digest("commit", strings.Join(c.parents, "\n"))
	pr.repo.s.commits[c.sha] = c
	if !slices.Contains(pr.tried, c.sha) {
		pr.tried = append(pr.tried, c.sha)
	}
	return c.sha
}
