package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// declaredTree is a declared environment on its way into a GitOps repository: what its
// services share, and each of them.
type declaredTree struct {
	// input is that of the shared part.
	input    render.Input
	platform platform.Platform
	web      string
	// source gives a part what its source renders to; nil for parts that idp renders.
	source func(*render.Input) error
}

// declaration returns what --env names, and all that is declared: by the platform
// folder of --platform, or without it with nothing but the server's own class.
func (p *program) declaration(f renderFlags, class platform.Class, parsed *spec.Spec) (platform.Environment, platform.Platform, error) {
	if f.platform == "" {
		if err := f.declared(parsed); err != nil {
			return platform.Environment{}, platform.Platform{}, err
		}
		p.note("--platform is not given: %s is taken as declared with the server's own configuration", f.env)
		env := platform.Environment{Name: f.env, Class: class.Name, Permission: platform.PermissionWrite, Logs: platform.ShowPrivate}
		return env, platform.Platform{Classes: map[string]platform.Class{class.Name: class}, Environments: []platform.Environment{env}}, nil
	}
	all, err := loadPlatform(f.platform, class)
	if err != nil {
		return platform.Environment{}, all, err
	}
	env, ok := all.Environment(f.env)
	if !ok {
		wrong := fault.Newf(fault.Invalid, "%s declares no environment %q", platform.EnvironmentsPath, f.env)
		if near := nearest(f.env, all.Names()); near != "" {
			return env, all, wrong.WithHint("did you mean %q?", near)
		}
		return env, all, wrong.WithHint("it declares %s", cmp.Or(strings.Join(all.Names(), ", "), "none"))
	}
	return env, all, nil
}

// declaredTree returns what the bot would commit of the row, which is of the shared
// part.
func (p *program) declaredTree(cfg *Config, row previews.Environment, env platform.Environment, all platform.Platform) (declaredTree, error) {
	class, _ := all.Class(env.Class)
	row.ExpiresAt = time.Time{}
	in, err := renderInput(row, oneClass(class))
	if err != nil {
		return declaredTree{}, err
	}
	in.Environment, in.Namespace = env.Name, env.NamespaceOf(row.Ref)
	in.RolloutTimeout = cmp.Or(env.RolloutTimeout, cfg.RolloutTimeout)
	for _, note := range render.Notes(in) {
		p.note("%s", note)
	}
	return declaredTree{input: in, platform: all, web: htmlURL(cfg.GitHubAPIURL)}, nil
}

// parts are the refs of what is rendered, the shared part first.
func (t declaredTree) parts() []gitops.EnvironmentRef {
	out := []gitops.EnvironmentRef{t.input.Ref}
	if _, together := t.input.Spec.Together[t.input.Ref.ID]; together && t.source != nil {
		return append(out, t.input.Ref.Of(spec.All))
	}
	for _, svc := range t.input.Spec.Services {
		out = append(out, t.input.Ref.Of(svc.Name))
	}
	return out
}

func (t declaredTree) alone() ([]gitops.File, error) { return t.files(nil) }

// files returns what would be committed, given the other elements of the list.
func (t declaredTree) files(others []argocd.DeployedElement) ([]gitops.File, error) {
	var files []gitops.File
	elements := others
	for _, ref := range t.parts() {
		in := t.input
		in.Ref = ref
		if t.source != nil && ref.Service != "" {
			if err := t.source(&in); err != nil {
				return nil, err
			}
		}
		rendered, err := render.Environment(in)
		if err != nil {
			return nil, err
		}
		files = append(files, rendered...)
		elements = append(elements, t.element(ref, in.Class, in.Namespace, in.FullName))
	}
	list, err := argocd.DeployedApplicationSet(t.input.Ref.RepositoryID, t.input.Ref.Repo, elements)
	if err != nil {
		return nil, err
	}
	return append([]gitops.File{list}, files...), nil
}

func (t declaredTree) element(ref gitops.EnvironmentRef, class platform.Class, namespace, fullName string) argocd.DeployedElement {
	return argocd.DeployedElement{Ref: ref, Class: class, Namespace: namespace, URL: t.web + "/" + fullName}
}

// write renders into the work tree of a GitOps repository as renderTree.write does. An
// environment that is there already stays in the namespace that it has.
func (t declaredTree) write(dir string) ([]gitops.File, error) {
	root, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	for _, ref := range t.parts() {
		if err := owns(root, ref); err != nil {
			return nil, err
		}
	}
	others, err := t.others(root)
	if err != nil {
		return nil, err
	}
	files, err := t.files(others)
	if err != nil {
		return nil, err
	}
	return files, replace(root, t.parts(), files)
}

// others returns the elements of the repository's other declared environments, and
// those of this one's services that the spec has no more, as their records tell. It
// finds the namespace of this one's on its way.
func (t *declaredTree) others(root *os.Root) ([]argocd.DeployedElement, error) {
	records, err := recordsBeside(root, t.input.Ref)
	if err != nil {
		return nil, err
	}
	own := map[gitops.EnvironmentRef]bool{}
	for _, ref := range t.parts() {
		own[ref] = true
	}
	var out []argocd.DeployedElement
	for _, record := range records {
		ref := record.Ref()
		switch {
		case record.Environment == "":
			continue
		case ref.Shared() == t.input.Ref:
			t.input.Namespace = record.Namespace
		}
		if own[ref] {
			continue
		}
		class, ok := t.platform.Class(record.Class)
		if !ok {
			return nil, fault.Newf(fault.Conflict, "%s has class %s, which is not declared", ref.Dir(), record.Class).
				WithHint("name the checkout that declares it with --platform")
		}
		out = append(out, t.element(ref, class, record.Namespace, record.FullName))
	}
	return out, nil
}

// recordsBeside returns the records of the repository that a ref is of, as they stand
// in the tree.
func recordsBeside(root *os.Root, of gitops.EnvironmentRef) ([]*render.Record, error) {
	parent := path.Dir(of.Dir())
	entries, err := fs.ReadDir(root.FS(), parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", parent, err)
	}
	var out []*render.Record
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		file := path.Join(parent, entry.Name(), path.Base(of.RecordPath()))
		content, err := root.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		record, err := render.ParseRecord(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if ref := record.Ref(); ref.RepositoryID == of.RepositoryID && ref.Key() == entry.Name() {
			out = append(out, record)
		}
	}
	return out, nil
}
