package roots

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/idp-bot/idp/gitops/spec"
)

// FuzzOf follows whatever a repository's files name: to paths of the repository alone, each
// once, and the same again.
func FuzzOf(f *testing.F) {
	f.Add("kustomize", "overlay", "resources: [../base, x.yaml, https://example.com/x]\ntransformers: [t.yaml]\n", "resources: [../overlay]\n")
	f.Add("kustomize", "", "configMapGenerator: [{name: a, files: [KEY=../../etc/passwd, a=b]}]\nopenapi: {path: /etc/x}\n", "")
	f.Add("helm", "chart", "dependencies: [{repository: 'file://../base'}, {repository: 'file://../../..'}]\n", "dependencies: [{repository: 'file://../chart'}]\n")
	f.Add("manifests", "deploy", "", "")
	f.Fuzz(func(t *testing.T, kind, at, own, base string) {
		if at != "" && !fs.ValidPath(at) || at == "." {
			return // the spec refuses it
		}
		read := func(name string) ([]byte, bool) {
			if len(name) > 0 && name[0] == 'b' {
				return []byte(base), true
			}
			return []byte(own), true
		}
		from := spec.Source{Kind: spec.SourceKind(kind), Path: at}
		got := Of(from, read)
		for _, root := range got {
			if root != "" && !fs.ValidPath(root) {
				t.Errorf("%q is no path of the repository", root)
			}
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("not each once: %q", got)
		}
		if again := Of(from, read); !slices.Equal(got, again) {
			t.Errorf("%q, and then %q", got, again)
		}
	})
}
