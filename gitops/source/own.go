package source

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

// Own renders a chart that is part of idp itself: in this process, for it is as trusted as
// the program that it is in. It returns what "helm template RELEASE --namespace NAMESPACE"
// prints, byte for byte: objects in the order that they are to be applied in, each under the
// name of its template. Values that the chart's schema does not take are an error, as is what
// its templates require.
func Own(files fs.FS, values map[string]any, release, namespace string) (string, error) {
	own, err := ownChart(files)
	if err != nil {
		return "", err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	given, err := chartutil.ToRenderValues(own, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return "", fmt.Errorf("the chart's values: %w", err)
	}
	rendered, err := engine.Engine{}.Render(own, given)
	if err != nil {
		return "", fmt.Errorf("render the chart: %w", err)
	}
	for name := range rendered {
		if path.Base(name) == "NOTES.txt" {
			delete(rendered, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(rendered, nil, releaseutil.InstallOrder)
	if err != nil {
		return "", fmt.Errorf("read what the chart renders: %w", err)
	}
	var b strings.Builder
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	return b.String(), nil
}

// ownChart reads a chart's folder.
func ownChart(files fs.FS) (*chart.Chart, error) {
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: data})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	own, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	return own, nil
}
