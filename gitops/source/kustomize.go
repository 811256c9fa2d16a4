package source

import (
	"fmt"
	"path"
	"regexp"
	"slices"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/idp-bot/idp/gitops/source/roots"
)

// overlay renders a Kustomize overlay as "kustomize build" does without any option. It
// reads from memory; what would have to be fetched or run is refused before it is tried.
func overlay(req Request) (Result, error) {
	v := visit{files: req.Files, seen: map[string]bool{}}
	if err := v.folder(req.Source.Path); err != nil {
		return Result{}, err
	}
	disk := filesys.MakeFsInMemory()
	var unnamed string
	for _, name := range sorted(req.Files) {
		// Its memory takes no name with a space or a plus, which most likely nothing asks for.
		if err := disk.WriteFile("/"+name, req.Files[name]); err != nil && unnamed == "" {
			unnamed = name
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/"+req.Source.Path)
	switch {
	case err != nil && unnamed != "":
		return Result{}, fmt.Errorf("%w (files such as %s are not there for Kustomize: a path is made of letters, digits, dots, dashes, colons and underscores)", err, oneLine(unnamed))
	case err != nil:
		return Result{}, err
	}
	text, err := built.AsYaml()
	if err != nil {
		return Result{}, fmt.Errorf("write what was built: %w", err)
	}
	if err := sized(slices.Values([]string{string(text)})); err != nil {
		return Result{}, err
	}
	return Result{Documents: documents(string(text))}, nil
}

// refusedFields are those of a kustomization that run something. Of transformers, Kustomize's
// own are let through.
var refusedFields = []string{"generators", "validators", "helmCharts", "helmChartInflationGenerator", "helmGlobals"}

// namingFields hold names of files; what stands in them must not be an address.
var namingFields = []string{
	"resources", "bases", "components", "crds", "configurations", "openapi", "path", "files", "env", "envs",
	"patches", "patchesJson6902", "patchesStrategicMerge", "replacements", "configMapGenerator", "secretGenerator",
}

// address is what is fetched and not read.
var address = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]+=)?(?:[A-Za-z0-9.+-]+::)?[A-Za-z][A-Za-z0-9+.-]*://|^git@|^[A-Za-z0-9.-]+\.[a-z]{2,}[:/][^ ]*//|\?(?:ref|timeout|submodules)=`)

// visit walks the kustomizations that one is made of.
type visit struct {
	files map[string][]byte
	seen  map[string]bool
}

// maxFolders is how many kustomizations one may be made of.
const maxFolders = 100

func (v *visit) folder(dir string) error {
	if dir == "." {
		dir = ""
	}
	if v.seen[dir] {
		return nil
	}
	if v.seen[dir] = true; len(v.seen) > maxFolders {
		return fmt.Errorf("it is made of more than %d folders", maxFolders)
	}
	file, content := v.kustomization(dir)
	if file == "" {
		return fmt.Errorf("there is no kustomization.yaml in %s", shown(dir))
	}
	var doc map[string]any
	if err := yaml.Unmarshal(content, &doc); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, field := range refusedFields {
		if doc[field] != nil {
			return fmt.Errorf("%s: %s is refused: generators, validators and charts within an overlay are programs, and none is run", file, field)
		}
	}
	if err := v.transformers(dir, file, doc["transformers"]); err != nil {
		return err
	}
	for _, field := range namingFields {
		if found := addressIn(doc[field], field == "resources" || field == "bases" || field == "components"); found != "" {
			return fmt.Errorf("%s: %s %s is refused: nothing is fetched, copy it into the repository", file, field, oneLine(found))
		}
	}
	return v.bases(dir, file, doc)
}

// ownTransformers are those that are part of Kustomize and only change what they are given.
var ownTransformers = []string{
	"AnnotationsTransformer", "ImageTagTransformer", "LabelTransformer", "NamespaceTransformer", "PatchJson6902Transformer", "PatchStrategicMergeTransformer",
	"PatchTransformer", "PrefixSuffixTransformer", "PrefixTransformer", "ReplacementTransformer", "ReplicaCountTransformer", "SuffixTransformer", "ValueAddTransformer",
}

// transformers holds the transformers of a kustomization to files of Kustomize's own.
func (v *visit) transformers(dir, file string, field any) error {
	if field == nil {
		return nil
	}
	list, ok := field.([]any)
	if !ok {
		return fmt.Errorf("%s: transformers is no list", file)
	}
	for _, one := range list {
		name, _ := one.(string)
		content, ok := v.files[path.Join(dir, name)]
		if !ok {
			return fmt.Errorf("%s: transformer %s is refused: it is no file of the repository", file, oneLine(fmt.Sprint(one)))
		}
		for _, text := range documents(string(content)) {
			if err := own(text); err != nil {
				return fmt.Errorf("%s: transformer %s is refused: %w", file, oneLine(name), err)
			}
		}
	}
	return nil
}

// own refuses a transformer that is not part of Kustomize, and one that fetches.
func own(text string) error {
	var t map[string]any
	if err := yaml.Unmarshal([]byte(text), &t); err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	version, _ := t["apiVersion"].(string)
	kind, _ := t["kind"].(string)
	metadata, _ := t["metadata"].(map[string]any)
	if version != "builtin" || !slices.Contains(ownTransformers, kind) || metadata["annotations"] != nil {
		return fmt.Errorf("%s is not one of Kustomize's own, and programs are not run", oneLine(version+" "+kind))
	}
	if found := addressIn(t, false); found != "" {
		return fmt.Errorf("nothing is fetched: copy %s into the repository", oneLine(found))
	}
	return nil
}

func (v *visit) kustomization(dir string) (file string, content []byte) {
	for _, name := range roots.Kustomizations {
		if content, ok := v.files[path.Join(dir, name)]; ok {
			return path.Join(dir, name), content
		}
	}
	return "", nil
}

// bases walks on to the folders that are named, each of which has to be there.
func (v *visit) bases(dir, file string, doc map[string]any) error {
	for _, field := range []string{"resources", "bases", "components"} {
		list, _ := doc[field].([]any)
		for _, one := range list {
			name, ok := one.(string)
			if !ok {
				continue
			}
			at := path.Join(dir, name)
			if _, isFile := v.files[at]; isFile {
				continue
			}
			if len(below(v.files, at)) == 0 || at == ".." || len(at) > 2 && at[:3] == "../" {
				return fmt.Errorf("%s: %s %s is not in the repository, and nothing is fetched", file, field, oneLine(name))
			}
			if err := v.folder(at); err != nil {
				return err
			}
		}
	}
	return nil
}

// addressIn is the first address among the names in a field, "" for none. Of a list of
// names every text is one; of others those below a key that names files.
func addressIn(value any, named bool) string {
	switch value := value.(type) {
	case string:
		if named && address.MatchString(value) {
			return value
		}
	case []any:
		for _, one := range value {
			if found := addressIn(one, named); found != "" {
				return found
			}
		}
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			if found := addressIn(value[key], slices.Contains([]string{"path", "files", "env", "envs"}, key)); found != "" {
				return found
			}
		}
	}
	return ""
}
