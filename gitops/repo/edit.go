package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Edit changes a file that is somebody else's, as it stands at the tip: it is asked again
// on every tip that the change is tried on.
type Edit struct {
	// Path is the file's, outside the folders that are idp's and the platform team's.
	Path string
	// Beside is a file that is read at the same tip, "" for none.
	Beside string
	// Apply returns what becomes of the file, or why it is left alone, which makes the
	// change a conflict. beside is nil where there is no such file. It changes neither.
	Apply func(content, beside []byte) ([]byte, error)
}

// ErrNoFile is for an edit of a file that is not there.
var ErrNoFile = errors.New("there is no such file")

func validEdits(c Change) error {
	if len(c.Edits) > 0 && (c.Dir == "" || len(c.Files) == 0) {
		return fmt.Errorf("edits: %w: a change without files has none", ErrInvalid)
	}
	for _, e := range c.Edits {
		if err := ValidPath(e.Path); err != nil {
			return err
		}
		for _, own := range []string{gitops.ApplicationSetsDir, gitops.EnvironmentsDir, gitops.PlatformDir} {
			if top, _, _ := strings.Cut(e.Path, "/"); strings.EqualFold(top, own) {
				return fmt.Errorf("edit of %q: %w: inside %s/", e.Path, ErrInvalid, own)
			}
		}
		if e.Beside != "" {
			if err := ValidPath(e.Beside); err != nil {
				return err
			}
		}
	}
	return nil
}

// text is a regular file at the tip.
type text struct {
	mode    string
	content []byte
}

// texts reads the files at the tip that the edits of a batch need.
func (r *Repo) texts(ctx context.Context, b batch) (map[string]text, error) {
	var paths []string
	for _, w := range b.changes {
		for _, e := range w.Edits {
			paths = append(paths, e.Path)
			if e.Beside != "" {
				paths = append(paths, e.Beside)
			}
		}
	}
	if len(paths) == 0 || r.tip.sha == "" {
		return nil, nil
	}
	return r.textsAt(ctx, r.tip.sha, paths)
}

// textsAt reads regular files in a commit; one that is not there, or is none, is left out.
func (r *Repo) textsAt(ctx context.Context, commit string, paths []string) (map[string]text, error) {
	list, err := r.local(ctx, gitexec.Command{Args: append([]string{"ls-tree", "-z", "--full-tree", commit, "--"}, paths...)})
	if err != nil {
		return nil, fmt.Errorf("look for the files to edit in %s: %w", commit, err)
	}
	var files []gitops.File
	var modes, blobs []string
	for record := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		facts, path, _ := strings.Cut(record, "\t")
		fields := strings.Fields(facts)
		if len(fields) != 3 || !strings.HasPrefix(fields[0], "100") {
			continue
		}
		files, modes, blobs = append(files, gitops.File{Path: path}), append(modes, fields[0]), append(blobs, fields[2])
	}
	if len(files) == 0 {
		return nil, nil
	}
	if r.fill(ctx, files, blobs) != nil { // the clone has only the contents that were needed yet
		if err := errors.Join(r.fetchObjects(ctx, blobs), r.fill(ctx, files, blobs)); err != nil {
			return nil, err
		}
	}
	out := make(map[string]text, len(files))
	for i, f := range files {
		out[f.Path] = text{modes[i], f.Content}
	}
	return out, nil
}

// Text returns a regular file in a commit, ErrNoFile where there is none.
func (r *Repo) Text(ctx context.Context, commit, path string) ([]byte, error) {
	if err := readable(path, commit); err != nil {
		return nil, err
	}
	if err := r.ensure(ctx, commit); err != nil {
		return nil, err
	}
	found, err := r.textsAt(ctx, commit, []string{path})
	if err != nil {
		return nil, err
	}
	file, ok := found[path]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	return file.content, nil
}

// edit applies a change's edits to what the files are by then. Where one cannot be made none
// is, and the conflict says why.
func (p *plan) edit(w wanted, at lookup) (*Conflict, error) {
	changed := map[string]text{}
	for _, e := range w.Edits {
		file, ok := changed[e.Path]
		if !ok {
			file, ok = p.texts[e.Path]
		}
		if !ok {
			why, err := whyNoFile(e.Path, at)
			if err != nil {
				return nil, err
			}
			return &Conflict{Key: w.Key, Dir: w.Dir, File: e.Path, Err: why}, nil
		}
		var beside []byte
		if other, there := p.texts[e.Beside]; there {
			beside = other.content
		}
		content, err := e.Apply(file.content, beside)
		if err != nil {
			return &Conflict{Key: w.Key, Dir: w.Dir, File: e.Path, Err: err}, nil
		}
		changed[e.Path] = text{file.mode, content}
	}
	for path, file := range changed {
		p.texts[path], p.edited[path] = file, true
	}
	return nil, nil
}

// whyNoFile says what there is in the place of a file.
func whyNoFile(path string, at lookup) (why, err error) {
	for _, above := range append(parents(path), path) {
		e, err := at(above)
		if err != nil {
			return nil, err
		}
		switch {
		case !e.exists():
			return fmt.Errorf("%s: %w", path, ErrNoFile), nil
		case above != path && !e.isFolder():
			return fmt.Errorf("%s: %w: %s where a folder is expected", above, ErrIrregular, describe(e)), nil
		case above == path:
			return fmt.Errorf("%s: %w: %s where a file is expected", path, ErrIrregular, describe(e)), nil
		}
	}
	return fmt.Errorf("%s: %w", path, ErrNoFile), nil
}

// verifyEdits compares what git made of each file with what was meant.
func (i *importer) verifyEdits(p plan, sha string) error {
	for path := range p.edited {
		e, err := i.ls(sha, path)
		if err != nil {
			return err
		}
		if want := hex.EncodeToString(blobID(p.texts[path].content)); e.id != want || e.mode != p.texts[path].mode {
			return fmt.Errorf("file %s became %s %s instead of %s %s", path, e.mode, e.id, p.texts[path].mode, want)
		}
	}
	return nil
}
