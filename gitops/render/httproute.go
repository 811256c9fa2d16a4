package render

import (
	"slices"
	"strings"

	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// httpRoutes publishes each web service at its host through the class's Gateway,
// whose listener ends TLS. What the API server would fill in is written out:
// Argo CD compares lists of custom resources as they are, and would see a
// difference for ever.
func httpRoutes(e *environment) ([]object, error) {
	routing := e.Class.Routing
	if routing.Kind != platform.HTTPRoute || !e.routed() {
		return nil, nil
	}
	parent := Parent(routing)
	var out []object
	for _, svc := range e.services {
		if svc.Kind != spec.Web {
			continue
		}
		rule := routeTo(svc.Name)
		if e.Environment == "" {
			NoIndex(&rule)
			GateRule(&rule, e.Class)
		}
		out = append(out, object{svc.Name + "-httproute.yaml", &gatewayv1.HTTPRoute{
			TypeMeta:   metav1.TypeMeta{APIVersion: gatewayv1.GroupVersion.String(), Kind: "HTTPRoute"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: gatewayv1.HTTPRouteSpec{
				CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{parent}},
				Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(e.hosts[svc.Name])},
				Rules:           []gatewayv1.HTTPRouteRule{rule},
			},
		}})
	}
	return out, nil
}

// robots is the header that tells search engines what to leave out, noIndex its value.
const robots, noIndex = "X-Robots-Tag", "noindex, nofollow"

// NoIndex keeps what a preview serves out of search engines, whatever the rule or the
// preview itself says of it. A rule has one filter of the kind at most.
func NoIndex(rule *gatewayv1.HTTPRouteRule) {
	header := gatewayv1.HTTPHeader{Name: robots, Value: noIndex}
	i := slices.IndexFunc(rule.Filters, func(f gatewayv1.HTTPRouteFilter) bool {
		return f.Type == gatewayv1.HTTPRouteFilterResponseHeaderModifier && f.ResponseHeaderModifier != nil
	})
	if i < 0 {
		rule.Filters = append(rule.Filters, gatewayv1.HTTPRouteFilter{
			Type: gatewayv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: &gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{header}},
		})
		return
	}
	named := func(h gatewayv1.HTTPHeader) bool { return strings.EqualFold(string(h.Name), robots) }
	to := rule.Filters[i].ResponseHeaderModifier
	to.Set = append(slices.DeleteFunc(to.Set, named), header)
	to.Add = slices.DeleteFunc(to.Add, named)
	to.Remove = slices.DeleteFunc(to.Remove, func(name string) bool { return strings.EqualFold(name, robots) })
}

// Parent is the Gateway that a class's HTTPRoutes belong to.
func Parent(routing platform.Routing) gatewayv1.ParentReference {
	parent := gatewayv1.ParentReference{
		Group:     ptr(gatewayv1.Group(gatewayv1.GroupName)),
		Kind:      ptr(gatewayv1.Kind("Gateway")),
		Name:      gatewayv1.ObjectName(routing.GatewayName),
		Namespace: ptr(gatewayv1.Namespace(routing.GatewayNamespace)),
	}
	if routing.SectionName != "" {
		parent.SectionName = ptr(gatewayv1.SectionName(routing.SectionName))
	}
	return parent
}

// routeTo sends everything to a Service of the same namespace.
func routeTo(service string) gatewayv1.HTTPRouteRule {
	return gatewayv1.HTTPRouteRule{
		Matches: []gatewayv1.HTTPRouteMatch{{
			Path: &gatewayv1.HTTPPathMatch{Type: ptr(gatewayv1.PathMatchPathPrefix), Value: ptr("/")},
		}},
		BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
			BackendObjectReference: gatewayv1.BackendObjectReference{
				Group: ptr(gatewayv1.Group("")),
				Kind:  ptr(gatewayv1.Kind("Service")),
				Name:  gatewayv1.ObjectName(service),
				Port:  ptr(gatewayv1.PortNumber(servicePort)),
			},
			Weight: ptr(int32(1)),
		}}},
	}
}
