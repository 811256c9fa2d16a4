// Package gitops holds the vocabulary that everything writing to the GitOps
// repository shares: a File, and the names and paths of environments in it.
//
// The layout of the repository is a contract, described in names.go; the
// packages below this one render it (render, argocd), commit it (repo) and read
// what users and the platform team declare (spec, platform). Nothing in this
// package does any input or output.
package gitops

// File is one file of the GitOps repository.
type File struct {
	// Path is relative to the root of the repository, with forward slashes.
	Path string
	// Content is the whole file. Rendered content is byte-stable: the same
	// inputs give the same bytes, so rendering twice makes no commit.
	Content []byte
}
