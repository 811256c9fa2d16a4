package register

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/secret"
)

// File is a secret and where it is kept.
type File struct {
	Path    string
	Content secret.String
}

// Free says whether nothing is at the paths yet and files can be made there, before GitHub
// is asked for what would be lost.
func Free(paths ...string) error {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return taken(path)
		}
		probe, err := os.CreateTemp(filepath.Dir(path), ".idp-*")
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "nothing can be written beside "+path, "name another folder with --dir, or let this user write there")
		}
		if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
			return err
		}
	}
	return nil
}

func taken(path string) error {
	return fault.New(fault.Conflict, path+" is there already, and is not overwritten", "move it away, or name another folder with --dir")
}

// Keep writes files that only their owner reads, all of them or none: what is there
// already is never overwritten, and nothing is ever half written under its name.
func Keep(files ...File) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for _, file := range files {
		written, err := draft(file)
		if err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
		// A link, unlike a rename, fails where something is.
		linked := os.Link(written, file.Path)
		if linked == nil {
			made = append(made, file.Path)
		}
		removed := os.Remove(written)
		if errors.Is(linked, fs.ErrExist) {
			return taken(file.Path)
		}
		if err := errors.Join(linked, removed); err != nil {
			return fmt.Errorf("write %s: %w", file.Path, err)
		}
	}
	return nil
}

// draft writes the content beside its place; os.CreateTemp's files have mode 0600.
func draft(file File) (path string, err error) {
	out, err := os.CreateTemp(filepath.Dir(file.Path), ".idp-*")
	if err != nil {
		return "", err
	}
	_, err = out.WriteString(file.Content.Reveal())
	err = errors.Join(err, out.Sync(), out.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}
