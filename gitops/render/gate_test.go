package render

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// gated is a class with a filter and an annotation.
func gated(class platform.Class, kind platform.RoutingKind) platform.Class {
	class.Routing.Kind, class.Routing.ControllerNamespace = kind, "gateway"
	class.Gate = &platform.Gate{
		Filters:     []platform.Filter{{Group: "traefik.io", Kind: "Middleware", Name: "auth"}, {Group: "traefik.io", Kind: "Middleware", Name: "second"}},
		Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-url": "https://auth.example.com"},
	}
	return class
}

// TestGate: every route of every preview is behind what its class says, whoever's code it
// runs, and no declared environment is.
func TestGate(t *testing.T) {
	t.Parallel()
	const deploy = "services: [{name: web}, {name: api}, {name: worker, kind: worker}]"
	routes := 0
	for _, trust := range append(platform.Trusts(), platform.TrustUnknown) {
		for _, kind := range []platform.RoutingKind{platform.HTTPRoute, platform.Ingress} {
			in := preview(t, []byte(deploy))
			in.Class, in.Trust = gated(in.Class, kind), trust
			guarded, open := guards(t, whole(t, in))
			if routes += guarded; guarded != 2 || open != 0 {
				t.Errorf("code of %q, by %s: %d routes are guarded, %d open", trust, kind, guarded, open)
			}
			declared(&in, "staging")
			in.Class.Quota.CPU = "16"
			if guarded, open := guards(t, whole(t, in)); guarded != 0 || open != 2 {
				t.Errorf("declared, by %s: %d routes are guarded, %d open", kind, guarded, open)
			}
		}
	}
	figure.Tell(t, "%d routes of previews, of %d trust classes by HTTPRoute and by Ingress: each behind what its class says", routes, len(platform.Trusts())+1)
}

// TestClosed: of a class that says nothing of who gets in, or guards routes of the other kind
// alone, a preview has no route and names no host, whoever's code it runs, and everything else;
// a declared environment has its routes.
func TestClosed(t *testing.T) {
	t.Parallel()
	const deploy = "services: [{name: web, env: {SELF: \"{host}\"}}, {name: worker, kind: worker}]"
	for _, kind := range []platform.RoutingKind{platform.HTTPRoute, platform.Ingress} {
		other := platform.Gate{Filters: []platform.Filter{{Group: "traefik.io", Kind: "Middleware", Name: "auth"}}}
		if kind == platform.HTTPRoute {
			other = platform.Gate{Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-url": "https://auth.example.com"}}
		}
		for _, trust := range append(platform.Trusts(), platform.TrustUnknown) {
			in := preview(t, []byte(deploy))
			in.Class.Routing.Kind, in.Class.Routing.ControllerNamespace, in.Trust = kind, "gateway", trust
			open := whole(t, in)
			for _, gate := range []*platform.Gate{nil, {}, &other} {
				in.Class.Gate = gate
				closed := whole(t, in)
				if guarded, routes := guards(t, closed); guarded+routes != 0 || len(closed) != len(open)-1 {
					t.Errorf("by %s, code of %q, behind %+v: %d routes, %d files of %d", kind, trust, gate, guarded+routes, len(closed), len(open))
				}
				record, err := ParseRecord(closed[0].Content)
				if err != nil || len(record.Hosts) > 0 {
					t.Errorf("the record: %v, %v", record, err)
				}
				// Its name stays the environment's own, for when there is a route.
				if !slices.ContainsFunc(closed, func(f gitops.File) bool { return strings.Contains(string(f.Content), "value: web-pr-42-") }) {
					t.Error("no service is told its host")
				}
			}
			declared(&in, "staging")
			in.Class.Quota.CPU = "16"
			if guarded, routes := guards(t, whole(t, in)); guarded+routes != 1 {
				t.Errorf("declared, by %s: %d routes", kind, guarded+routes)
			}
		}
	}
}

// guards counts the routes among the files whose rules all begin with the filters, or that
// have the annotation, and the others.
func guards(t *testing.T, files []gitops.File) (guarded, open int) {
	t.Helper()
	for _, f := range files {
		is := false
		switch name := path.Base(f.Path); {
		case strings.HasSuffix(name, "-httproute.yaml"):
			var route gatewayv1.HTTPRoute
			if err := yaml.UnmarshalStrict(f.Content, &route); err != nil {
				t.Fatal(err)
			}
			is = len(route.Spec.Rules) > 0 && !slices.ContainsFunc(route.Spec.Rules, func(r gatewayv1.HTTPRouteRule) bool {
				return len(r.Filters) < 3 || r.Filters[0].ExtensionRef == nil || r.Filters[0].ExtensionRef.Name != "auth" || r.Filters[1].ExtensionRef.Name != "second"
			})
		case strings.HasSuffix(name, "-ingress.yaml"):
			var ingress networkingv1.Ingress
			if err := yaml.UnmarshalStrict(f.Content, &ingress); err != nil {
				t.Fatal(err)
			}
			is = ingress.Annotations["nginx.ingress.kubernetes.io/auth-url"] == "https://auth.example.com"
		default:
			continue
		}
		if is {
			guarded++
		} else {
			open++
		}
	}
	return guarded, open
}

// Whatever a rule or an Ingress says itself, the class's comes before it and over it.
func TestGateIsTheClasss(t *testing.T) {
	t.Parallel()
	class := gated(platform.Default(), platform.HTTPRoute)
	ref := func(group, kind, name string) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterExtensionRef, ExtensionRef: &gatewayv1.LocalObjectReference{
			Group: gatewayv1.Group(group), Kind: gatewayv1.Kind(kind), Name: gatewayv1.ObjectName(name)}}
	}
	rewrite := gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterURLRewrite, URLRewrite: &gatewayv1.HTTPURLRewriteFilter{}}
	rule := gatewayv1.HTTPRouteRule{Filters: []gatewayv1.HTTPRouteFilter{rewrite, ref("traefik.io", "Middleware", "own"), ref("traefik.io", "Middleware", "auth")}}
	m := metav1.ObjectMeta{Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-url": "https://evil.example.com", "a": "b"}}
	for range 2 { // a second time changes nothing
		GateRule(&rule, class)
		GateIngress(&m, class)
		want := []gatewayv1.HTTPRouteFilter{ref("traefik.io", "Middleware", "auth"), ref("traefik.io", "Middleware", "second"), rewrite}
		if diff := cmp.Diff(want, rule.Filters); diff != "" {
			t.Errorf("filters (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]string{"nginx.ingress.kubernetes.io/auth-url": "https://auth.example.com", "a": "b"}, m.Annotations); diff != "" {
			t.Errorf("annotations (-want +got):\n%s", diff)
		}
	}
}
