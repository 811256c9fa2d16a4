package repo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// maxAttempts bounds the pushes of one Commit on a branch that keeps moving.
	maxAttempts = 200
	// maxUnmoved is how often a push may be refused, or fail, on one tip.
	maxUnmoved = 3
	// backoff is the pause after a push that failed with the tip unmoved; it
	// doubles.
	backoff = 100 * time.Millisecond
)

// Commit makes one commit of c on the branch's tip and pushes it.
//
// Before each push it calls intent, unless nil, with the commit and its trees;
// an error of intent stops everything and is returned. A push may be tried
// several times, on new tips, and intent is then called again. When the returned
// error is not nil nothing of c is known to have landed; whether it did after
// all is found out by calling Commit with the same keys again.
//
// Changes that conflict or are invalid are in Result.Conflicts and the others
// land; the error is for what concerns all of them: ErrInvalid or ErrIrregular
// (shared files), ErrRefused, ErrContended, ErrUnavailable, ErrUnauthorized,
// ErrSuperseded, or the context's.
func (r *Repo) Commit(ctx context.Context, c Commit, intent func(Prepared) error) (Result, error) {
	b, err := newBatch(c)
	if err != nil {
		return Result{}, fmt.Errorf("commit to %s: %w", r.opts.Branch, err)
	}
	if err := r.acquire(ctx); err != nil {
		return Result{}, err
	}
	defer r.release()
	result, err := r.land(ctx, b, intent)
	if err != nil {
		return Result{}, fmt.Errorf("commit to %s: %w", r.opts.Branch, err)
	}
	result.inOrder(c)
	return result, nil
}

// Takeover pushes an empty commit that carries epoch, so that whoever wrote the
// branch before sees its next push refused and itself superseded. The caller
// passes an epoch of its own, such as the number of its lease.
func (r *Repo) Takeover(ctx context.Context, epoch string) error {
	if !validKey(epoch) {
		return fmt.Errorf("take over %s: epoch %.80q: %w", r.opts.Branch, epoch, ErrInvalid)
	}
	if err := r.acquire(ctx); err != nil {
		return err
	}
	defer r.release()
	if _, err := r.land(ctx, batch{subject: "Take over writing", epoch: epoch}, nil); err != nil {
		return fmt.Errorf("take over %s: %w", r.opts.Branch, err)
	}
	r.usurper, r.epoch = "", epoch
	return nil
}

// landing is one batch on its way to the branch.
type landing struct {
	batch  batch
	intent func(Prepared) error
	result Result
	// confirmed says that the tip was read from the remote during this landing.
	confirmed bool
	// moved says that it was not the one that was known before.
	moved bool
	// made is the commit that was prepared on the present tip.
	made *made
	// pushed says that a push was tried; unmoved counts those in a row that
	// failed on one and the same tip, failed all that did.
	pushed          bool
	unmoved, failed int
}

// made is a plan and the commit that carries it out; sha is "" when the plan
// needs none.
type made struct {
	plan        plan
	sha, parent string
}

// prepared tells the caller of the commit, and of every change that will count
// as applied once it is pushed: also of those that need nothing to be written.
func (l *landing) prepared() Prepared {
	p := Prepared{SHA: l.made.sha, Parent: l.made.parent, Trees: map[string]string{}}
	for _, changes := range [][]wanted{l.made.plan.write, l.made.plan.unchanged} {
		for _, w := range changes {
			if w.Dir != "" {
				p.Trees[w.Key] = w.tree
			}
		}
	}
	for _, found := range l.result.Applied {
		p.Trees[found.Key] = found.Tree
	}
	return p
}

// land repeats: plan on the tip, prepare, push, and on refusal read the tip.
func (r *Repo) land(ctx context.Context, b batch, intent func(Prepared) error) (Result, error) {
	l := &landing{batch: b, intent: intent, result: Result{Conflicts: b.invalid}}
	if !r.tip.known || b.epoch != "" || r.contended {
		if err := r.catchUp(ctx, l); err != nil {
			return Result{}, err
		}
	}
	for range maxAttempts {
		done, err := r.attempt(ctx, l)
		if err != nil {
			return Result{}, err
		}
		if done {
			// Whoever pushed meanwhile will have done so again by the next time.
			r.contended = l.failed > 0 || r.contended && l.moved
			r.explain(ctx, l.result.Conflicts)
			r.mergePacks(ctx)
			return l.result, nil
		}
		r.metrics.retries.Inc()
	}
	return Result{}, fmt.Errorf("%d pushes: %w", maxAttempts, ErrContended)
}

func (r *Repo) attempt(ctx context.Context, l *landing) (done bool, err error) {
	if r.usurper != "" && l.batch.epoch == "" {
		return false, fmt.Errorf("%w (epoch %s)", ErrSuperseded, oneLine(r.usurper))
	}
	if l.made == nil {
		l.made, err = r.prepareCommit(ctx, l.batch)
		if _, inTheWay := errors.AsType[*SharedError](err); inTheWay && !l.confirmed {
			// It may have been mended on the remote since.
			return false, r.catchUp(ctx, l)
		}
		if err != nil {
			return false, err
		}
	}
	if l.batch.whole && l.conflicts() {
		return r.confirmConflicts(ctx, l)
	}
	if l.made.sha == "" {
		return r.confirmNoOp(ctx, l)
	}
	if err := r.takeTurn(ctx, l.pushed); err != nil {
		return false, err
	}
	if l.intent != nil {
		if err := l.intent(l.prepared()); err != nil {
			return false, fmt.Errorf("record intent: %w", err)
		}
	}
	l.pushed = true
	outcome := r.push(ctx, l.made.sha)
	if outcome.err != nil {
		return r.afterFailure(ctx, l, outcome)
	}
	r.landed(l)
	return true, nil
}

// landed takes the commit that was just pushed as the tip and as the result.
func (r *Repo) landed(l *landing) {
	r.tip.sha = l.made.sha
	l.result.Commit = l.made.sha
	l.apply(l.made.plan.write, l.made.sha, false)
	l.apply(l.made.plan.unchanged, l.made.sha, true)
	l.result.Conflicts = append(l.result.Conflicts, l.made.plan.conflicts...)
	r.metrics.commits.Inc()
	r.metrics.changes.Observe(float64(len(l.made.plan.write)))
}

func (l *landing) apply(changes []wanted, commit string, unchanged bool) {
	for _, w := range changes {
		l.result.Applied = append(l.result.Applied, Applied{
			Key: w.Key, Dir: w.Dir, Commit: commit, Tree: w.tree, Unchanged: unchanged,
		})
	}
}

// confirmNoOp ends a landing that has nothing to push, once the tip that says so
// is known to be the remote's.
func (r *Repo) confirmNoOp(ctx context.Context, l *landing) (bool, error) {
	if !l.confirmed {
		if err := r.catchUp(ctx, l); err != nil {
			return false, err
		}
		if l.made == nil { // the tip moved
			return false, nil
		}
	}
	l.result.NoOp = true
	l.result.Commit = r.tip.sha
	l.apply(l.made.plan.unchanged, r.tip.sha, true)
	l.result.Conflicts = append(l.result.Conflicts, l.made.plan.conflicts...)
	return true, nil
}

func (l *landing) conflicts() bool {
	return len(l.result.Conflicts)+len(l.made.plan.conflicts) > 0
}

// confirmConflicts ends a landing of a whole that cannot land whole, once the tip
// that says so is known to be the remote's. Nothing is written.
func (r *Repo) confirmConflicts(ctx context.Context, l *landing) (bool, error) {
	if !l.confirmed {
		if err := r.catchUp(ctx, l); err != nil {
			return false, err
		}
		if l.made == nil { // the tip moved
			return false, nil
		}
	}
	l.result.Conflicts = append(l.result.Conflicts, l.made.plan.conflicts...)
	return true, nil
}

// afterFailure finds out what became of a failed push: landed after all, in the
// way of another's, or refused.
func (r *Repo) afterFailure(ctx context.Context, l *landing, outcome pushOutcome) (done bool, err error) {
	if ctx.Err() != nil || errors.Is(outcome.err, ErrUnauthorized) {
		return false, outcome.failure(r.opts.Branch)
	}
	if l.failed++; outcome.refused && l.failed > 1 {
		// Others are at it, too. After the first time most of the while until they push again
		// is left, and none of it is to be lost; once the tip is read, every moment counts.
		if err := pause(ctx, rand.N(backoff/2)); err != nil {
			return false, err
		}
	}
	tip := r.tip.sha
	if err := r.catchUp(ctx, l); err != nil {
		// That it is refused for good is known only of a tip that was read again.
		return false, fmt.Errorf("%w, after a push that failed: %v", err, outcome.failure(r.opts.Branch))
	}
	if l.result.Commit != "" {
		return true, nil
	}
	if r.tip.sha != tip {
		l.unmoved = 0
		return false, nil
	}
	if l.unmoved++; l.unmoved >= maxUnmoved {
		return false, outcome.failure(r.opts.Branch)
	}
	return false, pause(ctx, backoff<<l.unmoved)
}

// catchUp reads the tip. When it moved, the prepared commit is forgotten, unless
// it is among what arrived: then it landed, and the landing is complete.
func (r *Repo) catchUp(ctx context.Context, l *landing) error {
	moved, arrived, err := r.refresh(ctx)
	if err != nil {
		return err
	}
	l.confirmed = true
	if !moved {
		return nil
	}
	l.moved = true
	for _, a := range arrived {
		if l.made != nil && a.sha == l.made.sha {
			tip := r.tip
			r.landed(l)
			r.tip = tip // others may have come after it
			return nil
		}
	}
	l.made = nil
	return r.findLanded(ctx, l, arrived)
}

// findLanded takes those changes out of the batch that an earlier push, whose
// end nobody saw, brought to the branch: their key is in a commit's trailers and
// the folder has the tree that is wanted. The tree is compared because a trailer
// alone can be written by anyone.
func (r *Repo) findLanded(ctx context.Context, l *landing, arrived []arrival) error {
	for _, a := range arrived {
		for _, key := range a.changes {
			i := slices.IndexFunc(l.batch.changes, func(w wanted) bool { return w.Key == key && w.Dir != "" })
			if i < 0 {
				continue
			}
			w := l.batch.changes[i]
			tree, err := r.treeAt(ctx, a.sha, w.Dir)
			if err != nil {
				return err
			}
			if tree == w.tree {
				l.apply([]wanted{w}, a.sha, false)
				l.batch.changes = slices.Delete(slices.Clone(l.batch.changes), i, i+1)
			}
		}
	}
	return nil
}

// prepareCommit plans b on the tip and makes the commit, if one is needed.
func (r *Repo) prepareCommit(ctx context.Context, b batch) (*made, error) {
	m, err := r.tryPrepare(ctx, b)
	if err == nil || errors.Is(err, ErrIrregular) || ctx.Err() != nil {
		return m, err
	}
	again, repairErr := r.repair(ctx, err)
	if repairErr != nil || !again {
		return nil, errors.Join(err, repairErr)
	}
	if !r.tip.known {
		if _, _, err := r.refresh(ctx); err != nil {
			return nil, err
		}
	}
	return r.tryPrepare(ctx, b)
}

func (r *Repo) tryPrepare(ctx context.Context, b batch) (*made, error) {
	texts, err := r.texts(ctx, b)
	if err != nil {
		return nil, err
	}
	r.packs.RLock()
	defer r.packs.RUnlock()
	i, err := r.startImport(ctx, r.tip.sha)
	if err != nil {
		return nil, err
	}
	if len(b.changes) > fewFolders {
		// Where that fails each is asked for by itself, which says what is wrong.
		i.known, _ = r.foldersOf(ctx, r.tip.sha, b.changes)
	}
	p, err := decide(b, i.at, texts)
	if err != nil {
		return nil, i.abort(err)
	}
	m := &made{plan: p, parent: r.tip.sha}
	if !p.empty() || b.epoch != "" {
		if m.sha, err = i.commit(p, b.message(p.write), r.opts.Author, r.opts.Now()); err != nil {
			return nil, i.abort(err)
		}
	}
	if err := i.finish(); err != nil || m.sha == "" || len(p.write) <= fewFolders {
		return m, err
	}
	return m, r.verifyFolders(ctx, m.sha, p.write)
}

// inOrder sorts what was applied as c has it.
func (res *Result) inOrder(c Commit) {
	position := make(map[string]int, len(c.Changes))
	for i, change := range c.Changes {
		position[change.Key] = i
	}
	slices.SortStableFunc(res.Applied, func(a, b Applied) int { return position[a.Key] - position[b.Key] })
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
