package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/idp-bot/idp/gitops/figure"
)

// Whatever a rule says of the header, in whatever case, it is set once and to one value; its
// other filters and headers stay.
func TestNoIndex(t *testing.T) {
	t.Parallel()
	modifier := func(f gatewayv1.HTTPHeaderFilter) gatewayv1.HTTPRouteFilter {
		return gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterResponseHeaderModifier, ResponseHeaderModifier: &f}
	}
	rewrite := gatewayv1.HTTPRouteFilter{Type: gatewayv1.HTTPRouteFilterURLRewrite, URLRewrite: &gatewayv1.HTTPURLRewriteFilter{}}
	header := func(name, value string) gatewayv1.HTTPHeader {
		return gatewayv1.HTTPHeader{Name: gatewayv1.HTTPHeaderName(name), Value: value}
	}
	ours := header("X-Robots-Tag", "noindex, nofollow")
	marked := 0
	for name, c := range map[string]struct{ has, want []gatewayv1.HTTPRouteFilter }{
		"none":    {nil, []gatewayv1.HTTPRouteFilter{modifier(gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{ours}})}},
		"another": {[]gatewayv1.HTTPRouteFilter{rewrite}, []gatewayv1.HTTPRouteFilter{rewrite, modifier(gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{ours}})}},
		"its own word": {
			[]gatewayv1.HTTPRouteFilter{modifier(gatewayv1.HTTPHeaderFilter{
				Set: []gatewayv1.HTTPHeader{header("x-robots-tag", "all"), header("A", "1")}, Add: []gatewayv1.HTTPHeader{header("X-ROBOTS-TAG", "all"), header("B", "2")}, Remove: []string{"X-robots-Tag", "C"},
			}), rewrite},
			[]gatewayv1.HTTPRouteFilter{modifier(gatewayv1.HTTPHeaderFilter{
				Set: []gatewayv1.HTTPHeader{header("A", "1"), ours}, Add: []gatewayv1.HTTPHeader{header("B", "2")}, Remove: []string{"C"},
			}), rewrite},
		},
	} {
		rule := gatewayv1.HTTPRouteRule{Filters: c.has}
		for range 2 { // a second time changes nothing
			NoIndex(&rule)
			if diff := cmp.Diff(c.want, rule.Filters); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			marked++
		}
	}
	figure.Tell(t, "%d routes, those that say another word or drop the header among them: each says noindex, once", marked)
}
