package main

import (
	"context"
	"testing"

	"github.com/idp-bot/idp/gitops/spec"
)

// TestVisitGuarded: a gateway that asks who idp is lets it see no health check, and a preview
// behind it would else never be ready. What is nobody's question is no answer there either.
func TestVisitGuarded(t *testing.T) {
	t.Parallel()
	checked := spec.Service{Name: "web", Healthcheck: &spec.Healthcheck{Path: "/health"}}
	for status, want := range map[int]struct{ open, guarded bool }{
		200: {true, true}, 204: {true, true}, 302: {false, true}, 307: {false, true}, 401: {false, true}, 403: {false, true},
		404: {false, false}, 429: {false, false}, 500: {false, false}, 503: {false, false},
	} {
		get := func(context.Context, string, string) (int, error) { return status, nil }
		if why := visit(t.Context(), get, "web.example.com", checked, false); (why == "") != want.open {
			t.Errorf("%d, open: %q", status, why)
		}
		if why := visit(t.Context(), get, "web.example.com", checked, true); (why == "") != want.guarded {
			t.Errorf("%d, guarded: %q", status, why)
		}
	}
}
