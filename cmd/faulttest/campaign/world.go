package campaign

import (
	"context"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

const (
	branch = stage.Branch
	// patience is how long one thing of the world's own may take.
	patience = stage.Patience
	// foreignFolder is where others commit to in the GitOps repository.
	foreignFolder = "platform-notes"
)

// world is all that idp works with in one round, and idp itself, as processes.
type world struct {
	*stage.Stage
	database  Database
	watch     *watch
	edge      *edge
	doors     []*door
	replicas  []*stage.Program
	argocd    *argocdtest.Server // nil in rounds without
	argoToken string
	unmount   func() error

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

// newWorld starts everything but idp; on an error nothing is left of it.
func newWorld(ctx context.Context, program string, p plan, random *mathrand.Rand) (w *world, err error) {
	under, err := stage.New("idp-faulttest-")
	if err != nil {
		return nil, err
	}
	w = &world{Stage: under, database: p.database, foreign: map[string]string{}, listeners: map[int]func(string){}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
			w = nil
		}
	}()
	if p.disk != "" {
		if w.unmount, err = mount(w.Disk, p.disk); err != nil {
			return w, err
		}
	}
	if err := w.StartGitHub(random.Uint64(), w.seen); err != nil {
		return w, err
	}
	search, err := w.Search()
	if err != nil {
		return w, err
	}
	w.watch = newWatch(search)
	if err := w.startGit(ctx); err != nil {
		return w, err
	}
	if err := w.StartDatabase(p.database == Postgres); err != nil {
		return w, err
	}
	if p.followed {
		if err := w.startArgoCD(); err != nil {
			return w, err
		}
	}
	secret := secrettest.New("webhook")
	for i := range p.replicas {
		if err := w.addReplica(program, secret, fmt.Sprintf("replica-%d", i+1)); err != nil {
			return w, err
		}
	}
	if w.edge, err = newEdge(secret, w.watch, w.replicas, mathrand.New(mathrand.NewPCG(random.Uint64(), 2)), func() { w.moment("ack") }); err != nil {
		return w, err
	}
	w.App.SetWebhook(w.edge.url, secret)
	return w, nil
}

// close ends everything; what others still ask for ends first.
func (w *world) close() error {
	var errs []error
	w.kill()
	if w.edge != nil {
		errs = append(errs, w.edge.close())
	}
	for _, d := range w.doors {
		errs = append(errs, d.close())
	}
	if w.argocd != nil {
		errs = append(errs, w.argocd.Close())
	}
	if w.unmount != nil {
		errs = append(errs, w.unmount())
	}
	return errors.Join(append(errs, w.Stage.Close())...)
}

// kill kills every replica, stopped or not.
func (w *world) kill() {
	for _, r := range w.replicas {
		r.Resume()
		r.Kill()
	}
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
	if tip, err := w.GitOps.Tip(ctx, branch); err == nil && tip != "" {
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

// seen tells of each request to GitHub, and looks for secrets in it.
func (w *world) seen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.moment("read")
		} else if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
			w.moment("write")
		}
		w.watch.requests(next).ServeHTTP(rw, r)
	})
}

func (w *world) startGit(ctx context.Context) error {
	if err := w.StartGit(ctx); err != nil {
		return err
	}
	w.GitOps.BeforePush(func() { w.moment("push") })
	w.GitOps.AfterPush(func() {
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
		if _, err = w.GitOps.Commit(context.WithoutCancel(ctx), branch, edit); err == nil || ctx.Err() != nil {
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

// addReplica adds an idp that is not started yet.
func (w *world) addReplica(program, secret, name string) error {
	door, err := newDoor(w.Git.URL)
	if err != nil {
		return err
	}
	w.doors = append(w.doors, door)
	env := append(w.Environment(secret, door.url+"/"+stage.GitOpsRepository+".git", "state-"+name),
		"IDP_SWEEP_SCHEDULE=@every 3s", "IDP_REAP_SCHEDULE=@every 5s", "IDP_DRAIN_TIMEOUT=10s")
	if w.argocd != nil {
		env = append(env, "IDP_ARGOCD_URL="+w.argocd.URL(), "IDP_ARGOCD_TOKEN="+w.argoToken, "IDP_ARGOCD_ROOT="+argoRoot)
	}
	w.replicas = append(w.replicas, &stage.Program{Name: name, Path: program, Env: env, Log: filepath.Join(w.Dir, name+".log"), Begins: door.begin})
	return nil
}

// startAll starts every replica that does not run.
func (w *world) startAll(ctx context.Context) error {
	for _, r := range w.replicas {
		if r.Address() != "" {
			continue
		}
		if err := r.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}
