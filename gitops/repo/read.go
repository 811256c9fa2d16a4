package repo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// maxFiles bounds what Files returns, in bytes of content.
const maxFiles = 64 << 20

// Contains reports whether the commit ancestor is descendant or an ancestor of
// it. Both are full SHAs; a commit that the clone does not hold, after fetching
// the branch, gives an error that wraps ErrInvalid.
func (r *Repo) Contains(ctx context.Context, descendant, ancestor string) (bool, error) {
	if err := errors.Join(validSHA(descendant), validSHA(ancestor)); err != nil {
		return false, err
	}
	if known, ok := r.ancestry.get(descendant, ancestor); ok {
		return known, nil
	}
	contains, err := r.isAncestor(ctx, descendant, ancestor)
	if err != nil { // perhaps the clone lacks one of them
		if err := errors.Join(r.ensure(ctx, descendant), r.ensure(ctx, ancestor)); err != nil {
			return false, err
		}
		if contains, err = r.isAncestor(ctx, descendant, ancestor); err != nil {
			return false, fmt.Errorf("ancestry of %s: %w", descendant, err)
		}
	}
	r.ancestry.put(descendant, ancestor, contains)
	return contains, nil
}

func (r *Repo) isAncestor(ctx context.Context, descendant, ancestor string) (bool, error) {
	_, err := r.local(ctx, gitexec.Command{Args: []string{"merge-base", "--is-ancestor", ancestor, descendant}})
	var e *gitexec.Error
	if errors.As(err, &e) && e.ExitCode == 1 {
		return false, nil
	}
	return err == nil, err
}

// Files returns the regular files that the folder dir ("" for all) has in the
// commit, sorted by path. A symbolic link or submodule among them is an error
// that wraps ErrIrregular; a folder that does not exist has no files.
func (r *Repo) Files(ctx context.Context, commit, dir string) ([]gitops.File, error) {
	return r.files(ctx, commit, dir, "")
}

// FilesBut is Files without what is at the path but and below, which may be anything.
func (r *Repo) FilesBut(ctx context.Context, commit, dir, but string) ([]gitops.File, error) {
	return r.files(ctx, commit, dir, but)
}

func (r *Repo) files(ctx context.Context, commit, dir, but string) ([]gitops.File, error) {
	if err := readable(dir, commit); err != nil {
		return nil, err
	}
	list, err := r.list(ctx, commit, dir)
	if err != nil {
		if err := r.ensure(ctx, commit); err != nil {
			return nil, err
		}
		if list, err = r.list(ctx, commit, dir); err != nil {
			return nil, fmt.Errorf("list %s in %s: %w", dir, commit, err)
		}
	}
	files, blobs, err := regular(list, but)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	if err := r.fill(ctx, files, blobs); err == nil || errors.Is(err, ErrTooLarge) {
		return files, err
	}
	if err := r.fetchBlobs(ctx, dir, []string{commit}, blobs); err != nil {
		return nil, err
	}
	if err := r.fill(ctx, files, blobs); err != nil {
		return nil, err
	}
	return files, nil
}

func (r *Repo) list(ctx context.Context, commit, dir string) (string, error) {
	args := []string{"ls-tree", "-r", "-z", "--full-tree", commit, "--"}
	if dir != "" {
		args = append(args, dir+"/")
	}
	out, err := r.local(ctx, gitexec.Command{Args: args})
	return string(out), err
}

// regular reads ls-tree's records "<mode> <kind> <id> TAB <path>", without those at the path but
// and below; "" is none.
func regular(list, but string) (files []gitops.File, blobs []string, err error) {
	for record := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		facts, path, _ := strings.Cut(record, "\t")
		fields := strings.Fields(facts)
		if len(fields) != 3 || but != "" && (path == but || strings.HasPrefix(path, but+"/")) {
			continue
		}
		if e := (entry{fields[0], fields[1], fields[2]}); !strings.HasPrefix(e.mode, "100") {
			return nil, nil, fmt.Errorf("%s: %w: %s", path, ErrIrregular, describe(e))
		}
		files, blobs = append(files, gitops.File{Path: path}), append(blobs, fields[2])
	}
	return files, blobs, nil
}

// fill reads the blobs into the files.
func (r *Repo) fill(ctx context.Context, files []gitops.File, blobs []string) error {
	out, err := r.local(ctx, gitexec.Command{
		Args: []string{"cat-file", "--batch"}, Stdin: strings.NewReader(strings.Join(blobs, "\n") + "\n"),
	})
	if err != nil {
		return fmt.Errorf("read files: %w", err)
	}
	in, total := bufio.NewReader(bytes.NewReader(out)), 0
	for i := range files {
		header, err := in.ReadString('\n')
		fields := strings.Fields(header) // id, kind, size
		if err != nil || len(fields) != 3 {
			return fmt.Errorf("read %s: unexpected %.80q from git cat-file", files[i].Path, header)
		}
		size, err := strconv.Atoi(fields[2])
		if total += size; err != nil || size < 0 || total > maxFiles {
			return fmt.Errorf("read %s: %w: more than %d bytes of files", files[i].Path, ErrTooLarge, maxFiles)
		}
		content := make([]byte, size+1) // and a line feed
		if _, err := io.ReadFull(in, content); err != nil {
			return fmt.Errorf("read %s: %w", files[i].Path, err)
		}
		files[i].Content = content[:size]
	}
	return nil
}

// fetchBlobs fetches those of the blobs, which are below dir in the commits, that
// the blobless clone lacks: as git's own lazy fetch would, but all at once.
func (r *Repo) fetchBlobs(ctx context.Context, dir string, commits, blobs []string) error {
	trees, err := r.treesAt(ctx, dir, commits)
	if err != nil || len(trees) == 0 {
		return err
	}
	out, err := r.local(ctx, gitexec.Command{
		Args: append([]string{"rev-list", "--objects", "--missing=print", "--no-object-names"}, trees...),
	})
	if err != nil {
		return fmt.Errorf("look for missing files: %w", err)
	}
	wanted := make(map[string]bool, len(blobs))
	for _, id := range blobs {
		wanted[id] = true
	}
	var missing []string
	for line := range strings.Lines(string(out)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "?"); ok && wanted[id] {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return r.fetchObjects(ctx, missing)
}

// fetchObjects fetches objects by their ids.
func (r *Repo) fetchObjects(ctx context.Context, ids []string) error {
	_, err := r.network(ctx, "fetch files of the GitOps repository", gitexec.Command{
		Args: []string{
			"-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head",
			"--no-recurse-submodules", "--no-auto-maintenance", "--filter=blob:none", "--stdin", "origin",
		},
		Stdin: strings.NewReader(strings.Join(ids, "\n") + "\n"),
	})
	return err
}

func (r *Repo) treesAt(ctx context.Context, dir string, commits []string) ([]string, error) {
	var trees []string
	for _, commit := range commits {
		switch {
		case commit == emptyTree:
		case dir == "":
			trees = append(trees, commit+"^{tree}")
		default:
			tree, err := r.treeAt(ctx, commit, dir)
			if err != nil {
				return nil, err
			}
			if tree != "" {
				trees = append(trees, tree)
			}
		}
	}
	return trees, nil
}

func readable(dir, commit string) error {
	if dir != "" {
		if err := ValidPath(dir); err != nil {
			return err
		}
	}
	return validSHA(commit)
}

// ensure fetches the branch when the clone does not hold the commit.
func (r *Repo) ensure(ctx context.Context, sha string) error {
	if err := validSHA(sha); err != nil {
		return err
	}
	if r.has(ctx, sha) {
		return nil
	}
	if _, err := r.Tip(ctx); err != nil {
		return err
	}
	if r.has(ctx, sha) {
		return nil
	}
	return fmt.Errorf("commit %s: %w: not in the GitOps repository", sha, ErrInvalid)
}

func (r *Repo) has(ctx context.Context, sha string) bool {
	_, err := r.local(ctx, gitexec.Command{Args: []string{"cat-file", "-e", sha + "^{commit}"}})
	return err == nil
}

// treeAt returns the id of dir's tree in a commit, "" when it is not a folder.
func (r *Repo) treeAt(ctx context.Context, commit, dir string) (string, error) {
	out, err := r.local(ctx, gitexec.Command{Args: []string{"ls-tree", "-z", "--full-tree", commit, "--", dir}})
	if err != nil {
		return "", fmt.Errorf("read %s in %s: %w", dir, commit, err)
	}
	facts, _, _ := strings.Cut(string(out), "\t")
	if fields := strings.Fields(facts); len(fields) == 3 && fields[1] == "tree" {
		return fields[2], nil
	}
	return "", nil
}

// explain adds to each conflict who last touched its folder or file, as far as that can
// be found out.
func (r *Repo) explain(ctx context.Context, conflicts []Conflict) {
	for i := range conflicts {
		c := &conflicts[i]
		if !errors.Is(c.Err, ErrConflict) && c.File == "" || r.tip.sha == "" {
			continue
		}
		out, err := r.local(ctx, gitexec.Command{
			Args: []string{"log", "-1", "--no-color", "--no-show-signature", "--format=tformat:%H%x00%an%x00%aI", r.tip.sha, "--", cmp.Or(c.File, c.Dir)},
		})
		if err != nil {
			r.opts.Log.WarnContext(ctx, "who changed a folder is unknown", "dir", c.Dir, "error", err)
			continue
		}
		fields := strings.SplitN(strings.TrimSpace(string(out)), "\x00", 3)
		if len(fields) != 3 {
			continue
		}
		c.Commit, c.Author = fields[0], oneLine(fields[1])
		// A date that does not parse stays zero: it is the commit's author's.
		c.Date, _ = time.Parse(time.RFC3339, fields[2])
	}
}
