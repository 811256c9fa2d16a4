// Package publictest has charts and overlays that nobody here wrote, for tests: they are
// fetched as Go modules, each at a version and held to its sum.
package publictest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
)

// Source is a chart or an overlay of a module.
type Source struct {
	// Name is what tests call it.
	Name string
	// Module is the module's path with its version.
	Module string
	spec.Source
	// Chance says that it renders otherwise each time: passwords and certificates of its own.
	Chance bool
	// Refused is what is said where it does not render, "" where it does; Helm or Kustomize
	// themselves have to refuse it too, where Alone does not say that only idp does.
	Refused string
	Alone   bool
}

// Fetch downloads the source's module, unless it is there, and returns its folder.
func (s Source) Fetch(ctx context.Context) (string, error) {
	sum, ok := sums[s.Module]
	if !ok {
		return "", fmt.Errorf("%s has no sum", s.Module)
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", s.Module)
	// No module is meant but the one that is named; its sum is held to the one here.
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOFLAGS=-mod=mod", "GONOSUMDB=*", "GOWORK=off")
	out, err := cmd.Output()
	var got struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &got); jsonErr != nil {
		return "", fmt.Errorf("download %s: %w: %s", s.Module, err, out)
	}
	switch {
	case got.Error != "":
		return "", fmt.Errorf("download %s: %s", s.Module, got.Error)
	case got.Sum != sum:
		return "", fmt.Errorf("%s has sum %s: expected %s", s.Module, got.Sum, sum)
	}
	return got.Dir, nil
}

// Files reads below dir, a module's folder, what idp would read of a repository.
func (s Source) Files(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	read := func(name string) ([]byte, bool) {
		content, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		return content, err == nil
	}
	for _, root := range roots.Of(s.Source, read) {
		err := filepath.WalkDir(filepath.Join(dir, root), func(file string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			name, err := filepath.Rel(dir, file)
			files[filepath.ToSlash(name)] = content
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", root, err)
		}
	}
	return files, nil
}
