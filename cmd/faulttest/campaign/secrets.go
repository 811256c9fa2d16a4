package campaign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// watch looks for secrets in what idp says to others, as it is said: the webhook secret and
// Argo CD's token, which are canaries, GitHub's tokens and the App's key.
type watch struct {
	search *secrettest.Search

	mu    sync.Mutex
	found []string
}

// newWatch watches for the App's key beside what every secret is known by.
func newWatch(keyFile string) (*watch, error) {
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the App's key, which is looked for: %w", err)
	}
	key := secrettest.Key(pem)
	if key == "" {
		return nil, fmt.Errorf("%s holds no key to look for", keyFile)
	}
	return &watch{search: secrettest.For(key)}, nil
}

func (w *watch) tells(finding string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, finding)
}

// text looks into what somebody was told.
func (w *watch) text(where string, text []byte) {
	for _, finding := range w.search.Text(where, text) {
		w.tells(finding)
	}
}

// requests looks into what idp sends to GitHub: comments, checks and deployments.
func (w *watch) requests(next http.Handler) http.Handler {
	return w.search.Requests("a request to GitHub", w.tells, next)
}

func (w *watch) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.found...)
}

// conceal holds that no secret was told, whatever else became of the round, which ends
// here: idp is killed, so that nothing is written any more.
func (r *round) conceal(ctx context.Context) error {
	err := r.lastWords(ctx)
	r.kill()
	told, searching := r.told(ctx)
	r.breaking.Lock()
	defer r.breaking.Unlock()
	r.violations = append(r.violations, Judge(Facts{Told: told})...)
	return errors.Join(err, searching)
}

// lastWords looks into the metrics of whoever serves.
func (r *round) lastWords(ctx context.Context) error {
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

// told is where secrets stand: in what was said to others, and in all that is below the
// round's folder, the database with its log, idp's own logs, its clones and the GitOps
// repository, or in PostgreSQL. The App's key has its file there.
func (w *world) told(ctx context.Context) (found []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err = w.watch.search.Folder(ctx, w.Dir, func(path string) bool { return path == w.KeyFile() })
	if err != nil {
		return nil, fmt.Errorf("search the round's folder for secrets: %w", err)
	}
	if w.Postgres != nil {
		dump, err := postgrestest.Dump(ctx, w.Database)
		if err != nil {
			return nil, fmt.Errorf("search PostgreSQL for secrets: %w", err)
		}
		found = append(found, w.watch.search.Dump("the database", dump)...)
	}
	return append(found, w.watch.all()...), nil
}

// scrape reads a replica's metrics.
func scrape(ctx context.Context, one *stage.Program) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
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
