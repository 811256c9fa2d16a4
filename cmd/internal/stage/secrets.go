package stage

import (
	"context"
	"fmt"
	"os"

	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// Search looks for the App's key, beside what every secret is known by: GitHub's tokens, and
// canaries, which a webhook's secret and other credentials of an idp on the stage have to be.
// It is an error before StartGitHub.
func (s *Stage) Search() (*secrettest.Search, error) {
	file, err := os.ReadFile(s.KeyFile())
	if err != nil {
		return nil, fmt.Errorf("read the App's key, which is looked for: %w", err)
	}
	key := secrettest.Key(file)
	if key == "" {
		return nil, fmt.Errorf("%s holds no key to look for", s.KeyFile())
	}
	return secrettest.For(key), nil
}

// Told is where secrets stand in what was written: in all that is below the stage's folder,
// the database with its log, idp's own logs, its clones and the GitOps repository, or in
// PostgreSQL. The App's key has its file there. idp has to have ended, or to be at rest.
func (s *Stage) Told(ctx context.Context, search *secrettest.Search) (found []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	found, err = search.Folder(ctx, s.Dir, func(path string) bool { return path == s.KeyFile() })
	if err != nil {
		return nil, fmt.Errorf("search %s for secrets: %w", s.Dir, err)
	}
	if s.Postgres == nil {
		return found, nil
	}
	dump, err := postgrestest.Dump(ctx, s.Database)
	if err != nil {
		return nil, fmt.Errorf("search PostgreSQL for secrets: %w", err)
	}
	return append(found, search.Dump("the database", dump)...), nil
}
