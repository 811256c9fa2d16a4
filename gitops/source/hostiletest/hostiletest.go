// Package hostiletest has charts, overlays and manifests that mean harm, for tests: those of
// testdata/hostile of gitops/source.
package hostiletest

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/idp-bot/idp/gitops/spec"
)

// Source is one that means harm.
type Source struct {
	Name string
	spec.Source
	// Files are the repository's, by their paths; what is stolen would say STOLEN.
	Files map[string][]byte
	// Says is part of what has to be said of it.
	Says string
}

// Sources reads those of a folder, a txtar file each: "kind", "path" and "says" stand before
// its files.
func Sources(dir string) ([]Source, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var out []Source
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		s := Source{Name: strings.TrimSuffix(filepath.Base(name), ".txtar"), Files: map[string][]byte{}}
		for line := range strings.Lines(string(archive.Comment)) {
			switch key, value, _ := strings.Cut(strings.TrimSpace(line), ": "); key {
			case "kind":
				s.Kind = spec.SourceKind(value)
			case "path":
				s.Path = value
			case "says":
				s.Says = value
			}
		}
		for _, f := range archive.Files {
			s.Files[f.Name] = f.Data
		}
		out = append(out, s)
	}
	return out, nil
}
