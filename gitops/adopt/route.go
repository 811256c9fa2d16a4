package adopt

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
)

// ingress gives each rule the host of the service that it leads to.
func (a *adopting) ingress(title string, i *networkingv1.Ingress) string {
	routing := a.in.Class.Routing
	if a.closed() {
		return platform.WhyClosed
	}
	if routing.Kind != platform.Ingress {
		return "the class routes by HTTPRoute; idp makes the route to its Service"
	}
	a.meta(&i.ObjectMeta)
	i.Annotations = nil // controllers read them
	if !a.in.LongLived {
		render.GateIngress(&i.ObjectMeta, a.in.Class)
	}
	i.Status = networkingv1.IngressStatus{}
	spec := networkingv1.IngressSpec{}
	if routing.IngressClass != "" {
		spec.IngressClassName = ptr(routing.IngressClass)
	}
	for _, rule := range i.Spec.Rules {
		svc, paths := a.leads(rule)
		if svc == nil {
			a.note(title, "the rule for host %q left out: it leads to no service of the spec", cut(rule.Host))
			continue
		}
		a.routed[svc.Name] = true
		spec.Rules = append(spec.Rules, networkingv1.IngressRule{
			Host: svc.Host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: paths}},
		})
		spec.TLS = appendTLS(spec.TLS, svc.Host, routing.TLSSecret)
	}
	i.Spec = spec
	if len(spec.Rules) == 0 {
		return "none of its rules leads to a service of the spec"
	}
	return ""
}

// leads returns the service that a rule leads to, nil for none, and the paths of it that
// lead to Services.
func (a *adopting) leads(rule networkingv1.IngressRule) (*Service, []networkingv1.HTTPIngressPath) {
	if rule.HTTP == nil {
		return nil, nil
	}
	var of *Service
	var paths []networkingv1.HTTPIngressPath
	for _, path := range rule.HTTP.Paths {
		if path.Backend.Service == nil {
			continue
		}
		path.Backend.Resource = nil
		paths = append(paths, path)
		if of == nil {
			of = a.behind(path.Backend.Service.Name)
		}
	}
	return of, paths
}

func appendTLS(all []networkingv1.IngressTLS, host, secret string) []networkingv1.IngressTLS {
	for _, one := range all {
		if one.Hosts[0] == host {
			return all
		}
	}
	return append(all, networkingv1.IngressTLS{Hosts: []string{host}, SecretName: secret})
}

// behind is the service of the spec that a Service by its name serves: the only one that
// has a host, or the one that the name is, or ends in after a dash; nil where none is.
func (a *adopting) behind(name string) *Service {
	hosted := a.hosted()
	if len(hosted) == 1 {
		return hosted[0]
	}
	var best *Service
	for _, svc := range hosted {
		if fits(name, svc.Name) && (best == nil || len(svc.Name) > len(best.Name)) {
			best = svc
		}
	}
	return best
}

func fits(name, service string) bool { return name == service || strings.HasSuffix(name, "-"+service) }

func (a *adopting) hosted() []*Service {
	var out []*Service
	for i := range a.in.Services {
		if a.in.Services[i].Host != "" {
			out = append(out, &a.in.Services[i])
		}
	}
	return out
}

// httpRoute gives a route the class's Gateway and the host of the service that it leads to.
func (a *adopting) httpRoute(_ string, h *gatewayv1.HTTPRoute) string {
	routing := a.in.Class.Routing
	if a.closed() {
		return platform.WhyClosed
	}
	if routing.Kind != platform.HTTPRoute {
		return "the class routes by Ingress; idp makes the one of its Service"
	}
	a.meta(&h.ObjectMeta)
	h.Annotations = nil // controllers read them
	h.Status = gatewayv1.HTTPRouteStatus{}
	var of *Service
	var rules []gatewayv1.HTTPRouteRule
	for _, rule := range h.Spec.Rules {
		svc := a.rule(&rule)
		if !a.in.LongLived {
			render.NoIndex(&rule)
			render.GateRule(&rule, a.in.Class)
		}
		if of == nil {
			of = svc
		}
		rules = append(rules, rule)
	}
	if of == nil {
		return "it leads to no service of the spec"
	}
	a.routed[of.Name] = true
	h.Spec = gatewayv1.HTTPRouteSpec{
		CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{render.Parent(routing)}},
		Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(of.Host)},
		Rules:           rules,
	}
	return ""
}

// rule leaves of a rule what stays within the environment, writes out what the API server
// would fill in, and returns the service that it leads to.
func (a *adopting) rule(rule *gatewayv1.HTTPRouteRule) *Service {
	var filters []gatewayv1.HTTPRouteFilter
	for _, f := range rule.Filters {
		switch f.Type {
		case gatewayv1.HTTPRouteFilterRequestHeaderModifier, gatewayv1.HTTPRouteFilterResponseHeaderModifier, gatewayv1.HTTPRouteFilterURLRewrite:
			f.RequestMirror, f.ExtensionRef, f.RequestRedirect = nil, nil, nil
			filters = append(filters, f)
		}
	}
	rule.Filters = filters
	if len(rule.Matches) == 0 {
		rule.Matches = []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{Type: ptr(gatewayv1.PathMatchPathPrefix), Value: ptr("/")}}}
	}
	var of *Service
	var backends []gatewayv1.HTTPBackendRef
	for _, b := range rule.BackendRefs {
		if !a.within(b.BackendRef) {
			continue
		}
		backends = append(backends, backend(string(b.Name), b.Port, b.Weight))
		if of == nil {
			of = a.behind(string(b.Name))
		}
	}
	rule.BackendRefs = backends
	return of
}

// within says that a backend is a Service of the environment.
func (a *adopting) within(b gatewayv1.BackendRef) bool {
	return (b.Group == nil || *b.Group == "") && (b.Kind == nil || *b.Kind == "Service") &&
		(b.Namespace == nil || string(*b.Namespace) == a.in.Namespace)
}

func backend(service string, port *gatewayv1.PortNumber, weight *int32) gatewayv1.HTTPBackendRef {
	if weight == nil {
		weight = ptr(int32(1))
	}
	return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
		BackendObjectReference: gatewayv1.BackendObjectReference{
			Group: ptr(gatewayv1.Group("")), Kind: ptr(gatewayv1.Kind("Service")), Name: gatewayv1.ObjectName(service), Port: port,
		},
		Weight: weight,
	}}
}
