package spec

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Parted says that the file tells which part of the repository the service is made of.
func (s Service) Parted() bool { return s.Path != "" || len(s.Paths) > 0 }

// Folders are the folders and files that the service is made of as far as they can be named:
// of a glob what comes before its first wildcard.
func (s Service) Folders() []string {
	var out []string
	for _, one := range append([]string{s.Path}, s.Paths...) {
		folder, _ := doublestar.SplitPattern(strings.Trim(strings.TrimPrefix(one, "./"), "/") + "/*")
		if folder != "." && !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	return out
}

// Touched says that one of some files, by their paths from the repository's root, is of what
// the service is made of: in its folder, or matched by one of its globs. A service that is not
// Parted is made of everything.
func (s Service) Touched(files []string) bool {
	if !s.Parted() {
		return true
	}
	return slices.ContainsFunc(files, func(file string) bool {
		return s.Path != "" && (file == s.Path || strings.HasPrefix(file, s.Path+"/")) ||
			slices.ContainsFunc(s.Paths, func(glob string) bool { return Below(glob, file) })
	})
}

// Below says that file matches glob or lies in a folder that does.
func Below(glob, file string) bool {
	glob = strings.Trim(strings.TrimPrefix(glob, "./"), "/")
	return doublestar.MatchUnvalidated(glob, file) || doublestar.MatchUnvalidated(glob+"/**", file)
}
