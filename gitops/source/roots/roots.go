// Package roots says which files of a repository a source is made of: a chart's folder and
// the charts beside it that it depends on, and of an overlay what its kustomizations name,
// wherever in the repository that stands.
//
// It only follows names. What is refused of them is for whoever renders the source to say
// (gitops/source): a name that leads out of the repository or to an address is passed over.
package roots

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/spec"
)

// maxFolders bounds how many kustomizations, or charts, are followed; rendering refuses what
// is made of more.
const maxFolders = 200

// Kustomizations are the names that the file of a kustomization may have.
var Kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

const chartFile = "Chart.yaml"

// Read returns a file of the repository by its path from the root; false where there is none.
type Read func(name string) ([]byte, bool)

// In reads from files by their paths.
func In(files map[string][]byte) Read {
	return func(name string) ([]byte, bool) {
		content, ok := files[name]
		return content, ok
	}
}

// Of returns the paths of the repository that a source is made of, files or folders, sorted;
// "" is all there is. What names others is read; of what cannot be read nothing follows.
func Of(from spec.Source, read Read) []string {
	f := following{read: read, seen: map[string]bool{}}
	switch from.Kind {
	case spec.Helm:
		if from.Chart == "" { // else it is the platform's
			f.chart(from.Path)
		}
		f.found = append(f.found, from.ValuesFiles...)
	case spec.Kustomize:
		f.kustomization(from.Path)
	default:
		f.found = append(f.found, from.Path)
	}
	slices.Sort(f.found)
	return slices.Compact(f.found)
}

// Define says whether a file may be one whose content says what else a source of the kind is
// made of, wherever it stands.
func Define(kind spec.SourceKind, name string) bool {
	switch kind {
	case spec.Helm:
		return path.Base(name) == chartFile
	case spec.Kustomize:
		return slices.Contains(Kustomizations, path.Base(name))
	}
	return false
}

// Hold says whether a file is one of the roots, or below one.
func Hold(roots []string, file string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return root == "" || file == root || strings.HasPrefix(file, root+"/")
	})
}

// Dependency is the folder of a dependency that a chart names by file://, from the
// repository's root; false for any other and for one that is outside.
func Dependency(chart, repository string) (string, bool) {
	to, isFile := strings.CutPrefix(repository, "file://")
	if !isFile || path.IsAbs(to) {
		return "", false
	}
	return within(path.Join(chart, to))
}

// within is a joined path as names have it, false for one that leads out of the repository.
func within(at string) (string, bool) {
	if at == "." {
		return "", true
	}
	return at, at != ".." && !strings.HasPrefix(at, "../") && !path.IsAbs(at)
}

type following struct {
	read  Read
	seen  map[string]bool
	found []string
}

// visit says whether a folder was not looked at yet, and may be.
func (f *following) visit(dir string) bool {
	if f.seen[dir] || len(f.seen) >= maxFolders {
		return false
	}
	f.seen[dir] = true
	return true
}

// chart is made of its folder and of the charts beside it.
func (f *following) chart(dir string) {
	if !f.visit(dir) {
		return
	}
	f.found = append(f.found, dir)
	content, _ := f.read(path.Join(dir, chartFile))
	var chart struct {
		Dependencies []struct {
			Repository string `json:"repository"`
		} `json:"dependencies"`
	}
	if yaml.Unmarshal(content, &chart) != nil {
		return
	}
	for _, one := range chart.Dependencies {
		if beside, ok := Dependency(dir, one.Repository); ok {
			f.chart(beside)
		}
	}
}

// names are the parts of a kustomization, or of a transformer, that name files.
type names struct {
	Resources    []any  `json:"resources"`
	Bases        []any  `json:"bases"`
	Components   []any  `json:"components"`
	Transformers []any  `json:"transformers"`
	CRDs         []any  `json:"crds"`
	Merges       []any  `json:"patchesStrategicMerge"`
	Configs      []any  `json:"configurations"`
	Patches      []any  `json:"patches"`
	JSONPatches  []any  `json:"patchesJson6902"`
	Replacements []any  `json:"replacements"`
	ConfigMaps   []any  `json:"configMapGenerator"`
	Secrets      []any  `json:"secretGenerator"`
	OpenAPI      any    `json:"openapi"`
	Path         string `json:"path"`
	Paths        []any  `json:"paths"`
}

// kustomization is made of its file and of all that is named there.
func (f *following) kustomization(dir string) {
	if !f.visit(dir) {
		return
	}
	file, content := f.kustomizationOf(dir)
	var n names
	if file == "" || yaml.Unmarshal(content, &n) != nil {
		return
	}
	f.found = append(f.found, file)
	for _, one := range slices.Concat(n.Resources, n.Bases, n.Components) {
		f.resource(dir, one)
	}
	for _, one := range n.Transformers {
		f.transformer(dir, one)
	}
	f.named(dir, n)
}

func (f *following) kustomizationOf(dir string) (file string, content []byte) {
	for _, name := range Kustomizations {
		if content, ok := f.read(path.Join(dir, name)); ok {
			return path.Join(dir, name), content
		}
	}
	return "", nil
}

// resource is the folder of another kustomization, or a file.
func (f *following) resource(dir string, one any) {
	name, _ := one.(string)
	at, ok := within(path.Join(dir, name))
	if name == "" || !ok {
		return
	}
	if file, _ := f.kustomizationOf(at); file != "" {
		f.kustomization(at)
		return
	}
	f.file(dir, name)
}

// transformer is a file, which may name others.
func (f *following) transformer(dir string, one any) {
	name, _ := one.(string)
	f.file(dir, name)
	content, _ := f.read(path.Join(dir, name))
	for _, text := range strings.Split("\n"+string(content), "\n---") {
		var n names
		if yaml.Unmarshal([]byte(text), &n) == nil {
			f.file(dir, n.Path)
			f.files(dir, n.Paths)
			f.named(dir, n)
		}
	}
}

// named are the files that patches, replacements and generators name.
func (f *following) named(dir string, n names) {
	for _, list := range [][]any{n.CRDs, n.Merges, n.Configs} {
		f.files(dir, list)
	}
	for _, one := range slices.Concat(n.Patches, n.JSONPatches, n.Replacements, []any{n.OpenAPI}) {
		fields, _ := one.(map[string]any)
		f.files(dir, []any{fields["path"]})
	}
	for _, one := range slices.Concat(n.ConfigMaps, n.Secrets) {
		fields, _ := one.(map[string]any)
		for _, key := range []string{"files", "envs"} {
			list, _ := fields[key].([]any)
			f.files(dir, list)
		}
		f.files(dir, []any{fields["env"]})
	}
}

func (f *following) files(dir string, list []any) {
	for _, one := range list {
		name, _ := one.(string)
		f.file(dir, name)
	}
}

// file adds a file by its name as a kustomization has it: "PATH", or "KEY=PATH" of a
// generator. A patch may stand there instead, which has lines.
func (f *following) file(dir, name string) {
	if name == "" || strings.Contains(name, "\n") {
		return
	}
	add := func(name string) {
		if at, ok := within(path.Join(dir, name)); ok && at != "" {
			f.found = append(f.found, at)
		}
	}
	add(name)
	if _, after, ok := strings.Cut(name, "="); ok && after != "" {
		add(after)
	}
}
