package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/source/roots"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxCheckout bounds the files of a source, in bytes, and maxCheckoutFiles their number: what
// the bot reads of a commit.
const (
	maxCheckout      = 16 << 20
	maxCheckoutFiles = 5000
)

// checkout is the folder of the repository that a spec's file is in, "" for standard input.
func checkout(args []string) string {
	if len(args) == 0 {
		return "."
	}
	dir := args[0]
	switch {
	case dir == "-":
		return ""
	case isDir(dir):
		return dir
	}
	dir = filepath.Dir(dir)
	if filepath.Base(dir) == filepath.Dir(filepath.FromSlash(spec.Path)) {
		dir = filepath.Dir(dir)
	}
	return dir
}

// sourceOf has a preview made of its source as it is in the checkout, in the place of the
// base branch's, which is not known here.
func (p *program) sourceOf(f renderFlags, args []string, row *previews.Environment, parsed *spec.Spec) {
	dir := checkout(args)
	switch from := parsed.Preview.Source; {
	case from == nil || f.pr <= 0:
	case dir == "":
		p.note("preview.source is not rendered, for its files are not known: name the repository's folder; this is what idp itself renders")
	default:
		p.note("preview.source is rendered from the files in %s; the bot takes them from the base branch", dir)
		row.Source = &previews.Source{Base: f.sha, Branch: cmp.Or(f.branch, "the checkout"), From: *from}
	}
}

// ofCheckout renders a preview that is made of a source, in a confined child as the bot does,
// and tells what was dropped or changed. charts is the checkout that has the platform's charts.
func (p *program) ofCheckout(ctx context.Context, dir, charts string, class platform.Class) func(previews.Environment) ([]gitops.File, error) {
	s := sourced{
		classOf: oneClass(class), charts: chartCheckout{charts}.charts,
		tree: func(_ context.Context, _ previews.Environment, _ string, from spec.Source) (map[string][]byte, error) {
			return filesOf(dir, from)
		},
		children: ownRenderer,
	}
	return func(env previews.Environment) ([]gitops.File, error) {
		got, err := s.render(ctx, env)
		for _, note := range got.Notes {
			p.note("%s", printable(note))
		}
		return got.Files, err
	}
}

// filesOf reads what a source may be made of in a checkout, by paths from its root. Nothing
// outside is reached, and links are not followed.
func filesOf(dir string, from spec.Source) (map[string][]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.New(fault.Invalid, fmt.Sprintf("cannot read %s: %s", dir, reason(err)), "name the repository's folder")
	}
	defer root.Close()
	files, size := map[string][]byte{}, int64(0)
	read := func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			return nil // whatever renders it says what is missing
		case err != nil:
			return fmt.Errorf("read %s: %w", name, err)
		case entry.IsDir() && name == ".git":
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return fault.Newf(fault.Invalid, "%s is no plain file: links are not followed", name).WithHint("copy what it leads to")
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if size += info.Size(); size > maxCheckout || len(files) >= maxCheckoutFiles {
			return fault.Newf(fault.Invalid, "the files there are larger than %d MiB, or more than %d", maxCheckout>>20, maxCheckoutFiles)
		}
		files[name], err = root.ReadFile(name)
		return err
	}
	for _, under := range roots.Of(from, plainFile(root)) {
		if err := fs.WalkDir(root.FS(), cmp.Or(under, "."), read); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// plainFile reads the plain files of a folder that are no larger than all of a source may be.
func plainFile(root *os.Root) roots.Read {
	return func(name string) ([]byte, bool) {
		info, err := root.Lstat(filepath.FromSlash(name))
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxCheckout {
			return nil, false
		}
		content, err := root.ReadFile(filepath.FromSlash(name))
		return content, err == nil
	}
}
