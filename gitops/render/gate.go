package render

import (
	"maps"
	"slices"

	"github.com/idp-bot/idp/gitops/platform"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routed says whether there are routes into the environment: those of a preview are there
// once its class says what stands in front of them, or that they are for everybody.
func (e *environment) routed() bool { return e.Environment != "" || !e.Class.Closed() }

// GateRule puts the filters by which previews of the class are guarded before all others of
// a preview's rule; no other refers to an object. Where the object that one refers to is
// not there a gateway answers with an error, and lets nobody through.
func GateRule(rule *gatewayv1.HTTPRouteRule, class platform.Class) {
	if class.Gate == nil {
		return
	}
	var filters []gatewayv1.HTTPRouteFilter
	for _, f := range class.Gate.Filters {
		filters = append(filters, gatewayv1.HTTPRouteFilter{
			Type:         gatewayv1.HTTPRouteFilterExtensionRef,
			ExtensionRef: &gatewayv1.LocalObjectReference{Group: gatewayv1.Group(f.Group), Kind: gatewayv1.Kind(f.Kind), Name: gatewayv1.ObjectName(f.Name)},
		})
	}
	isRef := func(f gatewayv1.HTTPRouteFilter) bool { return f.Type == gatewayv1.HTTPRouteFilterExtensionRef }
	rule.Filters = append(filters, slices.DeleteFunc(slices.Clone(rule.Filters), isRef)...)
}

// GateIngress puts the annotations by which previews of the class are guarded on a preview's
// Ingress, over its own.
func GateIngress(m *metav1.ObjectMeta, class platform.Class) {
	if class.Gate == nil || len(class.Gate.Annotations) == 0 {
		return
	}
	if m.Annotations = maps.Clone(m.Annotations); m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	maps.Copy(m.Annotations, class.Gate.Annotations)
}
