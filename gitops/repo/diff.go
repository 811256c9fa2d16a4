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

// Diff returns the unified diff of the folder dir ("" for all) between two
// commits; from may be "" for an empty repository. Text beyond maxBytes is cut
// between two files, and a last line says which files were left out; with
// maxBytes 0 nothing is cut. The text is of the repository's content and is not
// to be trusted.
func (r *Repo) Diff(ctx context.Context, from, to, dir string, maxBytes int) (string, error) {
	if err := r.readable(ctx, to, dir); err != nil {
		return "", err
	}
	if from == "" {
		from = emptyTree
	} else if err := r.ensure(ctx, from); err != nil {
		return "", err
	}
	if err := r.fetchChanged(ctx, from, to, dir); err != nil {
		return "", err
	}
	out, err := r.local(ctx, gitexec.Command{
		Args: diffArgs(from, to, dir, "--unified=3"), MaxStdout: maxDiff,
	})
	if err != nil {
		return "", fmt.Errorf("diff of %s to %s: %w", dir, to, err)
	}
	names, err := r.local(ctx, gitexec.Command{Args: diffArgs(from, to, dir, "--name-only", "-z")})
	if err != nil {
		return "", fmt.Errorf("diff of %s to %s: %w", dir, to, err)
	}
	return cutDiff(string(out), splitNUL(names), maxBytes), nil
}

func diffArgs(from, to, dir string, more ...string) []string {
	args := append([]string{
		"diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/",
	}, more...)
	args = append(args, from, to, "--")
	if dir != "" {
		args = append(args, dir+"/")
	}
	return args
}

// fetchChanged fetches the blobs on both sides of the diff that are missing.
func (r *Repo) fetchChanged(ctx context.Context, from, to, dir string) error {
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
func cutDiff(diff string, names []string, maxBytes int) string {
	if maxBytes <= 0 && len(diff) < maxDiff || len(diff) <= maxBytes && len(diff) < maxDiff {
		return diff
	}
	if maxBytes <= 0 {
		maxBytes = maxDiff
	}
	sections := splitDiff(diff)
	if len(diff) >= maxDiff && len(sections) > 0 { // the last one may be incomplete
		sections = sections[:len(sections)-1]
	}
	for n := len(sections); n >= 0; n-- {
		text := strings.Join(sections[:n], "") + leftOut(names, n)
		if len(text) <= maxBytes || n == 0 {
			return text
		}
	}
	return ""
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

// leftOut names the files of names from the nth on.
func leftOut(names []string, n int) string {
	if n >= len(names) {
		return ""
	}
	rest := names[n:]
	more := ""
	if len(rest) > maxNamed {
		more = fmt.Sprintf(" and %d more", len(rest)-maxNamed)
		rest = rest[:maxNamed]
	}
	shown := make([]string, len(rest))
	for i, name := range rest {
		shown[i] = oneLine(name)
	}
	return fmt.Sprintf("# %d of %d files not shown: %s%s\n", len(names)-n, len(names), strings.Join(shown, ", "), more)
}
