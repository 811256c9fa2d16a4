package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/previews"
)

// reaped is W5: many environments of more are removed, as the committer has the writer do
// when as many have expired; against git alone deleting the same folders in one commit.
func reaped(ctx context.Context, r *run) (rows []Row, err error) {
	dir, err := os.MkdirTemp("", "idp-loadtest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	f, err := newField(ctx, dir, r.ReapOf)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	r.tell("%d environments are there", r.ReapOf)
	if err := f.measure(ctx, 0); err != nil { // the clone is fetched
		return nil, err
	}
	var changes []repo.Change
	edit := gittest.Edit{Message: "Remove"}
	// One environment of each few, as they expire: not whole repositories.
	for n := range r.Reap {
		i := 1 + n*(r.ReapOf-1)/r.Reap
		files := filesOf(i, "v0")
		changes = append(changes, repo.Change{
			Key: fmt.Sprintf("removal@%d", i), Dir: folderOf(i), Accept: []string{repo.TreeID(folderOf(i), files)}, Subject: "Remove " + folderOf(i),
		})
		edit.Remove = append(edit.Remove, folderOf(i))
	}
	edit.Put = listsOf(changes)
	before, err := f.remote.Between(ctx, "", f.remote.Stands("main"))
	if err != nil {
		return nil, err
	}
	began, gone := time.Now(), 0
	for len(changes) > 0 {
		batch := changes[:min(len(changes), previews.RemovalBatch)]
		changes = changes[len(batch):]
		result, err := f.writer.Commit(ctx, repo.Commit{Changes: batch, Shared: listsOf(batch)}, nil)
		if err != nil {
			return nil, err
		}
		gone += len(result.Applied)
	}
	took := time.Since(began)
	after, err := f.remote.Between(ctx, "", f.remote.Stands("main"))
	if err != nil {
		return nil, err
	}
	began = time.Now()
	if err := f.plain.Import(ctx, edit); err != nil {
		return nil, err
	}
	least := time.Since(began)
	batches := (r.Reap + previews.RemovalBatch - 1) / previews.RemovalBatch
	return []Row{
		atMost(fmt.Sprintf("%d of %d environments removed, against one fast-import and push", r.Reap, r.ReapOf), seconds(took), seconds(least), 2),
		exactly("environments removed", gone, r.Reap),
		exactly("commits, one for each batch", len(after)-len(before), batches),
	}, nil
}

// listsOf are the ApplicationSets that changes touch.
func listsOf(changes []repo.Change) (files []gitops.File) {
	seen := map[string]bool{}
	for _, c := range changes {
		var i int
		if _, err := fmt.Sscanf(c.Key, "removal@%d", &i); err != nil {
			continue // it is ours, and it does
		}
		if list := listOf(i, "removed "+c.Key); !seen[list.Path] {
			seen[list.Path] = true
			files = append(files, list)
		}
	}
	return files
}
