package adopt

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/idp-bot/idp/gitops/platform"
)

// routes makes a route for each service with a host that nothing rendered leads to: most
// charts have none until they are asked for one.
func (a *adopting) routes() {
	if a.closed() {
		return
	}
	for _, svc := range a.hosted() {
		if a.routed[svc.Name] {
			continue
		}
		to := a.servedBy(svc)
		if to == nil {
			continue
		}
		port := portOf(to)
		kind, object := a.route(svc, to.Name, port)
		if a.seen[kind+" "+svc.Name] {
			continue // somebody else's, of the same name
		}
		a.objects[kind+" "+svc.Name] = object
		a.routed[svc.Name] = true
		a.note("", "%s leads to port %d of Service %s: nothing else did", svc.Host, port, to.Name)
	}
}

// servedBy is the Service that serves a service of the spec: by its name, or the only one
// there is.
func (a *adopting) servedBy(svc *Service) *corev1.Service {
	var all, fitting []*corev1.Service
	for _, key := range slices.Sorted(maps.Keys(a.objects)) {
		s, ok := a.objects[key].(*corev1.Service)
		if !ok || len(s.Spec.Ports) == 0 || s.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		all = append(all, s)
		if s.Name == svc.Name {
			return s
		}
		if a.behind(s.Name) == svc && fits(s.Name, svc.Name) {
			fitting = append(fitting, s)
		}
	}
	switch {
	case len(fitting) > 0:
		return slices.MinFunc(fitting, func(x, y *corev1.Service) int { return cmp.Compare(len(x.Name), len(y.Name)) })
	case len(all) == 1 && len(a.hosted()) == 1:
		return all[0]
	}
	return nil
}

// portOf is the port of a Service that is named as web ports are, else its first.
func portOf(s *corev1.Service) int32 {
	for _, p := range s.Spec.Ports {
		if p.Name == "http" || p.Name == "web" {
			return p.Port
		}
	}
	return s.Spec.Ports[0].Port
}

// route is an object of the kind that the class routes by.
func (a *adopting) route(svc *Service, to string, port int32) (kind string, object any) {
	m := metav1.ObjectMeta{Name: svc.Name}
	if a.in.Class.Routing.Kind == platform.HTTPRoute {
		number := gatewayv1.PortNumber(port)
		h := &gatewayv1.HTTPRoute{
			TypeMeta: metav1.TypeMeta{APIVersion: gatewayv1.GroupVersion.String(), Kind: "HTTPRoute"}, ObjectMeta: m,
			Spec: gatewayv1.HTTPRouteSpec{
				Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(svc.Host)},
				Rules:     []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{backend(to, &number, nil)}}},
			},
		}
		a.httpRoute("", h)
		return h.Kind, h
	}
	i := &networkingv1.Ingress{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"}, ObjectMeta: m,
		Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{
			Host: svc.Host,
			IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: ptr(networkingv1.PathTypePrefix),
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: to, Port: networkingv1.ServiceBackendPort{Number: port}}},
			}}}},
		}}},
	}
	a.ingress("", i)
	return i.Kind, i
}
