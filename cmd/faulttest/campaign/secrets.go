package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// watch looks for secrets in what idp says to others, as it is said: the webhook secret and
// Argo CD's token, which are canaries, GitHub's tokens and the App's key.
type watch struct {
	search *secrettest.Search

	mu sync.Mutex
	// found is the first finding of each place: what is told once is told again and again.
	found map[string]string
}

func newWatch(search *secrettest.Search) *watch {
	return &watch{search: search, found: map[string]string{}}
}

func (w *watch) tells(where, finding string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.found[where]; !known {
		w.found[where] = finding
	}
}

// text looks into what somebody was told.
func (w *watch) text(where string, text []byte) {
	for _, finding := range w.search.Text(where, text) {
		w.tells(where, finding)
	}
}

// requests looks into what idp sends to GitHub: comments, checks and deployments.
func (w *watch) requests(next http.Handler) http.Handler {
	const where = "a request to GitHub"
	return w.search.Requests(where, func(finding string) { w.tells(where, finding) }, next)
}

// all are the findings until now.
func (w *watch) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Values(w.found))
}

// finish ends the round, whatever became of it, and holds that no secret was told: idp is
// killed, so that nothing is written any more, and searched is all that it said and left.
func (r *round) finish(ctx context.Context) error {
	err := r.lastWords(ctx)
	r.kill()
	told, searching := r.Told(ctx, r.watch.search)
	told = append(told, r.watch.all()...)
	r.breaking.Lock()
	defer r.breaking.Unlock()
	r.violations = append(r.violations, Judge(Facts{Told: told})...)
	return errors.Join(err, searching)
}

// lastWords looks into the metrics of whoever serves.
func (r *round) lastWords(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var errs []error
	for _, each := range r.replicas {
		if each.Scrape() == "" {
			continue
		}
		metrics, err := scrape(ctx, each)
		if err != nil {
			errs = append(errs, err)
		}
		r.watch.text("a metric of "+each.Name, metrics)
	}
	return errors.Join(errs...)
}

// scrape reads a replica's metrics.
func scrape(ctx context.Context, one *stage.Program) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, one.Scrape(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", one.Name, err)
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}
