package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/idp-bot/idp/cmd/internal/stage"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// contended is W7: pull requests are opened one by one while somebody else pushes to the
// GitOps repository again and again, so that idp's pushes meet a branch that has moved.
func contended(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	repo := s.repository("web")
	if _, err := pull(repo, "first"); err != nil {
		return nil, err
	}
	if err := s.landed.await(ctx, func(l *landings) bool { return l.environments() == 1 }); err != nil {
		return nil, err
	}
	clone, err := s.clone()
	if err != nil {
		return nil, err
	}
	s.landed.mu.Lock()
	before := len(s.landed.tries)
	s.landed.mu.Unlock()
	stop := s.disturb(ctx, r.ForeignEvery)
	for i := range r.Contended {
		if _, err = pull(repo, fmt.Sprintf("topic-%d", i)); err == nil {
			err = s.landed.await(ctx, func(l *landings) bool { return l.environments() >= i }) // one ahead
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = s.landed.await(ctx, func(l *landings) bool { return l.environments() == r.Contended+1 })
	}
	foreign, foreignErr := stop()
	if err := errors.Join(err, foreignErr); err != nil {
		return nil, err
	}
	again, err := s.clone()
	if err != nil {
		return nil, err
	}
	recloned := 0
	if !os.SameFile(clone, again) {
		recloned = 1
	}
	s.landed.mu.Lock()
	defer s.landed.mu.Unlock()
	tries := slices.Sorted(slices.Values(s.landed.tries[before:]))
	p95 := tries[max((len(tries)*95+99)/100-1, 0)]
	files, err := s.GitOps.Files(ctx, s.GitOps.Stands(stage.Branch))
	if err != nil {
		return nil, err
	}
	kept := 0
	for _, f := range files {
		if filepath.Dir(f.Path) == "notes" {
			kept++
		}
	}
	return []Row{
		counted(fmt.Sprintf("%d pull requests while somebody else pushes every %s: attempts for a commit, p95 of %d", r.Contended, r.ForeignEvery, len(tries)), Figure{float64(p95), ""}, 3),
		exactly("pull requests that landed", s.landed.environments()-1, r.Contended),
		exactly("commits of the other that stayed", kept, foreign),
		exactly("clones made anew", recloned, 0),
	}, nil
}

// clone is idp's clone of the GitOps repository, as a file that is another one once it is
// made anew.
func (s *site) clone() (os.FileInfo, error) {
	found, err := filepath.Glob(filepath.Join(s.Disk, "state", "*", "clone.git", "config"))
	if deeper, err := filepath.Glob(filepath.Join(s.Disk, "state", "*", "*", "clone.git", "config")); err == nil {
		found = append(found, deeper...)
	}
	if direct, err := filepath.Glob(filepath.Join(s.Disk, "state", "clone.git", "config")); err == nil {
		found = append(found, direct...)
	}
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("idp's clone is not where it is expected: %d in %s", len(found), s.Disk)
	}
	return os.Stat(found[0])
}

// disturb has somebody else push until stop, which returns how many commits that were.
func (s *site) disturb(ctx context.Context, every time.Duration) (stop func() (int, error)) {
	ctx, cancel := context.WithCancel(ctx)
	var others sync.WaitGroup
	n := 0
	var failed error
	others.Go(func() {
		for stage.Pause(ctx, every) == nil {
			path := fmt.Sprintf("notes/%d.txt", n)
			edit := gittest.Edit{Message: "Note", At: time.Now(), Put: []gitops.File{{Path: path, Content: []byte(path + "\n")}}}
			// It loses where idp is faster, and tries again, as people do.
			if _, err := s.GitOps.Commit(context.WithoutCancel(ctx), stage.Branch, edit); err == nil {
				n++
			}
		}
	})
	return func() (int, error) {
		cancel()
		others.Wait()
		if n == 0 {
			failed = errors.New("nobody else has pushed")
		}
		return n, failed
	}
}
