package render

import (
	"fmt"

	"github.com/idp-bot/idp/gitops/spec"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// networkPolicies renders the one policy of the environment. It selects every
// pod and both directions, so that what it does not name is denied: in, traffic
// from the class's gateway to web ports, and from the environment itself; out,
// DNS, the environment itself and the destinations that the class lists.
func networkPolicies(e *environment) ([]object, error) {
	egress, err := egressBlocks(e.Class.EgressCIDRs, e.Class.EgressDeniedCIDRs)
	if err != nil {
		return nil, fmt.Errorf("class %s: %w", e.Class.Name, err)
	}
	own := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	policy := networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{own}}},
		Egress: []networkingv1.NetworkPolicyEgressRule{
			{To: []networkingv1.NetworkPolicyPeer{own}},
			{
				To:    []networkingv1.NetworkPolicyPeer{namespace("kube-system")},
				Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolUDP, intstr.FromInt32(53)), port(corev1.ProtocolTCP, intstr.FromInt32(53))},
			},
		},
	}
	if e.hasWeb() {
		from := networkingv1.NetworkPolicyIngressRule{
			From:  []networkingv1.NetworkPolicyPeer{namespace(e.Class.Routing.TrafficNamespace())},
			Ports: []networkingv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromString(portName))},
		}
		if e.sourced("") {
			from.Ports = nil // a chart's ports have names of its own, or none
		}
		policy.Ingress = append(policy.Ingress, from)
	}
	if len(egress) > 0 {
		policy.Egress = append(policy.Egress, networkingv1.NetworkPolicyEgressRule{To: egress})
	}
	return []object{{"networkpolicy.yaml", &networkingv1.NetworkPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		ObjectMeta: e.meta("idp"),
		Spec:       policy,
	}}}, nil
}

// hasWeb is true of a declared environment whatever it holds today: its services
// come and go without it.
func (e *environment) hasWeb() bool {
	if e.shared() {
		return true
	}
	for _, svc := range e.all {
		if svc.Kind == spec.Web && !e.sourced(svc.Name) {
			return true
		}
	}
	return false
}

// namespace is every pod of a namespace, by the label that the API server itself
// keeps true.
func namespace(name string) networkingv1.NetworkPolicyPeer {
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{corev1.LabelMetadataName: name},
	}}
}

func port(protocol corev1.Protocol, number intstr.IntOrString) networkingv1.NetworkPolicyPort {
	return networkingv1.NetworkPolicyPort{Protocol: ptr(protocol), Port: ptr(number)}
}
