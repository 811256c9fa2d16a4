package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
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
		dir: worldDir(t), key: sharedKey, log: secrettest.Logger(t), github: validate, env: map[string]string{"IDP_GITOPS_PUSHES_PER_MINUTE": "0"},
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
	s := &signing{T: t, world: w, home: secrettest.Dir(t)}
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
	status = searchedRun(s.Context(), s, args, strings.NewReader(""), &out, &errs, s.env)
	return status, out.String(), errs.String()
}

// login signs somebody in, who enters the code or refuses it.
func (s *signing) login(who string, allow bool) (status int, stderr string) {
	s.Helper()
	log, ended := newWatchedLog(s), make(chan int, 1)
	go func() {
		ended <- searchedRun(s.Context(), s, []string{"login"}, strings.NewReader(""), log, log, s.env)
	}()
	code := log.await(s.T, `Enter (\S+) at http`)[1]
	if !s.world.github.EnterDeviceCode(code, who, allow) {
		s.Fatalf("GitHub knows no code %s", code)
	}
	return <-ended, log.String()
}

// Whoever signed in gives commands from then on, until they sign out.
func TestLogin(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	if status, _, said := s.run("run", "acme/web#1", "help"); status != exitDenied || !strings.Contains(said, "hint: idp login --server http://") {
		t.Errorf("before: %d %s", status, said)
	}
	s.world.app.SetDeviceFlow(false)
	if status, _, said := s.run("login"); status != exitFailure || !strings.Contains(said, "Enable Device Flow") {
		t.Errorf("without the device flow: %d %s", status, said)
	}
	s.world.app.SetDeviceFlow(true)
	if status, said := s.login("alice", false); status != exitDenied || !strings.Contains(said, "did not let idp know") {
		t.Errorf("refused: %d %s", status, said)
	}
	if status, said := s.login("alice", true); status != exitOK {
		t.Fatalf("login: %d %s", status, said)
	}
	file := s.file()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info, err)
	}
	status, out, said := s.run("run", fmt.Sprintf("%s/acme/web/pull/1", s.world.github.HTMLURL()), "extend", "24h", "-o", "json")
	var outcome api.Outcome
	if err := json.Unmarshal([]byte(out), &outcome); err != nil || status != exitOK || len(outcome.Results) != 1 || !outcome.Results[0].Done || outcome.State != api.Done {
		t.Errorf("run: %d %s%s", status, out, said)
	}
	if status, _, said := s.run("run", "acme/web#7", "status"); status != exitFailure || !strings.Contains(said, "there is no such pull request") {
		t.Errorf("of no pull request: %d %s", status, said)
	}
	if status, out, said := s.run("run", "acme/web#1", "status", "--timeout", "0", "--key", "later"); status != exitOK || !strings.Contains(said, "--key later asks again") || out != "" {
		t.Errorf("without waiting: %d %s%s", status, out, said)
	}
	if status, out, said := s.run("run", "acme/web#1", "status", "--key", "later"); status != exitOK || !strings.Contains(out, "told") {
		t.Errorf("asked again: %d %s%s", status, out, said)
	}
	if status, _, said := s.run("run", "acme/web#1", "pin", "--key", "later"); status != exitFailure || !strings.Contains(said, "used before, for something else") {
		t.Errorf("another command under that key: %d %s", status, said)
	}
	s.runsOut(file)
	together := make(chan string, 2)
	for range 2 { // the token is renewed once, and the second uses it
		go func() {
			status, out, said := s.run("run", "acme/web#1", "pin")
			together <- fmt.Sprint(status, out, said)
		}()
	}
	for range 2 {
		if got := <-together; !strings.HasPrefix(got, "0") {
			t.Errorf("with a token that ran out: %s", got)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, said := s.run("run", "acme/web#1", "pin"); status != exitFailure || !strings.Contains(said, "can be read by others") {
		t.Errorf("with a token that others can read: %d %s", status, said)
	}
	s.expelled(file)
	if status, _, said := s.run("logout"); status != exitOK {
		t.Errorf("logout: %d %s", status, said)
	}
	if status, _, said := s.run("logout"); status != exitFailure || !strings.Contains(said, "not signed in") {
		t.Errorf("logout again: %d %s", status, said)
	}
}

// file is where the only sign-in is kept.
func (s *signing) file() string {
	s.Helper()
	found, err := filepath.Glob(filepath.Join(s.home, ".config", "idp", "tokens", "*.json"))
	if err != nil || len(found) != 1 {
		s.Fatalf("kept are %v (%v)", found, err)
	}
	return found[0]
}

// expelled has the user take their authorization back: nothing is done in their name then.
func (s *signing) expelled(file string) {
	s.Helper()
	if err := os.Chmod(file, 0o600); err != nil {
		s.Fatal(err)
	}
	s.world.app.RevokeUserTokens("alice")
	s.runsOut(file)
	if status, _, said := s.run("run", "acme/web#1", "destroy"); status != exitDenied || !strings.Contains(said, "ran out") {
		s.Errorf("with a token that was taken back: %d %s", status, said)
	}
}

// runsOut makes the kept token one that ran out, which GitHub gives a new one for.
func (s *signing) runsOut(file string) {
	s.Helper()
	held, err := readToken(file)
	if err != nil {
		s.Fatal(err)
	}
	held.Token.Expiry, held.Token.AccessToken = time.Now().Add(-time.Hour), "ghu_"+strings.Repeat("0", 36)
	if err := held.keep(file); err != nil {
		s.Fatal(err)
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
		"nobody listens":     {[]string{"run", "acme/web#1", "status", "--server", "http://127.0.0.1:1", "--timeout", "1ms"}, []string{tokenVariable + "=" + token}, exitFailure, "cannot be reached"},
		"a broken file":      {[]string{"run", "acme/web#1", "status", "--server", elsewhere.URL}, []string{"XDG_CONFIG_HOME=" + brokenTokens(t, elsewhere.URL)}, exitFailure, "cannot be read"},
		"signed out already": {[]string{"logout", "--server", elsewhere.URL}, nil, exitFailure, "you are not signed in"},
	} {
		var out, errs strings.Builder
		status := searchedRun(t.Context(), t, c.args, strings.NewReader(""), &out, &errs, append([]string{"HOME=" + secrettest.Dir(t)}, c.env...))
		if status != c.status || !strings.Contains(errs.String(), c.said) || strings.Contains(errs.String()+out.String(), token) {
			t.Errorf("%s: %d, want %d %q:\n%s%s", name, status, c.status, c.said, out.String(), errs.String())
		}
	}
	if len(told) != 3 {
		t.Errorf("%d requests were made, want one of each that has a token or signs in: a redirect is not followed", len(told))
	}
}

// Whatever a server says of where to sign in, nothing is sent there unencrypted.
func TestOffered(t *testing.T) {
	t.Parallel()
	for github, fine := range map[string]bool{
		"https://github.com": true, "http://127.0.0.1:1": true, "http://github.com": false, "https://u@github.com": false, "": false, "ftp://github.com": false, "//github.com": false,
	} {
		if _, err := offered("https://idp.example.com", api.Description{ClientID: "Iv1.0", GitHub: github}); (err == nil) != fine {
			t.Errorf("%q: %v", github, err)
		}
	}
	if _, err := offered("https://idp.example.com", api.Description{GitHub: "https://github.com"}); err == nil {
		t.Error("no client")
	}
}

// TestInsist has the way to idp fail, and idp be too busy: the command is given once, and
// what came of it is asked for until it is known.
func TestInsist(t *testing.T) {
	t.Parallel()
	var keys []string
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			switch len(keys) {
			case 1:
				panic(http.ErrAbortHandler) // it may have arrived
			case 2:
				w.WriteHeader(http.StatusServiceUnavailable)
				fmt.Fprint(w, `{"message":"busy"}`)
				return
			}
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprint(w, `{"id":"1","state":"pending"}`)
			return
		}
		switch asked++; asked {
		case 1:
			fmt.Fprint(w, `{"id":"1","state":"pending","problem":"it failed, and is tried again"}`)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"message":"too many"}`)
		default:
			fmt.Fprint(w, `{"id":"1","state":"done","results":[{"command":"pin","done":true,"reason":"kept \u001b[31m"}],"note":"idp is paused"}`)
		}
	}))
	defer server.Close()
	var out, errs strings.Builder
	status := searchedRun(t.Context(), t, []string{"run", "acme/web#1", "pin", "--server", server.URL}, strings.NewReader(""), &out, &errs, []string{tokenVariable + "=x"})
	if status != exitOK || len(keys) != 3 || keys[0] == "" || keys[0] != keys[2] || strings.Contains(errs.String(), "failed") || !strings.Contains(errs.String(), "note: idp is paused") {
		t.Errorf("%d with keys %v\n%s%s", status, keys, out.String(), errs.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("it steers the terminal: %q", out.String())
	}
}

func brokenTokens(t *testing.T, server string) string {
	t.Helper()
	dir := secrettest.Dir(t)
	p := &program{env: map[string]string{"XDG_CONFIG_HOME": dir}}
	path, err := p.tokenFile(server)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"token":null}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}
