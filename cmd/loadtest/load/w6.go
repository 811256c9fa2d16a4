package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// quietEvent is W6: pull requests opened one by one, from the moment GitHub has one until its
// commit is in the GitOps repository; against the same bytes written to a file and synced,
// and the same files committed with fast-import and pushed with git, on the same server.
func quietEvent(ctx context.Context, r *run) (rows []Row, err error) {
	s, err := r.open(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	least, err := s.mirrored(ctx)
	if err != nil {
		return nil, err
	}
	repo := s.repository("web")
	var whole, floors []time.Duration
	before := map[string]string{}
	for i := range r.Singles + 1 {
		began := time.Now()
		pr, err := pull(repo, fmt.Sprintf("topic-%d", i))
		if err != nil {
			return nil, err
		}
		var at time.Time
		err = s.landed.await(ctx, func(l *landings) (ok bool) {
			at, ok = l.of(repo, pr.Number())
			return ok
		})
		if err != nil {
			return nil, err
		}
		took := at.Sub(began)
		if err := s.drained(ctx); err != nil {
			return nil, err
		}
		changed, err := s.changed(ctx, before)
		if err != nil {
			return nil, err
		}
		floor, err := least.take(ctx, s.Dir, r.Payload, changed)
		if err != nil {
			return nil, err
		}
		if i > 0 { // the first opens connections, and makes the clone
			whole, floors = append(whole, took), append(floors, floor)
		}
	}
	what := fmt.Sprintf("a single pull request, p50 of %d, against fsync, fast-import and push", r.Singles)
	return []Row{
		atMost(what, milliseconds(median(whole)), milliseconds(median(floors)), 1.5),
		beside("the same, p99", milliseconds(quantile(whole, 0.99)), milliseconds(quantile(floors, 0.99))),
		exactly("pull requests pushed", len(whole), r.Singles),
	}, nil
}

// changed are the files of the GitOps repository that differ from before, which it brings up
// to date.
func (s *site) changed(ctx context.Context, before map[string]string) ([]gitops.File, error) {
	files, err := s.GitOps.Files(ctx, s.GitOps.Stands("main"))
	if err != nil {
		return nil, err
	}
	var out []gitops.File
	for _, f := range files {
		if before[f.Path] != string(f.Content) {
			before[f.Path] = string(f.Content)
			out = append(out, f)
		}
	}
	return out, nil
}

// floorRepository is a second GitOps repository, which git alone writes to.
type floorRepository struct{ clone *gittest.Plain }

// mirrored makes one beside the first, on the same server.
func (s *site) mirrored(ctx context.Context) (*floorRepository, error) {
	repository, err := s.Git.Create(ctx, "acme/floor")
	if err != nil {
		return nil, err
	}
	clone, err := repository.Plain(ctx, filepath.Join(s.Dir, "floor"), s.Hand, false)
	return &floorRepository{clone}, err
}

// take is the least that an event takes: its bytes are on the disk, and its files in git.
func (f *floorRepository) take(ctx context.Context, dir string, payload int, files []gitops.File) (time.Duration, error) {
	began := time.Now()
	if err := synced(filepath.Join(dir, "payload"), make([]byte, payload)); err != nil {
		return 0, err
	}
	err := f.clone.Import(ctx, gittest.Edit{Message: "Deploy", Put: files})
	return time.Since(began), err
}

// synced adds bytes to a file, and has them on the disk when it returns.
func synced(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
