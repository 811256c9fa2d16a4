package platform

import (
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/spec"
)

const (
	// Dir is the folder of the GitOps repository that is the platform team's.
	Dir = gitops.PlatformDir
	// EnvironmentsPath declares the environments beside previews, and who may do what;
	// TeamsPath says whose repositories are, and ClassesDir has a file "<name>.yaml" for
	// each class.
	EnvironmentsPath = Dir + "/environments.yaml"
	TeamsPath        = Dir + "/teams.yaml"
	ClassesDir       = Dir + "/classes"
)

// Platform is what the platform team declares. The zero value declares nothing.
type Platform struct {
	// Classes are by name. Load always has the server's own among them, which is that
	// of previews and of environments that name none.
	Classes map[string]Class
	// Environments are sorted by name.
	Environments []Environment
	// Previews is who may run commands about previews.
	Previews Access
	// Teams says which team owns which repository.
	Teams Teams
	// Charts are those that repositories may deploy with, by name.
	Charts map[string]Chart
}

// Environment returns the declared environment of that name.
func (p Platform) Environment(name string) (Environment, bool) {
	i := slices.IndexFunc(p.Environments, func(e Environment) bool { return e.Name == name })
	if i < 0 {
		return Environment{}, false
	}
	return p.Environments[i], true
}

// Names returns the names of the declared environments, sorted.
func (p Platform) Names() []string {
	names := make([]string, len(p.Environments))
	for i, e := range p.Environments {
		names[i] = e.Name
	}
	return names
}

// Class returns the class of that name.
func (p Platform) Class(name string) (Class, bool) {
	c, ok := p.Classes[name]
	return c, ok
}

// ClassOf returns the class of a declared environment; of a Platform that Load
// returned there always is one.
func (p Platform) ClassOf(environment string) (Class, bool) {
	e, ok := p.Environment(environment)
	if !ok {
		return Class{}, false
	}
	return p.Class(e.Class)
}

// Load reads the platform folder from files of the GitOps repository, of which it
// looks at no others; with none of them it declares nothing. A class file says
// what differs from base, the class of the server's configuration, and one that is
// called like base changes the class of previews. It returns either a platform or
// errors, by file and position, with every mistake of every file.
//
// Load is pure and keeps nothing of files.
func Load(files []gitops.File, base Class) (Platform, spec.Errors) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b gitops.File) int { return strings.Compare(a.Path, b.Path) })
	out := Platform{Classes: map[string]Class{base.Name: base}}
	objects, errs := loadObjectFiles(files)
	for _, f := range files {
		if path.Dir(f.Path) != ClassesDir || strings.HasPrefix(path.Base(f.Path), ".") {
			continue
		}
		class, wrong := loadClass(f, base, files, objects, out.Classes)
		errs = append(errs, wrong...)
		out.Classes[class.Name] = class // a wrong one too, so that its environments are no mistake
	}
	for _, f := range files {
		switch f.Path {
		case EnvironmentsPath:
			environments, access, wrong := loadEnvironments(f, out.Classes, base.Name)
			out.Environments, out.Previews, errs = environments, access, append(errs, wrong...)
		case TeamsPath:
			teams, wrong := loadTeams(f)
			out.Teams, errs = teams, append(errs, wrong...)
		case ChartsPath:
			charts, doc := loadCharts(f, unknown)
			out.Charts, errs = charts, append(errs, doc.Errors()...)
		case Dir + "/environments.yml":
			errs = append(errs, misnamed(f.Path, EnvironmentsPath))
		case Dir + "/teams.yml":
			errs = append(errs, misnamed(f.Path, TeamsPath))
		case Dir + "/charts.yml":
			errs = append(errs, misnamed(f.Path, ChartsPath))
		}
	}
	if len(errs) > 0 {
		return Platform{}, errs
	}
	return out, nil
}

// misnamed is the error of a file that nobody would read.
func misnamed(path, meant string) spec.Error {
	return spec.Error{Path: path, Line: 1, Column: 1, EndLine: 1, Kind: spec.KindUnknownKey, Suggestion: meant,
		Message: "a file of this name is not read: rename it to " + meant}
}
