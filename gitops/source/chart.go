package source

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/ignore"

	"github.com/idp-bot/idp/gitops/source/roots"
)

// load reads the chart from memory, and holds it to dependencies that are vendored.
func load(req Request) (*chart.Chart, error) {
	loaded, err := loadChart(req)
	if err != nil {
		return nil, unloadable{err}
	}
	return loaded, nil
}

func loadChart(req Request) (*chart.Chart, error) {
	buffered, err := filesOf(req)
	if err != nil {
		return nil, err
	}
	if err := unpackable(buffered); err != nil {
		return nil, err
	}
	loaded, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("the chart cannot be read: %w", err)
	}
	if loaded.Metadata.Type == "library" {
		return nil, fmt.Errorf("chart %s is a library: it renders nothing", loaded.Name())
	}
	for _, wanted := range loaded.Metadata.Dependencies {
		if err := beside(req, loaded, wanted); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(loaded.Dependencies(), func(c *chart.Chart) bool { return c.Name() == wanted.Name }) {
			return nil, fmt.Errorf("dependency %s of the chart is not in its charts folder: nothing is fetched, vendor it with helm dependency build", wanted.Name)
		}
	}
	return loaded, nil
}

// filesOf are the files of the chart as Helm would read them, of the repository's or the
// platform's.
func filesOf(req Request) ([]*loader.BufferedFile, error) {
	files, in := below(req.Files, req.Source.Path), shown(req.Source.Path)
	switch {
	case req.Chart != nil && req.Chart.Packed != nil:
		return unpacked(req.Chart.Packed)
	case req.Chart != nil:
		files, in = req.Chart.Files, "its folder"
	case req.Source.Chart != "":
		return nil, fmt.Errorf("chart %s is not given", req.Source.Chart) // never the repository's files for it
	}
	if _, ok := files[chartutil.ChartfileName]; !ok {
		return nil, fmt.Errorf("there is no Chart.yaml in %s", in)
	}
	return unignored(files)
}

// beside gives a chart a dependency that it names by file://, as "helm dependency build" packs
// it into its charts folder, where it is not vendored there.
func beside(req Request, loaded *chart.Chart, wanted *chart.Dependency) error {
	dir, ok := roots.Dependency(req.Source.Path, wanted.Repository)
	if !ok || req.Source.Chart != "" || slices.ContainsFunc(loaded.Dependencies(), func(c *chart.Chart) bool { return c.Name() == wanted.Name }) {
		return nil
	}
	files := below(req.Files, dir)
	if _, ok := files[chartutil.ChartfileName]; !ok {
		return fmt.Errorf("dependency %s of the chart: there is no Chart.yaml in %s", oneLine(wanted.Name), shown(dir))
	}
	buffered, err := unignored(files)
	if err != nil {
		return err
	}
	if err := unpackable(buffered); err != nil {
		return err
	}
	dependency, err := loader.LoadFiles(buffered)
	if err != nil {
		return fmt.Errorf("dependency %s of the chart cannot be read: %w", oneLine(wanted.Name), err)
	}
	if dependency.Name() != wanted.Name || !chartutil.IsCompatibleRange(wanted.Version, dependency.Metadata.Version) {
		return fmt.Errorf("dependency %s of the chart: %s has %s %s, and not a %s", oneLine(wanted.Name), shown(dir), oneLine(dependency.Name()), oneLine(dependency.Metadata.Version), oneLine(wanted.Version))
	}
	loaded.AddDependency(dependency)
	return nil
}

// unignored are the files of a chart's folder that Helm would read: those that its .helmignore
// names, and what is below a folder that it names, are none of them. As with Helm, that file
// counts for the charts in its charts folder, and their own do not.
func unignored(files map[string][]byte) ([]*loader.BufferedFile, error) {
	rules := ignore.Empty()
	if content, ok := files[ignore.HelmIgnore]; ok {
		var err error
		if rules, err = ignore.Parse(bytes.NewReader(content)); err != nil {
			return nil, fmt.Errorf("the chart's %s: %w", ignore.HelmIgnore, err)
		}
	}
	rules.AddDefaults()
	var out []*loader.BufferedFile
	for _, name := range sorted(files) {
		if !ignored(rules, name) {
			out = append(out, &loader.BufferedFile{Name: name, Data: bytes.TrimPrefix(files[name], []byte("\ufeff"))})
		}
	}
	return out, nil
}

// ignored says whether rules name a file or a folder that it is in.
func ignored(rules *ignore.Rules, name string) bool {
	for i, c := range name {
		if c == '/' && rules.Ignore(name[:i], entry{name[:i], fs.ModeDir}) {
			return true
		}
	}
	return rules.Ignore(name, entry{name, 0})
}

// entry is a file or a folder in memory.
type entry struct {
	at   string
	mode fs.FileMode
}

func (e entry) Name() string      { return path.Base(e.at) }
func (entry) Size() int64         { return 0 }
func (e entry) Mode() fs.FileMode { return e.mode }
func (entry) ModTime() time.Time  { return time.Time{} }
func (e entry) IsDir() bool       { return e.mode.IsDir() }
func (entry) Sys() any            { return nil }
