// Package onboard looks at a repository that idp does not deploy yet and writes its
// first .idp/deploy.yaml: what its Dockerfiles, compose file, charts, overlays, manifests
// and workflows say already, each line with where it was found.
//
// It only reads the tree that it is given, and runs nothing of it. What it cannot make out
// it leaves to people, and says so in the file: nothing is guessed in silence.
package onboard

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// maxDepth and maxFiles bound what is looked at: deploy files lie near the root.
	maxDepth = 5
	maxFiles = 50_000
	// maxFile is the largest file that is read, in bytes.
	maxFile = 1 << 20
)

// Found is what a repository says of how it is deployed.
type Found struct {
	Services []Service
	// Source is the chart, overlay or folder of manifests to render, nil for none.
	Source *Source
	// Others are charts and overlays that are there too, as Source's lines.
	Others []Source
	// Notes are for people: what could not be made out, and what to look at.
	Notes []string
}

// Service is one deployable that was found.
type Service struct {
	Name string // DNS-1123 label
	// Path is the folder of its Dockerfile, "" for the root.
	Path string
	Kind spec.Kind
	// Image is a template, "" for the server's; ImageFrom is the file that says so.
	Image, ImageFrom string
	// Port is what its container listens on, 0 where nothing says; PortFrom the file.
	Port     int
	PortFrom string
	// Health is the path that is asked whether it works, "" where nothing says.
	Health, HealthFrom string
	Command            []string
	// Env are the names of the variables that the compose file sets, sorted.
	Env []string
	// Source renders it alone, nil where idp does or Found's Source renders all; Others are
	// further ones of its own.
	Source *Source
	Others []Source
	// From is the file that it was found in.
	From string

	dockerfile string // its path, "" where it was not found by one
}

// Source is where a repository keeps what renders it.
type Source struct {
	Kind string // helm, kustomize or manifests
	Path string
}

// Sources are what renders the services, the whole repository's or theirs.
func (f Found) Sources() []Source {
	if f.Source != nil {
		return []Source{*f.Source}
	}
	var out []Source
	for _, s := range f.Services {
		if s.Source != nil {
			out = append(out, *s.Source)
		}
	}
	return out
}

// Look looks at a repository's tree. repository is its name, which a service at the root
// is called by.
func Look(tree fs.FS, repository string) (Found, error) {
	files, err := list(tree)
	if err != nil {
		return Found{}, err
	}
	l := &look{tree: tree, files: files, repository: label(repository)}
	l.compose()
	l.dockerfiles()
	l.sources()
	l.workflows()
	l.settle()
	return l.found, nil
}

// look is one look at a repository.
type look struct {
	tree       fs.FS
	files      []string // by path, sorted
	repository string
	found      Found
}

func (l *look) note(format string, args ...any) {
	l.found.Notes = append(l.found.Notes, fmt.Sprintf(format, args...))
}

// skipped are folders that hold nothing to deploy.
var skipped = []string{"node_modules", "vendor", "testdata", "test", "tests", "example", "examples", "docs", "doc", "third_party", "dist", "target", "build"}

// list returns the paths of the files, sorted.
func list(tree fs.FS) ([]string, error) {
	var out []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if entry.IsDir() {
			hidden := strings.HasPrefix(base, ".") && name != "." && name != ".github"
			if hidden || slices.Contains(skipped, base) || strings.Count(name, "/") >= maxDepth {
				return fs.SkipDir
			}
			return nil
		}
		if len(out) == maxFiles {
			return fs.SkipAll
		}
		if entry.Type().IsRegular() {
			out = append(out, name)
		}
		return nil
	})
	return out, err
}

// read returns a file's content, nil and a note where it cannot be read.
func (l *look) read(name string) []byte {
	info, err := fs.Stat(l.tree, name)
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	var data []byte
	if err == nil {
		data, err = fs.ReadFile(l.tree, name)
	}
	if err != nil {
		l.note("%s was left out: %v", name, err)
		return nil
	}
	return data
}

// has says whether there is a file.
func (l *look) has(name string) bool {
	_, found := slices.BinarySearch(l.files, name)
	return found
}

// add adds a service under a name that no other has.
func (l *look) add(s Service) {
	s.Name = cmp.Or(label(s.Name), "web")
	for n, name := 2, s.Name; slices.ContainsFunc(l.found.Services, func(o Service) bool { return o.Name == s.Name }); n++ {
		s.Name = fmt.Sprintf("%s-%d", name, n)
	}
	l.found.Services = append(l.found.Services, s)
}

// settle fills in what no file says, and says so.
func (l *look) settle() {
	if len(l.found.Services) == 0 {
		l.note("nothing here says what is deployed: no Dockerfile, compose file, chart or manifest was found. Name the service and its port.")
		l.add(Service{Name: l.repository, Kind: spec.Web})
	}
	if s := l.found.Source; s != nil && !parses(Found{Services: []Service{{Name: "web", Kind: spec.Web}}, Source: s}) {
		l.note("%s cannot be named in a deploy.yaml; move it to render previews from it.", s.Path)
		l.found.Source, l.found.Others = nil, nil
	}
	var imageless []string
	for i := range l.found.Services {
		s := &l.found.Services[i]
		s.Kind = cmp.Or(s.Kind, spec.Web)
		if s.Source != nil && !parses(Found{Services: []Service{{Name: s.Name, Kind: s.Kind, Source: s.Source}}}) {
			l.note("%s cannot be named in a deploy.yaml; move it to render %s from it.", s.Source.Path, s.Name)
			s.Source, s.Others = nil, nil
		}
		l.mend(s)
		if s.Kind == spec.Web && s.Port == 0 {
			l.note("%s: nothing says which port it listens on; 8080 is what idp takes.", s.Name)
		}
		if s.Image == "" {
			imageless = append(imageless, s.Name)
		}
	}
	if len(imageless) > 0 {
		l.note("No workflow shows which image CI pushes for %s. Without an \"image\" idp looks for the server's template, preview_image; a commit's image has to have its SHA in the tag.", strings.Join(imageless, ", "))
	}
}

// mend leaves out what cannot stand in a deploy.yaml: one thing, or all that may be it.
func (l *look) mend(s *Service) {
	if parses(Found{Services: []Service{*s}}) {
		return
	}
	bare := *s
	for _, part := range []struct {
		what string
		drop func(*Service)
	}{
		{"its command", func(s *Service) { s.Command = nil }},
		{"its health path", func(s *Service) { s.Health = "" }},
		{"its image", func(s *Service) { s.Image = "" }},
		{"its folder", func(s *Service) { s.Path = "" }},
	} {
		without := *s
		part.drop(&without)
		part.drop(&bare)
		if parses(Found{Services: []Service{without}}) {
			*s = without
			l.note("%s: %s cannot stand in a deploy.yaml as %s has it.", s.Name, part.what, s.From)
			return
		}
	}
	*s = bare
	l.note("%s: its command, health path, image and folder cannot stand in a deploy.yaml as they are.", s.Name)
}

// parses says whether this can stand in a deploy.yaml.
func parses(f Found) bool {
	_, errs := spec.Parse(spec.Path, Write(f, "none"))
	return len(errs) == 0
}

// label makes a DNS-1123 label of at most 40 characters of a name.
func label(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	out := b.String()
	if len(out) > 40 {
		out = out[:40]
	}
	out = strings.Trim(out, "-")
	if out != "" && out[0] >= '0' && out[0] <= '9' {
		out = "app-" + out
	}
	return out
}
