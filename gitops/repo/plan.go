package repo

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"

	"github.com/idp-bot/idp/gitops"
)

// entry is what a path is at the tip; the zero entry is nothing at all.
type entry struct {
	mode, kind, id string
}

func (e entry) exists() bool   { return e.mode != "" }
func (e entry) isFolder() bool { return e.kind == "tree" }

// lookup returns what a path is at the tip.
type lookup func(path string) (entry, error)

// plan is what is to be done to a tip for a batch: pure data.
type plan struct {
	// write and shared change something; unchanged is there already.
	write     []wanted
	shared    []gitops.File
	unchanged []wanted
	conflicts []Conflict
	// present says which folders of write exist at the tip.
	present map[string]bool
	// texts are the files of others as they are to be, and edited says which of them differ
	// from the tip.
	texts  map[string]text
	edited map[string]bool
}

func (p plan) empty() bool { return len(p.write) == 0 && len(p.shared) == 0 }

// decide compares a batch with a tip, whose files that are to be edited are texts. It fails only when a lookup does, or when
// a shared file has no regular place.
func decide(b batch, at lookup, texts map[string]text) (plan, error) {
	at = remembered(at)
	p := plan{present: map[string]bool{}, texts: maps.Clone(texts), edited: map[string]bool{}}
	for _, file := range b.shared {
		same, err := sharedUnchanged(file, at)
		if errors.Is(err, ErrIrregular) {
			return plan{}, &SharedError{file.Path, err}
		}
		if err != nil {
			return plan{}, err
		}
		if !same {
			p.shared = append(p.shared, file)
		}
	}
	for _, w := range b.changes {
		if err := p.place(w, at); err != nil {
			return plan{}, err
		}
	}
	p.carry()
	return p, nil
}

func (p *plan) place(w wanted, at lookup) error {
	if w.Dir == "" {
		p.unchanged = append(p.unchanged, w)
		return nil
	}
	have, why, err := folderAt(w.Dir, at)
	switch {
	case err != nil:
		return err
	case why != nil:
		p.conflicts = append(p.conflicts, Conflict{Key: w.Key, Dir: w.Dir, Err: why})
	case have == w.tree:
		p.unchanged = append(p.unchanged, w)
	case !w.accepts(have):
		p.conflicts = append(p.conflicts, Conflict{Key: w.Key, Dir: w.Dir, Err: ErrConflict, Tree: have})
	default:
		conflict, err := p.edit(w, at)
		if err != nil {
			return err
		}
		if conflict != nil {
			p.conflicts = append(p.conflicts, *conflict)
			return nil
		}
		p.write = append(p.write, w)
		p.present[w.Dir] = have != ""
	}
	return nil
}

// carry moves the changes that have no folder of their own to where the shared
// files are: they are written if and only if those are.
func (p *plan) carry() {
	if len(p.shared) == 0 {
		return
	}
	kept := p.unchanged[:0]
	for _, w := range p.unchanged {
		if w.Dir == "" {
			p.write = append(p.write, w)
		} else {
			kept = append(kept, w)
		}
	}
	p.unchanged = kept
}

// folderAt returns the tree id of dir, "" when absent; why is set when dir or
// something above it is not a folder.
func folderAt(dir string, at lookup) (tree string, why, err error) {
	for _, path := range append(parents(dir), dir) {
		e, err := at(path)
		switch {
		case err != nil:
			return "", nil, err
		case !e.exists():
			return "", nil, nil
		case !e.isFolder():
			return "", fmt.Errorf("%s: %w: %s where a folder is expected", path, ErrIrregular, describe(e)), nil
		}
		tree = e.id
	}
	return tree, nil, nil
}

func sharedUnchanged(file gitops.File, at lookup) (bool, error) {
	for _, path := range parents(file.Path) {
		e, err := at(path)
		if err != nil {
			return false, err
		}
		if e.exists() && !e.isFolder() {
			return false, fmt.Errorf("%s: %w: %s where a folder is expected", path, ErrIrregular, describe(e))
		}
	}
	e, err := at(file.Path)
	if err != nil {
		return false, err
	}
	if e.exists() && (e.kind != "blob" || e.mode == "120000") {
		return false, fmt.Errorf("%s: %w: %s where a file is expected", file.Path, ErrIrregular, describe(e))
	}
	if file.Content == nil {
		return !e.exists(), nil
	}
	return e.mode == modeFile && e.id == hex.EncodeToString(blobID(file.Content)), nil
}

func describe(e entry) string {
	switch e.mode {
	case "120000":
		return "a symbolic link"
	case "160000":
		return "a submodule"
	case "040000":
		return "a folder"
	}
	return "a file"
}

// remembered asks at for each path once.
func remembered(at lookup) lookup {
	known := map[string]entry{}
	return func(path string) (entry, error) {
		if e, ok := known[path]; ok {
			return e, nil
		}
		e, err := at(path)
		if err == nil {
			known[path] = e
		}
		return e, err
	}
}
