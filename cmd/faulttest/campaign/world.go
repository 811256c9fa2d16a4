package campaign

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews/store"
	"github.com/idp-bot/idp/previews/storetest/postgrestest"
)

const (
	org = "acme"
	// gitopsRepository is the GitOps repository's name, in git and on GitHub.
	gitopsRepository = org + "/gitops"
	branch           = "main"
	// developer opens the pull requests and writes the comments.
	developer = "alice"
	// patience is how long one thing of the world's own may take.
	patience = time.Minute
	// deliverers is how many webhooks GitHub has in flight at once.
	deliverers = 8
	// foreignFolder is where others commit to in the GitOps repository.
	foreignFolder = "platform-notes"
)

// deploySpec is what the repositories deploy.
const deploySpec = "service:\n  name: web\n  port: 8080\n"

// world is all that idp works with in one round, and idp itself, as processes.
type world struct {
	dir string
	// disk is where the database and the clones are; dir, or a small filesystem in it.
	disk     string
	database Database
	github   *githubtest.Server
	app      *githubtest.App
	// installation is the App's id of it.
	installation int64
	git          *gittest.Server
	gitops       *gittest.Repository
	edge         *edge
	doors        []*door
	replicas     []*replica
	postgres     *postgrestest.Server
	argocd       *argocdtest.Server // nil in rounds without
	argoToken    string
	address      string
	unmount      func() error

	mu sync.Mutex
	// listeners are told of moments; see world.moment.
	listeners map[int]func(string)
	listened  int
	// stood are the commits that the branch has stood at, but for odd, which was put there
	// to see what comes of it.
	stood []string
	odd   string
	// foreign are the files that others have committed.
	foreign map[string]string
}

// appKey is one key for the Apps of all worlds, whose making takes as long as a world.
var appKey = sync.OnceValues(func() (made struct {
	key *rsa.PublicKey
	pem []byte
}, err error) {
	key, pem, err := githubtest.GenerateKey()
	if err == nil {
		made.key, made.pem = &key.PublicKey, pem
	}
	return made, err
})

// newWorld starts everything but idp; on an error nothing is left of it.
func newWorld(ctx context.Context, program string, p plan, random *mathrand.Rand) (w *world, err error) {
	w = &world{database: p.database, foreign: map[string]string{}, listeners: map[int]func(string){}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	if w.dir, err = os.MkdirTemp("", "idp-faulttest-"); err != nil {
		return w, err
	}
	w.disk = filepath.Join(w.dir, "disk")
	if err := os.Mkdir(w.disk, 0o700); err != nil {
		return w, err
	}
	if p.disk != "" {
		if w.unmount, err = mount(w.disk, p.disk); err != nil {
			return w, err
		}
	}
	if err := w.startGitHub(random.Uint64()); err != nil {
		return w, err
	}
	if err := w.startGit(ctx); err != nil {
		return w, err
	}
	if err := w.startDatabase(); err != nil {
		return w, err
	}
	if p.followed {
		if err := w.startArgoCD(); err != nil {
			return w, err
		}
	}
	secret := randomHex(32)
	for i := range p.replicas {
		if err := w.addReplica(program, secret, fmt.Sprintf("replica-%d", i+1)); err != nil {
			return w, err
		}
	}
	if w.edge, err = newEdge(secret, w.replicas, mathrand.New(mathrand.NewPCG(random.Uint64(), 2)), func() { w.moment("ack") }); err != nil {
		return w, err
	}
	w.app.SetWebhook(w.edge.url, secret)
	return w, nil
}

// close ends everything, in the order that nobody misses who is gone.
func (w *world) close() error {
	var errs []error
	for _, r := range w.replicas {
		r.resume()
		r.kill()
	}
	if w.github != nil {
		errs = append(errs, w.github.Close())
	}
	if w.edge != nil {
		errs = append(errs, w.edge.close())
	}
	for _, d := range w.doors {
		errs = append(errs, d.close())
	}
	if w.argocd != nil {
		errs = append(errs, w.argocd.Close())
	}
	if w.git != nil {
		errs = append(errs, w.git.Close())
	}
	if w.postgres != nil {
		errs = append(errs, w.postgres.Close())
	}
	if w.unmount != nil {
		errs = append(errs, w.unmount())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// moment tells faults that wait for it that something happens: "read" and "write" at
// GitHub, "push" and "pushed" in git, "ack" once a webhook was answered.
func (w *world) moment(name string) {
	w.mu.Lock()
	listeners := slices.Collect(maps.Values(w.listeners))
	w.mu.Unlock()
	for _, listener := range listeners {
		listener(name)
	}
}

// listen has a function called at each moment, until remove is called.
func (w *world) listen(to func(moment string)) (remove func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listened++
	n := w.listened
	w.listeners[n] = to
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.listeners, n)
	}
}

// stand writes down where the branch stands.
func (w *world) stand(ctx context.Context) {
	if tip, err := w.gitops.Tip(ctx, branch); err == nil && tip != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		if tip != w.odd {
			w.stood = append(w.stood, tip)
		}
	}
}

// tips are the commits that the branch has stood at.
func (w *world) tips() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.stood)
}

// written are the files that others have committed.
func (w *world) written() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.foreign)
}

func (w *world) startGitHub(seed uint64) error {
	made, err := appKey()
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.keyFile(), made.pem, 0o600); err != nil {
		return fmt.Errorf("write the App's key: %w", err)
	}
	w.github = githubtest.New(githubtest.Options{
		Seed: seed, DeliveryWorkers: deliverers, Limits: &githubtest.Limits{},
		Middleware: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.moment("read")
				} else if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
					w.moment("write")
				}
				next.ServeHTTP(rw, r)
			})
		},
	})
	if err := w.github.Start(); err != nil {
		return err
	}
	permissions := githubtest.DefaultPermissions()
	permissions["contents"] = "write" // the App writes the GitOps repository too
	w.app = w.github.AddApp(githubtest.AppOptions{Key: made.key, Permissions: permissions})
	w.github.AddOrganization(org)
	w.installation = w.app.Install(org, githubtest.InstallOptions{}).ID()
	w.github.AddRepository(gitopsRepository, githubtest.RepositoryOptions{Private: true})
	w.github.AddUser(developer)
	return nil
}

func (w *world) keyFile() string { return filepath.Join(w.dir, "app.pem") }

func (w *world) startGit(ctx context.Context) (err error) {
	if w.git, err = gittest.Start(ctx, filepath.Join(w.dir, "git")); err != nil {
		return err
	}
	w.git.RequireAuth(func(name, _, password string, push bool) bool {
		level := "read"
		if push {
			level = "write"
		}
		return w.github.TokenAllows(password, name, "contents", level)
	})
	if w.gitops, err = w.git.Create(ctx, gitopsRepository); err != nil {
		return err
	}
	w.gitops.BeforePush(func() { w.moment("push") })
	w.gitops.AfterPush(func() {
		w.stand(context.WithoutCancel(ctx))
		w.moment("pushed")
	})
	return w.commitForeign(ctx, "README.md", "Somebody else's.\n")
}

// commitForeign commits a file as somebody else does, who tries again where idp was
// faster.
func (w *world) commitForeign(ctx context.Context, path, content string) error {
	edit := gittest.Edit{Message: "Note " + path, At: time.Now(), Put: []gitops.File{{Path: path, Content: []byte(content)}}}
	var err error
	for range 20 {
		// What was begun is known the end of.
		if _, err = w.gitops.Commit(context.WithoutCancel(ctx), branch, edit); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		w.mu.Lock()
		w.foreign[path] = content
		w.mu.Unlock()
		w.stand(ctx)
	}
	return err
}

func (w *world) startDatabase() (err error) {
	if w.database == SQLite {
		w.address = "sqlite://" + w.databaseFile()
		return nil
	}
	if w.postgres, err = postgrestest.Start(); err != nil {
		return err
	}
	w.address, err = w.postgres.Create("idp")
	return err
}

func (w *world) databaseFile() string { return filepath.Join(w.disk, "idp.db") }

// addReplica adds an idp that is not started yet.
func (w *world) addReplica(program, secret, name string) error {
	door, err := newDoor(w.git.URL)
	if err != nil {
		return err
	}
	w.doors = append(w.doors, door)
	var follows []string
	if w.argocd != nil {
		follows = []string{"IDP_ARGOCD_URL=" + w.argocd.URL(), "IDP_ARGOCD_TOKEN=" + w.argoToken, "IDP_ARGOCD_ROOT=" + argoRoot}
	}
	w.replicas = append(w.replicas, &replica{
		name: name, program: program, begins: door.begin, log: filepath.Join(w.dir, name+".log"),
		env: append(follows,
			"HOME="+w.dir, "PATH="+os.Getenv("PATH"), "IDP_LOG_FORMAT=json",
			"IDP_LISTEN=127.0.0.1:0", "IDP_METRICS_LISTEN=127.0.0.1:0",
			"IDP_DATABASE_URL="+w.address, "IDP_STATE_DIR="+filepath.Join(w.disk, "state-"+name),
			"IDP_GITHUB_API_URL="+w.github.URL(), fmt.Sprint("IDP_GITHUB_APP_ID=", w.app.ID()),
			"IDP_GITHUB_PRIVATE_KEY_FILE="+w.keyFile(), "IDP_GITHUB_WEBHOOK_SECRET="+secret,
			"IDP_GITOPS_URL="+door.url+"/"+gitopsRepository+".git", "IDP_GITOPS_READ_URL="+w.gitops.URL,
			"IDP_PREVIEW_DOMAIN=preview.example.com", "IDP_IMAGE_CHECK=off",
			"IDP_GITOPS_PUSHES_PER_MINUTE=0", "IDP_GITHUB_WRITES_PER_MINUTE=0",
			"IDP_SWEEP_SCHEDULE=@every 3s", "IDP_REAP_SCHEDULE=@every 5s", "IDP_DRAIN_TIMEOUT=10s",
		),
	})
	return nil
}

// startAll starts every replica that does not run.
func (w *world) startAll(ctx context.Context) error {
	for _, r := range w.replicas {
		if r.address() != "" {
			continue
		}
		if err := r.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// withStore opens the database beside the replicas.
func (w *world) withStore(ctx context.Context, do func(*store.Store) error) (err error) {
	s, err := store.Open(ctx, store.Options{URL: w.address, Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return do(s)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// pause waits for a time that is part of what is played, such as a delay.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until asks again and again until something is so, or ctx ends.
func until(ctx context.Context, every time.Duration, so func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, err := so()
		if done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
