// Package inplace changes one value of a YAML file that somebody else owns, and nothing
// beside it: how a deployment is made in a GitOps layout that a team has already, instead
// of rendering one.
//
// It is pure. An edit takes the bytes of a file and gives the same bytes with the one
// scalar replaced where it stands. It does not go through an encoder: kyaml's, which keeps
// comments, writes indentation, blank lines, quotes and line ends anew (TestKyamlReformats).
// What came out is read again and compared with what went in, node by node, comments
// included: an edit that would have changed anything else is refused. So is a value that
// cannot be replaced without guessing what its owner meant: one that is anchored or an
// alias, a block of text, a key that stands twice.
//
// The package never reads or writes a file, and never adds or removes a key.
package inplace

import (
	"fmt"
	"regexp"
	"strings"
)

// MaxFile is the largest file that is edited, in bytes.
const MaxFile = 1 << 20

// Set says what is written to a field.
type Set string

// What can be written. Those with a digest name exactly what was asked for; a tag alone may
// be overwritten in its registry after that.
const (
	Image      Set = "image"      // ghcr.io/acme/web@sha256:9f86…, as idp writes everywhere
	Repository Set = "repository" // ghcr.io/acme/web
	Tag        Set = "tag"        // 3f2c1a…
	Digest     Set = "digest"     // sha256:9f86…
	TagDigest  Set = "tag@digest" // 3f2c1a…@sha256:9f86…, for charts that put ":" before a tag
	Commit     Set = "commit"     // the full commit of the repository
)

// Sets returns every Set.
func Sets() []Set { return []Set{Image, Repository, Tag, Digest, TagDigest, Commit} }

// Exact says that it names an image by its digest.
func (s Set) Exact() bool { return s == Image || s == Digest || s == TagDigest }

// Field is one value of one file.
type Field struct {
	// File is the path from the root of the GitOps repository.
	File string `json:"file"`
	// Object is "Kind/name" of the document that is meant, "" where the file has one.
	Object string `json:"object,omitempty"`
	// Field is where in the document it stands; see ParsePath.
	Field string `json:"field"`
	Set   Set    `json:"set"`
}

// String names the file, the object and the field, for people.
func (f Field) String() string {
	if f.Object == "" {
		return f.File + ", " + f.Field
	}
	return f.File + ", " + f.Object + ", " + f.Field
}

// Same says that both are the same value of the same file.
func (f Field) Same(other Field) bool {
	return f.File == other.File && f.Object == other.Object && f.Field == other.Field
}

// Write is a field with what it is to hold, or holds.
type Write struct {
	Field
	Value string `json:"value"`
}

// safe are the values that are written: they are themselves in and out of quotes.
var safe = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:/@+-]*$`)

// Value returns what a field is to hold of an image, whose reference has a tag or not, and
// whose digest is "" where it is not known; commit is the full SHA. It errs where the field
// is to hold what there is not.
func (f Field) Value(reference, digest, commit string) (string, error) {
	repository, tag := split(reference)
	value, lacks := "", ""
	switch f.Set {
	case Image:
		if value = repository + "@" + digest; digest == "" {
			value = reference
		}
	case Repository:
		value = repository
	case Tag:
		value, lacks = tag, "tag"
	case Digest:
		value, lacks = digest, "digest"
	case TagDigest:
		value, lacks = tag+"@"+digest, "tag"
		if digest == "" {
			value, lacks = "", "digest"
		} else if tag == "" {
			value = ""
		}
	case Commit:
		value, lacks = commit, "commit"
	}
	switch {
	case value == "" && lacks != "":
		return "", fmt.Errorf("%s is to hold the image's %s, and %s has none that is known", f, lacks, reference)
	case !safe.MatchString(value) || len(value) > maxValue:
		return "", fmt.Errorf("%s cannot hold %.80q", f, value)
	}
	return value, nil
}

// maxValue is the longest value that is written, in bytes.
const maxValue = 1024

// split returns an image reference's repository and tag, "" for none.
func split(reference string) (repository, tag string) {
	repository, _, _ = strings.Cut(reference, "@")
	if i := strings.LastIndexByte(repository, ':'); i > strings.LastIndexByte(repository, '/') {
		return repository[:i], repository[i+1:]
	}
	return repository, ""
}
