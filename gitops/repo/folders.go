package repo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// recordsAtOnce is how many records are read in one go, which fill bounds.
const recordsAtOnce = 500

// Folder is an environment's folder, environments/<owner>/<repo>/<id>, as a commit has it.
type Folder struct {
	// Dir is its path, Tree the id of its tree.
	Dir, Tree string
	// Record is the content of its environment.yaml; nil where Err says why there is none.
	Record []byte
	Err    error
}

// Folders returns the folders of environments in a commit, with their records, sorted by
// path. What stands in the place of a folder, or of a record, and is none is a Folder with
// an Err that wraps ErrIrregular. Files beside them are nobody's business.
func (r *Repo) Folders(ctx context.Context, commit string) ([]Folder, error) {
	if err := r.ensure(ctx, commit); err != nil {
		return nil, err
	}
	out, err := r.local(ctx, gitexec.Command{Args: []string{"ls-tree", "-r", "-t", "-z", "--full-tree", commit, "--", gitops.EnvironmentsDir + "/"}})
	if err != nil {
		return nil, fmt.Errorf("list the environments in %s: %w", commit, err)
	}
	folders, blobs := readFolders(string(out))
	for from := 0; from < len(folders); from += recordsAtOnce {
		to := min(from+recordsAtOnce, len(folders))
		if err := r.records(ctx, commit, folders[from:to], blobs); err != nil {
			return nil, err
		}
	}
	return folders, nil
}

// FolderTrees returns the trees of the folders of environments in a commit, by path. It
// reads no content, and costs a fraction of Folders.
func (r *Repo) FolderTrees(ctx context.Context, commit string) (map[string]string, error) {
	if err := r.ensure(ctx, commit); err != nil {
		return nil, err
	}
	out, err := r.local(ctx, gitexec.Command{Args: []string{"ls-tree", "-r", "-d", "-z", "--full-tree", commit, "--", gitops.EnvironmentsDir + "/"}})
	if err != nil {
		return nil, fmt.Errorf("list the environments in %s: %w", commit, err)
	}
	trees := map[string]string{}
	for record := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		facts, dir, _ := strings.Cut(record, "\t")
		if fields := strings.Fields(facts); len(fields) == 3 && fields[1] == "tree" && strings.Count(dir, "/") == 3 {
			trees[dir] = fields[2]
		}
	}
	return trees, nil
}

// readFolders reads ls-tree's records "<mode> <kind> <id> TAB <path>", and returns the
// folders with the blobs of their records by path.
func readFolders(list string) ([]Folder, map[string]string) {
	byDir, blobs := map[string]*Folder{}, map[string]string{}
	at := func(dir string) *Folder {
		if byDir[dir] == nil {
			byDir[dir] = &Folder{Dir: dir}
		}
		return byDir[dir]
	}
	for record := range strings.SplitSeq(strings.TrimSuffix(list, "\x00"), "\x00") {
		facts, file, _ := strings.Cut(record, "\t")
		fields := strings.Fields(facts)
		if len(fields) != 3 {
			continue
		}
		e := entry{fields[0], fields[1], fields[2]}
		switch depth := strings.Count(file, "/"); {
		case depth == 3 && e.kind == "tree":
			at(file).Tree = e.id
		case depth == 3 || depth < 3 && e.kind != "tree" && e.mode != modeFile:
			at(file).Err = fmt.Errorf("%s: %w: %s, where an environment's folder is expected", file, ErrIrregular, describe(e))
		case depth == 4 && path.Base(file) == recordName && e.mode == modeFile:
			blobs[file] = e.id
		case depth == 4 && path.Base(file) == recordName:
			at(path.Dir(file)).Err = fmt.Errorf("%s: %w: %s", file, ErrIrregular, describe(e))
		}
	}
	folders := make([]Folder, 0, len(byDir))
	for dir, f := range byDir {
		if _, has := blobs[path.Join(dir, recordName)]; !has && f.Err == nil {
			f.Err = fmt.Errorf("%s: %w: it has no %s", dir, ErrIrregular, recordName)
		}
		folders = append(folders, *f)
	}
	slices.SortFunc(folders, func(a, b Folder) int { return strings.Compare(a.Dir, b.Dir) })
	return folders, blobs
}

// recordName is the last part of gitops.EnvironmentRef.RecordPath.
const recordName = "environment.yaml"

// records reads the records of folders.
func (r *Repo) records(ctx context.Context, commit string, folders []Folder, blobs map[string]string) error {
	var files []gitops.File
	var ids []string
	var of []*Folder
	for i := range folders {
		if id, ok := blobs[path.Join(folders[i].Dir, recordName)]; ok {
			files, ids, of = append(files, gitops.File{Path: path.Join(folders[i].Dir, recordName)}), append(ids, id), append(of, &folders[i])
		}
	}
	if len(files) == 0 {
		return nil
	}
	if err := r.fill(ctx, files, ids); err != nil {
		if err := r.fetchBlobs(ctx, gitops.EnvironmentsDir, []string{commit}, slices.Collect(maps.Values(blobs))); err != nil {
			return err
		}
		if err := r.fill(ctx, files, ids); err != nil {
			return err
		}
	}
	for i, f := range of {
		f.Record = files[i].Content
	}
	return nil
}

// Landed is a change that a commit of the branch carries.
type Landed struct {
	// Key is the Change's.
	Key string
	// Commit carries it, and was made At.
	Commit string
	At     time.Time
	// Trailers are the change's own, by name.
	Trailers map[string]string
}

// History returns the changes that a commit and those before it carry, by their trailers;
// the newest first.
func (r *Repo) History(ctx context.Context, commit string) ([]Landed, error) {
	if err := r.ensure(ctx, commit); err != nil {
		return nil, err
	}
	out, err := r.local(ctx, gitexec.Command{Args: []string{
		"log", "-z", "--topo-order", "--no-color", "--no-show-signature", "--format=tformat:%H%x1f%ct%x1f%(trailers:only,unfold)", commit, "--",
	}})
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", commit, err)
	}
	var found []Landed
	for record := range strings.SplitSeq(string(out), "\x00") {
		fields := strings.SplitN(strings.TrimPrefix(record, "\n"), "\x1f", 3)
		if len(fields) != 3 {
			continue
		}
		seconds, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the history of %s: time of %s: %w", commit, fields[0], err)
		}
		found = append(found, landed(fields[0], time.Unix(seconds, 0).UTC(), fields[2])...)
	}
	return found, nil
}

// landed reads the trailers of one commit: a change's own follow its Idp-Change.
func landed(commit string, at time.Time, trailers string) []Landed {
	var found []Landed
	for line := range strings.Lines(trailers) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case !ok:
		case name == trailerChange:
			found = append(found, Landed{Key: value, Commit: commit, At: at, Trailers: map[string]string{}})
		case len(found) > 0:
			found[len(found)-1].Trailers[name] = value
		}
	}
	return found
}

// Place is a folder in a commit.
type Place struct{ Commit, Dir string }

// Trees returns the id of the tree at each place, "" where there is no folder. The commits
// are some that the clone holds, such as those of History.
func (r *Repo) Trees(ctx context.Context, places []Place) ([]string, error) {
	if len(places) == 0 {
		return nil, nil
	}
	var asked bytes.Buffer
	for _, p := range places {
		if err := readable(p.Dir, p.Commit); err != nil {
			return nil, err
		}
		fmt.Fprintf(&asked, "%s:%s\n", p.Commit, p.Dir)
	}
	out, err := r.local(ctx, gitexec.Command{Args: []string{"cat-file", "--batch-check=%(objecttype) %(objectname)"}, Stdin: &asked})
	if err != nil {
		// One of them is a file, which the blobless clone lacks.
		return r.treesOneByOne(ctx, places)
	}
	trees := make([]string, 0, len(places))
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		id, _ := strings.CutPrefix(lines.Text(), "tree ")
		if !isSHA(id) {
			id = ""
		}
		trees = append(trees, id)
	}
	if len(trees) != len(places) {
		return nil, fmt.Errorf("read the trees of %d folders: git told of %d", len(places), len(trees))
	}
	return trees, nil
}

func (r *Repo) treesOneByOne(ctx context.Context, places []Place) ([]string, error) {
	trees := make([]string, len(places))
	for i, p := range places {
		tree, err := r.treeAt(ctx, p.Commit, p.Dir)
		if err != nil {
			return nil, err
		}
		trees[i] = tree
	}
	return trees, nil
}
