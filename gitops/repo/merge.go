package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

const (
	// maxPacks is how many packs of one kind there may be before they are merged.
	maxPacks = 50
	// bigPack is the size, in bytes, from which a pack is left as it is.
	bigPack = 64 << 20
)

// mergePacks keeps the number of packs bounded. Each commit and each fetch leaves
// one, and every look-up of an object asks each in turn.
//
// git's own gc and repack walk everything that is reachable, which costs more
// each day, and refuse clones without a full closure. Cloning again costs the
// whole history over the network. Merging the packs of one kind by the lists of
// their own objects needs neither: it reads what it writes. Packs from the remote
// ("promisor" packs, which may lack what the remote can supply) and packs of our
// own stay apart, since git treats what is missing from them differently. Big
// packs are left alone, so that the work does not grow with the history.
//
// A failure is logged and changes nothing but speed.
func (r *Repo) mergePacks(ctx context.Context) {
	own, fetched, err := r.packFiles()
	if err == nil && max(len(own), len(fetched)) > maxPacks {
		r.packs.Lock()
		defer r.packs.Unlock()
		err = errors.Join(r.mergeKind(ctx, own, false), r.mergeKind(ctx, fetched, true))
	}
	if err != nil && ctx.Err() == nil {
		r.opts.Log.WarnContext(ctx, "packs of the GitOps clone were not merged", "dir", r.git.Dir, "error", err)
	}
}

// packFiles returns the paths, without extension, of the packs small enough to
// be merged.
func (r *Repo) packFiles() (own, fetched []string, err error) {
	dir := filepath.Join(r.git.Dir, "objects", "pack")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list packs: %w", err)
	}
	for _, e := range entries {
		name, isPack := strings.CutSuffix(e.Name(), ".pack")
		if !isPack {
			continue
		}
		if info, err := e.Info(); err != nil || info.Size() >= bigPack {
			continue
		}
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path + ".promisor"); err == nil {
			fetched = append(fetched, path)
		} else {
			own = append(own, path)
		}
	}
	return own, fetched, nil
}

// mergeKind writes one pack of all objects of packs and removes those.
func (r *Repo) mergeKind(ctx context.Context, packs []string, promisor bool) error {
	if len(packs) <= maxPacks {
		return nil
	}
	objects, err := r.objectsOf(ctx, packs)
	if err != nil {
		return err
	}
	base := filepath.Join(r.git.Dir, "objects", "pack", "pack")
	out, err := r.git.Run(ctx, gitexec.Command{
		Args:  []string{"pack-objects", "--quiet", "--threads=1", "--window=4", "--delta-base-offset", base},
		Stdin: bytes.NewReader(objects), Timeout: 5 * r.opts.Timeout,
	})
	if err != nil {
		return fmt.Errorf("merge packs: %w", err)
	}
	merged := base + "-" + strings.TrimSpace(string(out))
	if promisor {
		if err := os.WriteFile(merged+".promisor", nil, 0o400); err != nil {
			return fmt.Errorf("merge packs: %w", err)
		}
	}
	return removePacks(packs, merged)
}

// objectsOf lists the ids in the packs' indexes, from the lines "<offset> <id>
// (<crc>)" of git-show-index(1).
func (r *Repo) objectsOf(ctx context.Context, packs []string) ([]byte, error) {
	seen := map[string]bool{}
	for _, pack := range packs {
		index, err := os.ReadFile(pack + ".idx")
		if err != nil {
			return nil, fmt.Errorf("read index of a pack: %w", err)
		}
		out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"show-index"}, Stdin: bytes.NewReader(index)})
		if err != nil {
			return nil, fmt.Errorf("read index of a pack: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			if fields := strings.Fields(line); len(fields) >= 2 && isSHA(fields[1]) {
				seen[fields[1]] = true
			}
		}
	}
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return []byte(strings.Join(ids, "\n") + "\n"), nil
}

// removePacks removes the index first: what is left of a pack without one is not
// read by anybody.
func removePacks(packs []string, merged string) error {
	for _, pack := range packs {
		if pack == merged {
			continue
		}
		for _, ext := range []string{".idx", ".rev", ".bitmap", ".pack", ".promisor"} {
			if err := os.Remove(pack + ext); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove merged pack: %w", err)
			}
		}
	}
	return nil
}
