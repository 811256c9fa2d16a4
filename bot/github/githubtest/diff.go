package githubtest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// fileChange is one file of a pull request.
type fileChange struct {
	path, previous       string
	status               string // added, removed, modified, renamed
	sha                  string
	additions, deletions int
	patch                string
}

// changes compares two trees; a file that only moved is a rename.
func changes(from, to map[string]string) []fileChange {
	var out []fileChange
	gone := map[string]string{} // content → path
	for _, path := range slices.Sorted(maps.Keys(from)) {
		if _, kept := to[path]; !kept {
			gone[from[path]] = path
		}
	}
	moved := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(to)) {
		old, had := from[path]
		switch previous, renamed := gone[to[path]]; {
		case had && old == to[path]:
		case !had && renamed && !moved[previous]:
			moved[previous] = true
			out = append(out, fileChange{path: path, previous: previous, status: "renamed", sha: digest("blob", to[path])})
		case had:
			out = append(out, change(path, "modified", old, to[path]))
		default:
			out = append(out, change(path, "added", "", to[path]))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(from)) {
		if _, kept := to[path]; !kept && !moved[path] {
			out = append(out, change(path, "removed", from[path], ""))
		}
	}
	slices.SortFunc(out, func(a, b fileChange) int { return strings.Compare(a.path, b.path) })
	return out
}

// change describes one file, its patch from the first hunk on as GitHub has it.
func change(path, status, old, new string) fileChange {
	f := fileChange{path: path, status: status, sha: digest("blob", new)}
	if status == "removed" {
		f.sha = digest("blob", old)
	}
	patch := diff.Diff("a", []byte(old), "b", []byte(new))
	if at := bytes.Index(patch, []byte("\n@@ ")); at >= 0 {
		f.patch = strings.TrimSuffix(string(patch[at+1:]), "\n")
	}
	for line := range strings.Lines(f.patch) {
		switch {
		case strings.HasPrefix(line, "+"):
			f.additions++
		case strings.HasPrefix(line, "-"):
			f.deletions++
		}
	}
	return f
}

// merge3 merges two trees over their base, file by file; false where both
// changed one file differently.
func merge3(base, ours, theirs map[string]string) (map[string]string, bool) {
	out := maps.Clone(ours)
	paths := maps.Clone(base)
	maps.Copy(paths, theirs)
	for path := range paths {
		b, inBase := base[path]
		o, inOurs := ours[path]
		t, inTheirs := theirs[path]
		if inBase == inTheirs && b == t || inOurs == inTheirs && o == t {
			continue
		}
		if inBase != inOurs || b != o {
			return nil, false
		}
		if inTheirs {
			out[path] = t
		} else {
			delete(out, path)
		}
	}
	return out, true
}

// fileShape is GitHub's "diff-entry".
func (r *Repository) fileShape(f fileChange, sha string) any {
	out := object{
		"sha": f.sha, "filename": f.path, "status": f.status, "additions": f.additions, "deletions": f.deletions,
		"changes":      f.additions + f.deletions,
		"blob_url":     r.html("/blob/" + sha + "/" + f.path),
		"raw_url":      r.html("/raw/" + sha + "/" + f.path),
		"contents_url": r.api(fmt.Sprintf("/contents/%s?ref=%s", f.path, sha)),
	}
	if f.patch != "" {
		out["patch"] = f.patch
	}
	if f.previous != "" {
		out["previous_filename"] = f.previous
	}
	return out
}
