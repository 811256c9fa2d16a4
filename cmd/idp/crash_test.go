package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/bot/report"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews"
	"github.com/idp-bot/idp/previews/store"
)

// process is the real program, run by itself.
type process struct {
	cmd  *exec.Cmd
	log  *watchedLog
	addr string
	once sync.Once
}

// startProcess starts "idp serve" in the world's place and points the App's
// webhook at it.
func startProcess(t *testing.T, w *world) *process {
	t.Helper()
	p := &process{cmd: exec.Command("idp", "serve"), log: newWatchedLog(t)}
	p.cmd.Stderr = p.log
	p.cmd.Env = append(os.Environ(),
		"IDP_LISTEN=127.0.0.1:0", "IDP_METRICS_LISTEN=127.0.0.1:0",
		"IDP_DATABASE_URL="+w.cfg.DatabaseURL.Reveal(), "IDP_STATE_DIR="+w.cfg.StateDir,
		"IDP_GITHUB_API_URL="+w.cfg.GitHubAPIURL, "IDP_GITHUB_APP_ID="+strconv.FormatInt(w.cfg.GitHubAppID, 10),
		"IDP_GITHUB_PRIVATE_KEY_FILE="+w.cfg.GitHubPrivateKeyFile, "IDP_GITHUB_WEBHOOK_SECRET="+w.cfg.GitHubWebhookSecret[0].Reveal(),
		"IDP_GITOPS_URL="+w.cfg.GitOpsURL, "IDP_GITOPS_PUSHES_PER_MINUTE=0", "IDP_PREVIEW_DOMAIN="+w.cfg.PreviewDomain,
		"IDP_PREVIEW_IMAGE="+w.registryAddr+"/{owner}/{repo}:{sha}", "IDP_PREVIEW_ACCESS="+w.cfg.PreviewAccess,
	)
	for key, value := range map[string]string{
		"IDP_GITOPS_TOKEN_FILE": w.cfg.GitOpsTokenFile, "IDP_IMAGES_DOCKER_CONFIG_FILE": w.cfg.ImagesDockerConfigFile,
		"IDP_ARGOCD_URL": w.cfg.ArgoCDURL, "IDP_ARGOCD_TOKEN": w.cfg.ArgoCDToken.Reveal(),
	} {
		if value != "" {
			p.cmd.Env = append(p.cmd.Env, key+"="+value)
		}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.addr = p.log.await(t, servingAt)[1]
	w.app.SetWebhook("http://"+p.addr+"/webhooks/github", w.cfg.GitHubWebhookSecret[0].Reveal())
	return p
}

// kill is "kill -9", and waits for the end.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // it was killed
	})
}

// stop is SIGTERM; it returns how the program ended.
func (p *process) stop() (err error) {
	p.once.Do(func() {
		err = errors.Join(p.cmd.Process.Signal(syscall.SIGTERM), p.cmd.Wait())
	})
	return err
}

// crashWorld is a world whose bot is a process of its own that dies when armed.
type crashWorld struct {
	*testing.T
	*world
	repo *githubtest.Repository
	// strike, when set, is called on each request to GitHub, before it is served.
	strike atomic.Pointer[func(*http.Request)]
	opened int
}

func newCrashWorld(t *testing.T) *crashWorld {
	t.Helper()
	c, validate := &crashWorld{T: t}, githubDescription(t)
	var err error
	c.world, err = newWorld(t.Context(), worldOptions{
		dir: worldDir(t), key: sharedKey, log: secrettest.Logger(t),
		github: func(next http.Handler) http.Handler {
			next = validate(next)
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				// What is sent is read before the sender dies.
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return
				}
				r.Body = io.NopCloser(bytes.NewReader(body))
				if strike := c.strike.Load(); strike != nil {
					(*strike)(r)
				}
				next.ServeHTTP(rw, r)
			})
		},
	})
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	c.github.AddUser("alice")
	c.repo = c.github.AddRepository("acme/payments-api", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": exampleSpec}})
	c.repo.Grant("alice", "write")
	return c
}

// open opens a pull request whose image is there already.
func (c *crashWorld) open() *githubtest.PullRequest {
	c.Helper()
	c.opened++
	branch := fmt.Sprintf("branch-%d", c.opened)
	sha := c.repo.PushAs("alice", branch, "Change", map[string]string{branch: "x"})
	if err := c.pushImage(c.Context(), c.repo.FullName(), sha); err != nil {
		c.Fatal(err)
	}
	pr, err := c.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: branch, Head: branch})
	if err != nil {
		c.Fatal(err)
	}
	return pr
}

// settled waits until everything is committed and said.
func (c *crashWorld) settled() {
	c.Helper()
	s, err := store.Open(c.Context(), store.Options{URL: c.cfg.DatabaseURL.Reveal(), Existing: true})
	if err != nil {
		c.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(c.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		rows, err := s.Environments(ctx, store.Filter{State: previews.StateCommitted})
		if err != nil {
			c.Fatal(err)
		}
		unsaid, err := s.Unreported(ctx, time.Now().Add(time.Hour), 1)
		if err != nil {
			c.Fatal(err)
		}
		if len(rows) == c.opened && len(unsaid) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			c.Fatalf("%d of %d previews are committed", len(rows), c.opened)
		}
	}
}

// once holds that the pull request was committed once and told once.
func (c *crashWorld) once(pr *githubtest.PullRequest) {
	c.Helper()
	tip, err := c.gitops.Tip(c.Context(), c.cfg.GitOpsBranch)
	if err != nil {
		c.Fatal(err)
	}
	messages, err := c.gitops.Messages(c.Context(), tip)
	if err != nil {
		c.Fatal(err)
	}
	key := fmt.Sprintf("Idp-Change: %d/pr-%d@1", c.repo.ID(), pr.Number())
	if n := strings.Count(strings.Join(messages, "\n")+"\n", key+"\n"); n != 1 {
		c.Errorf("%q stands in %d commits", key, n)
	}
	comments, checks, deployments := 0, 0, 0
	for _, comment := range pr.Comments() {
		if strings.HasPrefix(comment.Body, report.Marker) {
			comments++
		}
	}
	for _, check := range pr.CheckRuns() {
		if checks++; check.Status != "completed" {
			c.Errorf("check %q is %s", check.Title, check.Status)
		}
	}
	for _, d := range c.repo.Deployments() {
		if d.SHA == pr.HeadSHA() {
			deployments++
		}
	}
	if comments != 1 || checks != 1 || deployments != 1 {
		c.Errorf("%d comments, %d checks, %d deployments", comments, checks, deployments)
	}
}

// TestCrash kills the real program after it has answered 202, at moments that it
// cannot choose, and starts it again: the preview is committed once and told once.
// With IDP_TEST_KILLS=N it is killed N times more, at any time.
func TestCrash(t *testing.T) {
	t.Parallel()
	c := newCrashWorld(t)
	onRequest := func(method, part string) func(*crashWorld, func()) {
		return func(c *crashWorld, kill func()) {
			strike := func(r *http.Request) {
				if r.Method == method && strings.Contains(r.URL.Path, part) {
					kill()
				}
			}
			c.strike.Store(&strike)
		}
	}
	for _, moment := range []struct {
		name string
		arm  func(*crashWorld, func())
	}{
		{"the event is handled", onRequest("GET", "/contents/")},
		{"the commit is pushed", func(c *crashWorld, kill func()) { c.gitops.BeforePush(kill) }},
		{"the push has landed", func(c *crashWorld, kill func()) { c.gitops.AfterPush(kill) }},
		{"the check is created", onRequest("POST", "/check-runs")},
		{"the comment is written", onRequest("POST", "/comments")},
	} {
		p := startProcess(t, c.world)
		killed := make(chan struct{})
		var once sync.Once
		moment.arm(c, func() {
			once.Do(func() {
				// The sender dies before it hears of what it sent. Only what was stored
				// is known: the webhook was answered.
				p.kill()
				close(killed)
			})
		})
		pr := c.open()
		select {
		case <-killed:
		case <-time.After(60 * time.Second):
			t.Fatalf("%s: never", moment.name)
		}
		c.disarm()
		c.goesOn(moment.name, pr)
	}
	for range extraKills(t) {
		p := startProcess(t, c.world)
		pr := c.open()
		if err := c.github.WaitDeliveries(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Any moment of the half second that the rest takes.
		after := time.Duration(time.Now().UnixNano()%500) * time.Millisecond
		<-time.After(after)
		p.kill()
		c.goesOn("after "+after.String(), pr)
	}
}

func (c *crashWorld) disarm() {
	c.strike.Store(nil)
	c.gitops.BeforePush(nil)
	c.gitops.AfterPush(nil)
}

// goesOn starts the program again and holds what comes of it.
func (c *crashWorld) goesOn(when string, pr *githubtest.PullRequest) {
	c.Helper()
	failed := c.Failed()
	p := startProcess(c.T, c.world)
	c.settled()
	c.once(pr)
	if err := p.stop(); err != nil {
		c.Errorf("on SIGTERM: %v", err)
	}
	if c.Failed() && !failed {
		c.Errorf("that was with a kill when %s", when)
	}
}

func extraKills(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("IDP_TEST_KILLS"))
	if err != nil && os.Getenv("IDP_TEST_KILLS") != "" {
		t.Fatalf("IDP_TEST_KILLS: %v", err)
	}
	return n
}
