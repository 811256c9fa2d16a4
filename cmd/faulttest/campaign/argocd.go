package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// argoRoot is the Application that syncs the lists, argoEvery how often Argo CD looks at the
// branch.
const (
	argoRoot  = "idp-root"
	argoEvery = 300 * time.Millisecond
)

// startArgoCD starts an Argo CD that follows the branch once somebody steers it.
func (w *world) startArgoCD() (err error) {
	w.argoToken = secrettest.New("argocd")
	w.argocd, err = argocdtest.Start(argocdtest.Options{Token: w.argoToken, Root: argoRoot, Repository: w.GitOps, Branch: branch, Now: time.Now})
	return err
}

// steer has the Argo CD of a round do what a real one does by itself, until ctx ends: it
// syncs what the branch has, lets that become healthy, and takes down what is listed no more.
func (r *round) steer(ctx context.Context) {
	last, quiet := "", 0
	for stage.Pause(ctx, argoEvery) == nil {
		tip, err := r.GitOps.Tip(ctx, branch)
		if err != nil || tip == "" {
			continue // it looks again
		}
		// What goes is gone two syncs after it left the list.
		if tip != last {
			last, quiet = tip, 0
		}
		if quiet++; quiet > 3 {
			continue
		}
		if r.argocd.Sync(ctx, "all") != nil {
			last = "" // the branch moved on meanwhile, or the round is over
			continue
		}
		for _, name := range r.argocd.Applications() {
			_ = r.argocd.SetHealth(name, "Healthy", "") // it may have gone just now
		}
	}
}

// absentArgoCD has Argo CD away for a while, again and again; what it follows goes on.
func absentArgoCD(ctx context.Context, r *round, random *rand.Rand) error {
	defer r.argocd.SetAway(false)
	for stage.Pause(ctx, time.Duration(200+random.IntN(2500))*time.Millisecond) == nil {
		r.argocd.SetAway(true)
		r.figures.add("Argo CD away", 1)
		_ = stage.Pause(ctx, time.Duration(200+random.IntN(6000))*time.Millisecond) // an end brings it back
		r.argocd.SetAway(false)
	}
	return nil
}

// leftovers holds that Argo CD has what is in Git and nothing else: what is said to be gone
// is.
func leftovers(f Facts) (out []string) {
	if !f.Followed {
		return nil
	}
	if is, want := len(f.Applications), len(f.Lists); is != want {
		out = append(out, fmt.Sprintf("Argo CD has %d Applications, the lists have %d", is, want))
	}
	return out
}
