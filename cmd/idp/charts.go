package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// chartTree is where the platform's charts are read: a commit of the repository with the
// platform folder, or a checkout of it, for which a commit is "".
type chartTree interface {
	// Files are those of a folder, none where it is not there; a link among them is a
	// repo.ErrIrregular.
	Files(ctx context.Context, commit, dir string) ([]gitops.File, error)
	// Text is one file, repo.ErrNoFile where there is none.
	Text(ctx context.Context, commit, path string) ([]byte, error)
}

// platformCharts are charts of the platform's, as they were read.
type platformCharts struct {
	used  platform.UsedCharts
	files map[string]*source.Chart
}

// recorded is nil for no charts.
func (c platformCharts) recorded() *platform.UsedCharts {
	if len(c.files) == 0 {
		return nil
	}
	return &c.used
}

// of is what a generation is rendered from, nil for no charts.
func (c platformCharts) of(generation int64) *previews.Charts {
	if len(c.files) == 0 {
		return nil
	}
	return &previews.Charts{Generation: generation, UsedCharts: c.used}
}

// readCharts reads charts by their names at one commit, each held to its pin there. What is
// wrong with one is a fault.Conflict, or fault.NotFound where there is none of that name.
func readCharts(ctx context.Context, tree chartTree, commit string, names []string) (platformCharts, error) {
	out := platformCharts{used: platform.UsedCharts{At: commit, Digests: map[string]string{}}, files: map[string]*source.Chart{}}
	pins, err := tree.Text(ctx, commit, platform.ChartsPath)
	if err != nil && !errors.Is(err, repo.ErrNoFile) {
		return out, err
	}
	declared, errs := platform.LoadCharts(pins)
	if err := errs.Err(); err != nil {
		return out, fault.Wrap(err, fault.Conflict, platform.ChartsPath+" has mistakes: "+errs[0].Error(), "")
	}
	for _, name := range names {
		chart, ok := declared[name]
		if !ok {
			return out, noChart(name, slices.Sorted(maps.Keys(declared)))
		}
		if out.files[name], err = readChart(ctx, tree, commit, chart); err != nil {
			return out, err
		}
		out.used.Digests[name] = chart.Digest
	}
	return out, nil
}

func noChart(name string, known []string) error {
	return fault.Newf(fault.NotFound, "there is no chart %s: %s has %s", name, platform.ChartsPath, cmp.Or(strings.Join(known, ", "), "none"))
}

// readChart reads one chart and holds it to its pin.
func readChart(ctx context.Context, tree chartTree, commit string, c platform.Chart) (*source.Chart, error) {
	files, err := filesAt(ctx, tree, commit, c)
	if err != nil {
		return nil, err
	}
	own, err := c.Hold(files)
	if err != nil {
		return nil, err
	}
	if c.Packed() {
		return &source.Chart{Packed: own[""]}, nil
	}
	return &source.Chart{Files: own}, nil
}

// filesAt are the files at a chart's path.
func filesAt(ctx context.Context, tree chartTree, commit string, c platform.Chart) ([]gitops.File, error) {
	var files []gitops.File
	var err error
	if c.Packed() {
		var content []byte
		content, err = tree.Text(ctx, commit, c.Path)
		files = []gitops.File{{Path: c.Path, Content: content}}
	} else {
		files, err = tree.Files(ctx, commit, c.Path)
	}
	switch {
	case errors.Is(err, repo.ErrNoFile):
		return nil, nil
	case errors.Is(err, repo.ErrIrregular):
		return nil, fault.Wrap(err, fault.Conflict, fmt.Sprintf("the chart %s has what is no plain file in it: links are not followed", c.Path), "")
	case errors.Is(err, repo.ErrTooLarge):
		return nil, fault.Wrap(err, fault.Conflict, fmt.Sprintf("the chart %s is larger than %d MiB", c.Path, platform.MaxChart>>20), "")
	}
	return files, err
}

// chartsFor reads the charts that a row is rendered from: those that its generation was set out
// to be written with, else as they are declared now. What is wrong with them is a
// *previews.ChartError, said of how they are this moment alone.
func (d *declarations) chartsFor(ctx context.Context, env previews.Environment, names []string) (platformCharts, error) {
	if c := env.Charts; c != nil && c.Generation == env.Generation && c.Has(names...) {
		// Where the history is another since, there is nothing to be the same as.
		if got, err := readCharts(ctx, d.repo, c.At, names); !errors.Is(err, repo.ErrInvalid) {
			return got, ofPlatform(err)
		}
	}
	tip, err := d.latestTip()
	if err != nil {
		return platformCharts{}, &previews.LaterError{Err: err}
	}
	if tip == "" {
		return platformCharts{}, ofPlatform(noChart(names[0], nil))
	}
	got, err := readCharts(ctx, d.repo, tip, names)
	if _, wrong := errors.AsType[*fault.Error](err); !wrong {
		return got, ofPlatform(err)
	}
	if _, broken := d.current(ctx); broken != nil {
		return got, ofPlatform(err)
	}
	if now, _ := d.latestTip(); now != tip {
		got, err = readCharts(ctx, d.repo, now, names)
	}
	return got, ofPlatform(err)
}

// latestTip is the commit that latest is of.
func (d *declarations) latestTip() (string, error) {
	if _, err := d.latest(); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tip, nil
}

// ofPlatform says that what is wrong with a chart is the platform team's to mend; all else that
// keeps one from being read passes.
func ofPlatform(err error) error {
	if err == nil {
		return nil
	}
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return &previews.LaterError{Err: err}
	}
	return &previews.ChartError{Err: fault.Wrap(err, f.Code, f.Message, "The platform team has to mend that; then comment /idp preview.")}
}

// chartNames are the names of the platform's charts among sources.
func chartNames(sources ...spec.SourceOf) []string {
	var out []string
	for _, s := range sources {
		if s.Chart != "" && !slices.Contains(out, s.Chart) {
			out = append(out, s.Chart)
		}
	}
	return out
}
