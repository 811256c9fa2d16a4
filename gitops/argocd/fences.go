package argocd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/platform"
)

// fences are what the classes in use need of one Argo CD.
type fences struct {
	roots    []root
	projects []fence
}

// root is an Application that syncs the lists of environments of one GitOps
// repository.
type root struct{ name, repoURL, branch string }

// fence is a project: from which repository to which cluster its Applications go.
type fence struct{ name, repoURL, server string }

// fencesOf gathers the roots and projects of all classes, those of the server's own
// first and the others by name.
func fencesOf(o BootstrapOptions) (fences, error) {
	others := slices.Clone(o.Classes)
	slices.SortFunc(others, func(a, b platform.Class) int { return strings.Compare(a.Name, b.Name) })
	var out fences
	for _, class := range append([]platform.Class{o.Class}, others...) {
		if err := checkLiterals(class); err != nil {
			return fences{}, err
		}
		if class.ArgoCDNamespace != o.Class.ArgoCDNamespace {
			return fences{}, fmt.Errorf("class %s lives in the Argo CD of namespace %s, class %s in that of %s: one bootstrap is for one Argo CD",
				class.Name, class.ArgoCDNamespace, o.Class.Name, o.Class.ArgoCDNamespace)
		}
		if err := out.addRoot(root{cmp.Or(class.Root, o.Root), class.RepoURL, class.Branch}, class.Name); err != nil {
			return fences{}, err
		}
		if slices.ContainsFunc(out.roots, func(r root) bool { return r.name == class.Project }) {
			return fences{}, fmt.Errorf("class %s has the project %s, which is that of a root and may hold lists alone", class.Name, class.Project)
		}
		if err := out.addProject(fence{class.Project, class.RepoURL, class.DestinationServer}, class.Name); err != nil {
			return fences{}, err
		}
	}
	return out, nil
}

// addRoot refuses one name for two repositories or branches.
func (f *fences) addRoot(r root, class string) error {
	i := slices.IndexFunc(f.roots, func(known root) bool { return known.name == r.name })
	switch {
	case i < 0:
		f.roots = append(f.roots, r)
	case f.roots[i] != r:
		return fmt.Errorf("root %s syncs branch %s of %s, but class %s has branch %s of %s: give it an argocd_root of its own",
			r.name, f.roots[i].branch, f.roots[i].repoURL, class, r.branch, r.repoURL)
	}
	return nil
}

// addProject refuses one name for two repositories or clusters: the environments of
// either could go where only the other's may.
func (f *fences) addProject(p fence, class string) error {
	i := slices.IndexFunc(f.projects, func(known fence) bool { return known.name == p.name })
	switch {
	case i < 0:
		f.projects = append(f.projects, p)
	case f.projects[i] != p:
		return fmt.Errorf("project %s lets %s into %s, but class %s has %s and %s: give it an argocd_project of its own",
			p.name, f.projects[i].repoURL, f.projects[i].server, class, p.repoURL, p.server)
	}
	return nil
}
