// Package render makes the files of one environment: what its repository asks
// for (spec), what the platform allows and adds (platform), and which revision.
//
// It owns the shape of every object that runs. Environment is pure: the same
// Input gives the same bytes on every machine, with no clock, network or global
// state, so rendering what is already committed makes no commit. It may be
// called concurrently. Each kind has one file with one function, listed in the
// table below; the kinds and the namespace in that table, and the base objects that the
// class gives by trust, are all that idp ever writes. Objects are Kubernetes' own types;
// text that users chose only ever becomes a value in them, never part of a template, a
// path or a key.
//
// The package never reads a spec's file, never asks a registry and never writes
// cluster-scoped objects other than the environment's own Namespace.
package render

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops"
)

// object is one rendered object and the name of its file below manifests/.
type object struct {
	file  string
	value any
}

// renderer makes the objects of one kind.
type renderer struct {
	apiVersion, kind string
	part             part
	render           func(*environment) ([]object, error)
}

// part is which half of an environment an object belongs to. A preview has both in
// one folder; a declared environment has a folder for what its services share and
// one for each service.
type part int

const (
	sharedPart part = iota
	servicePart
)

// renderers has one row per kind that idp writes.
var renderers = []renderer{
	{"v1", "Namespace", sharedPart, namespaces},
	{"v1", "ResourceQuota", sharedPart, resourceQuotas},
	{"v1", "LimitRange", sharedPart, limitRanges},
	{"networking.k8s.io/v1", "NetworkPolicy", sharedPart, networkPolicies},
	{"v1", "ServiceAccount", sharedPart, serviceAccounts},
	{"batch/v1", "Job", servicePart, migrateJobs},
	{"apps/v1", "Deployment", servicePart, deployments},
	{"argoproj.io/v1alpha1", "AnalysisTemplate", servicePart, analysisTemplates},
	{"argoproj.io/v1alpha1", "Rollout", servicePart, rollouts},
	{"batch/v1", "CronJob", servicePart, cronJobs},
	{"v1", "Service", servicePart, services},
	{"gateway.networking.k8s.io/v1", "HTTPRoute", servicePart, httpRoutes},
	{"networking.k8s.io/v1", "Ingress", servicePart, ingresses},
}

// Kinds returns the "apiVersion/kind" of everything that Environment renders beside the
// class's own objects, for AppProjects to allow and nothing else.
func Kinds() []string {
	kinds := make([]string, len(renderers))
	for i, r := range renderers {
		kinds[i] = r.apiVersion + "/" + r.kind
	}
	return kinds
}

// Environment renders everything below in.Ref.Dir(), sorted by path: the record
// environment.yaml and one file per object in manifests/. Of a declared environment
// that is one of its parts: with in.Ref.Service the service of that name, and without
// it what the services share, the namespace and its limits.
//
// Its errors carry a fault for whoever wrote the spec where the spec asks for what it
// may not have, every such fault in one.
func Environment(in Input) ([]gitops.File, error) {
	env, err := newEnvironment(in)
	if err != nil {
		return nil, err
	}
	record, err := env.record()
	if err != nil {
		return nil, err
	}
	files := []gitops.File{{Path: in.Ref.RecordPath(), Content: record}}
	objects, err := env.objects()
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		content, err := Marshal(o.value)
		if err != nil {
			return nil, fmt.Errorf("render %s of %s: %w", o.file, in.Ref, err)
		}
		files = append(files, gitops.File{Path: path.Join(in.Ref.ManifestsDir(), o.file), Content: content})
	}
	adopted, err := env.adopted(files[1:])
	if err != nil {
		return nil, err
	}
	files = append(files, adopted...)
	slices.SortFunc(files, func(a, b gitops.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// objects are those of every kind, and what the class gives beside them.
func (e *environment) objects() ([]object, error) {
	var out []object
	for _, r := range renderers {
		if !e.has(r.part) {
			continue
		}
		objects, err := r.render(e)
		if err != nil {
			return nil, fmt.Errorf("render %s of %s: %w", r.kind, e.Ref, err)
		}
		out = append(out, objects...)
	}
	out = append(out, e.doors()...)
	if !e.has(sharedPart) {
		return out, nil
	}
	given, err := baseObjects(e)
	if err != nil {
		return nil, fmt.Errorf("render base objects of %s: %w", e.Ref, err)
	}
	return append(out, given...), nil
}
