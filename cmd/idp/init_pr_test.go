package main

import (
	"cmp"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// newcomer is a repository that idp does not deploy yet: at a git server, at the stand-in
// GitHub and as somebody's checkout, in which work is under way.
type newcomer struct {
	*testing.T
	github *githubtest.Server
	served *gittest.Repository
	dir    string
	token  string // the file
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{T: t, dir: filepath.Join(secrettest.Dir(t), "web"), token: secrettest.Given(filepath.Join(secrettest.Dir(t), "token"))}
	server, err := gittest.Start(t.Context(), filepath.Join(secrettest.Dir(t), "git"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if n.served, err = server.Create(t.Context(), "acme/web"); err != nil {
		t.Fatal(err)
	}
	n.commits("main", "Begin", gitops.File{Path: "Dockerfile", Content: []byte("FROM scratch\nEXPOSE 3000\n")})
	n.github = githubtest.New(githubtest.Options{Middleware: githubDescription(t)})
	if err := n.github.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.github.Close() })
	n.github.AddRepository("acme/web", githubtest.RepositoryOptions{}).Mirror(n.served)
	key, _, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	app := registration(key)
	app.Permissions = map[string]string{"metadata": "read", "contents": "write", "pull_requests": "write"}
	own := n.github.AddApp(app).Install("acme", githubtest.InstallOptions{}).Token()
	if err := os.WriteFile(n.token, []byte(own+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server.RequireAuth(func(_, user, password string, _ bool) bool { return user == tokenUser && password == own })
	n.clone(own)
	return n
}

// commits has somebody else push.
func (n *newcomer) commits(branch, message string, files ...gitops.File) {
	n.Helper()
	if _, err := n.served.Commit(n.Context(), branch, gittest.Edit{Message: message, Put: files}); err != nil {
		n.Fatal(err)
	}
}

// clone makes the checkout, with a branch, a staged file and a changed one.
func (n *newcomer) clone(own string) {
	n.Helper()
	with := strings.Replace(n.served.URL, "://", "://"+tokenUser+":"+own+"@", 1)
	n.git("", "clone", "-q", with, n.dir)
	n.git(n.dir, "remote", "set-url", "origin", n.served.URL)
	n.git(n.dir, "config", "user.name", "Alice")
	n.git(n.dir, "config", "user.email", "alice@example.com")
	n.git(n.dir, "switch", "-q", "-c", "feature")
	n.write("staged.txt", "staged\n")
	n.git(n.dir, "add", "staged.txt")
	n.write("Dockerfile", "FROM scratch\nEXPOSE 3001\n")
	n.write(".git/hooks/pre-push", "#!/bin/sh\ntouch \"$PWD/hooked\"\nexit 1\n")
	if err := os.Chmod(filepath.Join(n.dir, ".git/hooks/pre-push"), 0o755); err != nil {
		n.Fatal(err)
	}
}

func (n *newcomer) write(name, content string) {
	n.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(content), 0o644); err != nil {
		n.Fatal(err)
	}
}

func (n *newcomer) git(dir string, args ...string) string {
	n.Helper()
	cmd := exec.CommandContext(n.Context(), "git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		n.Fatalf("git %v: %v: %s", args, err, out)
	}
	return string(out)
}

// state is what must not change in the checkout.
func (n *newcomer) state() string {
	n.Helper()
	return n.git(n.dir, "rev-parse", "--abbrev-ref", "HEAD") + n.git(n.dir, "for-each-ref") + n.git(n.dir, "ls-files", "--stage") +
		n.git(n.dir, "status", "--porcelain", "--untracked-files=no")
}

// init runs "idp init --pr", and holds it to leaving the checkout alone.
func (n *newcomer) init(args ...string) (status int, stdout, stderr string) {
	n.Helper()
	before := n.state()
	var out, told strings.Builder
	args = append([]string{"init", n.dir, "--pr", "--github-url", n.github.HTMLURL(), "--token-file", n.token}, args...)
	status = searchedRun(n.Context(), n, args, nil, &out, &told, nil)
	if after := n.state(); after != before {
		n.Errorf("the checkout was\n%s\nand is\n%s", before, after)
	}
	if exists(filepath.Join(n.dir, "hooked")) {
		n.Error("a hook ran")
	}
	plain := strings.NewReplacer(n.github.HTMLURL(), "https://github.example.com", n.dir, "DIR")
	return status, plain.Replace(out.String()), plain.Replace(told.String())
}

// made are the pull requests that GitHub was asked to open.
func (n *newcomer) made() (count int) {
	for _, r := range n.github.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/pulls") {
			count++
		}
	}
	return count
}

func (n *newcomer) ends(want int, status int, text, stderr, has string) {
	n.Helper()
	if status != want || !strings.Contains(text, has) {
		n.Errorf("it ended with %d, want %d and %q in\n%s\n%s", status, want, has, text, stderr)
	}
}

// The pull request adds the two files to the default branch as it is at GitHub, and is opened
// once, however often it is asked for.
func TestInitOpensThePullRequest(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	n.commits("main", "Go on", gitops.File{Path: "later.txt", Content: []byte("later\n")})
	status, stdout, stderr := n.init()
	n.ends(exitOK, status, stdout, stderr, "Opened https://github.example.com/acme/web/pull/1.\n")
	tip, err := n.served.Tip(t.Context(), onboardBranch)
	if err != nil || tip == "" {
		t.Fatalf("the branch is at %q (%v)", tip, err)
	}
	listed, err := n.served.List(t.Context(), tip)
	var files []string
	for _, line := range listed {
		_, name, _ := strings.Cut(line, "\t")
		files = append(files, cmp.Or(name, line[strings.LastIndexByte(line, ' ')+1:]))
	}
	if want := ".idp/deploy.schema.json .idp/deploy.yaml Dockerfile later.txt"; err != nil || strings.Join(files, " ") != want {
		t.Errorf("it has %v, want %s (%v)", files, want, err)
	}
	if text, err := n.served.Content(t.Context(), tip, "Dockerfile"); err != nil || !strings.Contains(text, "3000") {
		t.Errorf("what is not committed went along: %q (%v)", text, err)
	}
	for range 2 {
		status, stdout, stderr = n.init()
		n.ends(exitOK, status, stdout, stderr, "https://github.example.com/acme/web/pull/1 is open already.\n")
	}
	n.write(".idp/deploy.yaml", "service: {name: other}\n")
	status, stdout, stderr = n.init()
	n.ends(exitOK, status, stdout, stderr, "is open already, with another deploy.yaml than is here; nothing was pushed.")
	if got := n.made(); got != 1 || n.served.Pushes() != 1 {
		t.Errorf("%d pull requests were asked for by %d pushes", got, n.served.Pushes())
	}
}

// What was interrupted between the push and the pull request goes on from there.
func TestInitGoesOn(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	remove := n.github.Inject(githubtest.Fault{Method: http.MethodPost, Path: "/repos/*/*/pulls", Status: http.StatusForbidden})
	status, stdout, stderr := n.init()
	n.ends(exitFailure, status, stderr, stdout, "does not let the token propose anything for acme/web")
	remove()
	status, stdout, stderr = n.init()
	n.ends(exitOK, status, stdout, stderr, "Opened https://github.example.com/acme/web/pull/1.")
	if got := n.served.Pushes(); got != 1 {
		t.Errorf("it pushed %d times", got)
	}
}

// What somebody else has there is not written over, and what is there is not proposed again.
func TestInitLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	n.commits(onboardBranch, "Other", gitops.File{Path: "other.txt", Content: []byte("other\n")})
	pushes := n.served.Pushes()
	status, stdout, stderr := n.init()
	n.ends(exitFailure, status, stderr, stdout, "acme/web has a branch idp with something else; nothing was pushed")
	if n.served.Pushes() != pushes {
		t.Error("it pushed")
	}
	text, err := os.ReadFile(filepath.Join(n.dir, ".idp/deploy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile(filepath.Join(n.dir, ".idp/deploy.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	n.commits("main", "Add it", gitops.File{Path: ".idp/deploy.yaml", Content: text}, gitops.File{Path: ".idp/deploy.schema.json", Content: schema})
	status, stdout, stderr = n.init()
	n.ends(exitOK, status, stdout, stderr, "Branch main of acme/web has it already.")
	n.write(".idp/deploy.yaml", "nonsense: 1\n")
	status, stdout, stderr = n.init()
	n.ends(exitInvalid, status, stderr, stdout, "mistake")
	if n.made() != 0 {
		t.Error("it asked for a pull request")
	}
}

// The token goes to its own GitHub alone.
func TestInitKeepsTheToken(t *testing.T) {
	t.Parallel()
	n := newNewcomer(t)
	n.git(n.dir, "remote", "set-url", "origin", strings.Replace(n.served.URL, "127.0.0.1", "localhost", 1))
	status, stdout, stderr := n.init()
	n.ends(exitFailure, status, stderr, stdout, "the remote origin does not let anybody in")
	n.git(n.dir, "remote", "remove", "origin")
	status, stdout, stderr = n.init()
	n.ends(exitInvalid, status, stderr, stdout, "the checkout has no remote origin")
	if err := os.Mkdir(filepath.Join(n.dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	n.dir = filepath.Join(n.dir, "sub")
	var out, told strings.Builder
	status = searchedRun(t.Context(), t, []string{"init", n.dir, "--pr"}, nil, &out, &told, nil)
	n.ends(exitInvalid, status, told.String(), out.String(), "is not the root of the repository")
}
