package main

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

// The secrets of TestNoSecretIsTold, each with a mark of its own.
var (
	canaryWebhook  = secrettest.New("webhook")
	canaryRegistry = secrettest.New("registry")
	canaryGit      = secrettest.New("gitops")
	canaryArgoCD   = secrettest.New("argocd")
)

// canaries is a world whose secrets are marked, and whose peers repeat in their
// answers what they were sent.
type canaries struct {
	*testing.T
	*world
	log  *watchedLog
	sent outgoing
	// files hold secrets because an operator put them there.
	files []string
	// pushing lets CI push without a password; given counts the times that the bot
	// gave it.
	pushing atomic.Bool
	given   atomic.Int64
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	c := armedCanaries(t)
	if err := c.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// armedCanaries is the world of newCanaries before the bot starts.
func armedCanaries(t *testing.T) *canaries {
	t.Helper()
	dir := worldDir(t)
	docker, token := secrettest.Given(filepath.Join(dir, "docker.json")), secrettest.Given(filepath.Join(dir, "gitops.token"))
	c := &canaries{T: t, log: newWatchedLog(t), files: []string{docker, token}}
	validate := githubDescription(t)
	c.write(docker, `{"auths":{}}`)
	c.write(token, canaryGit+"\n")
	argocd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"error":"denied","code":7,"message":"permission denied: %s"}`, r.Header.Get("Authorization"))
	}))
	t.Cleanup(argocd.Close)
	w, err := newWorld(t.Context(), worldOptions{
		dir: dir, log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})), registry: c.guard, key: sharedKey,
		github: func(next http.Handler) http.Handler { return c.sent.record(validate(next)) },
		env: map[string]string{
			"IDP_GITOPS_PUSHES_PER_MINUTE": "0", "IDP_GITHUB_WRITES_PER_MINUTE": "0", "IDP_GITHUB_WEBHOOK_SECRET": canaryWebhook,
			"IDP_IMAGES_DOCKER_CONFIG_FILE": docker, "IDP_GITOPS_TOKEN_FILE": token, "IDP_ARGOCD_URL": argocd.URL, "IDP_ARGOCD_TOKEN": canaryArgoCD,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.world = w
	t.Cleanup(func() { w.close() })
	c.write(docker, fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, w.registryAddr, base64.StdEncoding.EncodeToString([]byte("idp:"+canaryRegistry))))
	w.git.RequireToken("x-access-token", canaryGit)
	return c
}

func (c *canaries) write(path, content string) {
	c.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.Fatal(err)
	}
}

// guard lets nobody see an image without the password, and says which one was wrong.
func (c *canaries) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if c.pushing.Load() || password == canaryRegistry && c.given.Add(1) > 3 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":"wrong: %s %s"}]}`, password, r.Header.Get("Authorization"))
	})
}

// pullRequest opens one whose image is there already.
func (c *canaries) pullRequest() *githubtest.PullRequest {
	c.Helper()
	home := c.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": "service:\n  name: web\n"}})
	home.Grant("alice", "write")
	sha := home.PushAs("alice", "topic", "Change", map[string]string{"a.txt": "a"})
	c.pushing.Store(true)
	if err := c.pushImage(c.Context(), "acme/web", sha); err != nil {
		c.Fatal(err)
	}
	c.pushing.Store(false)
	pr, err := home.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Faster", Head: "topic"})
	if err != nil {
		c.Fatal(err)
	}
	return pr
}

// until waits for something to be true of the pull request's comment.
func (c *canaries) until(pr *githubtest.PullRequest, says string) {
	c.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		for _, comment := range pr.Comments() {
			if isSticky(comment) && strings.Contains(comment.Body, says) {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			c.Fatalf("no comment says %q; %v\n%s", says, pr.Comments(), c.log)
		}
	}
}

// nothing looks for secrets in all that idp wrote until now.
func (c *canaries) nothing() {
	c.Helper()
	found, err := c.leaks(c.Context(), secrettest.For(c.secrets()...), c.log.String(), &c.sent, c.files...)
	if err != nil {
		c.Error(err)
	}
	for _, where := range found {
		c.Error(where)
	}
}

// No secret is told to anybody, whatever happens and whatever peers answer: not in
// comments, checks or deployments, in the GitOps repository, the database, the state
// folder, the log or the metrics.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	c.gitops.RefusePushes(3, "bad credentials x-access-token:"+canaryGit)
	pr := c.pullRequest()
	c.until(pr, "refuses the push")
	if _, err := pr.Comment("alice", "/idp preview\n/idp extend 24h"); err != nil {
		t.Fatal(err)
	}
	c.until(pr, "olling")
	c.ask("pin")
	pr.Close("alice")
	c.until(pr, "pull request closed")
	c.failed()
	c.nothing()
	if err := c.stopBot(); err != nil {
		t.Fatal(err)
	}
	c.nothing()
	if c.given.Load() <= 3 {
		t.Error("the registry was never given its password: the test tests nothing")
	}
}

// ask gives a command through the API, while GitHub repeats what it is asked and then
// answers.
func (c *canaries) ask(command string) {
	c.Helper()
	token := c.app.UserToken("alice")
	for _, fault := range []githubtest.Fault{
		{Path: "/applications/**", Status: http.StatusUnprocessableEntity, Body: `{"message":"no: ` + token + " " + c.app.ClientSecret() + `"}`, Times: 1},
		{Path: "/repos/acme/web", Status: http.StatusUnprocessableEntity, Body: `{"message":"no: ` + token + `"}`, Times: 1},
	} {
		c.github.Inject(fault)
		var out, errs strings.Builder
		status := searchedRun(c.Context(), c, []string{"run", "acme/web#1", command, "--timeout", "30s"}, strings.NewReader(""), &out, &errs, []string{
			serverVariable + "=http://" + c.main.Addr(), tokenVariable + "=" + token,
		})
		if status != exitOK || strings.Contains(out.String()+errs.String(), token) {
			c.Errorf("%s ends with %d:\n%s%s", command, status, out.String(), errs.String())
		}
	}
}

// failed shows that the failures on the way were counted.
func (c *canaries) failed() {
	c.Helper()
	metrics, err := fetch("http://" + c.main.MetricsAddr() + "/metrics")
	if err != nil {
		c.Fatal(err)
	}
	for _, kind := range []string{"image", "commit", "refresh"} {
		if !regexp.MustCompile(`idp_errors_total{kind="` + kind + `"} [1-9]`).MatchString(metrics) {
			c.Errorf("failures of kind %s are not counted", kind)
		}
	}
}

// marks are texts that secrets of the world are known by, as they are and as they stand in
// a header or a file.
func (c *canaries) marks() []string {
	client := base64.StdEncoding.EncodeToString([]byte(c.app.ClientID() + ":" + c.app.ClientSecret()))
	return append(c.secrets(), "ghs_", "ghu_", "ghr_", "ghp_", "Bearer eyJ", "PRIVATE KEY", client,
		canaryRegistry, base64.StdEncoding.EncodeToString([]byte("idp:"+canaryRegistry)),
		canaryGit, base64.StdEncoding.EncodeToString([]byte("x-access-token:"+canaryGit)))
}

// TestLeaksAreFound plants each mark everywhere that is looked at: what finds nothing in
// every scenario would find it.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	c.nothing()
	secrettest.Given(c.options.dir) // from here on it holds what is planted
	marks := c.marks()
	var places []string
	for i, mark := range marks {
		planted := filepath.Join(c.options.dir, "state", "planted")
		c.write(planted, "x"+mark+"y")
		commit, err := c.gitops.Commit(t.Context(), branch, gittest.Edit{Put: []gitops.File{{Path: "planted", Content: []byte(mark)}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.main.store.AddDelivery(t.Context(), store.Delivery{GUID: fmt.Sprint("planted-", i), Event: "ping", Payload: []byte(mark)}); err != nil {
			t.Fatal(err)
		}
		c.main.registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "planted", ConstLabels: prometheus.Labels{"mark": mark}}))
		var sent outgoing
		sent.b.WriteString(mark)
		found, err := c.leaks(t.Context(), secrettest.Only(mark), "a log with "+mark, &sent, c.files...)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(found, "\n")
		places = []string{"the log ", "a request to GitHub ", "a metric ", "an object of ", planted + " ", "idp.db"}
		for _, where := range places {
			if !strings.Contains(all, where) {
				t.Errorf("%q is not found in %s (commit %s):\n%s", mark, where, commit, all)
			}
		}
	}
	figure.Tell(t, "%d marks of secrets planted in %d places each, the database and the metrics among them: all found, and none before", len(marks), len(places))
}

// TestCrashTellsNoSecret ends the real program as a crash would, with everything that
// the runtime has to say.
func TestCrashTellsNoSecret(t *testing.T) {
	t.Parallel()
	c := armedCanaries(t)
	p := startProcess(t, c.world)
	pr := c.pullRequest()
	c.until(pr, "olling")
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	p.once.Do(func() {
		if err := p.cmd.Wait(); err == nil {
			t.Error("it ended well")
		}
	})
	said := p.log.String() // it is not written any more
	if !strings.Contains(said, "SIGQUIT: quit") || !strings.Contains(said, "goroutine ") {
		t.Fatalf("that is no crash:\n%s", said)
	}
	if c.given.Load() <= 3 {
		t.Error("the registry was never given its password: the test tests nothing")
	}
	marks := c.marks()
	found, err := c.leaks(t.Context(), secrettest.For(c.secrets()...), said, &c.sent, c.files...)
	if err != nil {
		t.Fatal(err)
	}
	for _, where := range found {
		t.Error(where)
	}
	figure.Tell(t, "a crash of the program with %d marks of secrets in it: %d lines told, %d marks", len(marks), strings.Count(said, "\n"), len(found))
}
