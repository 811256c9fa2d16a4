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
	root, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := owns(root, t.row.Ref); err != nil {
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
	return files, replace(root, []gitops.EnvironmentRef{t.row.Ref}, files)
}

func openTree(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return root, nil
}

// replace puts files in the place of the folders of refs.
func replace(root *os.Root, refs []gitops.EnvironmentRef, files []gitops.File) error {
	for _, ref := range refs {
		if err := root.RemoveAll(ref.Dir()); err != nil {
			return fmt.Errorf("replace %s: %w", ref.Dir(), err)
		}
	}
	for _, file := range files {
		if err := root.MkdirAll(path.Dir(file.Path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
		if err := root.WriteFile(file.Path, file.Content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
	}
	return nil
}

// owns refuses an existing folder without a record of this very environment.
func owns(root *os.Root, ref gitops.EnvironmentRef) error {
	dir := ref.Dir()
	if _, err := root.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	content, err := root.ReadFile(ref.RecordPath())
	if err != nil {
		return fault.Wrap(err, fault.Conflict, dir+" is there and is no environment of idp's", "look at it, and remove it yourself if it may go")
	}
	record, err := render.ParseRecord(content)
	if err != nil || record.Ref() != ref {
		return fault.Wrap(err, fault.Conflict, dir+" belongs to another environment", "give the repository's own --repo-id")
	}
	return nil
}

// others returns the repository's other previews, as their records in the tree
// tell.
func (t renderTree) others(root *os.Root) ([]previews.Environment, error) {
	records, err := recordsBeside(root, t.row.Ref)
	if err != nil {
		return nil, err
	}
	var out []previews.Environment
	for _, record := range records {
		if ref := record.Ref(); record.Environment == "" && ref != t.row.Ref {
			owner, repo, _ := strings.Cut(record.FullName, "/")
			out = append(out, previews.Environment{Ref: ref, Owner: owner, Repo: repo, PR: record.PullRequest})
		}
	}
	return out, nil
}
