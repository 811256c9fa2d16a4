package main

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
)

// The secrets of TestNoSecretIsTold, each with a mark of its own.
const (
	canaryWebhook  = "canary-webhook-0123456789abcdef0123456789"
	canaryRegistry = "canary-registry-password"
	canaryGit      = "canary-gitops-token"
	canaryArgoCD   = "canary-argocd-token"
)

// canaries is a world whose secrets are marked, and whose peers repeat in their
// answers what they were sent.
type canaries struct {
	*testing.T
	*world
	log *lockedBuffer
	// secretFiles hold secrets because an operator put them there.
	secretFiles map[string]bool
	marks       []string
	// pushing lets CI push without a password; given counts the times that the bot
	// gave it.
	pushing atomic.Bool
	given   atomic.Int64
}

func newCanaries(t *testing.T) *canaries {
	t.Helper()
	dir := t.TempDir()
	docker, token := filepath.Join(dir, "docker.json"), filepath.Join(dir, "gitops.token")
	c := &canaries{
		T: t, log: &lockedBuffer{}, secretFiles: map[string]bool{docker: true, token: true, filepath.Join(dir, "app.pem"): true},
		// An installation's token begins with ghs_, a JWT with eyJ.
		marks: []string{canaryWebhook, canaryRegistry, canaryGit, canaryArgoCD, "ghs_", "Bearer eyJ", "PRIVATE KEY"},
	}
	c.write(docker, `{"auths":{}}`)
	c.write(token, canaryGit+"\n")
	argocd := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"error":"denied","code":7,"message":"permission denied: %s"}`, r.Header.Get("Authorization"))
	}))
	t.Cleanup(argocd.Close)
	w, err := newWorld(t.Context(), worldOptions{
		dir: dir, log: slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelDebug})), registry: c.guard, key: sharedKey, github: githubDescription(t),
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
	c.markFiles(docker)
	w.git.RequireToken("x-access-token", canaryGit)
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *canaries) write(path, content string) {
	c.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		c.Fatal(err)
	}
}

// markFiles takes some of the key, and the password as it is in its file and header.
func (c *canaries) markFiles(docker string) {
	c.Helper()
	_, made, err := sharedKey()
	if err != nil {
		c.Fatal(err)
	}
	block, _ := pem.Decode(made)
	encoded := base64.StdEncoding.EncodeToString(block.Bytes)
	c.marks = append(c.marks, encoded[200:240], base64.StdEncoding.EncodeToString([]byte("idp:"+canaryRegistry)),
		base64.StdEncoding.EncodeToString([]byte("x-access-token:"+canaryGit)))
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

// nowhere looks for the marks in something that idp wrote.
func (c *canaries) nowhere(where, text string) {
	c.Helper()
	for _, mark := range c.marks {
		if at := strings.Index(text, mark); at >= 0 {
			c.Errorf("%s tells %q: …%.200s", where, mark, text[max(at-100, 0):])
		}
	}
}

// No secret is told to anybody, whatever happens and whatever peers answer: not in
// comments, checks or deployments, in the GitOps repository, the database, the state
// folder, the log or the metrics.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	c := newCanaries(t)
	home := c.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": "service:\n  name: web\n"}})
	home.Grant("alice", "write")
	c.gitops.RefusePushes(3, "bad credentials x-access-token:"+canaryGit)
	sha := home.PushAs("alice", "topic", "Change", map[string]string{"a.txt": "a"})
	c.pushing.Store(true)
	if err := c.pushImage(t.Context(), "acme/web", sha); err != nil {
		t.Fatal(err)
	}
	c.pushing.Store(false)
	pr, err := home.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "Faster", Head: "topic"})
	if err != nil {
		t.Fatal(err)
	}
	c.until(pr, "refuses the push")
	c.said(home, pr)
	if _, err := pr.Comment("alice", "/idp preview\n/idp extend 24h"); err != nil {
		t.Fatal(err)
	}
	c.until(pr, "olling")
	c.said(home, pr)
	pr.Close("alice")
	c.until(pr, "pull request closed")
	c.said(home, pr)
	c.gitopsRepository()
	c.metrics()
	if err := c.stopBot(); err != nil {
		t.Fatal(err)
	}
	c.files()
	c.nowhere("the log", c.log.String())
	if c.given.Load() <= 3 {
		t.Error("the registry was never given its password: the test tests nothing")
	}
}

// said looks at what stands on GitHub now.
func (c *canaries) said(home *githubtest.Repository, pr *githubtest.PullRequest) {
	c.Helper()
	for _, comment := range pr.Comments() {
		c.nowhere("a comment", comment.Body)
	}
	c.nowhere("a check", fmt.Sprintf("%+v", home.CheckRuns()))
	c.nowhere("a deployment", fmt.Sprintf("%+v", home.Deployments()))
}

// metrics also shows that the failures on the way were counted.
func (c *canaries) metrics() {
	c.Helper()
	answer, err := http.Get("http://" + c.main.MetricsAddr() + "/metrics")
	if err != nil {
		c.Fatal(err)
	}
	metrics, err := io.ReadAll(answer.Body)
	if err := answer.Body.Close(); err != nil {
		c.Fatal(err)
	}
	if err != nil {
		c.Fatal(err)
	}
	for _, kind := range []string{"image", "commit", "refresh"} {
		if !regexp.MustCompile(`idp_errors_total{kind="` + kind + `"} [1-9]`).Match(metrics) {
			c.Errorf("failures of kind %s are not counted", kind)
		}
	}
	c.nowhere("a metric", string(metrics))
}

func (c *canaries) gitopsRepository() {
	c.Helper()
	tip, err := c.gitops.Tip(c.Context(), branch)
	if err != nil {
		c.Fatal(err)
	}
	messages, err := c.gitops.Messages(c.Context(), tip)
	if err != nil {
		c.Fatal(err)
	}
	c.nowhere("a commit", strings.Join(messages, "\n"))
	for commit := range len(messages) {
		_, patch, err := c.gitops.Show(c.Context(), fmt.Sprintf("%s~%d", tip, commit))
		if err != nil {
			c.Fatal(err)
		}
		c.nowhere("a file in the GitOps repository", patch)
	}
}

// files looks at all that idp left on disk: the database and its log among it.
func (c *canaries) files() {
	c.Helper()
	err := filepath.WalkDir(c.options.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || c.secretFiles[path] {
			return err
		}
		content, err := os.ReadFile(path)
		c.nowhere(path, string(content))
		return err
	})
	if err != nil {
		c.Error(err)
	}
}
