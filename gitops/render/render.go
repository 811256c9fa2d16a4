// Package render makes the files of one environment: what its repository asks
// for (spec), what the platform allows and adds (platform), and which revision.
//
// It owns the shape of every object that runs. Environment is pure: the same
// Input gives the same bytes on every machine, with no clock, network or global
// state, so rendering what is already committed makes no commit. It may be
// called concurrently. Each kind has one file with one function, listed in the
// table below; the kinds and the namespace in that table are all that idp ever
// writes. Objects are Kubernetes' own types; text that users chose only ever
// becomes a value in them, never part of a template, a path or a key.
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
	render           func(*environment) ([]object, error)
}

// renderers has one row per kind that idp writes.
var renderers = []renderer{
	{"v1", "Namespace", namespaces},
	{"v1", "ResourceQuota", resourceQuotas},
	{"v1", "LimitRange", limitRanges},
	{"networking.k8s.io/v1", "NetworkPolicy", networkPolicies},
	{"v1", "ServiceAccount", serviceAccounts},
	{"batch/v1", "Job", migrateJobs},
	{"apps/v1", "Deployment", deployments},
	{"argoproj.io/v1alpha1", "Rollout", rollouts},
	{"batch/v1", "CronJob", cronJobs},
	{"v1", "Service", services},
	{"gateway.networking.k8s.io/v1", "HTTPRoute", httpRoutes},
	{"networking.k8s.io/v1", "Ingress", ingresses},
}

// Kinds returns the "apiVersion/kind" of everything that Environment renders, for
// AppProjects and admission policies to allow and nothing else.
func Kinds() []string {
	kinds := make([]string, len(renderers))
	for i, r := range renderers {
		kinds[i] = r.apiVersion + "/" + r.kind
	}
	return kinds
}

// Environment renders everything below in.Ref.Dir(), sorted by path: the record
// environment.yaml and one file per object in manifests/. Its errors carry a
// fault for whoever wrote the spec where the spec asks for what it may not have,
// every such fault in one.
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
	for _, r := range renderers {
		objects, err := r.render(env)
		if err != nil {
			return nil, fmt.Errorf("render %s of %s: %w", r.kind, in.Ref, err)
		}
		for _, o := range objects {
			content, err := marshal(o.value)
			if err != nil {
				return nil, fmt.Errorf("render %s of %s: %w", r.kind, in.Ref, err)
			}
			files = append(files, gitops.File{Path: path.Join(in.Ref.ManifestsDir(), o.file), Content: content})
		}
	}
	slices.SortFunc(files, func(a, b gitops.File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}
