package previews

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/repo"
)

const (
	// idleProposals is how often GitHub is asked how the open proposals stand, beside
	// whenever something happens; one that is old may wait longer.
	idleProposals = 15 * time.Second
	oldProposal   = 15 * time.Minute
	// newProposals and oldProposals are how often at the most.
	newProposals = 3 * time.Second
	oldProposals = time.Minute
)

// ProposeStore is what the proposer needs of the store.
type ProposeStore interface {
	CommitStore
	Proposed(ctx context.Context, lane gitops.Lane) ([]Environment, error)
	// PartsOf returns the parts of a declared environment.
	PartsOf(ctx context.Context, repositoryID int64, id string) ([]Environment, error)
}

// BranchWriter proposes commits to the GitOps repository.
type BranchWriter interface {
	Writer
	Propose(ctx context.Context, c repo.Commit, branch string, intent func(repo.Prepared) error) (repo.Proposed, error)
	// Withdraw deletes a proposal's branch, where it is still at the commit.
	Withdraw(ctx context.Context, branch, commit string) error
	Tip(ctx context.Context) (string, error)
	Tree(ctx context.Context, commit, dir string) (string, error)
	Contains(ctx context.Context, descendant, ancestor string) (bool, error)
	Differ(ctx context.Context, from, to string, paths []string) (bool, error)
	// Text returns a file in a commit.
	Text(ctx context.Context, commit, path string) ([]byte, error)
}

// Pulls are the pull requests of the GitOps repository.
type Pulls interface {
	// Open sees to it that a pull request of the branch, with the change of the rows, is
	// open. ErrMerged says that the branch holds nothing that its base lacks.
	Open(ctx context.Context, branch string, rows []Environment) (number int, url string, err error)
	// State says how it stands, and the commit that it became.
	State(ctx context.Context, number int) (state PullState, mergeSHA string, err error)
	// Close closes it, with a comment, where it is open.
	Close(ctx context.Context, number int, why string) error
}

// ErrMerged says that what is proposed is on the branch already.
var ErrMerged = errors.New("the change is merged already")

// PullState is how a pull request stands.
type PullState string

// The states of a pull request.
const (
	PullOpen   PullState = "open"
	PullMerged PullState = "merged"
	// PullClosed is closed and not merged: somebody said no.
	PullClosed PullState = "closed"
)

// Proposer brings a GitOps repository whose changes people merge to what the rows
// want: it writes what the parts of one environment need to a branch, opens a pull
// request of it, and follows that until it is merged, which is the commit that the
// rows then have, or closed, which is a no.
//
// A proposal is of one generation: when something newer is wanted, or the branch has
// moved on under it, it is closed and made anew.
type Proposer struct {
	// Committer renders, lists and records, with Git in the place of its own.
	Committer Committer
	Store     ProposeStore
	Git       BranchWriter
	Pulls     Pulls

	// mu is held through a step.
	mu sync.Mutex
	// asked is when each proposal was last asked about, by its branch.
	asked map[string]time.Time
}

// Loop returns the proposer's loop, woken by wake.
func (p *Proposer) Loop(wake Signal) Loop {
	return Loop{Name: "proposals to " + p.Committer.Lane.String(), Step: p.Step, Wake: wake, Idle: idleProposals, Log: p.Committer.Log}
}

// Step follows every proposal, then proposes what has to be. One that fails holds up
// no other. Steps wait for each other.
func (p *Proposer) Step(ctx context.Context) (more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if held, err := p.Committer.hold(ctx); held || err != nil {
		return false, err
	}
	rows, err := p.Store.Proposed(ctx, p.Committer.Lane)
	if err != nil {
		return false, fmt.Errorf("list proposals: %w", err)
	}
	var failed []error
	for _, group := range byBranch(rows) {
		if err := p.follow(ctx, group); err != nil {
			failed = append(failed, err)
		}
	}
	if !p.Committer.Lane.Proposed {
		return false, errors.Join(failed...) // what is pushed is the committer's
	}
	if rows, err = p.Store.Uncommitted(ctx, p.Committer.Lane, p.Committer.Batch); err != nil {
		return false, errors.Join(append(failed, err)...)
	}
	for _, group := range byEnvironment(rows) {
		if err := p.propose(ctx, group); err != nil {
			failed = append(failed, err)
		}
	}
	return false, errors.Join(failed...)
}

// byBranch groups rows by the proposal that they have, in its order.
func byBranch(rows []Environment) [][]Environment {
	return grouped(rows, func(e Environment) string { return e.Proposal.Branch })
}

// byEnvironment groups the parts of each environment. Those whose proposal was begun
// and not seen to its end stay together, and apart from the others.
func byEnvironment(rows []Environment) [][]Environment {
	return grouped(rows, func(e Environment) string {
		key := fmt.Sprintf("%d/%s ", e.Ref.RepositoryID, e.Ref.ID)
		if e.begun() {
			key += e.Proposal.Branch
		}
		return key
	})
}

func grouped(rows []Environment, key func(Environment) string) [][]Environment {
	groups := map[string][]Environment{}
	var order []string
	for _, row := range rows {
		k := key(row)
		if len(groups[k]) == 0 {
			order = append(order, k)
		}
		groups[k] = append(groups[k], row)
	}
	out := make([][]Environment, 0, len(order))
	for _, k := range order {
		out = append(out, groups[k])
	}
	return out
}

// propose makes one pull request of what the parts of an environment need.
func (p *Proposer) propose(ctx context.Context, rows []Environment) error {
	if waits, err := p.early(ctx, rows); waits || err != nil {
		return err
	}
	committer := p.Committer
	committer.Git = p.Git
	batch, err := committer.plan(ctx, rows)
	if err != nil || len(batch.rows) == 0 {
		return err
	}
	branch := branchOf(batch)
	made, err := p.Git.Propose(ctx, batch.commit, branch, func(prepared repo.Prepared) error { return p.intend(ctx, batch, branch, prepared) })
	var refused *repo.RefusedError
	var shared *repo.SharedError
	switch {
	case errors.As(err, &refused):
		return errors.Join(err, p.Committer.failRefused(ctx, batch, refused))
	case errors.As(err, &shared):
		return p.Committer.failShared(ctx, batch, shared)
	case err != nil:
		return errors.Join(fmt.Errorf("propose %d environments: %w", len(batch.rows), err), p.Committer.tellStuck(ctx, batch))
	case len(made.Conflicts) > 0:
		return p.Committer.failChanged(ctx, batch, made.Conflicts)
	case made.NoOp:
		return p.land(ctx, batch, made.Commit, made.Trees)
	}
	return p.offer(ctx, batch, branch, made)
}

// early says that a part of the environment is about to be known, or has come to be since the
// rows were listed, which wakes the next step: so that one pull request can hold all of it.
func (p *Proposer) early(ctx context.Context, rows []Environment) (bool, error) {
	parts, err := p.Store.PartsOf(ctx, rows[0].Ref.RepositoryID, rows[0].Ref.ID)
	if err != nil {
		return false, fmt.Errorf("read the parts of %s: %w", rows[0].Ref.Shared(), err)
	}
	return slices.ContainsFunc(parts, func(e Environment) bool {
		listed := slices.ContainsFunc(rows, func(row Environment) bool { return row.RowID == e.RowID })
		return e.NeedsImages() && e.ImageAttempts == 0 || e.NeedsCommit() && !e.begun() && !listed
	}), nil
}

// begun says that what it wants has a proposal that was not seen to its end.
func (e *Environment) begun() bool { return e.Proposal != nil && e.Proposal.Generation == e.Generation }

// branchOf is the branch for a batch: that of its changes alone, and of how often they
// were proposed.
func branchOf(b *batch) string {
	sum := sha256.New()
	var ref gitops.EnvironmentRef
	for _, key := range slices.Sorted(maps.Keys(b.rows)) {
		row := b.rows[key]
		ref = row.Ref.Shared()
		attempt := 0
		if row.Proposal != nil && row.Proposal.Generation == row.Generation {
			attempt = row.Proposal.Attempt
		}
		fmt.Fprintf(sum, "%s %d\n", key, attempt)
	}
	return "idp/" + strings.TrimPrefix(ref.Name(), "idp-") + "-" + hex.EncodeToString(sum.Sum(nil))[:8]
}

func (p *Proposer) intend(ctx context.Context, b *batch, branch string, prepared repo.Prepared) error {
	keys := map[int64]string{}
	for key, row := range b.rows {
		keys[row.RowID] = key
	}
	return p.Store.UpdateAll(ctx, b.ids(), func(e *Environment) error {
		next := Proposal{Generation: b.rows[keys[e.RowID]].Generation, Branch: branch, Parent: prepared.Parent, Tree: prepared.Trees[keys[e.RowID]]}
		if old := e.Proposal; old != nil && old.Generation == next.Generation {
			next.Attempt = old.Attempt
		}
		if e.Generation != next.Generation {
			return ErrStale
		}
		e.setOut(b.rendered[e.RowID], e.Generation)
		e.Propose(next)
		return nil
	})
}

// offer opens the pull request of a branch and notes it.
func (p *Proposer) offer(ctx context.Context, b *batch, branch string, made repo.Proposed) error {
	rows := slices.SortedFunc(maps.Values(b.rows), func(a, b Environment) int { return strings.Compare(a.Ref.Key(), b.Ref.Key()) })
	number, url, err := p.Pulls.Open(ctx, branch, rows)
	if errors.Is(err, ErrMerged) {
		return p.land(ctx, b, made.Commit, made.Trees)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open a pull request of %s: %w", branch, err), p.Committer.tellStuck(ctx, b))
	}
	now := p.Committer.Now()
	offered := Proposal{Commit: made.Commit, Parent: made.Parent, Number: number, URL: url, At: now}
	err = p.Store.UpdateAll(context.WithoutCancel(ctx), b.ids(), func(e *Environment) error {
		if !e.Offer(branch, offered) {
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the proposal %s: %w", url, err)
	}
	p.Committer.Log.Info("proposed", "pull_request", url, "environments", len(rows))
	p.Committer.Pushed(nil)
	return nil
}

// land records that the branch holds what the rows want, in a commit.
func (p *Proposer) land(ctx context.Context, b *batch, commit string, trees map[string]string) error {
	result := repo.Result{Commit: commit}
	for key, row := range b.rows {
		result.Applied = append(result.Applied, repo.Applied{Key: key, Dir: row.Ref.Dir(), Commit: commit, Tree: trees[key]})
	}
	c := p.Committer
	c.Git, c.Latency = p.Git, nil // the time that people took to merge is not idp's
	return c.record(ctx, b, result)
}

// follow sees how a proposal stands.
func (p *Proposer) follow(ctx context.Context, rows []Environment) error {
	proposal := rows[0].Proposal
	stale := slices.ContainsFunc(rows, func(e Environment) bool { return e.stale() })
	switch {
	case proposal.Branch == "" || proposal.Number == 0 && !stale:
		return nil // it is proposed by and by
	case stale:
		return p.withdraw(ctx, rows, "Something newer takes the place of this change.", false)
	case !p.due(proposal):
		return nil
	}
	state, merged, err := p.Pulls.State(ctx, proposal.Number)
	if err != nil {
		return fmt.Errorf("look at %s: %w", proposal.URL, err)
	}
	switch state {
	case PullMerged:
		return p.merged(ctx, rows, merged)
	case PullClosed:
		return p.declined(ctx, rows)
	}
	return p.rebase(ctx, rows)
}

// due says that it is time to ask about a proposal again: often at first.
func (p *Proposer) due(proposal *Proposal) bool {
	now := p.Committer.Now()
	if p.asked == nil {
		p.asked = map[string]time.Time{}
	}
	often := newProposals
	if now.Sub(proposal.At) > oldProposal {
		often = oldProposals
	}
	if now.Sub(p.asked[proposal.Branch]) < often {
		return false
	}
	p.asked[proposal.Branch] = now
	return true
}

// withdraw closes a proposal and forgets it.
func (p *Proposer) withdraw(ctx context.Context, rows []Environment, why string, again bool) error {
	proposal := rows[0].Proposal
	number := proposal.Number
	if number == 0 {
		// It was begun, and not seen to its end.
		var err error
		if number, _, err = p.Pulls.Open(ctx, proposal.Branch, rows); errors.Is(err, ErrMerged) || errors.Is(err, ErrNotFound) {
			number = 0
		} else if err != nil {
			return fmt.Errorf("look for the pull request of %s: %w", proposal.Branch, err)
		}
	}
	if number != 0 {
		if err := p.Pulls.Close(ctx, number, why); err != nil {
			return fmt.Errorf("close pull request %d of %s: %w", number, proposal.Branch, err)
		}
	}
	p.tidy(ctx, proposal)
	delete(p.asked, proposal.Branch)
	err := p.Store.UpdateAll(ctx, ids(rows), func(e *Environment) error {
		if !e.Withdraw(proposal.Branch, again) {
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget the proposal on %s: %w", proposal.Branch, err)
	}
	p.Committer.Pushed(nil)
	return nil
}

// tidy deletes the branch of a proposal that is over. What is left of it does no harm.
func (p *Proposer) tidy(ctx context.Context, proposal *Proposal) {
	if proposal.Commit == "" {
		return
	}
	if err := p.Git.Withdraw(ctx, proposal.Branch, proposal.Commit); err != nil {
		p.Committer.Log.Warn("a proposal's branch is left", "branch", proposal.Branch, "error", err)
	}
}

// merged records the commit that a proposal became, where it is what was proposed.
func (p *Proposer) merged(ctx context.Context, rows []Environment, commit string) error {
	proposal := rows[0].Proposal
	tip, err := p.Git.Tip(ctx)
	if err != nil {
		return fmt.Errorf("read the branch that %s was merged to: %w", proposal.URL, err)
	}
	if on, err := p.Git.Contains(ctx, tip, commit); err != nil || !on {
		return errors.Join(err, fmt.Errorf("%s was merged as %.7s, which is not on the branch", proposal.URL, commit))
	}
	landed := &batch{rows: map[string]Environment{}}
	trees := map[string]string{}
	for _, row := range rows {
		tree, err := p.Git.Tree(ctx, commit, row.Ref.Dir())
		if err != nil {
			return fmt.Errorf("read what %s became: %w", proposal.URL, err)
		}
		other := row.Ref.Dir()
		if tree == row.Proposal.Tree {
			if other, err = p.otherwise(ctx, row, commit); err != nil {
				return fmt.Errorf("read what %s became: %w", proposal.URL, err)
			}
		}
		if other != "" {
			err := p.Committer.failRow(ctx, row, Problem{
				Kind: ProblemChanged, Message: fmt.Sprintf("%s was merged with something else in %s than idp had proposed", proposal.URL, other),
				Hint: "Comment " + again(row) + " to propose it again, in place of that.",
			})
			if err != nil {
				return err
			}
			continue
		}
		key := changeKey(row)
		landed.rows[key], trees[key] = row, tree
	}
	if err := p.land(ctx, landed, commit, trees); err != nil {
		return err
	}
	return p.forget(ctx, rows)
}

// otherwise names a field of a team's file that does not hold in a commit what idp had
// proposed for it, "" where all do.
func (p *Proposer) otherwise(ctx context.Context, row Environment, commit string) (string, error) {
	if row.Update == nil {
		return "", nil
	}
	for _, w := range row.Update.Fields {
		content, err := p.Git.Text(ctx, commit, w.File)
		if errors.Is(err, repo.ErrNoFile) {
			return w.File, nil
		}
		if err != nil {
			return "", err
		}
		if now, err := inplace.Read(content, w.Field); err != nil || now != w.Value {
			return w.Field.String(), nil
		}
	}
	return "", nil
}

// declined gives up what people closed instead of merging it.
func (p *Proposer) declined(ctx context.Context, rows []Environment) error {
	for _, row := range rows {
		err := p.Committer.failRow(ctx, row, Problem{
			Kind: ProblemDeclined, Message: fmt.Sprintf("it was turned down: %s was closed without being merged", row.Proposal.URL),
			Hint: "Comment " + again(row) + " to propose it again.",
		})
		if err != nil {
			return err
		}
	}
	return p.forget(ctx, rows)
}

// forget takes the proposal from the rows, whose pull request is closed.
func (p *Proposer) forget(ctx context.Context, rows []Environment) error {
	proposal := rows[0].Proposal
	p.tidy(ctx, proposal)
	delete(p.asked, proposal.Branch)
	err := p.Store.UpdateAll(ctx, ids(rows), func(e *Environment) error {
		if !e.Withdraw(proposal.Branch, false) {
			return ErrUnchanged
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget the proposal on %s: %w", proposal.Branch, err)
	}
	return nil
}

// rebase proposes a change anew that could not be merged any more, for the branch has
// moved on where the change is.
func (p *Proposer) rebase(ctx context.Context, rows []Environment) error {
	tip, err := p.Git.Tip(ctx)
	if err != nil {
		return fmt.Errorf("read the branch that %s is to be merged to: %w", rows[0].Proposal.URL, err)
	}
	if tip == rows[0].Proposal.Parent || tip == "" {
		return nil
	}
	var paths []string
	for _, row := range rows {
		paths = append(paths, row.Ref.Dir())
		paths = append(paths, row.Update.Files()...)
		if list := listOf(row).path(); row.Update == nil && !slices.Contains(paths, list) {
			paths = append(paths, list)
		}
	}
	moved, err := p.Git.Differ(ctx, rows[0].Proposal.Parent, tip, paths)
	if err != nil || !moved {
		return err
	}
	return p.withdraw(ctx, rows, "The branch has moved on under this change. It is proposed anew.", true)
}

func ids(rows []Environment) []int64 {
	out := make([]int64, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.RowID)
	}
	return out
}
