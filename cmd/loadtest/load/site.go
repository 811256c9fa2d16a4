package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/previews/store"
)

// longest is how long a work waits for one thing of idp's before it gives up.
const longest = 30 * time.Minute

// site is a stage with one idp on it.
type site struct {
	*stage.Stage
	program *stage.Program
	secret  string
	client  *http.Client
	landed  *landings
	store   *store.Store
	ending  func(*stage.Stage) error
}

// open starts everything, with settings beside the usual ones. middleware, when set, sees
// the requests to GitHub. On an error nothing is left of it.
func (r *run) open(ctx context.Context, middleware func(http.Handler) http.Handler, settings ...string) (s *site, err error) {
	under, err := stage.New("idp-loadtest-")
	if err != nil {
		return nil, err
	}
	s = &site{Stage: under, secret: secrettest.New("webhook"), ending: r.Ending}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.StartGitHub(1, middleware); err != nil {
		return s, err
	}
	if err := s.StartGit(ctx); err != nil {
		return s, err
	}
	// The limits on how many previews there are would be what is measured.
	unlimited := gitops.File{Path: policy.SettingsPath, Content: []byte("max_previews: {repository: 0, team: 0, author: 0}\n")}
	begin := gittest.Edit{Message: "Begin", Put: []gitops.File{unlimited}}
	if _, err := s.GitOps.Commit(ctx, stage.Branch, begin); err != nil {
		return s, err
	}
	if err := s.StartDatabase(false); err != nil {
		return s, err
	}
	s.landed = watch(s.GitOps)
	env := append(s.Environment(s.secret, s.GitOps.URL, "state"), "IDP_SWEEP_SCHEDULE=@every 24h")
	s.program = &stage.Program{Name: "idp", Path: r.Program, Log: filepath.Join(s.Dir, "idp.log"), Env: append(env, settings...)}
	if r.Profiles != "" {
		at, err := freeAddress()
		if err != nil {
			return s, err
		}
		s.program.Env = append(s.program.Env, profileAt+"="+at)
	}
	s.client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: r.Connections, MaxIdleConnsPerHost: r.Connections}, Timeout: 30 * time.Second}
	return s, s.start(ctx)
}

// start starts the program, and points GitHub's webhook at it.
func (s *site) start(ctx context.Context) error {
	if err := s.program.Start(ctx); err != nil {
		return err
	}
	s.App.SetWebhook(s.program.Address(), s.secret)
	if s.store != nil {
		return nil
	}
	opened, err := store.Open(ctx, store.Options{URL: s.Database, Existing: true})
	s.store = opened
	return err
}

// close ends everything.
func (s *site) close() error {
	if s.program != nil {
		s.program.Terminate()
	}
	if s.client != nil {
		s.client.CloseIdleConnections()
	}
	if s.landed != nil {
		s.landed.end()
	}
	var err error
	if s.store != nil {
		err = s.store.Close()
	}
	if s.ending != nil {
		err = errors.Join(err, s.ending(s.Stage))
	}
	return errors.Join(err, s.Stage.Close())
}

// freeAddress is an address of loopback that nobody listens at.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// repository adds one that has a deploy file.
func (s *site) repository(name string) *githubtest.Repository {
	repo := s.GitHub.AddRepository(stage.Org+"/"+name, githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": stage.DeploySpec}})
	repo.Grant(stage.Developer, "write")
	return repo
}

// pull pushes a branch and opens its pull request.
func pull(in *githubtest.Repository, branch string) (*githubtest.PullRequest, error) {
	in.PushAs(stage.Developer, branch, "Begin "+branch, map[string]string{branch + ".txt": "1"})
	return in.OpenPullRequest(githubtest.PullRequestOptions{Author: stage.Developer, Title: branch, Head: branch})
}

// delivery is one webhook as GitHub sends it.
func delivery(url, secret, event string, body []byte) (*http.Request, error) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-GitHub-Event", event)
	request.Header.Set("X-GitHub-Delivery", uuid.NewString())
	request.Header.Set("X-Hub-Signature-256", githubtest.Sign(secret, body))
	return request, nil
}

// send sends it, and is an error where it is not taken.
func send(client *http.Client, request *http.Request) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("a webhook was answered %s: %s", response.Status, said)
	}
	return err
}

// drained waits until no delivery waits and no environment has something to commit or say.
func (s *site) drained(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	quiet := 0
	return stage.Until(ctx, 200*time.Millisecond, func() (bool, error) {
		with, err := s.busy(ctx)
		if err != nil || with {
			quiet = 0
			return false, err
		}
		quiet++ // what is under way may still say something
		return quiet == 3, nil
	})
}

// busy says whether idp has something to do.
func (s *site) busy(ctx context.Context) (bool, error) {
	if depth, err := s.store.QueueDepth(ctx); err != nil || depth > 0 {
		return true, err
	}
	if rows, err := s.store.Uncommitted(ctx, gitops.Lane{}, 1); err != nil || len(rows) > 0 {
		return true, err
	}
	soon := time.Now().Add(time.Hour)
	if unsaid, err := s.store.Unreported(ctx, soon, 1); err != nil || len(unsaid) > 0 {
		return true, err
	}
	effects, err := s.store.PendingEffects(ctx, soon, 1)
	return len(effects) > 0, err
}
