package repo

import (
	"cmp"
	"crypto/sha1" // git's object ids are SHA-1; they identify here, they do not protect
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
)

const (
	modeFile = "100644"
	modeTree = "40000" // as in a tree object; ls prints 040000
)

// TreeID returns the id of the tree that the folder dir has when it holds
// exactly files (paths from the root of the repository, all below dir), or ""
// when there are none, as git keeps no empty folder. It is what to record beside
// an environment and to give as Change.Accept. Files outside dir give "".
func TreeID(dir string, files []gitops.File) string {
	root := &node{}
	for _, f := range files {
		rel, ok := strings.CutPrefix(f.Path, dir+"/")
		if !ok {
			return ""
		}
		root.add(strings.Split(rel, "/"), blobID(f.Content))
	}
	if len(root.children) == 0 {
		return ""
	}
	return hex.EncodeToString(root.id())
}

// node is a folder, or a file when it has a blob.
type node struct {
	children map[string]*node
	blob     []byte
}

func (n *node) add(path []string, blob []byte) {
	if len(path) == 0 {
		n.blob = blob
		return
	}
	if n.children == nil {
		n.children = map[string]*node{}
	}
	child := n.children[path[0]]
	if child == nil {
		child = &node{}
		n.children[path[0]] = child
	}
	child.add(path[1:], blob)
}

// id hashes the folder as git does: entries sorted by name, a folder's name
// counting as if it ended in a slash.
func (n *node) id() []byte {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	sortKey := func(name string) string {
		if n.children[name].blob == nil {
			return name + "/"
		}
		return name
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	var body []byte
	for _, name := range names {
		child, mode := n.children[name], modeFile
		id := child.blob
		if id == nil {
			mode, id = modeTree, child.id()
		}
		body = append(body, mode+" "+name+"\x00"...)
		body = append(body, id...)
	}
	return objectID("tree", body)
}

func blobID(content []byte) []byte { return objectID("blob", content) }

func objectID(kind string, body []byte) []byte {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", kind, len(body))
	h.Write(body)
	return h.Sum(nil)
}
