package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// canary has in it what a URL or a header writes in other words.
var canary = secrettest.New("s3cret") + "/+ token"

func login(password string) func(*Options) {
	return func(o *Options) {
		o.Credentials = func(context.Context) (Credentials, error) { return Credentials{Password: password}, nil }
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	server.RequireToken("x-access-token", canary)
	var logged bytes.Buffer
	logs := func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(secrettest.Writer(t, "the log", &logged), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}

	right := open(t, remote, login(canary), logs)
	mustCommit(t, right, deploy("pr-1", "v1"))
	equal(t, "ping", right.Ping(t.Context()), nil)

	for name, r := range map[string]*Repo{"wrong": open(t, remote, login(canary+"x"), logs), "none": open(t, remote, logs)} {
		_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-2", "v1")}}, nil)
		if !errors.Is(err, ErrUnauthorized) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s credentials: %v", name, err)
		}
		equal(t, "ping", errors.Is(r.Ping(t.Context()), ErrUnauthorized), true)
		noSecretBelow(t, r.opts.Dir)
	}
	noSecretBelow(t, right.opts.Dir)
	if strings.Contains(logged.String(), "s3cret") {
		t.Errorf("logged: %s", logged.String())
	}

	failing := open(t, remote, func(o *Options) {
		o.Credentials = func(context.Context) (Credentials, error) { return Credentials{}, fs.ErrPermission }
	})
	equal(t, "source fails", errors.Is(failing.Ping(t.Context()), fs.ErrPermission), true)
}

func noSecretBelow(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte("s3cret")) {
			t.Errorf("%s holds the token", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The token is for the remote's own host, wherever that redirects to.
func TestAskpassAnswersOnlyTheRemote(t *testing.T) {
	t.Parallel()
	r, _ := setup(t, login(canary))
	env, secrets, err := r.credentialEnv(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	host := r.remote.Host
	for prompt, want := range map[string]string{
		"Username for 'http://" + host + "': ":                  "x-access-token\n",
		"Password for 'http://x-access-token@" + host + "': ":   canary + "\n",
		"Username for 'https://" + host + "': ":                 "",
		"Username for 'http://evil.example': ":                  "",
		"Password for 'http://x-access-token@evil.example': ":   "",
		"Password for 'http://a@" + host + ".evil.example': ":   "",
		"Password for 'https://x-access-token@" + host + "': ":  "",
		"Enter passphrase for key '/root/.ssh/id': ":            "",
		"Password for 'http://x@" + host + "': x@evil.example'": "",
	} {
		got, _ := runScript(t, r.askpass, env, prompt)
		equal(t, prompt, got, want)
	}
	said := scrub("fatal: "+canary+" and "+secrets[0]+" and "+strings.NewReplacer("/", "%2F", " ", "%20").Replace(canary), secrets)
	if strings.Contains(said, "s3cret") || strings.Contains(said, secrets[0]) {
		t.Error(said)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, remote)
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-1", "v1")}}, nil)
	equal(t, "commit", errors.Is(err, ErrUnavailable), true)
	equal(t, "ping", errors.Is(r.Ping(t.Context()), ErrUnavailable), true)
	_, err = r.Tip(t.Context())
	equal(t, "tip", errors.Is(err, ErrUnavailable), true)
}

func TestFileURL(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	r := open(t, remote, func(o *Options) { o.URL = "file://" + remote.Path })
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/x", Content: []byte("x")}}})
	mustCommit(t, r, deploy("pr-1", "v1"))
	equal(t, "files", len(paths(t, remote)), 3)
}

func TestRemoteWithoutFilters(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	if err := remote.Configure(t.Context(), "uploadpack.allowFilter", "false"); err != nil {
		t.Fatal(err)
	}
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "platform/x", Content: []byte("x")}}})
	mustCommit(t, r, deploy("pr-1", "v1"))
	equal(t, "files", len(paths(t, remote)), 3)
}

// A branch that somebody removes, or replaces by another history, is not written to, not
// after a restart either, until it holds again what it did, or the clone is removed.
func TestHistoryReplacedOrRemoved(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	dir := secrettest.Dir(t)
	in := func(o *Options) { o.Dir = dir }
	mustEdit(t, remote, gittest.Edit{Put: []gitops.File{{Path: "README.md", Content: []byte("x")}}})
	r := open(t, remote, in)
	mustCommit(t, r, deploy("pr-1", "v1"))
	whole, err := remote.Tip(t.Context(), "main")
	if err != nil {
		t.Fatal(err)
	}
	other, err := remote.Commit(t.Context(), "other", gittest.Edit{Put: []gitops.File{{Path: "README.md", Content: []byte("another")}}})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		for range 2 {
			if _, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-2", "v1")}}, nil); !errors.Is(err, ErrReplaced) || errors.Is(err, ErrRefused) {
				t.Errorf("%s it went on: %v", when, err)
			}
		}
	}
	point := func(sha string) {
		t.Helper()
		if err := remote.Point(t.Context(), "main", sha); err != nil {
			t.Fatal(err)
		}
	}
	remote.BeforePush(func() { point(other) })
	refused("after another history came while it pushed")
	remote.BeforePush(nil)
	if err := remote.Delete(t.Context(), "main"); err != nil {
		t.Fatal(err)
	}
	refused("after the branch went")
	for when, happens := range map[string]func(){"after a restart": func() { point(other) }, "after a restart without the branch": func() {}} {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		happens()
		r = open(t, remote, in)
		refused(when)
		if err := remote.Delete(t.Context(), "main"); err != nil {
			t.Fatal(err)
		}
	}
	point(whole)
	mustCommit(t, r, deploy("pr-2", "v1"))
	equal(t, "files where the branch is back", len(paths(t, remote)), 5)

	point(other)
	r = open(t, remote) // with another clone
	mustCommit(t, r, deploy("pr-3", "v1"))
	equal(t, "files on the other history", len(paths(t, remote)), 3)
}

// TestOwnHistoryTakenBack: a branch that goes back to an earlier commit of idp's own, while idp
// is down, is as replaced as any.
func TestOwnHistoryTakenBack(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	dir := secrettest.Dir(t)
	in := func(o *Options) { o.Dir = dir }
	r := open(t, remote, in)
	first := mustCommit(t, r, deploy("pr-1", "v1")).Commit
	mustCommit(t, r, deploy("pr-2", "v1"))
	if _, err := r.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := remote.Point(t.Context(), "main", first); err != nil {
		t.Fatal(err)
	}
	r = open(t, remote, in)
	if _, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-3", "v1")}}, nil); !errors.Is(err, ErrReplaced) {
		t.Errorf("it went on: %v", err)
	}
}

// TestRefusedAndOutOfReach: a push that was refused once, on a tip that cannot be read
// again, is not refused for good.
func TestRefusedAndOutOfReach(t *testing.T) {
	t.Parallel()
	server, remote := serve(t)
	r := open(t, remote)
	mustCommit(t, r, deploy("pr-1", "v1"))
	remote.RefusePushes(1, "busy")
	remote.BeforePush(func() { server.RequireAuth(func(string, string, string, bool) bool { return false }) })
	_, err := r.Commit(t.Context(), Commit{Changes: []Change{deploy("pr-2", "v1")}}, nil)
	if !errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "busy") {
		t.Errorf("it ended with %v", err)
	}
	remote.BeforePush(nil)
	server.RequireAuth(func(string, string, string, bool) bool { return true })
	mustCommit(t, r, deploy("pr-2", "v1"))
}

func TestStateDirectory(t *testing.T) {
	t.Parallel()
	_, remote := serve(t)
	dir := secrettest.Dir(t)
	in := func(o *Options) { o.Dir = dir }
	r := open(t, remote, in)
	_, err := Open(t.Context(), r.opts)
	if told, ok := errors.AsType[*fault.Error](err); !ok || told.Code != fault.Conflict || told.Hint == "" {
		t.Errorf("a state directory was opened twice: %v", err)
	}
	mustCommit(t, r, deploy("pr-1", "v1"))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// What a killed git leaves behind.
	for _, name := range []string{"refs/idp/tip.lock", "refs/idp/pending.lock", "objects/pack/tmp_pack_x"} {
		if err := os.WriteFile(filepath.Join(r.git.Dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t, remote, in)
	mustCommit(t, again, deploy("pr-2", "v1"))

	// And a clone that was damaged while it was in use.
	packs, err := filepath.Glob(filepath.Join(r.git.Dir, "objects/pack/*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		if err := errors.Join(os.Chmod(pack, 0o600), os.WriteFile(pack, []byte("PACK????"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	mustCommit(t, again, deploy("pr-3", "v1"))
	equal(t, "files", len(paths(t, remote)), 6)
}

func TestPacksAreMerged(t *testing.T) {
	t.Parallel()
	r, remote := setup(t)
	last := deploy("pr-1", "v0")
	mustEdit(t, remote, gittest.Edit{Put: last.Files})
	if _, err := r.Tip(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Commits that are made and not pushed fill the clone faster.
	for i := range maxPacks + 1 {
		b, err := newBatch(Commit{Changes: []Change{deploy("pr-2", strings.Repeat("x", i+1))}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.prepareCommit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	mustCommit(t, r, deploy("pr-3", "v1"))
	own, fetched, err := r.packFiles()
	equal(t, "error", err, nil)
	equal(t, "own packs", len(own), 1)
	equal(t, "fetched packs", len(fetched), 1)
	if damaged, err := r.repair(t.Context(), errors.New("test")); !damaged || err != nil || !r.tip.known {
		t.Errorf("after merging: %v %v", damaged, err)
	}
	mustCommit(t, r, deploy("pr-1", "v1", treeOf(last)))
	files, err := r.Files(t.Context(), tipOf(t, remote), "environments")
	equal(t, "error", err, nil)
	equal(t, "files", len(files), 4)
}

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	r, _ := setup(t, func(o *Options) {
		o.PushesPerMinute = 2
		o.Now = func() time.Time { return now }
	})
	equal(t, "at first", r.Delay(), 0)
	mustCommit(t, r, deploy("pr-1", "v1"))
	mustCommit(t, r, deploy("pr-2", "v1"))
	equal(t, "after a burst", r.Delay().Round(time.Second), 30*time.Second)
	mustCommit(t, r, deploy("pr-2", "v1")) // nothing to push: nothing to wait for
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := r.Commit(ctx, Commit{Changes: []Change{deploy("pr-3", "v1")}}, nil)
	equal(t, "third", errors.Is(err, context.DeadlineExceeded), true)
	now = now.Add(30 * time.Second)
	equal(t, "half a minute later", r.Delay(), 0)
	mustCommit(t, r, deploy("pr-3", "v1"))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	into := func(o *Options) { o.Registerer = registry }
	r, remote := setup(t, into)
	other := open(t, remote, into)
	mustCommit(t, r, deploy("pr-1", "v1"))
	remote.RefusePushes(1, "no")
	mustCommit(t, other, deploy("pr-2", "v1"), deploy("pr-3", "v1"))
	equal(t, "commits", counted(t, registry, "idp_gitops_commits_total", ""), 2)
	equal(t, "changes", counted(t, registry, "idp_gitops_commit_changes", ""), 3)
	equal(t, "pushes", counted(t, registry, "idp_gitops_pushes_total", "ok"), 2)
	equal(t, "refused pushes", counted(t, registry, "idp_gitops_pushes_total", "refused"), 1)
	equal(t, "retries", counted(t, registry, "idp_gitops_push_retries_total", ""), 1)
}

// counted is the value of a counter with that label, or the sum of a histogram.
func counted(t *testing.T, registry *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	secrettest.Text(t, "the metrics", fmt.Append(nil, families))
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
			}
		}
	}
	return 0
}

func FuzzParseArrivals(f *testing.F) {
	sha := strings.Repeat("a", 40)
	f.Add([]byte(sha + "\x1fk1\x1ek2\x1f7\x00" + sha + "\x1f\x1f\x00"))
	f.Add([]byte("\x00\x1f\x1f\x1e"))
	f.Fuzz(func(t *testing.T, out []byte) {
		for _, a := range parseArrivals(out) {
			if !isSHA(a.sha) {
				t.Fatalf("%q", a.sha)
			}
		}
	})
}
