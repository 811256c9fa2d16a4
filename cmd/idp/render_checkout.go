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
	"github.com/idp-bot/idp/gitops/render"
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

// sourceOf has a preview made of its sources as they are in the checkout, in the place of the
// base branch's, which is not known here.
func (p *program) sourceOf(f renderFlags, args []string, row *previews.Environment, parsed *spec.Spec) {
	if f.pr > 0 {
		row.Source = p.inCheckout(f, args, parsed.Sources(), "base")
	}
}

// inCheckout are sources as they are in the checkout, in the place of those of a branch; nil
// where there are none, or no checkout.
func (p *program) inCheckout(f renderFlags, args []string, from spec.Sources, branch string) *previews.Source {
	dir := checkout(args)
	for _, one := range from {
		if dir == "" {
			p.note("%s is not rendered, for its files are not known: name the repository's folder; this is what idp itself renders", one.Key())
		} else {
			p.note("%s is rendered from the files in %s; the bot takes them from the %s branch", one.Key(), dir, branch)
		}
	}
	if dir == "" || len(from) == 0 {
		return nil
	}
	return &previews.Source{Base: f.sha, Branch: cmp.Or(f.branch, "the checkout"), From: from}
}

// sourcedIn renders sources from a checkout, in a confined child as the bot does.
func sourcedIn(dir, charts string, class platform.Class) sourced {
	return sourced{
		classOf: oneClass(class), charts: chartCheckout{charts}.charts,
		tree: func(_ context.Context, _ previews.Environment, _ string, from []spec.Source) (map[string][]byte, error) {
			return filesOf(dir, from)
		},
		children: ownRenderer,
	}
}

// ofCheckout renders a preview that is made of sources, and tells what was dropped or changed.
func (p *program) ofCheckout(ctx context.Context, dir, charts string, class platform.Class) func(previews.Environment) ([]gitops.File, error) {
	s := sourcedIn(dir, charts, class)
	return func(env previews.Environment) ([]gitops.File, error) {
		got, err := s.render(ctx, env)
		for _, note := range got.Notes {
			p.note("%s", printable(note))
		}
		return got.Files, err
	}
}

// partOfCheckout gives a part of a declared environment what its source renders to, and tells
// what was dropped or changed; nil where there is no checkout.
func (p *program) partOfCheckout(ctx context.Context, f renderFlags, args []string, parsed *spec.Spec) func(*render.Input) error {
	sources := map[string]*previews.Source{}
	for _, from := range parsed.SourcesIn(f.env) {
		sources[cmp.Or(from.Service, spec.All)] = p.inCheckout(f, args, spec.Sources{from}, "default")
	}
	if checkout(args) == "" {
		return nil // it was said that idp renders all
	}
	return func(in *render.Input) error {
		from := sources[in.Ref.Service]
		if from == nil {
			return nil
		}
		row := previews.Environment{Ref: in.Ref, Namespace: in.Namespace, Source: from}
		s := sourcedIn(checkout(args), f.platform, in.Class)
		charts, err := s.chartsOf(ctx, row)
		if err != nil {
			return err
		}
		adopted, err := s.adopted(ctx, row, *in, charts)
		for _, note := range adopted.notes {
			p.note("%s", printable(note))
		}
		in.Adopted, in.Source, in.Charts = adopted.from, recordOf(from), charts.recorded()
		return err
	}
}

// filesOf reads the files of a checkout that sources are made of, by paths from its root. Nothing
// outside is reached, and links are not followed.
func filesOf(dir string, from []spec.Source) (map[string][]byte, error) {
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
	for _, one := range from {
		for _, under := range roots.Of(one, plainFile(root)) {
			if err := fs.WalkDir(root.FS(), cmp.Or(under, "."), read); err != nil {
				return nil, err
			}
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
