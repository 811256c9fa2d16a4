//go:build e2e

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// The end-to-end tests run the real bot against a real Kubernetes with a real Argo CD
// (gitops/clustertest), with GitHub alone a stand-in. All of them use one cluster at a
// time, one after the other: they have a machine of two cores in mind.
//
//	go test -tags=e2e -timeout 60m ./cmd/idp -run EndToEnd

// TestEndToEnd plays everything on the version of Argo CD that people run.
func TestEndToEnd(t *testing.T) {
	s := newStage(t, clustertest.ArgoCD35)
	for _, c := range []struct {
		name string
		play func(*scene)
	}{
		{"doctor", doctorReads}, // before there is any namespace of previews
		{"dry run", dryRun},
		{"dry run of charts and overlays", dryRunAdopted},
		{"dry run of hostile charts", dryRunHostile},
		{"install dry run", installDryRun},
		{"fence", fence},
		{"preview", previewLives},
		{"logs", podsLog},
		{"scrapes", prometheusScrapes},
		{"brings a chart", bringsSource("chart", "shop", "main.go", "Deployment shop", "StatefulSet shop-cache")},
		{"brings overlays", bringsSource("overlay", "blog", "server.js", "Deployment blog-preview")},
		{"brings manifests", bringsSource("manifests", "site", "main.go", "Deployment site")},
		{"brings a monorepo", bringsMonorepo},
		{"two repositories", twoRepositories},
		{"image cannot be pulled", imageCannotBePulled},
		{"pod crashes", podCrashes},
		{"quota exceeded", quotaExceeded},
		{"hand edit on the cluster", handEditOnCluster},
		{"force-push mid-sync", forcePushMidSync},
		{"closed mid-sync", closedMidSync},
		{"fix during a retry", fixDuringRetry},
		{"idp restarted mid-sync", restartedMidSync},
		{"Argo CD down", argoCDDown},
		{"repo server down", repoServerDown},
		{"stuck on a finalizer", stuckOnFinalizer},
		{"expired together", expiredTogether},
		{"deploy by canary", deploysByCanary},
		{"deploy that errs", errorsRollBack},
		{"deploy and roll back", rolledBack},
		{"deploy and abort", abortedMidCanary},
		{"deploy of two", oneOfTwoPaused},
		{"deploy through a restart", restartedMidCanary},
		{"deploy without data", nothingMeasured},
		{"deploy and promote", promoted},
		{"deploy by pull request", deploysByPullRequest},
		{"deploy, lock and queue", lockedAndQueued},
		{"deploy to files of a team", updatesTheirs},
	} {
		t.Run(c.name, func(t *testing.T) { c.play(s.scene(t)) })
	}
}

// TestEndToEndOldest plays the core on the version of Argo CD whose types idp imports.
func TestEndToEndOldest(t *testing.T) {
	s := newStage(t, clustertest.ArgoCD214)
	for _, c := range []struct {
		name string
		play func(*scene)
	}{
		{"fence", fence},
		{"preview", previewLives},
		{"image cannot be pulled", imageCannotBePulled},
		{"stuck on a finalizer", stuckOnFinalizer},
		{"hand edit on the cluster", handEditOnCluster},
		{"fix during a retry", fixDuringRetry},
	} {
		t.Run(c.name, func(t *testing.T) { c.play(s.scene(t)) })
	}
}

// stage is a cluster and a world whose bot follows it.
type stage struct {
	*world
	cluster *clustertest.Cluster
	clock   *shiftedClock
	log     *watchedLog
	sent    outgoing
	// read is the token of idp's account of Argo CD.
	read string
	// ctx is the bot's.
	ctx context.Context
}

// scene is a test on the stage.
type scene struct {
	*testing.T
	*stage
}

func (s *stage) scene(t *testing.T) *scene { return &scene{t, s} }

// shiftedClock runs with the real one, which real controllers go by, and ahead of it
// where a test says so.
type shiftedClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *shiftedClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *shiftedClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// newStage starts a cluster, applies to it what idp says that it needs, and starts
// idp, all as the README tells people to.
func newStage(t *testing.T, version string) *stage {
	t.Helper()
	began, dir := time.Now(), worldDir(t) // removed after the cleanup below
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{clock: &shiftedClock{}, log: newWatchedLog(t), ctx: ctx}
	t.Cleanup(func() {
		if s.world != nil {
			found, err := s.leaks(ctx, secrettest.For(s.secrets()...), s.log.String(), &s.sent)
			if err != nil {
				t.Errorf("it is not known whether idp told secrets: %v", err)
			}
			for _, where := range found {
				t.Error(where)
			}
		}
		cancel()
		if s.world != nil {
			if err := s.world.close(); err != nil {
				t.Error(err)
			}
		}
		if s.cluster != nil {
			if err := s.cluster.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	var err error
	s.cluster, err = clustertest.Start(ctx, clustertest.Options{ArgoCD: version, Progress: func(step string, took time.Duration, ended bool) {
		if ended {
			t.Logf("%s: %s", step, took.Round(10*time.Millisecond))
		}
	}})
	if err != nil {
		s.cluster = nil
		t.Fatal(err)
	}
	validate := githubDescription(t)
	s.world, err = newWorld(ctx, worldOptions{
		dir: dir, now: s.clock.now, key: sharedKey,
		github: func(next http.Handler) http.Handler { return s.sent.record(validate(next)) },
		log:    slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		env: map[string]string{
			// Paces are kept on a real clock, which tests would wait for; schedules too:
			// a test reaps when it says so.
			"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0",
			"IDP_REAP_SCHEDULE": "@every 24h", "IDP_SWEEP_SCHEDULE": "@every 24h",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.git.OpenReads() // Argo CD has no token of the App's
	s.bootstrap(t)
	s.github.AddUser("alice")
	if err := s.start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("the stage is set after %s", time.Since(began).Round(time.Second))
	return s
}

// bootstrap applies what "idp bootstrap" prints and gives idp its token.
func (s *stage) bootstrap(t *testing.T) {
	t.Helper()
	var stdout, stderr strings.Builder
	env := make([]string, 0, len(s.env))
	for key, value := range s.env {
		env = append(env, key+"="+value)
	}
	if status := searchedRun(t.Context(), t, []string{"bootstrap", "--impersonate", "--logs"}, nil, &stdout, &stderr, env); status != exitOK {
		t.Fatalf("idp bootstrap ended with %d: %s", status, stderr.String())
	}
	if err := s.cluster.ApplyAs(t.Context(), "idp-bootstrap", []byte(stdout.String())); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.read, err = s.cluster.AccountToken(t.Context(), argocd.Account); err != nil {
		t.Fatal(err)
	}
	if err := s.reconfigure(map[string]string{"IDP_ARGOCD_URL": s.cluster.ArgoCD, "IDP_ARGOCD_TOKEN": s.read}); err != nil {
		t.Fatal(err)
	}
}

// longest is how long a test waits for one thing to happen on the cluster.
const longest = 3 * time.Minute

// await wants what is asked to be no error in the end, and tells how long it took.
func (s *scene) await(what string, ask func() error) {
	s.Helper()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for err := ask(); err != nil; err = ask() {
		if time.Since(began) > longest {
			s.Fatalf("not so after %s: %s: %v\nthe bot's log:\n%s", longest, what, err, lastLines(s.log.String(), 60))
		}
		<-tick.C
	}
	s.Logf("%s: %s", what, time.Since(began).Round(10*time.Millisecond))
}

func lastLines(text string, most int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}

// must ends the test on an error.
func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// The kinds that tests look at.
var (
	namespaces  = corev1.SchemeGroupVersion.WithKind("Namespace")
	pods        = corev1.SchemeGroupVersion.WithKind("Pod")
	deployments = appsv1.SchemeGroupVersion.WithKind("Deployment")
)

func (s *scene) objects(kind schema.GroupVersionKind, namespace string) dynamic.ResourceInterface {
	s.Helper()
	r, err := s.cluster.Resource(kind, namespace)
	s.must(err)
	return r
}

// get reads an object off the cluster into its type.
func (s *scene) get(kind schema.GroupVersionKind, namespace, name string, into any) error {
	object, err := s.objects(kind, namespace).Get(s.ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, into)
}

// absent wants the cluster to have no such object.
func (s *scene) absent(kind schema.GroupVersionKind, namespace, name string) error {
	object, err := s.objects(kind, namespace).Get(s.ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s %s is there, its finalizers %v, its deletion asked for at %v", kind.Kind, name, object.GetFinalizers(), object.GetDeletionTimestamp())
}

// podsOf lists the pods of a namespace.
func (s *scene) podsOf(namespace string) []unstructured.Unstructured {
	s.Helper()
	found, err := s.objects(pods, namespace).List(s.ctx, metav1.ListOptions{})
	s.must(err)
	return found.Items
}

// askArgoCD asks with the token that idp has.
func (s *scene) askArgoCD(path string, out any) error {
	return s.cluster.AskArgoCD(s.ctx, s.read, http.MethodGet, path, nil, out)
}

// stopPart stops a part of the cluster until the function that it returns is called, or
// the test ends.
func (s *scene) stopPart(name string) (start func()) {
	s.Helper()
	s.must(s.cluster.StopPart(name))
	var once sync.Once
	start = func() {
		s.Helper()
		once.Do(func() { s.must(s.cluster.StartPart(s.ctx, name)) })
	}
	s.Cleanup(start)
	return start
}
