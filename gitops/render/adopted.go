package render

import (
	"path"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/manifests"
	"github.com/idp-bot/idp/gitops/spec"
)

// Adopted is what a repository's own chart, overlay or manifests rendered to.
type Adopted struct {
	// Service is the service that the source is of, "" for one of all services.
	Service string
	// Source names it for people, such as "the helm source in chart".
	Source string
	// Files are its objects, by AdoptedPath.
	Files []gitops.File
}

// AdoptedPath is the file of an object that is rendered from a repository's own chart,
// overlay or manifests, below the folder of manifests.
func AdoptedPath(kind, name string) string { return strings.ToLower(kind) + "-" + name + ".yaml" }

// adopts says that the objects of a service are not idp's to render.
func (in Input) adopts(service string) bool { return in.sourced("") || in.sourced(service) }

// sourced says that there is a source of a service and no other, "" for one of all services.
func (in Input) sourced(service string) bool {
	return slices.ContainsFunc(in.Adopted, func(from Adopted) bool { return from.Service == service })
}

// doors let the gateway's traffic to the pods of sources that services have of their own,
// whatever their ports are called: those of a chart have names of its own, or none.
func (e *environment) doors() []object {
	var out []object
	if e.Environment != "" && e.sourced("") {
		return e.wideDoor()
	}
	for _, svc := range e.all {
		if !e.sourced(svc.Name) || svc.Kind != spec.Web {
			continue
		}
		out = append(out, e.door(svc.Name, map[string]string{gitops.LabelService: svc.Name}))
	}
	return out
}

// wideDoor is that of the one part which has all services of a declared environment.
func (e *environment) wideDoor() []object {
	for _, svc := range e.all {
		if svc.Kind == spec.Web {
			return []object{e.door(e.Ref.Service, nil)}
		}
	}
	return nil
}

// door lets the gateway's traffic to pods with some labels, none for all.
func (e *environment) door(name string, to map[string]string) object {
	return object{name + "-networkpolicy.yaml", &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: e.meta("idp-" + name),
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: to},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{
				From: []networkingv1.NetworkPolicyPeer{namespace(e.Class.Routing.TrafficNamespace())},
			}},
		},
	}}
}

// adopted returns the files of the objects that are not idp's, to stand beside those that
// are. Two of one kind and name are a fault that names what renders both.
func (e *environment) adopted(own []gitops.File) ([]gitops.File, error) {
	by, paths := map[string]string{}, map[string]string{}
	for _, f := range own {
		by[manifests.ObjectOf(f)], paths[f.Path] = "idp", manifests.ObjectOf(f)
	}
	var out []gitops.File
	for _, from := range e.Adopted {
		for _, f := range from.Files {
			f.Path = path.Join(e.Ref.ManifestsDir(), f.Path)
			object := manifests.ObjectOf(f)
			if other, twice := by[object]; twice {
				return nil, fault.Newf(fault.Conflict, "%s is rendered twice: by %s and by %s", object, other, from.Source).WithHint("give one of them another name")
			}
			if other, twice := paths[f.Path]; twice {
				return nil, fault.Newf(fault.Conflict, "%s of %s would stand in one file with %s of idp, %s", object, from.Source, other, path.Base(f.Path)).WithHint("give it another name")
			}
			by[object] = from.Source
			out = append(out, f)
		}
	}
	return out, nil
}
