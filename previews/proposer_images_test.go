package previews_test

import (
	"context"
	"slices"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/previews"
)

// What is being looked up joins the pull request; what has been looked for in vain
// holds nothing up.
func TestProposalWaitsForImages(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	shared, web := r.part("", "a"), r.part("web", "a")
	r.change(web, func(e *previews.Environment) { e.ResolvedGeneration = 0 })
	r.step()
	r.want(shared, previews.StateCommitting)
	r.change(web, func(e *previews.Environment) { e.Missing(nil, r.clock.Now()) })
	r.step()
	r.want(shared, previews.StateProposed)
	r.want(web, previews.StateWaiting)
}

// What came to be known while it was listed what is to be proposed joins it, too.
func TestProposalOfWhatComesToBeKnown(t *testing.T) {
	t.Parallel()
	r := newReview(t)
	r.part("", "a")
	web := r.part("web", "a")
	r.change(web, func(e *previews.Environment) { e.ResolvedGeneration = 0 })
	r.proposer.Store = resolving{r.store, func() {
		r.change(web, func(e *previews.Environment) { e.Resolve(nil, r.clock.Now()) })
	}}
	r.step()
	if len(r.forge.pulls) != 0 {
		t.Fatalf("proposed without what came to be known meanwhile: %+v", r.forge.pulls)
	}
	r.proposer.Store = r.store
	r.step()
	if len(r.forge.pulls) != 1 || !slices.Equal(r.forge.pulls[0].rows, []string{"staging", "staging.web"}) {
		t.Errorf("pull requests: %+v", r.forge.pulls)
	}
}

// resolving is a store where something comes to be known once it was listed what is to be
// committed.
type resolving struct {
	previews.ProposeStore
	now func()
}

func (s resolving) Uncommitted(ctx context.Context, lane gitops.Lane, limit int) ([]previews.Environment, error) {
	rows, err := s.ProposeStore.Uncommitted(ctx, lane, limit)
	s.now()
	return rows, err
}
