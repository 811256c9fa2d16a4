package repo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/idp-bot/idp/gitops/repo/internal/gitexec"
)

// fewFolders is how many folders are looked for one by one. fast-import reads every tree
// above a path anew for each question.
const fewFolders = 50

// foldersOf returns what the folders of changes are in a commit, by reading each folder above
// them once. What is not in the answer is not known, and has to be asked for by itself. The
// caller keeps the packs from being merged.
func (r *Repo) foldersOf(ctx context.Context, commit string, changes []wanted) (map[string]entry, error) {
	if commit == "" {
		return nil, nil
	}
	var above []string
	wantedIn := map[string][]string{}
	for _, w := range changes {
		if w.Dir == "" {
			continue
		}
		dir := path.Dir(w.Dir)
		if wantedIn[dir] == nil {
			above = append(above, dir)
		}
		wantedIn[dir] = append(wantedIn[dir], w.Dir)
	}
	var asked strings.Builder
	for _, dir := range above {
		asked.WriteString(commit + ":" + dir + "\n")
	}
	out, err := r.git.Run(ctx, gitexec.Command{Args: []string{"cat-file", "--batch"}, Stdin: strings.NewReader(asked.String())})
	if err != nil { // one of them is a file, perhaps, which the clone lacks
		return nil, fmt.Errorf("read the folders of %d changes in %s: %w", len(changes), commit, err)
	}
	known := map[string]entry{}
	in := bufio.NewReader(bytes.NewReader(out))
	for _, dir := range above {
		children, isFolder, err := readFolder(in)
		if err != nil {
			return nil, fmt.Errorf("read %s in %s: %w", dir, commit, err)
		}
		if !isFolder {
			continue
		}
		for _, child := range wantedIn[dir] {
			known[child] = children[path.Base(child)]
		}
	}
	return known, nil
}

// readFolder reads one answer of git cat-file --batch: "<id> tree <size>" and the tree
// itself, "<mode> SP <name> NUL <20 bytes of id>" again and again. isFolder is false for
// whatever else was asked for.
func readFolder(in *bufio.Reader) (children map[string]entry, isFolder bool, err error) {
	header, err := in.ReadString('\n')
	if err != nil {
		return nil, false, err
	}
	fields := strings.Fields(header)
	if len(fields) != 3 || !isSHA(fields[0]) {
		return nil, false, nil // "<what was asked> missing"
	}
	size, err := strconv.Atoi(fields[2])
	if err != nil || size < 0 {
		return nil, false, fmt.Errorf("unexpected %.80q from git cat-file", header)
	}
	body := make([]byte, size+1) // and a line feed
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, false, err
	}
	if fields[1] != "tree" {
		return nil, false, nil
	}
	children = map[string]entry{}
	for body = body[:size]; len(body) > 0; {
		facts, rest, ok := bytes.Cut(body, []byte{0})
		mode, name, named := strings.Cut(string(facts), " ")
		if !ok || !named || len(rest) < 20 {
			return nil, false, fmt.Errorf("unexpected tree %s from git cat-file", fields[0])
		}
		e := entry{mode: mode, kind: "blob", id: hex.EncodeToString(rest[:20])}
		switch mode {
		case "40000":
			e.mode, e.kind = "040000", "tree"
		case "160000":
			e.kind = "commit"
		}
		children[name], body = e, rest[20:]
	}
	return children, true, nil
}

// verifyFolders compares what git made of each folder with what was computed for it.
func (r *Repo) verifyFolders(ctx context.Context, commit string, changes []wanted) error {
	became, err := r.foldersOf(ctx, commit, changes)
	if err != nil {
		return err
	}
	for _, w := range changes {
		if is := became[w.Dir].id; w.Dir != "" && is != w.tree {
			return becameOther(w, is)
		}
	}
	return nil
}
