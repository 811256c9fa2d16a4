package main

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

const (
	// everyday and lostRows are how many environments a database loses every day and where
	// there is time; rebuildWithin is how long it may take to have them back.
	everyday, lostRows = 300, 1000
	rebuildWithin      = 5 * time.Minute
	lostSpec           = "service:\n  name: web\n"
)

// losing is a world whose database has many environments in Git.
type losing struct {
	*world
	t     testing.TB
	clock *stoppedClock
}

func newLosing(t testing.TB, database string) *losing {
	t.Helper()
	l := &losing{t: t, clock: &stoppedClock{at: noon}}
	var err error
	l.world, err = newWorld(context.Background(), worldOptions{
		dir: worldDir(t), log: secrettest.Logger(t), now: l.clock.now, key: sharedKey,
		env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_DATABASE_URL": database},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	_, err = l.gitops.Commit(t.Context(), "main", gittest.Edit{Message: "Declare", Put: []gitops.File{
		{Path: "platform/environments.yaml", Content: []byte("environments:\n  staging: {}\n")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// fill commits n environments of all kinds, 100 in each repository, and returns the rows.
func (l *losing) fill(n int) []previews.Environment {
	l.t.Helper()
	m := NewMain(l.cfg, l.options.log, l.options.now)
	if err := m.Open(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			l.t.Error(err)
		}
	}()
	for repository := 0; repository*100 < n; repository++ {
		made := l.github.AddRepository(fmt.Sprintf("acme/repo-%d", repository), githubtest.RepositoryOptions{Private: repository%2 == 0})
		var rows []store.Restored
		for i := range min(100, n-repository*100) {
			rows = append(rows, store.Restored{Environment: l.environment(made, repository, i)})
		}
		if _, err := m.store.Restore(l.t.Context(), rows, "test", true); err != nil {
			l.t.Fatal(err)
		}
		l.clock.advance(time.Minute)
	}
	for {
		more, err := m.commits.Step(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		rows, err := m.store.Uncommitted(l.t.Context(), gitops.Lane{}, 1)
		if err != nil {
			l.t.Fatal(err)
		}
		if !more && len(rows) == 0 {
			break
		}
	}
	rows, err := m.store.Environments(l.t.Context(), store.Filter{})
	if err != nil {
		l.t.Fatal(err)
	}
	return rows
}

// environment is the i-th of a repository: most are previews, some of them pinned, extended
// or asked for by command, and the last two are the parts of a declared environment.
func (l *losing) environment(made *githubtest.Repository, repository, i int) previews.Environment {
	now, pr := l.clock.now(), i+1
	sum := sha1.Sum(fmt.Append(nil, repository, i))
	sha := hex.EncodeToString(sum[:])
	e := previews.Environment{
		Ref:   gitops.EnvironmentRef{RepositoryID: made.ID(), Owner: "acme", Repo: fmt.Sprintf("repo-%d", repository), ID: gitops.PreviewID(pr)},
		Owner: "acme", Repo: fmt.Sprintf("repo-%d", repository), Private: repository%2 == 0, InstallationID: l.installation.ID(),
		PR: pr, Author: fmt.Sprint("author-", i%7), AuthorID: int64(i%7 + 1), Wanted: previews.Absent, Looks: "open\ninto main",
	}
	digest := "sha256:" + sha + sha[:24]
	reference := fmt.Sprintf("%s/acme/repo-%d:%s", l.registryAddr, repository, sha)
	images := []previews.Image{{Service: "web", Reference: reference, Digest: digest}}
	switch {
	case i >= 98:
		service := []string{"", "web"}[i-98]
		ref := e.Ref
		ref.ID, ref.Service = "staging", service
		e.Ref, e.PR, e.Author, e.AuthorID, e.Looks = ref, 0, "", 0, ""
		e.Class, e.Namespace, e.Deployed = "preview", ref.Namespace(), &previews.Deployed{}
		r := previews.Release{Kind: previews.ReleaseDeploy, SHA: sha, Ref: "main", Spec: []byte(lostSpec), At: now, By: "alice", ByID: 1, Author: "bob", AuthorID: 2, PR: 7}
		if service == "" {
			e.Share(r, now)
			return e
		}
		e.Deploy(r, now)
	default:
		e.Want(previews.Revision{SHA: sha, Ref: "feature/" + sha[:5], Spec: []byte(lostSpec), TTL: 72 * time.Hour}, now)
	}
	e.Resolve(images, now)
	switch i % 10 {
	case 3:
		e.Pin(now)
	case 4:
		e.Extend(24*time.Hour, 240*time.Hour, now)
	case 5:
		if e.Deployed == nil {
			e.AskedBy = "alice"
		}
	}
	return e
}

// asHeld is a row without what a GitOps repository does not hold: what
// the sweep finds out (Looks), the ids of people, who asked for what, and the diff.
func asHeld(e previews.Environment) previews.Environment {
	e.RowID, e.Version, e.CreatedAt, e.UpdatedAt = 0, 0, time.Time{}, time.Time{}
	e.Looks, e.AuthorID, e.Actor, e.Diff, e.Intents, e.Concluded = "", 0, "", "", nil, ""
	// The time of a commit is to the second.
	for _, at := range []*time.Time{&e.WantedAt, &e.AskedAt, &e.PushedAt, &e.ResolvedAt, &e.AppliedAt} {
		*at = time.Time{}
	}
	if e.Deployed != nil {
		d := *e.Deployed
		d.Current.At, d.Current.CommittedAt, d.Current.HealthyAt = time.Time{}, time.Time{}, time.Time{}
		d.Current.By, d.Current.ByID, d.Current.AuthorID, d.Current.PR, d.Healthy, d.Last = "", 0, 0, 0, nil, nil
		d.Current.Images = nil
		e.PR, e.Deployed = 0, &d
	}
	return e
}

// lose has the world's next server start on another database.
func (l *losing) lose(t testing.TB, database string) {
	t.Helper()
	if err := l.reconfigure(map[string]string{"IDP_DATABASE_URL": database}); err != nil {
		t.Fatal(err)
	}
}

func (l *losing) rebuild(t testing.TB) rebuildFacts {
	t.Helper()
	facts, err := rebuild(t.Context(), l.cfg, rebuildOptions{by: "ops", log: l.options.log, now: l.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// TestRebuild loses a database of many environments, on either kind of database, and
// compares what is rebuilt with what was lost, row by row. Nothing is to be committed then.
func TestRebuild(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"SQLite", "PostgreSQL"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			database := func() string { return sqliteScheme + filepath.Join(secrettest.Dir(t), "idp.db") }
			if kind == "PostgreSQL" {
				database = func() string { return postgrestest.URL(t) }
			}
			l := newLosing(t, database())
			rows := figure.Count(t, everyday, lostRows)
			lost := l.fill(rows)
			tip, err := l.gitops.Tip(t.Context(), "main")
			if err != nil {
				t.Fatal(err)
			}
			l.lose(t, database())
			begun := time.Now()
			facts := l.rebuild(t)
			took := time.Since(begun)
			if facts.Restored != rows || facts.LeftAlone != 0 || took > rebuildWithin {
				t.Fatalf("%d restored and %d left alone in %s", facts.Restored, facts.LeftAlone, took)
			}
			l.compare(t, lost)
			if now, err := l.gitops.Tip(t.Context(), "main"); err != nil || now != tip {
				t.Errorf("the branch is at %s, was at %s (%v)", now, tip, err)
			}
			figure.Tell(t, "%d environments rebuilt on %s in %.1f s: every row as it was, nothing to commit", rows, kind, took.Seconds())
		})
	}
}

// compare holds what was rebuilt to what was lost.
func (l *losing) compare(t *testing.T, lost []previews.Environment) {
	t.Helper()
	m := NewMain(l.cfg, l.options.log, l.options.now)
	if err := m.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	different := 0
	for _, was := range lost {
		is, err := m.store.Environment(t.Context(), was.Ref.RepositoryID, was.Ref.Key())
		if err != nil {
			t.Fatal(err)
		}
		is.Diff = ""
		if diff := cmp.Diff(asHeld(was), asHeld(is)); diff != "" {
			if different++; different <= 3 {
				t.Errorf("%s (-lost +rebuilt):\n%s", was.Ref, diff)
			}
		}
		files, err := renderer(m.declared.rendering)(is)
		if err != nil {
			t.Fatal(err)
		}
		if tree := repo.TreeID(is.Ref.Dir(), files); tree != was.Tree {
			t.Errorf("%s would be rendered to %s, and Git has %s", is.Ref, tree, was.Tree)
		}
	}
	if different > 0 {
		t.Errorf("%d of %d rows are different", different, len(lost))
	}
	for range 3 {
		if _, err := m.commits.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkRebuild is TestRebuild's figure for as many environments as N says:
//
//	go test ./cmd/idp -run '^$' -bench Rebuild -benchtime 1000x
func BenchmarkRebuild(b *testing.B) {
	l := newLosing(b, sqliteScheme+filepath.Join(secrettest.Dir(b), "idp.db"))
	l.fill(b.N)
	l.lose(b, sqliteScheme+filepath.Join(secrettest.Dir(b), "idp.db"))
	b.ResetTimer()
	l.rebuild(b)
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "environments/s")
}

// TestServeRefusesDamage flips pages at 20 places of a database, and wants the server to
// refuse each, with the command that mends it.
func TestServeRefusesDamage(t *testing.T) {
	t.Parallel()
	l := newLosing(t, sqliteScheme+filepath.Join(secrettest.Dir(t), "idp.db"))
	l.fill(100)
	whole, err := os.ReadFile(strings.TrimPrefix(l.cfg.DatabaseURL.Reveal(), sqliteScheme))
	if err != nil {
		t.Fatal(err)
	}
	const places, page = 20, 4096
	for n := range places {
		damaged, at := slices.Clone(whole), (len(whole)/page-1)*n/(places-1)*page
		for i := range page {
			damaged[at+i] ^= 0xff
		}
		file := filepath.Join(secrettest.Dir(t), "idp.db")
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		l.lose(t, sqliteScheme+file)
		var env []string
		for key, value := range l.env {
			env = append(env, key+"="+value)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var stderr strings.Builder
		status := searchedRun(ctx, t, []string{"serve"}, strings.NewReader(""), io.Discard, &stderr, env)
		cancel()
		if status != exitFailure || !strings.Contains(stderr.String(), "run: idp rebuild") {
			t.Errorf("page %d of %d: status %d\n%s", at/page, len(whole)/page, status, stderr.String())
		}
	}
	figure.Tell(t, "%d places of a database flipped: each refused at the start, with the command that mends it", places)
}
