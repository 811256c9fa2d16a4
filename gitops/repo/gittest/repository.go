package gittest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Repository is one bare repository on the server, and a hand in it that is not
// the client's: what it does needs no push.
type Repository struct {
	// Path is the repository's folder, URL where it is served.
	Path, URL string

	git gitexec.Git

	mu                       sync.Mutex
	refuse, drop, hold, fail int
	message                  string
	beforePush, afterPush    func()
	pushes                   int
	served                   time.Duration
}

// config allows pushes and partial clones, and spares the disk.
const config = `[core]
	repositoryformatversion = 0
	bare = true
	fsync = none
[http]
	receivepack = true
[uploadpack]
	allowFilter = true
[receive]
	autogc = false
[gc]
	auto = 0
`

const preReceive = `#!/bin/sh
if [ -n "$GITTEST_REFUSE" ]; then
	printf '%s\n' "$GITTEST_REFUSE" >&2
	exit 1
fi
`

func (r *Repository) setUp() error {
	if err := os.WriteFile(filepath.Join(r.Path, "config"), []byte(config), 0o600); err != nil {
		return err
	}
	hooks := filepath.Join(r.Path, "hooks")
	if err := os.MkdirAll(hooks, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(hooks, "pre-receive"), []byte(preReceive), 0o700)
}

// Configure sets a variable of the repository's own git configuration.
func (r *Repository) Configure(ctx context.Context, key, value string) error {
	_, err := r.git.Run(ctx, gitexec.Command{Args: []string{"config", key, value}})
	return err
}

// Tip returns the branch's commit, "" when there is no such branch.
func (r *Repository) Tip(ctx context.Context, branch string) (string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"for-each-ref", "--format=%(objectname)", "refs/heads/" + branch}})
	return strings.TrimSpace(string(out)), err
}

// Edit is a commit made on the server.
type Edit struct {
	Message string
	Put     []gitops.File
	Remove  []string // files and folders
	// Links are symbolic links, from path to target.
	Links map[string]string
	// Author is "somebody else" when empty, At a moment long ago when zero.
	Author string
	At     time.Time
	// Merges is a second parent, Onto what the branch's tip has to be; "" for none
	// and for any.
	Merges, Onto string
}

// Commit makes e a child of the branch's tip, or its first commit. It is an error
// where the branch moves meanwhile.
func (r *Repository) Commit(ctx context.Context, branch string, e Edit) (string, error) {
	tip, err := r.Tip(ctx, branch)
	if err != nil {
		return "", err
	}
	if e.Onto != "" && e.Onto != tip {
		return "", fmt.Errorf("commit on the server: %s is at %s, not at %s", branch, tip, e.Onto)
	}
	_, err = r.git.Run(ctx, gitexec.Command{
		Args: []string{"fast-import", "--quiet", "--done", "--date-format=raw"}, Stdin: e.script("refs/heads/"+branch, tip),
	})
	if err != nil {
		return "", fmt.Errorf("commit on the server: %w", err)
	}
	return r.Tip(ctx, branch)
}

// script is e for git fast-import, on a ref that stands at tip, "" for none.
func (e Edit) script(ref, tip string) io.Reader {
	if e.At.IsZero() {
		e.At = time.Unix(1700000000, 0)
	}
	if e.Author == "" {
		e.Author = "somebody else"
	}
	var s strings.Builder
	data := func(b string) { fmt.Fprintf(&s, "data %d\n%s\n", len(b), b) }
	fmt.Fprintf(&s, "commit %s\ncommitter %s <else@example.com> %d +0000\n", ref, e.Author, e.At.Unix())
	data(e.Message)
	if tip != "" {
		fmt.Fprintf(&s, "from %s\n", tip)
	}
	if e.Merges != "" {
		fmt.Fprintf(&s, "merge %s\n", e.Merges)
	}
	for _, path := range e.Remove {
		fmt.Fprintf(&s, "D %s\n", path)
	}
	for _, f := range e.Put {
		fmt.Fprintf(&s, "M 100644 inline %s\n", f.Path)
		data(string(f.Content))
	}
	for path, target := range e.Links {
		fmt.Fprintf(&s, "M 120000 inline %s\n", path)
		data(target)
	}
	s.WriteString("done\n")
	return strings.NewReader(s.String())
}

// List returns "<mode> <id> <path>" of every file of a commit, sorted by path.
func (r *Repository) List(ctx context.Context, commit string) ([]string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{
		"ls-tree", "-r", "--full-tree", "--format=%(objectmode) %(objectname) %(path)", commit,
	}})
	if err != nil {
		return nil, err
	}
	return lines(out), nil
}

// Content returns one file of a commit.
func (r *Repository) Content(ctx context.Context, commit, path string) (string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"cat-file", "blob", commit + ":" + path}})
	return string(out), err
}

// Show returns what a commit changed: a line per file, and the patch.
func (r *Repository) Show(ctx context.Context, commit string) (stat, patch string, err error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"show", "--format=", "--stat=100", commit}})
	if err != nil {
		return "", "", err
	}
	diff, err := r.git.Run(ctx, gitexec.Command{Args: []string{"show", "--format=", "--no-color", commit}})
	return string(out), string(diff), err
}

// TreeID returns the id that git gives to a folder of a commit.
func (r *Repository) TreeID(ctx context.Context, commit, dir string) (string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"rev-parse", "--verify", "--quiet", commit + ":" + dir}})
	return strings.TrimSpace(string(out)), err
}

// Messages returns the whole messages of a commit and those before it, newest
// first.
func (r *Repository) Messages(ctx context.Context, commit string) ([]string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"log", "-z", "--format=%B", commit}})
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), nil
}

// Stands returns where a branch stands, "" where there is none, without asking git: nothing
// packs the refs here.
func (r *Repository) Stands(branch string) string {
	sha, err := os.ReadFile(filepath.Join(r.Path, "refs", "heads", filepath.FromSlash(branch)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(sha))
}

// Between returns the whole messages of the commits that lead from one to another, "" for
// the beginning; the newest first.
func (r *Repository) Between(ctx context.Context, from, to string) ([]string, error) {
	args := []string{"log", "-z", "--format=%B", to}
	if from != "" {
		args = append(args, "^"+from)
	}
	out, err := r.git.Run(ctx, gitexec.Command{Args: args})
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"), err
}

func lines(out []byte) []string {
	text := strings.TrimSuffix(string(out), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Delete deletes a branch.
func (r *Repository) Delete(ctx context.Context, branch string) error {
	_, err := r.git.Run(ctx, gitexec.Command{Args: []string{"update-ref", "-d", "refs/heads/" + branch}})
	return err
}

// Point makes a branch stand at a commit, wherever it was.
func (r *Repository) Point(ctx context.Context, branch, commit string) error {
	_, err := r.git.Run(ctx, gitexec.Command{Args: []string{"update-ref", "refs/heads/" + branch, commit}})
	return err
}
