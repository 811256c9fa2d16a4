package githubtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Repository is one repository; its id survives renames and transfers.
type Repository struct {
	s             *Server
	id            int64
	owner         *account
	name          string
	private       bool
	defaultBranch string
	parent        *Repository // of a fork
	created       time.Time
	pushed        time.Time
	deleted       bool
	archived      bool

	git           *mirror           // of a repository that a git server serves
	branches      map[string]string // name → SHA
	collaborators map[string]string // lower-cased login → permission
	labels        map[string]int64  // name → id
	nextNumber    int
	issues        map[int]*issue
	pulls         map[int]*PullRequest
	comments      map[int64]*comment
	suites        []*checkSuite
	statuses      []*commitStatus
	attestations  []*attestation
	runs          []*checkRun
	workflowRuns  []*workflowRun // the oldest first
	deployments   []*deployment
	activities    []activity // of branches, the oldest first
	rulesets      []Ruleset
	protected     []string // branches
}

// RepositoryOptions describe a repository to make.
type RepositoryOptions struct {
	Private bool
	// DefaultBranch is "main" unless set.
	DefaultBranch string
	// Files is the content of the first commit.
	Files map[string]string
}

// AddRepository makes the repository "owner/name" with one commit. An owner
// that does not exist becomes an organisation.
func (s *Server) AddRepository(fullName string, opts RepositoryOptions) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	if opts.DefaultBranch == "" {
		opts.DefaultBranch = "main"
	}
	owner, name, _ := strings.Cut(fullName, "/")
	r := s.newRepository(s.owner(owner), name)
	r.private, r.defaultBranch = opts.Private, opts.DefaultBranch
	first := r.commit(r.owner, "Initial commit", opts.Files)
	r.branches[r.defaultBranch] = first.sha
	r.note("push", r.defaultBranch, "", first.sha, r.owner)
	s.emitRepository(r, r.owner, "created", nil)
	return r
}

func (s *Server) newRepository(owner *account, name string) *Repository {
	r := &Repository{
		s: s, id: s.nextID(), owner: owner, name: name, created: s.now(), pushed: s.now(),
		branches: map[string]string{}, collaborators: map[string]string{}, labels: map[string]int64{},
		issues: map[int]*issue{}, pulls: map[int]*PullRequest{}, comments: map[int64]*comment{},
	}
	s.repositories[r.id] = r
	return r
}

// Repository returns "owner/name", or nil.
func (s *Server) Repository(fullName string) *Repository {
	s.mu.Lock()
	defer s.mu.Unlock()
	owner, name, _ := strings.Cut(fullName, "/")
	return s.find(owner, name)
}

// find returns the repository of that current name, or nil.
func (s *Server) find(owner, name string) *Repository {
	for _, r := range s.repositories {
		if strings.EqualFold(r.name, name) && strings.EqualFold(r.owner.login, owner) {
			return r
		}
	}
	return nil
}

// Fork copies the repository to an owner, who gets admin on it.
func (r *Repository) Fork(owner string) *Repository {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	by := r.s.account(owner)
	f := r.s.newRepository(by, r.name)
	f.private, f.defaultBranch, f.parent = r.private, r.defaultBranch, r
	f.branches = maps.Clone(r.branches)
	return f
}

// ID returns GitHub's id of the repository.
func (r *Repository) ID() int64 { return r.id }

// FullName returns "owner/name" as it is now.
func (r *Repository) FullName() string {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.fullName()
}

func (r *Repository) fullName() string { return r.owner.login + "/" + r.name }

// DefaultBranch returns the name of the default branch.
func (r *Repository) DefaultBranch() string { return r.defaultBranch }

// Grant gives a user a permission: "read", "triage", "write", "maintain",
// "admin", or "none" to take it away.
func (r *Repository) Grant(login, permission string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.collaborators[strings.ToLower(r.s.account(login).login)] = permission
}

// permission is the user's role: their own, an owner's admin, else what anybody
// has.
func (r *Repository) permission(a *account) string {
	if role, ok := r.collaborators[strings.ToLower(a.login)]; ok {
		return role
	}
	if a == r.owner {
		return "admin"
	}
	if r.private {
		return "none"
	}
	return "read"
}

// Rename gives the repository another name; the old one redirects.
func (r *Repository) Rename(by, name string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if other := r.s.find(r.owner.login, name); other != nil && other != r {
		return fmt.Errorf("rename %s: %s/%s exists already", r.fullName(), r.owner.login, name)
	}
	old := r.name
	r.move(r.owner, name)
	r.s.emitRepository(r, r.s.account(by), "renamed", object{"repository": object{"name": object{"from": old}}})
	return nil
}

// Transfer gives the repository another owner; the old name redirects.
func (r *Repository) Transfer(by, owner string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.find(owner, r.name) != nil {
		return fmt.Errorf("transfer %s: %s/%s exists already", r.fullName(), owner, r.name)
	}
	from := r.owner
	r.move(r.s.owner(owner), r.name)
	r.s.emitRepository(r, r.s.account(by), "transferred", object{"owner": object{"from": object{"user": r.s.userShape(from)}}})
	return nil
}

// Archive makes the repository read-only, or with on = false brings it back.
func (r *Repository) Archive(by string, on bool) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.archived = on
	r.s.emitRepository(r, r.s.account(by), map[bool]string{true: "archived", false: "unarchived"}[on], nil)
}

func (r *Repository) move(owner *account, name string) {
	r.s.renamed[strings.ToLower(r.fullName())] = r.id
	r.owner, r.name = owner, name
	delete(r.s.renamed, strings.ToLower(r.fullName()))
}

// Delete removes the repository.
func (r *Repository) Delete(by string) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.deleted {
		return
	}
	r.s.emitRepository(r, r.s.account(by), "deleted", nil)
	r.deleted = true
	delete(r.s.repositories, r.id)
}

// PullRequests returns all pull requests, by number.
func (r *Repository) PullRequests() []*PullRequest {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.sortedPulls()
}

func (r *Repository) sortedPulls() []*PullRequest {
	out := make([]*PullRequest, 0, len(r.pulls))
	for _, n := range slices.Sorted(maps.Keys(r.pulls)) {
		out = append(out, r.pulls[n])
	}
	return out
}

// network is the root of the repository's forks: commits are shared within it.
func (r *Repository) network() *Repository {
	for r.parent != nil {
		r = r.parent
	}
	return r
}
