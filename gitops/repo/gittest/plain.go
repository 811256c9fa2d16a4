package gittest

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Plain is a clone in which somebody works with git alone, in the environment that idp's
// own git has: without a look at what is there, or a word to anybody. It is what idp is
// measured against.
type Plain struct {
	git    gitexec.Git
	folder string
	login  []string
	tip    string
}

// patience is how long one of its processes may take.
const patience = 15 * time.Minute

// Plain makes a clone in the folder dir, which it makes: bare and blobless, or with a work
// tree. login is "user:password", "" for none.
func (r *Repository) Plain(ctx context.Context, dir, login string, workTree bool) (*Plain, error) {
	p := &Plain{folder: filepath.Join(dir, "clone"), git: gitexec.Git{Home: filepath.Join(dir, "home"), Timeout: patience}}
	if login != "" {
		p.login = []string{
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader",
			"GIT_CONFIG_VALUE_0=Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(login)),
		}
	}
	if err := os.MkdirAll(p.git.Home, 0o700); err != nil {
		return nil, fmt.Errorf("clone %s: %w", r.URL, err)
	}
	args := []string{"clone", "--quiet", "--template=", "--bare", "--filter=blob:none", "--", r.URL, p.folder}
	if workTree {
		args = []string{"clone", "--quiet", "--template=", "--", r.URL, p.folder}
	}
	if _, err := p.git.Run(ctx, gitexec.Command{Args: args, Env: p.login, Network: true}); err != nil {
		return nil, fmt.Errorf("clone %s: %w", r.URL, err)
	}
	p.git.Dir = p.folder
	if workTree {
		p.git.Dir, p.git.Home = filepath.Join(p.folder, ".git"), p.folder
	}
	out, err := p.git.Run(ctx, gitexec.Command{Args: []string{"for-each-ref", "--format=%(objectname)", "refs/heads/main"}})
	p.tip = strings.TrimSpace(string(out))
	return p, err
}

// Import makes e a commit with git fast-import, and pushes it to the branch main.
func (p *Plain) Import(ctx context.Context, e Edit) error {
	const ref = "refs/heads/work"
	if _, err := p.git.Run(ctx, gitexec.Command{Args: []string{"fast-import", "--quiet", "--force", "--done", "--date-format=raw"}, Stdin: e.script(ref, p.tip)}); err != nil {
		return fmt.Errorf("commit with git fast-import: %w", err)
	}
	if err := p.push(ctx, ref); err != nil {
		return err
	}
	tip, err := os.ReadFile(filepath.Join(p.git.Dir, filepath.FromSlash(ref)))
	p.tip = strings.TrimSpace(string(tip))
	return err
}

// Commit writes files to the work tree, and adds, commits and pushes them, as people do.
func (p *Plain) Commit(ctx context.Context, message string, files []gitops.File) error {
	for _, f := range files {
		path := filepath.Join(p.folder, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Content, 0o600); err != nil {
			return err
		}
	}
	who := []string{"GIT_AUTHOR_NAME=e", "GIT_AUTHOR_EMAIL=e@example.com", "GIT_COMMITTER_NAME=e", "GIT_COMMITTER_EMAIL=e@example.com", "GIT_WORK_TREE=" + p.folder}
	for _, args := range [][]string{{"add", "--all", "."}, {"commit", "--quiet", "-m", message}} {
		if _, err := p.git.Run(ctx, gitexec.Command{Args: args, Env: who}); err != nil {
			return fmt.Errorf("git %s in a work tree: %w", args[0], err)
		}
	}
	return p.push(ctx, "HEAD")
}

func (p *Plain) push(ctx context.Context, from string) error {
	if _, err := p.git.Run(ctx, gitexec.Command{Args: []string{"push", "--quiet", "origin", from + ":refs/heads/main"}, Env: p.login, Network: true}); err != nil {
		return fmt.Errorf("push with git: %w", err)
	}
	return nil
}
