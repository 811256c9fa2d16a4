package repo

import (
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops"
)

const (
	maxPath      = 1024 // bytes; below what any checkout's file system takes
	maxComponent = 255
)

// ValidPath says why path cannot be written to a GitOps repository, nil when it
// can. It takes relative slash-separated paths of printable ASCII that mean the
// same on every file system that the repository may be checked out on: no empty,
// "." or ".." component, nothing that some system takes for ".git", no
// characters that Windows reserves. Errors wrap ErrInvalid.
func ValidPath(path string) error {
	if path == "" || len(path) > maxPath {
		return fmt.Errorf("path %.80q: %w: 1 to %d bytes are allowed", path, ErrInvalid, maxPath)
	}
	for _, component := range strings.Split(path, "/") {
		if why := badComponent(component); why != "" {
			return fmt.Errorf("path %.80q: %w: %s", path, ErrInvalid, why)
		}
	}
	return nil
}

func badComponent(c string) string {
	switch {
	case c == "":
		return "empty component"
	case len(c) > maxComponent:
		return "component too long"
	case c == "." || c == "..":
		return "component " + c
	case strings.HasSuffix(c, ".") || strings.HasSuffix(c, " "):
		return "component ends in a dot or a blank"
	case strings.EqualFold(c, ".git") || strings.EqualFold(c, "git~1"):
		return "component names git's own folder"
	}
	for i := range len(c) {
		if b := c[i]; b < ' ' || b > '~' || strings.IndexByte(`\:*?"<>|`, b) >= 0 {
			return fmt.Sprintf("character %q", b)
		}
	}
	return ""
}

// validBelow is ValidPath for a path that must be inside the folder root.
func validBelow(root, path string) error {
	if err := ValidPath(path); err != nil {
		return err
	}
	if !strings.HasPrefix(path, root+"/") {
		return fmt.Errorf("path %q: %w: not inside %s/", path, ErrInvalid, root)
	}
	return nil
}

// validFiles checks that the files are inside root, each path once, none a
// folder of another.
func validFiles(root string, files []gitops.File) error {
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		if err := validBelow(root, f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("path %q: %w: given twice", f.Path, ErrInvalid)
		}
		seen[f.Path] = true
	}
	for _, f := range files {
		for _, parent := range parents(f.Path) {
			if seen[parent] {
				return fmt.Errorf("path %q: %w: both a file and a folder", parent, ErrInvalid)
			}
		}
	}
	return nil
}

// parents returns the folders above path, the topmost first.
func parents(path string) []string {
	var out []string
	for i := range len(path) {
		if path[i] == '/' {
			out = append(out, path[:i])
		}
	}
	return out
}

// quotePath writes a path as fast-import reads it: C-style quoted, always, every
// byte that is not printable ASCII as octal.
func quotePath(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// validSHA accepts a full SHA-1 in lower case and nothing else.
func validSHA(sha string) error {
	if isSHA(sha) {
		return nil
	}
	return fmt.Errorf("commit %.80q: %w: not 40 hexadecimal digits", sha, ErrInvalid)
}

func isSHA(s string) bool {
	if len(s) != 40 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
