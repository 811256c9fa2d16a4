package render

import (
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/spec"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ingresses publishes each web service at its host where the class routes by
// Ingress. Without a secret of its own the host is served with the controller's
// default certificate.
func ingresses(e *environment) ([]object, error) {
	routing := e.Class.Routing
	if routing.Kind != platform.Ingress || !e.routed() {
		return nil, nil
	}
	var out []object
	for _, svc := range e.services {
		if svc.Kind != spec.Web {
			continue
		}
		host := e.hosts[svc.Name]
		ingress := &networkingv1.Ingress{
			TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
			ObjectMeta: e.serviceMeta(svc.Name, svc.Name),
			Spec: networkingv1.IngressSpec{
				TLS:   []networkingv1.IngressTLS{{Hosts: []string{host}, SecretName: routing.TLSSecret}},
				Rules: []networkingv1.IngressRule{ingressRule(host, svc.Name)},
			},
		}
		if e.Environment == "" {
			GateIngress(&ingress.ObjectMeta, e.Class)
		}
		if routing.IngressClass != "" {
			ingress.Spec.IngressClassName = ptr(routing.IngressClass)
		}
		out = append(out, object{svc.Name + "-ingress.yaml", ingress})
	}
	return out, nil
}

func ingressRule(host, service string) networkingv1.IngressRule {
	return networkingv1.IngressRule{
		Host: host,
		IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{
				Path:     "/",
				PathType: ptr(networkingv1.PathTypePrefix),
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: service, Port: networkingv1.ServiceBackendPort{Number: servicePort},
				}},
			}},
		}},
	}
}
