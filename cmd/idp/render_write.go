package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/previews"
)

// write renders into the work tree of a GitOps repository. It replaces the
// environment's folder, keeps to the two folders that are idp's, and refuses a
// folder that another repository's environment has; nothing outside dir is
// reached, not even through a symbolic link.
func (t renderTree) write(dir string) ([]gitops.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer root.Close()
	if err := t.owns(root); err != nil {
		return nil, err
	}
	others, err := t.others(root)
	if err != nil {
		return nil, err
	}
	files, err := t.files(others)
	if err != nil {
		return nil, err
	}
	if err := root.RemoveAll(t.row.Ref.Dir()); err != nil {
		return nil, fmt.Errorf("replace %s: %w", t.row.Ref.Dir(), err)
	}
	for _, file := range files {
		if err := root.MkdirAll(path.Dir(file.Path), 0o755); err != nil {
			return nil, fmt.Errorf("write %s: %w", file.Path, err)
		}
		if err := root.WriteFile(file.Path, file.Content, 0o644); err != nil {
			return nil, fmt.Errorf("write %s: %w", file.Path, err)
		}
	}
	return files, nil
}

// owns refuses an existing folder without a record of this very environment.
func (t renderTree) owns(root *os.Root) error {
	dir := t.row.Ref.Dir()
	if _, err := root.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	content, err := root.ReadFile(t.row.Ref.RecordPath())
	if err != nil {
		return fault.Wrap(err, fault.Conflict, dir+" is there and is no environment of idp's", "look at it, and remove it yourself if it may go")
	}
	record, err := render.ParseRecord(content)
	if err != nil || record.Ref() != t.row.Ref {
		return fault.Wrap(err, fault.Conflict, dir+" belongs to another environment", "give the repository's own --repo-id")
	}
	return nil
}

// others returns the repository's other previews, as their records in the tree
// tell.
func (t renderTree) others(root *os.Root) ([]previews.Environment, error) {
	parent := path.Dir(t.row.Ref.Dir())
	entries, err := fs.ReadDir(root.FS(), parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", parent, err)
	}
	var out []previews.Environment
	for _, entry := range entries {
		if entry.Name() == t.row.Ref.ID || !entry.IsDir() {
			continue
		}
		file := path.Join(parent, entry.Name(), path.Base(t.row.Ref.RecordPath()))
		content, err := root.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		record, err := render.ParseRecord(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if ref := record.Ref(); ref.RepositoryID == t.row.Ref.RepositoryID && record.Environment == "" && ref.ID == entry.Name() {
			owner, repo, _ := strings.Cut(record.FullName, "/")
			out = append(out, previews.Environment{Ref: ref, Owner: owner, Repo: repo, PR: record.PullRequest})
		}
	}
	return out, nil
}
