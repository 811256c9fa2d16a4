package repo

import (
	"context"
	"fmt"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

const (
	// emptyTree is git's id of the tree without entries, known to every git.
	emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	// maxDiff is how much of a diff is read at all, in bytes.
	maxDiff = 8 << 20
	// maxNamed is how many left-out files are named.
	maxNamed = 20
)

// Diff returns the unified diff of the folder or file dir ("" for all) between two
// commits; from may be "" for an empty repository. Text beyond maxBytes is cut
// between two files, and a last line says which files were left out; with
// maxBytes 0 nothing is cut below 8 MiB. The text is of the repository's content
// and is not to be trusted.
func (r *Repo) Diff(ctx context.Context, from, to, dir string, maxBytes int) (string, error) {
	if err := readable(dir, to); err != nil {
		return "", err
	}
	if from == "" {
		from = emptyTree
	} else if err := validSHA(from); err != nil {
		return "", err
	}
	text, err := r.diff(ctx, from, to, dir)
	if err != nil {
		// The clone may lack a commit, or the blobs of somebody else's.
		if err := r.fetchChanged(ctx, from, to, dir); err != nil {
			return "", err
		}
		if text, err = r.diff(ctx, from, to, dir); err != nil {
			return "", fmt.Errorf("diff of %s to %s: %w", dir, to, err)
		}
	}
	return cutDiff(text, maxBytes), nil
}

func (r *Repo) diff(ctx context.Context, from, to, dir string) (string, error) {
	out, err := r.local(ctx, gitexec.Command{Args: diffArgs(from, to, dir, "--unified=3"), MaxStdout: maxDiff})
	return string(out), err
}

func diffArgs(from, to, dir string, more ...string) []string {
	args := append([]string{
		"diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/",
	}, more...)
	args = append(args, from, to, "--")
	if dir != "" {
		args = append(args, dir)
	}
	return args
}

// fetchChanged fetches the commits, and the blobs on both sides of the diff, that
// are missing.
func (r *Repo) fetchChanged(ctx context.Context, from, to, dir string) error {
	for _, commit := range []string{from, to} {
		if commit == emptyTree {
			continue
		}
		if err := r.ensure(ctx, commit); err != nil {
			return err
		}
	}
	out, err := r.local(ctx, gitexec.Command{Args: diffArgs(from, to, dir, "--raw", "-z", "--no-abbrev")})
	if err != nil {
		return fmt.Errorf("diff of %s to %s: %w", dir, to, err)
	}
	var blobs []string
	for _, record := range splitNUL(out) {
		// ":<mode> <mode> <id> <id> <status>", then the path as a record of its own.
		fields := strings.Fields(strings.TrimPrefix(record, ":"))
		if !strings.HasPrefix(record, ":") || len(fields) != 5 {
			continue
		}
		for side, id := range fields[2:4] {
			if isSHA(id) && strings.Trim(id, "0") != "" && fields[side] != "160000" {
				blobs = append(blobs, id)
			}
		}
	}
	if len(blobs) == 0 {
		return nil
	}
	return r.fetchBlobs(ctx, dir, []string{from, to}, blobs)
}

func splitNUL(out []byte) []string {
	if len(out) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// cutDiff keeps whole files of a diff, at most maxBytes with the line that names
// the files left out.
func cutDiff(diff string, maxBytes int) string {
	full := len(diff) < maxDiff
	if full && (maxBytes <= 0 || len(diff) <= maxBytes) {
		return diff
	}
	if maxBytes <= 0 {
		maxBytes = maxDiff
	}
	sections := splitDiff(diff)
	last := len(sections)
	if !full { // the last one may be incomplete
		last--
	}
	for n := last; n > 0; n-- {
		if text := strings.Join(sections[:n], "") + leftOut(sections, n, full); len(text) <= maxBytes {
			return text
		}
	}
	return leftOut(sections, 0, full)
}

// splitDiff splits at the lines that begin a file; no other line of a diff starts
// with "diff --git", since content is behind a blank, "+", "-" or "\".
func splitDiff(diff string) []string {
	var sections []string
	start := 0
	for i := 0; i < len(diff); {
		end := strings.IndexByte(diff[i:], '\n')
		if end < 0 {
			break
		}
		if strings.HasPrefix(diff[i:], "diff --git ") && i > start {
			sections = append(sections, diff[start:i])
			start = i
		}
		i += end + 1
	}
	if start < len(diff) {
		sections = append(sections, diff[start:])
	}
	return sections
}

// leftOut names the files of the sections from the nth on; full says that these
// are all there are.
func leftOut(sections []string, n int, full bool) string {
	var names []string
	for _, section := range sections[n:] {
		if len(names) < maxNamed {
			names = append(names, fileOf(section))
		}
	}
	list, total := strings.Join(names, ", "), fmt.Sprint(len(sections))
	if more := len(sections) - n - len(names); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	if !full {
		total = "more than " + total
		list += " and others"
	}
	return fmt.Sprintf("# %d of %s files shown; not shown: %s\n", n, total, list)
}

// fileOf reads a section's first line, "diff --git a/X b/X", in which both halves
// name the same file since renames are not looked for.
func fileOf(section string) string {
	line, _, _ := strings.Cut(section, "\n")
	names := strings.TrimPrefix(line, "diff --git ")
	first := strings.Trim(names[:len(names)/2], `"`)
	return oneLine(strings.TrimPrefix(first, "a/"))
}
