package campaign

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

// blabs is a program in place of idp: it serves metrics that another server has, and prints
// the same as everything else.
const blabs = `#!/bin/sh
if [ "$1" = serve ]; then
	echo '{"webhooks":"http://127.0.0.1:1","metrics":"%s"}' >&2
	exec sleep 600
fi
echo '%s' >&2
exit 1
`

// emptyRound is one in which nothing has happened yet, with one replica that says word
// where it is asked for anything. What is planted in its folder is its own to find.
func emptyRound(t *testing.T, word string) *round {
	t.Helper()
	said := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, word) }))
	t.Cleanup(said.Close)
	dir, program := secrettest.Given(secrettest.Dir(t)), secrettest.Given(filepath.Join(secrettest.Dir(t), "idp"))
	s := &stage.Stage{Dir: dir, Disk: filepath.Join(dir, "disk")}
	_, pem, err := githubtest.GenerateKey()
	err = errors.Join(err, os.Mkdir(s.Disk, 0o700), os.WriteFile(s.KeyFile(), pem, 0o600), os.WriteFile(program, fmt.Appendf(nil, blabs, said.URL, word), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	s.Database = "sqlite://" + s.DatabaseFile()
	w := &world{Stage: s, replicas: []*stage.Program{{Name: "replica-1", Path: program, Log: filepath.Join(dir, "replica-1.log")}}}
	search, err := s.Search()
	if err != nil {
		t.Fatal(err)
	}
	w.watch = newWatch(search)
	t.Cleanup(w.kill)
	return &round{world: w}
}

// file writes a file of a round's folder.
func (r *round) file(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.Dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// row stores a delivery.
func (r *round) row(t *testing.T, payload string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: r.Database})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.AddDelivery(t.Context(), store.Delivery{GUID: "a", Event: "ping", Payload: []byte(payload)})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// commit commits a file to the GitOps repository, and takes it out again.
func (r *round) commit(t *testing.T, content string) {
	t.Helper()
	server, err := gittest.Start(t.Context(), filepath.Join(r.Dir, "git"))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	repository, err := server.Create(t.Context(), stage.GitOpsRepository)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{content, "harmless"} {
		if _, err := repository.Commit(t.Context(), branch, gittest.Edit{At: time.Now(), Put: []gitops.File{{Path: "a", Content: []byte(text)}}}); err != nil {
			t.Fatal(err)
		}
	}
}

// said is what tells a word in one place each, and what the finding says of it.
var said = map[string]func(t *testing.T, r *round, word string){
	"replica-1.log": func(t *testing.T, r *round, word string) { r.file(t, "replica-1.log", word) },
	"left-behind":   func(t *testing.T, r *round, word string) { r.file(t, filepath.Join("disk", "left-behind"), word) },
	"idp.db":        func(t *testing.T, r *round, word string) { r.row(t, word) },
	"an object of":  func(t *testing.T, r *round, word string) { r.commit(t, word) },
	"a request to GitHub": func(t *testing.T, r *round, word string) {
		comment := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/repos/acme/web/issues/1/comments", strings.NewReader(word))
		r.seen(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), comment)
	},
	"an answer to a webhook": func(t *testing.T, r *round, _ string) {
		if err := r.replicas[0].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		(&edge{client: http.DefaultClient, watch: r.watch}).post(t.Context(), r.replicas[0].Scrape(), message{})
		r.kill()
	},
	"a metric of replica-1": func(t *testing.T, r *round, _ string) {
		if err := r.replicas[0].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	},
	"what idp audit prints": func(t *testing.T, r *round, _ string) {
		if _, err := r.run(t.Context(), "audit", "verify"); err == nil {
			t.Error("it ends well")
		}
	},
	"the database ": func(t *testing.T, r *round, word string) {
		var err error
		if r.Postgres, err = postgrestest.Start(); err != nil && !postgrestest.Wanted() {
			t.Skipf("SKIPPED: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Postgres.Close(); err != nil {
				t.Error(err)
			}
		})
		if r.Database, err = r.Postgres.Create("idp"); err != nil {
			t.Fatal(err)
		}
		r.row(t, word)
	},
}

// TestSecretsAreFound tells a canary in one place of a round each: the
// invariant is broken there, and nowhere by what is harmless.
func TestSecretsAreFound(t *testing.T) {
	t.Parallel()
	for place, tell := range said {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			harmless := emptyRound(t, "harmless")
			tell(t, harmless, "harmless")
			if err := harmless.finish(t.Context()); err != nil || len(harmless.violations) > 0 {
				t.Errorf("harmless: %v, %s", err, summary(harmless.violations))
			}
			canary := secrettest.New("planted")
			r := emptyRound(t, canary)
			tell(t, r, canary)
			if err := r.finish(t.Context()); err != nil {
				t.Error(err)
			}
			if len(r.violations) == 0 {
				t.Error("nothing is found")
			}
			for _, v := range r.violations { // PostgreSQL's bytes are found as they are and as digits
				if v.Invariant != "secrets" || !v.final || !strings.Contains(v.Where, place) {
					t.Errorf("it is found as %s, elsewhere or not for good: %.60s", v.Invariant, v.Where)
				}
			}
		})
	}
	figure.Tell(t, "a secret told in %d places of a round, Git objects and databases among them: found in each", len(said))
}

// TestKeyIsFound: the App's key is found without the lines about it, and its own file is
// its place.
func TestKeyIsFound(t *testing.T) {
	t.Parallel()
	r := emptyRound(t, "")
	pem, err := os.ReadFile(r.KeyFile())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(pem)), "\n")
	r.file(t, "state", strings.Join(lines[1:len(lines)-1], ""))
	if err := r.finish(t.Context()); err != nil || len(r.violations) != 1 || !strings.Contains(r.violations[0].Where, "state tells a secret") {
		t.Errorf("%v, %d are found", err, len(r.violations))
	}
	r.file(t, filepath.Base(r.KeyFile()), "none")
	if _, err := r.Search(); err == nil {
		t.Error("it looks for a key that is none")
	}
}
