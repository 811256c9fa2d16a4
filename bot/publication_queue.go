package bot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/previews/store"
)

// queue keeps a check run on each commit that waits for its turn, and concludes those of
// commits that do not wait any more. That of a commit whose turn has come is the head's
// by then, and goes on as that.
func (p *publication) queue(ctx context.Context) error {
	waiting := report.QueuedOf(p.in)
	var errs []error
	for _, w := range waiting {
		errs = append(errs, p.await(ctx, w))
	}
	for _, known := range slices.Clone(p.saved.Queued) {
		waits := slices.ContainsFunc(waiting, func(w report.Queued) bool { return w.HeadSHA == known.SHA })
		if !waits && known.SHA != p.env.HeadSHA {
			errs = append(errs, p.endWait(ctx, known))
		}
	}
	return errors.Join(errs...)
}

// await writes the check run of a commit that waits.
func (p *publication) await(ctx context.Context, w report.Queued) error {
	at := slices.IndexFunc(p.saved.Queued, func(q store.QueuedCheck) bool { return q.SHA == w.HeadSHA })
	if at < 0 {
		at = len(p.saved.Queued)
		p.saved.Queued = append(slices.Clone(p.saved.Queued), store.QueuedCheck{SHA: w.HeadSHA, Name: w.Name, PR: w.PR})
		if err := p.remember(p.saved); err != nil {
			return err
		}
	}
	known := p.saved.Queued[at]
	hash := w.Hash()
	if known.Hash == hash {
		return nil
	}
	id, err := p.putCheckRun(ctx, known.RunID, w.Check)
	if id != 0 {
		known.RunID = id
	}
	if err == nil {
		known.Hash, known.Name, known.PR = hash, w.Name, w.PR
	}
	p.saved.Queued = slices.Clone(p.saved.Queued)
	p.saved.Queued[at] = known
	if err != nil {
		return fmt.Errorf("write the check of %.7s, which waits: %w", w.HeadSHA, err)
	}
	return nil
}

// endWait concludes the check run of a commit that waited.
func (p *publication) endWait(ctx context.Context, known store.QueuedCheck) error {
	check, id := report.Unqueued(p.in, known.Name, known.SHA, known.PR), known.RunID
	var err error
	if id == 0 {
		id, err = p.gh.FindCheckRun(ctx, p.repo, known.SHA, known.Name, p.env.Ref.Name())
	}
	if err == nil && id != 0 {
		err = p.gh.UpdateCheckRun(ctx, p.repo, id, check)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("conclude the check of %.7s, which waited: %w", known.SHA, err)
	}
	p.unqueue(known.SHA)
	return nil
}

// unqueue forgets that a commit waited, and returns the id of its check run, 0 where it
// had none that is known.
func (p *publication) unqueue(sha string) int64 {
	var id int64
	p.saved.Queued = slices.DeleteFunc(slices.Clone(p.saved.Queued), func(q store.QueuedCheck) bool {
		if q.SHA == sha {
			id = q.RunID
		}
		return q.SHA == sha
	})
	if len(p.saved.Queued) == 0 {
		p.saved.Queued = nil
	}
	return id
}
