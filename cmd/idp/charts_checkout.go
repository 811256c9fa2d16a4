package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// maxCharts bounds what is read of the folder of charts in a checkout, in bytes.
const maxCharts = 64 << 20

// chartCheckout is a checkout of the repository with the platform folder.
type chartCheckout struct{ dir string }

// Files reads a folder. Nothing outside of the checkout is reached.
func (c chartCheckout) Files(_ context.Context, _, dir string) ([]gitops.File, error) {
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, noPlatform(c.dir, err)
	}
	defer root.Close()
	var out []gitops.File
	room := int64(maxCharts)
	err = fs.WalkDir(root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s: %w", name, repo.ErrIrregular)
		}
		content, err := readLimited(root, name, room)
		if room -= int64(len(content)); room <= 0 {
			return fault.Newf(fault.Invalid, "%s has more than %d MiB of files", dir, maxCharts>>20)
		}
		out = append(out, gitops.File{Path: name, Content: content})
		return err
	})
	return out, err
}

// Text reads one file.
func (c chartCheckout) Text(ctx context.Context, _, name string) ([]byte, error) {
	files, err := c.Files(ctx, "", name)
	if err != nil {
		return nil, err
	}
	if len(files) != 1 || files[0].Path != name {
		return nil, fmt.Errorf("%s: %w", name, repo.ErrNoFile)
	}
	return files[0].Content, nil
}

// charts reads the charts of a row in the checkout, whose commit is not known.
func (c chartCheckout) charts(ctx context.Context, _ previews.Environment, names []string) (platformCharts, error) {
	if c.dir == "" {
		return platformCharts{}, fault.Newf(fault.Usage, "preview.source names chart %s of the platform's, which is not known here", names[0]).
			WithHint("name a checkout of the GitOps repository with --platform")
	}
	return readCharts(ctx, c, "", names)
}

// check holds the charts of the checkout to their pins, and to what can be loaded.
func (c chartCheckout) check(ctx context.Context) (spec.Errors, error) {
	files, err := c.Files(ctx, "", platform.ChartsDir)
	if err == nil {
		var pins []gitops.File
		pins, err = c.Files(ctx, "", platform.ChartsPath)
		files = append(files, pins...)
	}
	if errors.Is(err, repo.ErrIrregular) {
		return nil, fault.Wrap(err, fault.Invalid, err.Error()+": links are not followed", "copy what it leads to")
	}
	if err != nil {
		return nil, err
	}
	var renderer *source.Renderer
	var unstarted error
	errs := platform.CheckCharts(files, func(chart platform.Chart) error {
		if renderer == nil && unstarted == nil {
			renderer, unstarted = ownRenderer(ctx)
		}
		if unstarted != nil {
			return nil
		}
		own := chart.Own(files)
		if chart.Packed() {
			return loadable(ctx, renderer, source.Chart{Packed: own[""]})
		}
		return loadable(ctx, renderer, source.Chart{Files: own})
	})
	return errs, unstarted
}

func loadable(ctx context.Context, r *source.Renderer, c source.Chart) error {
	if err := r.Load(ctx, c); err != nil {
		return errors.New(messageOf(err))
	}
	return nil
}

// ownRenderer renders in children of this program.
func ownRenderer(ctx context.Context) (*source.Renderer, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	started, _, err := source.New(ctx, binary)
	return started, err
}
