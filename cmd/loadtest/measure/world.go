package measure

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

const (
	org = "acme"
	// gitopsRepository is the GitOps repository's name, in git and on GitHub.
	gitopsRepository = org + "/gitops"
	branch           = "main"
	root             = "idp-root"
	// developer opens the pull requests.
	developer = "alice"
	// deliverers is how many webhooks are in flight at once.
	deliverers = 8
	// reapEvery is how often what has expired is looked for: by default every minute,
	// which would be what is measured.
	reapEvery = time.Second
)

// declared is what the platform team declares.
const declared = "environments:\n  " + deployedTo + ": {}\n"

var checkRuns = regexp.MustCompile(`/check-runs(/[0-9]+)?$`)

// world is a cluster, what idp works with beside it, and idp as a process.
type world struct {
	o   Options
	dir string

	cluster *clustertest.Cluster
	github  *githubtest.Server
	app     *githubtest.App
	// installation is idp's.
	installation *githubtest.Installation
	gitops       *gittest.Repository
	images       *http.Server
	registry     string

	// program is idp's binary, env its configuration.
	program string
	env     []string
	// metrics is where the process tells its metrics.
	metrics string
	// read is the token of idp's account of Argo CD.
	read string
	// pusher is who pushes by hand, as "user:password".
	pusher string

	seen     *sightings
	watching sync.WaitGroup
	stop     context.CancelFunc
	telling  sync.Mutex
	// heard is when the stand-in GitHub was last asked for anything.
	heard atomic.Int64
}

// newWorld starts everything; on an error nothing is left of it.
func newWorld(ctx context.Context, o Options) (w *world, err error) {
	w = &world{o: o, seen: newSightings(), pusher: "hand:" + randomHex(16)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "idp-loadtest-"); err != nil {
		return w, fmt.Errorf("make a folder: %w", err)
	}
	if err := w.buildProgram(ctx); err != nil {
		return w, err
	}
	w.cluster, err = clustertest.Start(ctx, clustertest.Options{ArgoCD: o.ArgoCD, Progress: func(step string, took time.Duration, ended bool) {
		if ended {
			w.tell("%s: %s", step, took.Round(10*time.Millisecond))
		}
	}})
	if err != nil {
		w.cluster = nil
		return w, err
	}
	for _, start := range []func(context.Context) error{w.startGitHub, w.startGit, w.startRegistry, w.bootstrap, w.startProgram} {
		if err := start(ctx); err != nil {
			return w, err
		}
	}
	watched, stop := context.WithCancel(ctx)
	w.stop = stop
	return w, w.watchAll(watched)
}

// close ends everything, in the order that nobody misses who is gone.
func (w *world) close() error {
	var errs []error
	if w.stop != nil {
		w.stop()
	}
	w.watching.Wait()
	if w.cluster != nil {
		errs = append(errs, w.cluster.Close())
	}
	if w.images != nil {
		errs = append(errs, w.images.Close())
	}
	if w.github != nil {
		errs = append(errs, w.github.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

// tell tells of progress.
func (w *world) tell(format string, args ...any) {
	w.telling.Lock()
	defer w.telling.Unlock()
	w.o.Progress(fmt.Sprintf(format, args...))
}

// buildProgram builds idp, unless it is given.
func (w *world) buildProgram(ctx context.Context) error {
	w.program = w.o.Program
	if w.program != "" {
		return nil
	}
	w.program = filepath.Join(w.dir, "idp")
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", w.program, "github.com/idp-bot/idp/cmd/idp")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build idp: %w\n%s", err, out)
	}
	w.tell("build idp: %s", time.Since(began).Round(10*time.Millisecond))
	return nil
}

func (w *world) startGitHub(context.Context) error {
	key, pem, err := githubtest.GenerateKey()
	if err != nil {
		return err
	}
	if err := os.WriteFile(w.keyFile(), pem, 0o600); err != nil {
		return fmt.Errorf("write the App's key: %w", err)
	}
	middleware := w.seeChecks
	if outer := w.o.GitHub; outer != nil {
		middleware = func(next http.Handler) http.Handler { return outer(w.seeChecks(next)) }
	}
	// Nobody is refused for being fast: that is for the pace to see to, which is off.
	w.github = githubtest.New(githubtest.Options{Middleware: middleware, DeliveryWorkers: deliverers, Limits: &githubtest.Limits{}})
	if err := w.github.Start(); err != nil {
		return err
	}
	permissions := githubtest.DefaultPermissions()
	permissions["contents"] = "write" // the App writes the GitOps repository too
	w.app = w.github.AddApp(githubtest.AppOptions{Key: &key.PublicKey, Permissions: permissions})
	w.github.AddOrganization(org)
	w.installation = w.app.Install(org, githubtest.InstallOptions{})
	w.github.AddRepository(gitopsRepository, githubtest.RepositoryOptions{Private: true})
	w.github.AddUser(developer)
	return nil
}

func (w *world) keyFile() string { return filepath.Join(w.dir, "app.pem") }

// startGit makes the GitOps repository, which everybody may read, and which idp writes
// with its App's tokens.
func (w *world) startGit(ctx context.Context) (err error) {
	w.cluster.Git.RequireAuth(func(_, user, password string, _ bool) bool {
		return user+":"+password == w.pusher || w.github.TokenAllows(password, gitopsRepository, "contents", "write")
	})
	w.cluster.Git.OpenReads()
	if w.gitops, err = w.cluster.Git.Create(ctx, gitopsRepository); err != nil {
		return err
	}
	_, err = w.gitops.Commit(ctx, branch, gittest.Edit{
		Message: "Declare environments", Put: []gitops.File{{Path: platform.EnvironmentsPath, Content: []byte(declared)}},
	})
	return err
}

func (w *world) startRegistry(context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the image registry: %w", err)
	}
	w.registry = listener.Addr().String()
	w.images = &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.images.Serve(listener) }() // it ends with close
	return nil
}

// bootstrap configures idp, and applies what it says that it needs, as its README
// tells people to.
func (w *world) bootstrap(ctx context.Context) (err error) {
	w.env = []string{
		"IDP_LISTEN=127.0.0.1:0", "IDP_METRICS_LISTEN=127.0.0.1:0", "IDP_LOG_FORMAT=json",
		"IDP_DATABASE_URL=sqlite://" + filepath.Join(w.dir, "idp.db"), "IDP_STATE_DIR=" + filepath.Join(w.dir, "state"),
		"IDP_GITHUB_API_URL=" + w.github.URL(), "IDP_GITHUB_APP_ID=" + fmt.Sprint(w.app.ID()),
		"IDP_GITHUB_PRIVATE_KEY_FILE=" + w.keyFile(), "IDP_GITHUB_WEBHOOK_SECRET=" + randomHex(32),
		"IDP_GITOPS_URL=" + w.gitops.URL, "IDP_ARGOCD_ROOT=" + root,
		"IDP_PREVIEW_DOMAIN=preview.example.com", "IDP_PREVIEW_ACCESS=public", "IDP_PREVIEW_IMAGE=" + w.registry + "/" + imageName + ":{sha}",
		"IDP_GITOPS_PUSHES_PER_MINUTE=0", "IDP_GITHUB_WRITES_PER_MINUTE=0",
		"IDP_REAP_SCHEDULE=@every " + reapEvery.String(),
	}
	printed, err := w.run(ctx, "bootstrap")
	if err != nil {
		return err
	}
	if err := w.cluster.ApplyAs(ctx, "idp-bootstrap", printed); err != nil {
		return err
	}
	if w.read, err = w.cluster.AccountToken(ctx, argocd.Account); err != nil {
		return err
	}
	w.env = append(w.env, "IDP_ARGOCD_URL="+w.cluster.ArgoCD, "IDP_ARGOCD_TOKEN="+w.read)
	return nil
}

// run runs idp's command to its end and returns what it prints.
func (w *world) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, w.program, args...)
	cmd.Env = append([]string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH")}, w.env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("idp %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// startProgram starts "idp serve", and points the App's webhook at it.
func (w *world) startProgram(ctx context.Context) error {
	var serving struct{ Webhooks, Metrics string }
	err := w.cluster.StartBeside(ctx, clustertest.Beside{
		Name: "idp", Program: w.program, Args: []string{"serve"}, Env: w.env,
		Ready: func(context.Context) error {
			content, err := os.ReadFile(w.logFile())
			if err != nil {
				return err
			}
			for line := range bytes.Lines(content) {
				if json.Unmarshal(line, &serving) == nil && serving.Webhooks != "" {
					return nil
				}
			}
			return errors.New("it does not say where it serves")
		},
	})
	if err != nil {
		return err
	}
	w.metrics = serving.Metrics
	w.app.SetWebhook(serving.Webhooks, w.setting("IDP_GITHUB_WEBHOOK_SECRET"))
	return nil
}

func (w *world) logFile() string { return filepath.Join(w.cluster.Dir(), "idp.log") }

// setting is a variable of idp's configuration.
func (w *world) setting(key string) string {
	for _, variable := range w.env {
		if value, ok := strings.CutPrefix(variable, key+"="); ok {
			return value
		}
	}
	return ""
}

// imageName is the repository of all images: what is in them plays no part.
const imageName = org + "/web"

// pushImage does what CI would. It returns the image by its digest, as it is run.
func (w *world) pushImage(ctx context.Context, sha string) (string, error) {
	ref, err := name.ParseReference(w.registry+"/"+imageName+":"+sha, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("push an image: %w", err)
	}
	image, err := random.Image(256, 1)
	if err != nil {
		return "", fmt.Errorf("make an image: %w", err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", fmt.Errorf("make an image: %w", err)
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push an image: %w", err)
	}
	return w.registry + "/" + imageName + "@" + digest.String(), nil
}

// lastLines are the newest lines of idp's log.
func (w *world) lastLines(most int) string {
	content, err := os.ReadFile(w.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}
