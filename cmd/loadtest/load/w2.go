package load

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// burst is W2: pull requests that were opened while nothing was delivered, from the moment
// GitHub delivers until the last one's commit is in the GitOps repository; against git alone
// committing the same tree at once and pushing it, and against somebody who adds, commits and
// pushes each environment by itself, as pipelines do.
func burst(ctx context.Context, r *run) (rows []Row, err error) {
	for _, n := range r.Burst {
		these, err := r.burstOf(ctx, n)
		if err != nil {
			return nil, err
		}
		rows = append(rows, these...)
	}
	return rows, nil
}

func (r *run) burstOf(ctx context.Context, n int) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.GitHub.HoldDeliveries()
	if err := s.openMany(n, n/perRepository+1); err != nil {
		return nil, err
	}
	r.tell("%d pull requests are open", n)
	stop := r.profile(s, fmt.Sprintf("%d", n))
	began := time.Now()
	s.GitHub.StopHolding()
	if err := s.landed.await(ctx, func(l *landings) bool { return l.environments() >= n }); err != nil {
		return nil, err
	}
	took := time.Since(began)
	if err := stop(); err != nil {
		return nil, err
	}
	r.tell("%d are pushed after %s", n, took.Round(10*time.Millisecond))
	files, err := s.GitOps.Files(ctx, s.GitOps.Stands("main"))
	if err != nil {
		return nil, err
	}
	once, err := s.plainly(ctx, files)
	if err != nil {
		return nil, err
	}
	each, err := s.oneByOne(ctx, files, r.Each)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("%d pull requests opened at once, until all are pushed", n)
	return []Row{
		atLeast(what+", against one fast-import and push of the same tree", perSecond(n, took), perSecond(n, once), 0.5),
		atLeast(what+", against git add, commit and push for each", perSecond(n, took), perSecond(1, each), 100),
		exactly("environments in the GitOps repository", folders(files), n),
	}, nil
}

// openMany opens pull requests in so many repositories, evenly.
func (s *site) openMany(n, repositories int) error {
	var in []*githubtest.Repository
	for i := range repositories {
		in = append(in, s.repository(fmt.Sprintf("web-%d", i)))
	}
	for i := range n {
		if _, err := pull(in[i%len(in)], fmt.Sprintf("topic-%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// plainly is how long git alone takes to commit files to an empty repository, and push them.
func (s *site) plainly(ctx context.Context, files []gitops.File) (time.Duration, error) {
	repository, err := s.Git.Create(ctx, "acme/at-once")
	if err != nil {
		return 0, err
	}
	clone, err := repository.Plain(ctx, filepath.Join(s.Dir, "at-once"), s.Hand, false)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	err = clone.Import(ctx, gittest.Edit{Message: "Deploy all", Put: files})
	return time.Since(began), err
}

// oneByOne is how long git takes for each of the first environments by itself, in a work tree
// that has the others.
func (s *site) oneByOne(ctx context.Context, files []gitops.File, most int) (each time.Duration, err error) {
	repository, err := s.Git.Create(ctx, "acme/one-by-one")
	if err != nil {
		return 0, err
	}
	var first []string
	own, rest := map[string][]gitops.File{}, []gitops.File{}
	for _, f := range files {
		dir, ok := folder(f.Path)
		if _, known := own[dir]; ok && !known && len(first) < most {
			first = append(first, dir)
			own[dir] = nil
		}
		if _, mine := own[dir]; ok && mine {
			own[dir] = append(own[dir], f)
		} else {
			rest = append(rest, f)
		}
	}
	if _, err := repository.Commit(ctx, "main", gittest.Edit{Message: "The others", Put: rest}); err != nil {
		return 0, err
	}
	tree, err := repository.Plain(ctx, filepath.Join(s.Dir, "one-by-one"), s.Hand, true)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, dir := range first {
		if err := tree.Commit(ctx, "Deploy "+dir, own[dir]); err != nil {
			return 0, err
		}
	}
	return time.Since(began) / time.Duration(len(first)), nil
}

// folder is the environment's folder that a file belongs to.
func folder(path string) (dir string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 5 || parts[0] != gitops.EnvironmentsDir {
		return "", false
	}
	return strings.Join(parts[:4], "/"), true
}

// folders is how many environments there are among files.
func folders(files []gitops.File) int {
	seen := map[string]bool{}
	for _, f := range files {
		if dir, ok := folder(f.Path); ok {
			seen[dir] = true
		}
	}
	return len(seen)
}
