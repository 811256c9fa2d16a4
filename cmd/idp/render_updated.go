package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/inplace"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// updatedTree is a declared environment whose deployments change values in files that are
// in a GitOps repository already.
type updatedTree struct {
	// checkout is that repository's.
	checkout string
	// refs are the services, and records their files of idp's.
	refs    []gitops.EnvironmentRef
	records []gitops.File
	// fields are what is written, of all services.
	fields previews.Update
}

// updatedTree returns what the bot would change for the row, which is of the shared part.
func (p *program) updatedTree(f renderFlags, row previews.Environment, env platform.Environment, all platform.Platform, parsed *spec.Spec) (updatedTree, error) {
	class, _ := all.Class(env.Class)
	out := updatedTree{checkout: f.platform}
	p.note("%s: values are changed in files of %s, and nothing is rendered", env.Name, f.platform)
	row.PR, row.Deployed, row.Update, row.Namespace = 0, &previews.Deployed{}, &previews.Update{}, env.NamespaceOf(row.Ref)
	listed := env.UpdatedServices(row.Ref.RepositoryID)
	for _, service := range parsed.Services {
		if !slices.Contains(listed, service.Name) {
			p.note("service %s is not deployed to %s: update in %s names no file of it", service.Name, env.Name, platform.EnvironmentsPath)
			continue
		}
		part := row
		part.Ref = row.Ref.Of(service.Name)
		u, err := updateOf(all, part)
		if err != nil {
			return out, err
		}
		in, err := renderInput(part, oneClass(class))
		if err != nil {
			return out, err
		}
		rendered, err := updated(part, in, *u)
		if err != nil {
			return out, err
		}
		out.refs, out.records = append(out.refs, part.Ref), append(out.records, rendered.Files...)
		out.fields.Fields = append(out.fields.Fields, rendered.Update.Fields...)
	}
	if len(out.refs) == 0 {
		return out, fault.Newf(fault.Invalid, "no service of the spec is deployed to %s", env.Name).WithHint("update in %s has %s", platform.EnvironmentsPath, cmp.Or(strings.Join(listed, ", "), "none"))
	}
	return out, nil
}

// alone are the files that hold values, as they would be.
func (t updatedTree) alone() ([]gitops.File, error) {
	_, then, err := t.edited(t.checkout)
	return then, err
}

// diff is what would change, as a patch of the checkout.
func (t updatedTree) diff() ([]byte, error) {
	now, then, err := t.edited(t.checkout)
	var out []byte
	for i := range now {
		out = append(out, diff.Diff("a/"+now[i].Path, now[i].Content, "b/"+then[i].Path, then[i].Content)...)
	}
	return out, err
}

// edited reads the files of a checkout, and what they would be.
func (t updatedTree) edited(dir string) (now, then []gitops.File, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, noPlatform(dir, err)
	}
	defer root.Close()
	return editedFiles(&t.fields, func(file string) ([]byte, error) { return readLimited(root, file, maxSpecFile) })
}

// write changes the values in the work tree of a GitOps repository, and adds idp's records.
func (t updatedTree) write(dir string) ([]gitops.File, error) {
	_, then, err := t.edited(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, ref := range t.refs {
		if err := owns(root, ref); err != nil {
			return nil, err
		}
	}
	files := append(then, t.records...)
	return files, replace(root, t.refs, files)
}

// updateWarnings say which values of update cannot be changed in a checkout, where those are
// that its platform folder names: what a class has elsewhere is not looked at.
func updateWarnings(checkout string, declared platform.Platform, base platform.Class) ([]string, error) {
	root, err := os.OpenRoot(checkout)
	if err != nil {
		return nil, noPlatform(checkout, err)
	}
	defer root.Close()
	var out []string
	for _, env := range declared.Environments {
		class, _ := declared.Class(env.Class)
		if class.RepoURL != base.RepoURL || class.PushURL != base.PushURL || class.Branch != base.Branch {
			continue
		}
		for _, u := range env.AllUpdates() {
			for _, f := range u.Fields {
				if why := unreadable(root, f); why != "" {
					out = append(out, env.Name+" cannot be deployed to as update says: "+why)
				}
			}
		}
	}
	return out, nil
}

// unreadable says why a field cannot be read, "" where it can.
func unreadable(root *os.Root, f inplace.Field) string {
	content, err := readLimited(root, f.File, maxSpecFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no file " + f.File
	}
	if err != nil {
		return f.File + ": " + reason(err)
	}
	if _, err := inplace.Read(content, f); err != nil {
		return err.Error()
	}
	return ""
}
