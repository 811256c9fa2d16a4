// Package manifests tells in what two sets of rendered manifests differ: what is in
// Git, and what is about to be.
//
// Compare is pure and never fails. What stands in Git may have been changed by
// others, so a file that does not read as a manifest is named by its file. The text
// that comes of it is of the repository's content, and is not to be trusted. It may be
// called concurrently.
package manifests

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops"
)

// Verb says what becomes of an object.
type Verb string

// The verbs.
const (
	Added   Verb = "added"
	Changed Verb = "changed"
	Removed Verb = "removed"
)

// Difference is one object that is not the same in both.
type Difference struct {
	Verb Verb
	// Object is its kind and name, such as "Deployment web".
	Object string
	// Diff is the unified diff of its file, with three lines around each change and
	// without the folder in the file's name; it ends with a line feed.
	Diff string
}

// devNull stands for a file that is not there, as in git's diffs.
const devNull = "/dev/null"

// Compare returns the objects that differ between the files of one folder, which
// hold one each, in the order of their paths.
func Compare(from, to []gitops.File) []Difference {
	before, after := contents(from), contents(to)
	var out []Difference
	for _, file := range paths(from, to) {
		was, had := before[file]
		is, has := after[file]
		d := Difference{Verb: Changed, Object: ObjectOf(gitops.File{Path: file, Content: is})}
		oldName, newName := path.Base(file), path.Base(file)
		switch {
		case had && has && bytes.Equal(was, is):
			continue
		case !had:
			d.Verb, oldName = Added, devNull
		case !has:
			d.Verb, d.Object, newName = Removed, ObjectOf(gitops.File{Path: file, Content: was}), devNull
		}
		d.Diff = unified(oldName, was, newName, is)
		out = append(out, d)
	}
	return out
}

func contents(files []gitops.File) map[string][]byte {
	out := make(map[string][]byte, len(files))
	for _, f := range files {
		out[f.Path] = f.Content
	}
	return out
}

func paths(sets ...[]gitops.File) []string {
	var out []string
	for _, files := range sets {
		for _, f := range files {
			out = append(out, f.Path)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ObjectOf names the object that a file holds, such as "Deployment web"; by the file where
// that does not tell.
func ObjectOf(f gitops.File) string {
	var object struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(f.Content, &object); err != nil || object.Kind == "" || object.Metadata.Name == "" {
		return path.Base(f.Path)
	}
	return object.Kind + " " + object.Metadata.Name
}

// unified is a diff without the line that repeats both names.
func unified(oldName string, was []byte, newName string, is []byte) string {
	text := string(diff.Diff(oldName, was, newName, is))
	if first, rest, found := strings.Cut(text, "\n"); found && strings.HasPrefix(first, "diff ") {
		text = rest
	}
	return text
}
