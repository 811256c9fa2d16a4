package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/webhooks/api"
)

// signing is a bot whose API people sign in to.
type signing struct {
	*testing.T
	world *world
	env   []string
	home  string
	repo  *githubtest.Repository
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	validate := githubDescription(t)
	w, err := newWorld(t.Context(), worldOptions{
		dir: t.TempDir(), key: sharedKey, log: slog.New(slog.DiscardHandler), github: validate, env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	if err := w.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &signing{T: t, world: w, home: t.TempDir()}
	s.env = []string{"HOME=" + s.home, serverVariable + "=http://" + w.main.Addr()}
	s.repo = w.github.AddRepository("acme/web", githubtest.RepositoryOptions{Files: map[string]string{".idp/deploy.yaml": exampleSpec}, Private: true})
	s.repo.Grant("alice", "write")
	s.repo.Commit("topic", map[string]string{"a": "a"})
	if _, err := s.repo.OpenPullRequest(githubtest.PullRequestOptions{Author: "alice", Title: "t", Head: "topic"}); err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs the program as somebody at a terminal.
func (s *signing) run(args ...string) (status int, stdout, stderr string) {
	s.Helper()
	var out, errs strings.Builder
	status = run(s.Context(), args, strings.NewReader(""), &out, &errs, s.env)
	return status, out.String(), errs.String()
}

// login signs somebody in, who enters the code or refuses it.
func (s *signing) login(who string, allow bool) (status int, stderr string) {
	s.Helper()
	log, ended := newWatchedLog(), make(chan int, 1)
	go func() { ended <- run(s.Context(), []string{"login"}, strings.NewReader(""), log, log, s.env) }()
	code := log.await(s.T, `Enter (\S+) at http`)[1]
	if !s.world.github.EnterDeviceCode(code, who, allow) {
		s.Fatalf("GitHub knows no code %s", code)
	}
	return <-ended, log.text.String()
}

// Whoever signed in gives commands from then on, until they sign out.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	if status, _, said := s.run("run", "acme/web#1", "help"); status != exitDenied || !strings.Contains(said, "hint: idp login --server http://") {
		t.Errorf("before: %d %s", status, said)
	}
	if status, said := s.login("alice", false); status != exitDenied || !strings.Contains(said, "did not let idp know") {
		t.Errorf("refused: %d %s", status, said)
	}
	if status, said := s.login("alice", true); status != exitOK {
		t.Fatalf("login: %d %s", status, said)
	}
	file := filepath.Join(s.home, ".config", "idp", "tokens.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	status, out, said := s.run("run", fmt.Sprintf("%s/acme/web/pull/1", s.world.github.HTMLURL()), "extend", "24h", "-o", "json")
	var outcome api.Outcome
	if err := json.Unmarshal([]byte(out), &outcome); err != nil || status != exitOK || len(outcome.Results) != 1 || !outcome.Results[0].Done || outcome.State != api.Done {
		t.Errorf("run: %d %s%s", status, out, said)
	}
	if status, _, said := s.run("run", "acme/web#7", "status"); status != exitFailure || !strings.Contains(said, "the pull request is not there any more") {
		t.Errorf("of no pull request: %d %s", status, said)
	}
	if status, out, said := s.run("run", "acme/web#1", "status", "--timeout", "0"); status != exitOK || !strings.Contains(said, "idp has it as ") || out != "" {
		t.Errorf("without waiting: %d %s%s", status, out, said)
	}
	s.runsOut(file)
	if status, out, said := s.run("run", "acme/web#1", "pin"); status != exitOK {
		t.Errorf("with a token that ran out: %d %s%s", status, out, said)
	}
	if status, _, said := s.run("logout"); status != exitOK {
		t.Errorf("logout: %d %s", status, said)
	}
	if status, _, said := s.run("logout"); status != exitFailure || !strings.Contains(said, "not signed in") {
		t.Errorf("logout again: %d %s", status, said)
	}
}

// runsOut makes the kept token one that ran out, which GitHub gives a new one for.
func (s *signing) runsOut(file string) {
	s.Helper()
	held := map[string]*oauth2.Token{}
	content, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(content, &held)
	}
	for _, token := range held {
		token.Expiry, token.AccessToken = time.Now().Add(-time.Hour), "ghu_"+strings.Repeat("0", 36)
	}
	if err == nil {
		content, err = json.Marshal(held)
	}
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil || len(held) != 1 {
		s.Fatalf("%d tokens, %v", len(held), err)
	}
}

// Mistakes are told with what to do, and no token goes where it should not.
func TestRunMistakes(t *testing.T) {
	t.Parallel()
	var told []string
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = append(told, r.Header.Get("Authorization"))
		if r.URL.Path == "/moved"+api.Root+"/repos/acme/web/pulls/1/commands" {
			http.Redirect(w, r, "/taken", http.StatusTemporaryRedirect)
			return
		}
		http.NotFound(w, r)
	}))
	defer elsewhere.Close()
	const token = "ghu_0123456789"
	for name, c := range map[string]struct {
		args   []string
		env    []string
		status int
		said   string
	}{
		"no pull request":    {[]string{"run"}, nil, exitUsage, "the pull request is missing"},
		"no command":         {[]string{"run", "acme/web#1"}, nil, exitUsage, "the command is missing"},
		"an issue's name":    {[]string{"run", "acme/web", "status"}, nil, exitUsage, `"acme/web" is no pull request`},
		"no server":          {[]string{"run", "acme/web#1", "status"}, nil, exitUsage, "it is not known where idp is"},
		"no URL":             {[]string{"run", "acme/web#1", "status", "--server", "idp.example.com"}, nil, exitUsage, "is not the root of a URL"},
		"unencrypted":        {[]string{"run", "acme/web#1", "status", "--server", "http://idp.example.com"}, nil, exitUsage, "would send your token unencrypted"},
		"nobody":             {[]string{"run", "acme/web#1", "status", "--server", elsewhere.URL}, nil, exitDenied, "you are not signed in"},
		"no home":            {[]string{"run", "acme/web#1", "status", "--server", elsewhere.URL}, []string{"HOME="}, exitFailure, "no folder to keep tokens in"},
		"no API":             {[]string{"run", "acme/web#1", "status", "--server", elsewhere.URL}, []string{tokenVariable + "=" + token}, exitFailure, "has no API"},
		"no API to sign in":  {[]string{"login", "--server", elsewhere.URL}, nil, exitFailure, "has no API"},
		"led elsewhere":      {[]string{"run", "acme/web#1", "status", "--server", elsewhere.URL + "/moved"}, []string{tokenVariable + "=" + token}, exitFailure, "answered 307"},
		"nobody listens":     {[]string{"run", "acme/web#1", "status", "--server", "http://127.0.0.1:1"}, []string{tokenVariable + "=" + token}, exitFailure, "cannot be reached"},
		"a broken file":      {[]string{"logout", "--server", elsewhere.URL}, []string{"XDG_CONFIG_HOME=" + brokenTokens(t)}, exitFailure, "cannot be read"},
		"signed out already": {[]string{"logout", "--server", elsewhere.URL}, nil, exitFailure, "you are not signed in"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			status := run(t.Context(), c.args, strings.NewReader(""), &out, &errs, append([]string{"HOME=" + t.TempDir()}, c.env...))
			if status != c.status || !strings.Contains(errs.String(), c.said) || strings.Contains(errs.String()+out.String(), token) {
				t.Errorf("%d, want %d %q:\n%s%s", status, c.status, c.said, out.String(), errs.String())
			}
		})
	}
	if len(told) != 3 {
		t.Errorf("%d requests were made, want one of each that has a token or signs in: a redirect is not followed", len(told))
	}
}

func brokenTokens(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "idp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "idp", "tokens.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
