package onboard

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// overlayNames are the names of overlays that previews are best made of, the best first.
var overlayNames = []string{"preview", "previews", "dev", "development", "staging", "base"}

// sources finds the chart, the overlay or the manifests that render the repository.
func (l *look) sources() {
	var found []Source
	for _, name := range l.files {
		switch path.Base(name) {
		case "Chart.yaml":
			if parent := path.Base(path.Dir(path.Dir(name))); parent != "charts" || !l.has(path.Join(path.Dir(path.Dir(path.Dir(name))), "Chart.yaml")) {
				found = append(found, Source{"helm", path.Dir(name)}) // and not one that another depends on
			}
		case "kustomization.yaml", "kustomization.yml":
			found = append(found, Source{"kustomize", path.Dir(name)})
		}
	}
	slices.SortStableFunc(found, func(a, b Source) int { return rank(a) - rank(b) })
	if len(found) == 0 {
		if dir := l.manifests(); dir != "" {
			found = append(found, Source{"manifests", dir})
		}
	}
	if len(found) == 0 || l.apart(found) {
		return
	}
	l.found.Source, l.found.Others = &found[0], found[1:]
	if len(l.found.Others) > 0 {
		l.note("There is more than one chart or overlay; %s is taken.", found[0].Path)
	}
	for _, image := range l.imagesOf(found[0]) {
		l.deploys(image)
	}
}

// apart gives services the charts and overlays that are theirs by their folders, where at least
// two have one, and says whether it did. idp renders the others.
func (l *look) apart(found []Source) bool {
	of := map[string][]Source{} // by service
	var nobodys []string
	for _, source := range found {
		if name := l.ownerOf(source); name != "" {
			of[name] = append(of[name], source)
		} else {
			nobodys = append(nobodys, source.Path)
		}
	}
	if len(of) < 2 {
		return false
	}
	for i := range l.found.Services {
		s := &l.found.Services[i]
		if own := of[s.Name]; len(own) > 0 {
			s.Source, s.Others = &own[0], own[1:]
			l.imageFrom(s)
		}
	}
	if len(nobodys) > 0 {
		l.note("%s: no service that was found is called so, and none lies there; name it as the source of one, if it is.", strings.Join(nobodys, ", "))
	}
	return true
}

// ownFolders are the names of folders that a service keeps its chart or overlays in.
var ownFolders = []string{"chart", "charts", "helm", "deploy", "k8s", "kustomize", "overlays"}

// ownerOf is the service whose a chart or an overlay is by its folder: charts/NAME, NAME/chart,
// or one below the service's own; "" for none.
func (l *look) ownerOf(source Source) string {
	parts := strings.Split(source.Path, "/")
	for last := len(parts) - 1; last >= 0; last-- {
		for _, s := range l.found.Services {
			if s.Name == label(parts[last]) || s.Path != "" && s.Path == strings.Join(parts[:last+1], "/") {
				return s.Name
			}
		}
		if !slices.Contains(ownFolders, parts[last]) && !slices.Contains(overlayNames, parts[last]) {
			break // it is of something that is called otherwise
		}
	}
	return ""
}

// imageFrom takes a service's image from its source, where that shows which it is.
func (l *look) imageFrom(s *Service) {
	names := l.imagesOf(*s.Source)
	i := slices.IndexFunc(names, func(image string) bool { return label(path.Base(image)) == s.Name })
	if i < 0 && len(names) == 1 {
		i = 0
	}
	if i >= 0 {
		s.Image, s.ImageFrom = names[i]+":{sha}", s.Source.Path
	}
}

// rank is how far down the list of likely sources one is.
func rank(s Source) int {
	if s.Kind == "helm" {
		return 0
	}
	if i := slices.Index(overlayNames, path.Base(s.Path)); i >= 0 {
		return 1 + i
	}
	return 1 + len(overlayNames)
}

// manifests is the folder of plain manifests with a workload among them, "" for none.
func (l *look) manifests() string {
	for _, name := range l.files {
		if dir := folder(name); dir != "" && isYAML(name) && !strings.HasPrefix(name, ".") && len(images(l.read(name))) > 0 {
			return dir
		}
	}
	return ""
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// imagesOf are the names of the images, without tags, that a source runs: of a chart
// those that its values name, of the others those of its workloads.
func (l *look) imagesOf(s Source) []string {
	var out []string
	add := func(names []string) {
		for _, name := range names {
			if name = withoutTag(name); name != "" && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	if s.Kind == "helm" {
		var values map[string]any
		if name := path.Join(s.Path, "values.yaml"); l.has(name) && yaml.Unmarshal(l.read(name), &values) == nil {
			add(repositories(values))
		}
		return out
	}
	root := s.Path
	if s.Kind == "kustomize" {
		root = path.Dir(path.Dir(s.Path)) // its bases lie beside it
	}
	for _, name := range l.files {
		if isYAML(name) && (root == "." || strings.HasPrefix(name, root+"/")) && !strings.HasPrefix(name, ".github/") {
			add(images(l.read(name)))
		}
	}
	return out
}

// repositories are the values of every "image: {repository: …}" of a chart's values.
func repositories(values map[string]any) []string {
	var out []string
	if image, ok := values["image"].(map[string]any); ok {
		if name, ok := image["repository"].(string); ok {
			if registry, ok := image["registry"].(string); ok && registry != "" {
				name = registry + "/" + name
			}
			out = append(out, name)
		}
	}
	for _, key := range sortedKeys(values) {
		if inner, ok := values[key].(map[string]any); ok && key != "image" {
			out = append(out, repositories(inner)...)
		}
	}
	return out
}

// images are those of the containers of the workloads in a file, as they are written.
func images(data []byte) []string {
	var out []string
	for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var object map[string]any
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) || err != nil {
			return out
		}
		kind, _ := object["kind"].(string)
		if slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"}, kind) {
			out = append(out, containers(object["spec"])...)
		}
	}
}

func containers(value any) []string {
	var out []string
	switch v := value.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if list, ok := v[key].([]any); ok && key == "containers" {
				for _, one := range list {
					if c, ok := one.(map[string]any); ok {
						if image, ok := c["image"].(string); ok {
							out = append(out, image)
						}
					}
				}
				continue
			}
			out = append(out, containers(v[key])...)
		}
	case []any:
		for _, one := range v {
			out = append(out, containers(one)...)
		}
	}
	return out
}

// deploys has the service whose image it is take the template: that of the same name, the
// only one there is, or a new one.
func (l *look) deploys(image string) {
	name := label(path.Base(image))
	i := slices.IndexFunc(l.found.Services, func(s Service) bool { return s.Name == name })
	if i < 0 && len(l.found.Services) == 1 && len(l.imagesOf(*l.found.Source)) == 1 {
		i = 0
	}
	if i < 0 && l.builtHere(image) {
		l.add(Service{Name: name, From: l.found.Source.Path})
		i = len(l.found.Services) - 1
	}
	if i >= 0 {
		l.found.Services[i].Image, l.found.Services[i].ImageFrom = image+":{sha}", l.found.Source.Path
	}
}

// builtHere tells an image of this repository from one of somebody else's, such as a
// database's: nothing else says what it is built of, where there is no Dockerfile.
func (l *look) builtHere(image string) bool {
	registry, _, found := strings.Cut(image, "/")
	return len(l.found.Services) == 0 && found && strings.Contains(registry, ".") && registry != "docker.io"
}

// withoutTag is an image's name without its tag and digest.
func withoutTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	if strings.ContainsAny(image, "${} ") {
		return "" // filled in elsewhere
	}
	return image
}
