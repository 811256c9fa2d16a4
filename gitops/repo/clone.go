package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// cloneConfig is the whole configuration of the clone. gc and its like are off:
// git's own maintenance walks the full closure of a clone that has none, and
// merge.go does what is needed. fastimport.unpackLimit keeps every commit a pack,
// which is one file to sync and to merge.
const cloneConfig = `[core]
	repositoryformatversion = 1
	bare = true
	hooksPath = /dev/null
	logAllRefUpdates = false
	quotePath = false
[extensions]
	partialClone = origin
[remote "origin"]
	url = %s
	promisor = true
	partialCloneFilter = blob:none
[protocol]
	version = 2
[gc]
	auto = 0
[maintenance]
	auto = false
[repack]
	writeBitmaps = false
[fetch]
	writeCommitGraph = false
[fastimport]
	unpackLimit = 1
[http]
	lowSpeedLimit = 100
	lowSpeedTime = 60
[advice]
	detachedHead = false
`

// prepare locks the state directory and makes the clone if there is none for
// this URL.
func (r *Repo) prepare(ctx context.Context) error {
	if err := os.MkdirAll(r.git.Home, 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(filepath.Join(r.opts.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	r.lock = lock
	if err := gitexec.Lock(lock); err != nil {
		return fault.Wrap(err, fault.Conflict, "in use by another process", "end the other idp serve, or give this one a database and a state_dir of its own")
	}
	if r.askpass, err = writeAskpass(r.opts.Dir); err != nil {
		return err
	}
	config, err := os.ReadFile(filepath.Join(r.git.Dir, "config"))
	if err == nil && string(config) == r.config() {
		if err := sweepLocks(r.git.Dir); err != nil {
			return err
		}
		if _, err := r.git.Run(ctx, gitexec.Command{Args: []string{"rev-parse", "--git-dir"}}); err == nil {
			return nil
		}
	}
	return r.makeClone(ctx)
}

func (r *Repo) config() string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(r.opts.URL) + `"`
	return fmt.Sprintf(cloneConfig, quoted)
}

// makeClone replaces whatever is at the clone's place by an empty clone.
func (r *Repo) makeClone(ctx context.Context) error {
	if err := os.RemoveAll(r.git.Dir); err != nil {
		return fmt.Errorf("remove old clone: %w", err)
	}
	init := r.git
	init.Dir = ""
	_, err := init.Run(ctx, gitexec.Command{
		Args: []string{"init", "--quiet", "--bare", "--template=", "--object-format=sha1", "--", r.git.Dir},
	})
	if err != nil {
		return fmt.Errorf("make clone: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.git.Dir, "config"), []byte(r.config()), 0o600); err != nil {
		return fmt.Errorf("configure clone: %w", err)
	}
	r.tip = tipState{}
	return nil
}

// sweepLocks removes what killed git processes leave in a clone that nobody else
// uses: lock files, which would stop every later process, unfinished packs and
// crash reports.
func sweepLocks(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		if strings.HasSuffix(name, ".lock") || strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, "fast_import_crash_") {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// repair is called when a process on the clone failed although the remote
// answers. It removes what is in the way and, when the clone is damaged, makes
// it anew; the next refresh fetches it. It says whether trying again makes sense.
func (r *Repo) repair(ctx context.Context, cause error) (bool, error) {
	if ctx.Err() != nil {
		return false, nil
	}
	r.packs.Lock()
	defer r.packs.Unlock()
	if err := sweepLocks(r.git.Dir); err != nil {
		return false, fmt.Errorf("clean clone: %w", err)
	}
	_, err := r.git.Run(ctx, gitexec.Command{Args: []string{"fsck", "--connectivity-only", "--no-dangling", "--no-progress"}})
	if err == nil {
		return true, nil
	}
	if ctx.Err() != nil {
		return false, nil
	}
	r.opts.Log.WarnContext(ctx, "the clone of the GitOps repository is damaged and is made anew",
		"dir", r.git.Dir, "cause", cause.Error())
	return true, r.makeClone(ctx)
}
