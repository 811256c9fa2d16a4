// Package holdings reads what a GitOps repository holds of idp's: the folders of
// environments with their records, and which commits of idp's they come from. A lost
// database is rebuilt from it, and drift is found by it.
//
// It only ever reads. What others may have written to the repository is no error of Read:
// a folder that is not what idp wrote there is a Holding that says so.
package holdings

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/repo"
)

// Repository is what Read needs of a GitOps repository.
type Repository interface {
	Folders(ctx context.Context, commit string) ([]repo.Folder, error)
	History(ctx context.Context, commit string) ([]repo.Landed, error)
	Trees(ctx context.Context, places []repo.Place) ([]string, error)
	Files(ctx context.Context, commit, dir string) ([]gitops.File, error)
}

// Holding is one folder of an environment.
type Holding struct {
	// Dir is the folder, Found its tree in Tip, the commit that was read.
	Dir, Found, Tip string
	// Record is the environment's as idp wrote it last; nil where Problem says what is
	// wrong with it.
	Record  *render.Record
	Problem *Problem
	// Tree is the folder's tree as idp wrote it last, and Commit the commit that did, of
	// CommittedAt; DeployedAt is the time of the first commit in a row with the record's
	// revision. Commit is "" where no commit of idp's is known, and then Tree is Found.
	Tree, Commit            string
	CommittedAt, DeployedAt time.Time
}

// Changed says that somebody else wrote to the folder.
func (h *Holding) Changed() bool { return h.Tree != h.Found }

// Problem is why a folder cannot be taken for an environment's.
type Problem struct {
	File string
	// Line is where, 0 where it is the whole file.
	Line    int
	Message string
}

// Error returns "file:line: message".
func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.File + ": " + p.Message
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Read returns the holdings in a commit, sorted by folder; none for "".
func Read(ctx context.Context, r Repository, commit string) ([]Holding, error) {
	if commit == "" {
		return nil, nil
	}
	folders, err := r.Folders(ctx, commit)
	if err != nil {
		return nil, err
	}
	history, err := r.History(ctx, commit)
	if err != nil {
		return nil, err
	}
	written := byDir(history)
	var places []repo.Place
	for _, f := range folders {
		if own := written[f.Dir]; len(own) > 0 {
			places = append(places, repo.Place{Commit: own[0].Commit, Dir: f.Dir})
		}
	}
	found, err := r.Trees(ctx, places)
	if err != nil {
		return nil, err
	}
	trees := map[string]string{}
	for i, p := range places {
		trees[p.Dir] = found[i]
	}
	out := make([]Holding, 0, len(folders))
	for _, f := range folders {
		h, err := hold(ctx, r, f, written[f.Dir], trees[f.Dir])
		if err != nil {
			return nil, err
		}
		h.Tip = commit
		out = append(out, h)
	}
	return out, nil
}

// byDir sorts the changes by the folder that they are of.
func byDir(history []repo.Landed) map[string][]repo.Landed {
	out := map[string][]repo.Landed{}
	for _, l := range history {
		name, _, ok := strings.Cut(l.Trailers["Idp-Environment"], " generation ")
		if !ok {
			continue
		}
		dir := path.Join(gitops.EnvironmentsDir, name)
		out[dir] = append(out[dir], l)
	}
	return out
}

// hold judges one folder by the changes of idp's that are of it, the newest first, and by
// the tree that it had in that one's commit.
func hold(ctx context.Context, r Repository, f repo.Folder, own []repo.Landed, tree string) (Holding, error) {
	h := Holding{Dir: f.Dir, Found: f.Tree, Tree: f.Tree}
	content := f.Record
	if len(own) > 0 {
		h.Tree, h.Commit, h.CommittedAt, h.DeployedAt = tree, own[0].Commit, own[0].At, own[0].At
		for _, l := range own {
			if l.Trailers["Idp-Revision"] != own[0].Trailers["Idp-Revision"] {
				break
			}
			h.DeployedAt = l.At
		}
	}
	switch file := path.Join(f.Dir, "environment.yaml"); {
	case len(own) > 0 && tree == "":
		h.Problem = &Problem{File: f.Dir, Message: fmt.Sprintf("idp removed it in commit %.7s, and somebody put it back", h.Commit)}
	case h.Changed():
		files, err := r.Files(ctx, h.Commit, f.Dir)
		if err != nil {
			return h, err
		}
		content = nil
		for _, written := range files {
			if written.Path == file {
				content = written.Content
			}
		}
		h.Record, h.Problem = read(f.Dir, file, content)
	case f.Err != nil:
		h.Problem = &Problem{File: file, Message: f.Err.Error()}
	default:
		h.Record, h.Problem = read(f.Dir, file, content)
	}
	return h, nil
}

// read parses a record and holds it to the folder that it is in.
func read(dir, file string, content []byte) (*render.Record, *Problem) {
	record, err := render.ParseRecord(content)
	if err != nil {
		return nil, &Problem{File: file, Line: lineOf(content, err), Message: err.Error()}
	}
	if of := record.Ref().Dir(); of != dir {
		return nil, &Problem{File: file, Line: lineWith(content, "id:"), Message: "it is the record of " + of}
	}
	return record, nil
}

var yamlLine = regexp.MustCompile(`\bline (\d+)`)

// lineOf is where in a record an error is: where it says so, or where the key stands that
// it names first; 0 where neither tells.
func lineOf(content []byte, err error) int {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits
		return n
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, ": "); ok {
		text = after // what the record says of itself may be any word
	}
	at, line := len(text), 0
	for i, l := range strings.Split(string(content), "\n") {
		key, _, ok := strings.Cut(l, ":")
		if !ok || key == "" || strings.TrimSpace(key) != key {
			continue
		}
		if found := strings.Index(text, key+" "); found >= 0 && found < at {
			at, line = found, i+1
		}
	}
	return line
}

func lineWith(content []byte, prefix string) int {
	for i, l := range strings.Split(string(content), "\n") {
		if strings.HasPrefix(l, prefix) {
			return i + 1
		}
	}
	return 0
}
