package gittest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// Commit is one commit with the whole content of its tree, for whoever shows a
// repository's history as a Git host does.
type Commit struct {
	SHA     string
	Parents []string
	// Author is the author's name, At when it was committed.
	Author, Message string
	At              time.Time
	// Files are contents by path; a symbolic link's is its target.
	Files map[string]string
}

// Heads returns the tips of all branches, by name.
func (r *Repository) Heads(ctx context.Context) (map[string]string, error) {
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/"}})
	if err != nil {
		return nil, fmt.Errorf("list branches: %w", err)
	}
	heads := map[string]string{}
	for _, line := range lines(out) {
		sha, name, _ := strings.Cut(line, " ")
		heads[name] = sha
	}
	return heads, nil
}

// History returns the commits that tips reach and those known do not, parents
// first.
func (r *Repository) History(ctx context.Context, tips, known []string) ([]Commit, error) {
	if len(tips) == 0 {
		return nil, nil
	}
	args := append([]string{"log", "-z", "--reverse", "--topo-order", "--format=%H%x00%P%x00%an%x00%ct%x00%B"}, tips...)
	out, err := r.git.Run(ctx, gitexec.Command{Args: append(append(args, "--not"), known...)})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	const perCommit = 5
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	var commits []Commit
	blobs := map[string]string{}
	for ; len(fields) >= perCommit; fields = fields[perCommit:] {
		seconds, err := strconv.ParseInt(fields[3], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read history: time of %s: %w", fields[0], err)
		}
		c := Commit{SHA: fields[0], Parents: strings.Fields(fields[1]), Author: fields[2], At: time.Unix(seconds, 0).UTC(), Message: strings.TrimRight(fields[4], "\n")}
		if c.Files, err = r.files(ctx, c.SHA, blobs); err != nil {
			return nil, err
		}
		commits = append(commits, c)
	}
	return commits, nil
}

// files returns a commit's contents by path; blobs are those read before, by id.
func (r *Repository) files(ctx context.Context, commit string, blobs map[string]string) (map[string]string, error) {
	// "<mode> <type> <id> TAB <path>"; -z leaves odd paths as they are.
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"ls-tree", "-r", "-z", "--full-tree", commit}})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", commit, err)
	}
	ids, missing := map[string]string{}, map[string]bool{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		head, path, found := strings.Cut(entry, "\t")
		if !found {
			continue // of an empty tree
		}
		id := head[strings.LastIndex(head, " ")+1:]
		ids[path] = id
		if _, read := blobs[id]; !read {
			missing[id] = true
		}
	}
	if err := r.readBlobs(ctx, missing, blobs); err != nil {
		return nil, fmt.Errorf("read %s: %w", commit, err)
	}
	files := make(map[string]string, len(ids))
	for path, id := range ids {
		files[path] = blobs[id]
	}
	return files, nil
}

// readBlobs adds contents to blobs, all by one process; see git-cat-file(1).
func (r *Repository) readBlobs(ctx context.Context, ids map[string]bool, blobs map[string]string) error {
	if len(ids) == 0 {
		return nil
	}
	var asked strings.Builder
	for id := range ids {
		asked.WriteString(id + "\n")
	}
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"cat-file", "--batch"}, Stdin: strings.NewReader(asked.String())})
	if err != nil {
		return err
	}
	reader := bufio.NewReader(bytes.NewReader(out))
	for range ids {
		var id, kind string
		var size int
		if _, err := fmt.Fscanf(reader, "%s %s %d\n", &id, &kind, &size); err != nil {
			return fmt.Errorf("read what git cat-file says: %w", err)
		}
		content := make([]byte, size+1) // and the newline after it
		if _, err := io.ReadFull(reader, content); err != nil {
			return fmt.Errorf("read what git cat-file says: %w", err)
		}
		blobs[id] = string(content[:size])
	}
	return nil
}

// Files returns the files of a commit, sorted by path.
func (r *Repository) Files(ctx context.Context, commit string) ([]gitops.File, error) {
	byPath, err := r.files(ctx, commit, map[string]string{})
	if err != nil {
		return nil, err
	}
	files := make([]gitops.File, 0, len(byPath))
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		files = append(files, gitops.File{Path: path, Content: []byte(byPath[path])})
	}
	return files, nil
}
