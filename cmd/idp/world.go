package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/idp-bot/idp/bot/github"
	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd/argocdtest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

// gitopsRepository is the GitOps repository's name, in git and on GitHub.
const gitopsRepository = "acme/gitops"

// world is all that idp works with, on loopback: a stand-in GitHub with the App
// installed, a GitOps repository behind git's own smart-HTTP server, an image
// registry, and the bot itself, configured as anybody would. The demo tells its
// story in one; tests play their scenarios in one each.
type world struct {
	github       *githubtest.Server
	app          *githubtest.App
	installation *githubtest.Installation
	git          *gittest.Server
	gitops       *gittest.Repository
	registry     *http.Server
	registryAddr string
	argocd       *argocdtest.Server // nil where there is none
	env          map[string]string
	options      worldOptions
	cfg          *Config
	main         *Main
	stopped      chan error
	stop         context.CancelFunc
}

// worldOptions vary a world.
type worldOptions struct {
	// dir holds its files; the caller removes it.
	dir string
	log *slog.Logger
	// now is the bot's clock.
	now func() time.Time
	// address is where the stand-in GitHub listens; any free port by default.
	address string
	// github wraps the stand-in's API, for validation; registry the image registry,
	// for faults.
	github, registry func(http.Handler) http.Handler
	// key makes the App's key; githubtest.GenerateKey by default. Tests share one.
	key func() (*rsa.PrivateKey, []byte, error)
	// argocd says that there is an Argo CD.
	argocd bool
	// env is further configuration, as IDP_… variables.
	env map[string]string
}

// newWorld starts everything but the bot.
func newWorld(ctx context.Context, o worldOptions) (w *world, err error) {
	if o.now == nil {
		o.now = time.Now
	}
	w = &world{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if o.key == nil {
		o.key = githubtest.GenerateKey
	}
	key, pem, err := o.key()
	if err != nil {
		return w, err
	}
	keyFile, clientFile := filepath.Join(o.dir, "app.pem"), filepath.Join(o.dir, "client-secret")
	if err := os.WriteFile(keyFile, pem, 0o600); err != nil {
		return w, fmt.Errorf("write the App's key: %w", err)
	}
	w.github = githubtest.New(githubtest.Options{Address: o.address, Now: o.now, Middleware: o.github})
	if err := w.github.Start(); err != nil {
		return w, err
	}
	w.app = w.github.AddApp(registration(key))
	if err := os.WriteFile(clientFile, []byte(w.app.ClientSecret()), 0o600); err != nil {
		return w, fmt.Errorf("write the App's client secret: %w", err)
	}
	w.github.AddOrganization("acme")
	w.installation = w.app.Install("acme", githubtest.InstallOptions{})
	w.github.AddRepository(gitopsRepository, githubtest.RepositoryOptions{Private: true})
	if err := w.startGit(ctx, o.dir); err != nil {
		return w, err
	}
	if err := w.startRegistry(); err != nil {
		return w, err
	}
	if err := w.startArgoCD(); err != nil {
		return w, err
	}
	return w, w.configure(keyFile, clientFile)
}

// registration is the App as the README has people register it, but that it writes the
// GitOps repository, too.
func registration(key *rsa.PrivateKey) githubtest.AppOptions {
	o := githubtest.AppOptions{Key: &key.PublicKey, Permissions: map[string]string{}}
	for _, p := range wantedPermissions(true) {
		o.Permissions[p.Name] = p.Access
	}
	for _, s := range github.Subscriptions() {
		o.Events = append(o.Events, s.Name)
	}
	return o
}

// startGit serves the GitOps repository, and what more there comes to be of its kind, to
// whoever holds a token of the App that may read it, and write it to push.
func (w *world) startGit(ctx context.Context, dir string) (err error) {
	if w.git, err = gittest.Start(ctx, filepath.Join(dir, "git")); err != nil {
		return err
	}
	w.git.RequireAuth(func(name, _, password string, push bool) bool {
		level := "read"
		if push {
			level = "write"
		}
		return w.github.TokenAllows(password, name, "contents", level)
	})
	w.gitops, err = w.git.Create(ctx, gitopsRepository)
	return err
}

func (w *world) startRegistry() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the image registry: %w", err)
	}
	w.registryAddr = listener.Addr().String()
	var handler http.Handler = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if w.options.registry != nil {
		handler = w.options.registry(handler)
	}
	w.registry = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.registry.Serve(listener) }() // it ends with close
	return nil
}

// startArgoCD starts an Argo CD for the GitOps repository, where there is one.
func (w *world) startArgoCD() (err error) {
	if !w.options.argocd {
		return nil
	}
	token := randomHex(32)
	w.argocd, err = argocdtest.Start(argocdtest.Options{
		Token: token, Root: "idp-root", Repository: w.gitops, Branch: "main", Now: w.options.now,
	})
	if err == nil {
		w.env = map[string]string{"IDP_ARGOCD_URL": w.argocd.URL(), "IDP_ARGOCD_TOKEN": token}
	}
	return err
}

// configure configures the bot through its environment, as an operator would.
func (w *world) configure(keyFile, clientFile string) error {
	dir := w.options.dir
	env := map[string]string{
		"IDP_LISTEN": "127.0.0.1:0", "IDP_METRICS_LISTEN": "127.0.0.1:0",
		"IDP_DATABASE_URL":            "sqlite://" + filepath.Join(dir, "idp.db"),
		"IDP_STATE_DIR":               filepath.Join(dir, "state"),
		"IDP_GITHUB_API_URL":          w.github.URL(),
		"IDP_GITHUB_APP_ID":           fmt.Sprint(w.app.ID()),
		"IDP_GITHUB_PRIVATE_KEY_FILE": keyFile,
		"IDP_GITHUB_WEBHOOK_SECRET":   randomHex(32),
		"IDP_PUBLIC_URL":              "https://idp.example.com",
		"IDP_GITHUB_CLIENT_ID":        w.app.ClientID(), "IDP_GITHUB_CLIENT_SECRET_FILE": clientFile,
		"IDP_GITOPS_URL":     w.gitops.URL,
		"IDP_PREVIEW_DOMAIN": "preview.example.com",
		"IDP_PREVIEW_IMAGE":  w.registryAddr + "/{owner}/{repo}:{sha}",
		"IDP_PREVIEW_ACCESS": "public", // nothing here can ask who somebody is
	}
	maps.Copy(env, w.env)
	w.env = env
	return w.reconfigure(w.options.env)
}

// reconfigure changes the bot's environment; it holds from its next start.
func (w *world) reconfigure(env map[string]string) (err error) {
	for key, value := range env {
		w.env[key] = strings.ReplaceAll(value, "$REGISTRY", w.registryAddr)
	}
	p := &program{stdout: io.Discard, stderr: io.Discard, env: w.env}
	if w.cfg, err = p.loadConfig(&configFlags{}, forServing); err != nil {
		return fmt.Errorf("configure idp: %w", err)
	}
	return nil
}

// start opens the bot, lets it run until stopBot, and points the App's webhook at it.
func (w *world) start(ctx context.Context) error {
	w.main = NewMain(w.cfg, w.options.log, w.options.now)
	if err := w.main.Open(ctx); err != nil {
		return err
	}
	w.app.SetWebhook("http://"+w.main.Addr()+"/webhooks/github", w.cfg.GitHubWebhookSecret[0].Reveal())
	ctx, w.stop = context.WithCancel(ctx)
	w.stopped = make(chan error, 1)
	go func() { w.stopped <- w.main.Run(ctx) }()
	return nil
}

// stopBot stops the bot as SIGTERM would.
func (w *world) stopBot() error {
	if w.main == nil {
		return nil
	}
	var err error
	if w.stop != nil {
		w.stop()
		err = <-w.stopped
	}
	err = errors.Join(err, w.main.Close())
	w.main, w.stop = nil, nil
	return err
}

// close stops the bot, then the rest.
func (w *world) close() error {
	errs := []error{w.stopBot()}
	if w.registry != nil {
		errs = append(errs, w.registry.Close())
	}
	if w.argocd != nil {
		errs = append(errs, w.argocd.Close())
	}
	if w.git != nil {
		errs = append(errs, w.git.Close())
	}
	if w.github != nil {
		errs = append(errs, w.github.Close())
	}
	return errors.Join(errs...)
}

// busy says what the bot has still to do about what it was told, "" when that is
// nothing.
func (w *world) busy(ctx context.Context) (string, error) {
	s, now := w.main.store, w.options.now()
	depth, err := s.QueueDepth(ctx)
	if err != nil || depth > 0 {
		return "deliveries", err
	}
	awaiting, err := s.AwaitingImages(ctx, now, 1)
	if err != nil || len(awaiting) > 0 {
		return "images", err
	}
	if commits, err := w.committing(ctx); err != nil || commits {
		return "commits", err
	}
	unreported, err := s.Unreported(ctx, now, 1)
	if err != nil || len(unreported) > 0 && !w.main.cfg.observes() {
		return "reports", err
	}
	effects, err := s.PendingEffects(ctx, now, 1)
	if err != nil || len(effects) > 0 {
		return "replies", err
	}
	return "", nil
}

// committing says whether a row waits for a commit that will come by itself: while idp
// is paused, until it says so.
func (w *world) committing(ctx context.Context) (bool, error) {
	s := w.main.store
	paused, err := w.main.mayCommit(ctx)
	if err != nil {
		return false, err
	}
	lanes, err := s.Lanes(ctx)
	if err != nil {
		return false, err
	}
	for _, lane := range append(lanes, gitops.Lane{}) {
		rows, err := s.Uncommitted(ctx, lane, previews.DefaultBatch)
		if err != nil {
			return false, err
		}
		for _, row := range rows {
			told := row.Wanted == previews.Absent || row.Problem != nil
			if !paused.Paused || !told {
				return true, nil
			}
		}
	}
	return false, nil
}

// pushImage does what CI would: it pushes an image, of random content, that the
// template names for the commit.
func (w *world) pushImage(ctx context.Context, repository, sha string) error {
	ref, err := name.ParseReference(fmt.Sprintf("%s/%s:%s", w.registryAddr, repository, sha), name.Insecure)
	if err != nil {
		return fmt.Errorf("push an image: %w", err)
	}
	image, err := random.Image(256, 1)
	if err != nil {
		return fmt.Errorf("make an image: %w", err)
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("push an image: %w", err)
	}
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
