package platform

import (
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
)

// TestClosed: previews of a class have an address where something stands before the routes
// that it has, for whoever's code, or by the word that they are open on purpose; by nothing
// else.
func TestClosed(t *testing.T) {
	t.Parallel()
	filters, annotations := []Filter{{"traefik.io", "Middleware", "auth"}}, map[string]string{"a.example/auth": "x"}
	of := func(kind, spec string, whom ...Trust) []BaseObjects {
		return []BaseObjects{{For: whom, Objects: []BaseObject{{Kind: kind, Name: "login", Content: []byte(`{"spec": ` + spec + `}`)}}}}
	}
	const selects = `{"oidc": {}, "targetSelectors": [{"kind": "HTTPRoute", "matchLabels": {"app.kubernetes.io/managed-by": "idp"}}]}`
	policy := func(whom ...Trust) []BaseObjects { return of("SecurityPolicy", selects, whom...) }
	other := func(kind, spec string) Class {
		return Class{Routing: Routing{Kind: HTTPRoute}, Objects: of(kind, spec, TrustMember, TrustBot, TrustFork)}
	}
	cases := map[string]struct {
		class  Class
		closed bool
	}{
		"nothing":                         {Class{Routing: Routing{Kind: HTTPRoute}}, true},
		"nothing, by Ingress":             {Class{Routing: Routing{Kind: Ingress}}, true},
		"public":                          {Class{Routing: Routing{Kind: HTTPRoute}, Gate: &Gate{Public: true}}, false},
		"public, by Ingress":              {Class{Routing: Routing{Kind: Ingress}, Gate: &Gate{Public: true}}, false},
		"filters":                         {Class{Routing: Routing{Kind: HTTPRoute}, Gate: &Gate{Filters: filters}}, false},
		"filters, by Ingress":             {Class{Routing: Routing{Kind: Ingress}, Gate: &Gate{Filters: filters}}, true},
		"annotations":                     {Class{Routing: Routing{Kind: HTTPRoute}, Gate: &Gate{Annotations: annotations}}, true},
		"annotations, by Ingress":         {Class{Routing: Routing{Kind: Ingress}, Gate: &Gate{Annotations: annotations}}, false},
		"a policy":                        {Class{Routing: Routing{Kind: HTTPRoute}, Objects: policy(TrustMember, TrustBot, TrustFork)}, false},
		"a policy for members":            {Class{Routing: Routing{Kind: HTTPRoute}, Objects: policy(TrustMember, TrustBot)}, true},
		"policies, by whose the code is":  {Class{Routing: Routing{Kind: HTTPRoute}, Objects: append(policy(TrustMember), policy(TrustFork, TrustBot)...)}, false},
		"a policy, by Ingress":            {Class{Routing: Routing{Kind: Ingress}, Objects: policy(TrustMember, TrustBot, TrustFork)}, true},
		"a policy of declared ones alone": {Class{Routing: Routing{Kind: HTTPRoute}, Objects: policy(TrustDefaultBranch)}, true},
		"a policy without labels":         {other("SecurityPolicy", `{"jwt": {}, "targetSelectors": [{"kind": "HTTPRoute"}]}`), true},
		"a policy that asks nothing":      {other("SecurityPolicy", `{"cors": {}, "targetSelectors": [{"kind": "HTTPRoute", "matchLabels": {"app.kubernetes.io/managed-by": "idp"}}]}`), true},
		"a policy by a name":              {other("SecurityPolicy", `{"oidc": {}, "targetRef": {"kind": "HTTPRoute", "name": "web"}}`), true},
		"a policy by a chart's label":     {other("SecurityPolicy", `{"oidc": {}, "targetSelectors": [{"kind": "HTTPRoute", "matchLabels": {"app.kubernetes.io/managed-by": "idp", "app": "web"}}]}`), true},
		"a policy by an expression":       {other("SecurityPolicy", `{"oidc": {}, "targetSelectors": [{"kind": "HTTPRoute", "matchLabels": {"app.kubernetes.io/managed-by": "idp"}, "matchExpressions": [{}]}]}`), true},
		"a policy of another kind":        {other("SecurityPolicy", `{"oidc": {}, "targetSelectors": [{"kind": "GRPCRoute", "matchLabels": {"app.kubernetes.io/managed-by": "idp"}}]}`), true},
		"a Middleware without a filter":   {other("Middleware", selects), true},
	}
	for name, c := range cases {
		if got := c.class.Closed(); got != c.closed {
			t.Errorf("%s: closed is %v", name, got)
		}
	}
	figure.Tell(t, "%d classes: opened by what guards the routes they have, for whoever's code, or by the word public, alone", len(cases))
}

// TestGateBounds: as many annotations as there may be, and as long, and none more.
func TestGateBounds(t *testing.T) {
	t.Parallel()
	load := func(n, size int) string {
		var b strings.Builder
		b.WriteString("access:\n  annotations:\n")
		for i := range n {
			fmt.Fprintf(&b, "    a.example/k%d: %s\n", i, strings.Repeat("x", size))
		}
		base := Default()
		base.RepoURL = "https://git.example.com/acme/gitops.git"
		_, errs := Load([]gitops.File{{Path: ClassesDir + "/preview.yaml", Content: []byte(b.String())}}, base)
		if len(errs) == 0 {
			return ""
		}
		return errs.Err().Error()
	}
	for _, c := range []struct {
		n, size int
		want    string
	}{
		{maxAnnotations, 10, ""}, {1, maxAnnotation, ""},
		{maxAnnotations + 1, 10, "has 21 entries: expected at most 20"}, {1, maxAnnotation + 1, "has 4097 bytes: expected at most 4096"},
	} {
		if got := load(c.n, c.size); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%d of %d bytes: %q", c.n, c.size, got)
		}
	}
}
