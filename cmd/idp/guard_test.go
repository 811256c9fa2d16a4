package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/source"
	"github.com/idp-bot/idp/gitops/spec"
	"github.com/idp-bot/idp/previews"
)

// saying is what a platform folder says of who gets to see previews.
type saying struct {
	name  string
	files platformFiles
	// guards are the kinds of route that it guards; public that it says the word.
	guards []platform.RoutingKind
	public bool
	// silent is where it says nothing of access, so that the server's key counts.
	silent bool
}

const (
	classOfPreviews = "platform/classes/preview.yaml"
	filtersOfAuth   = "filters: [{group: traefik.io, kind: Middleware, name: preview-auth}]"
	annotationsOf   = "annotations: {nginx.ingress.kubernetes.io/auth-url: https://auth.example.com}"
	signIn          = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: login}\nspec:\n  jwt: {providers: [{name: a, remoteJWKS: {uri: https://auth.example.com/keys}}]}\n" +
		"  targetSelectors: [{group: gateway.networking.k8s.io, kind: HTTPRoute, matchLabels: {app.kubernetes.io/managed-by: idp}}]\n"
)

func sayings() []saying {
	policyFor := func(whom string) platformFiles {
		return platformFiles{"platform/objects/login.yaml": signIn, classOfPreviews: "objects: [{file: platform/objects/login.yaml, for: " + whom + "}]\n"}
	}
	class := func(text string) platformFiles { return platformFiles{classOfPreviews: text + "\n"} }
	byHTTPRoute, byIngress := []platform.RoutingKind{platform.HTTPRoute}, []platform.RoutingKind{platform.Ingress}
	return []saying{
		{name: "no folder", silent: true},
		{name: "another class", files: platformFiles{"platform/classes/durable.yaml": "domain: apps.example.com\n"}, silent: true},
		{name: "an empty class", files: class("{}"), silent: true},
		{name: "public", files: class("access: public"), public: true},
		{name: "filters", files: class("access: {" + filtersOfAuth + "}"), guards: byHTTPRoute},
		{name: "annotations", files: class("access: {" + annotationsOf + "}"), guards: byIngress},
		{name: "both", files: class("access: {" + filtersOfAuth + ", " + annotationsOf + "}"), guards: append(byHTTPRoute, byIngress...)},
		{name: "a policy", files: policyFor("[member, bot, fork]"), guards: byHTTPRoute, silent: true},
		{name: "a policy that forks have not", files: policyFor("[member, bot]"), silent: true},
	}
}

// charts are the files of a repository by the kind of its source; each brings routes of
// both kinds that ask nobody.
func charts() map[spec.SourceKind]map[string][]byte {
	const own = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: ghcr.io/acme/web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: own}
spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: own}
spec: {rules: [{host: own.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
	return map[spec.SourceKind]map[string][]byte{
		"":             nil, // idp itself
		spec.Helm:      {"deploy/Chart.yaml": []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n"), "deploy/templates/web.yaml": []byte(own)},
		spec.Kustomize: {"deploy/kustomization.yaml": []byte("resources: [web.yaml]\n"), "deploy/web.yaml": []byte(own)},
		spec.Manifests: {"deploy/web.yaml": []byte(own)},
	}
}

// Threat: a preview that nobody meant for strangers is open to whoever knows its host.
// Of every way to route, every thing that a class may say of access, every value of the
// server's key and every source of its objects, a preview has a route only where something
// stands before it or somebody said the word public; and everything else of it all the same.
func TestNoRouteUnguarded(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	children, _, err := source.New(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	sources, tried, open, closed := charts(), 0, 0, 0
	for _, kind := range []platform.RoutingKind{platform.HTTPRoute, platform.Ingress} {
		for _, key := range []string{"", "public"} {
			for _, says := range sayings() {
				class := classSaid(t, kind, key, says)
				for from, tree := range sources {
					routes, others := routesOf(t, class, from, tree, children)
					public := says.public || says.silent && key == "public"
					want := public || slices.Contains(says.guards, kind)
					if (len(routes) > 0) != want || others == 0 {
						t.Errorf("by %s, the folder says %s, the server %q, rendered by %q: %d routes and %d other objects", kind, says.name, key, from, len(routes), others)
					}
					for _, route := range routes {
						if open++; !public && !slices.Contains(says.guards, platform.HTTPRoute) && !strings.Contains(route, "auth.example.com") {
							t.Errorf("by %s, the folder says %s, the server %q, rendered by %q: open:\n%s", kind, says.name, key, from, route)
						}
					}
					if tried++; !want {
						closed++
					}
				}
			}
		}
	}
	figure.Tell(t, "%d combinations of routing, class, server and source: %d without a route, %d routes, none of them unguarded without the word public", tried, closed, open)
}

// classSaid is the class of previews by a server's configuration and what the folder says.
func classSaid(t *testing.T, kind platform.RoutingKind, key string, says saying) platform.Class {
	t.Helper()
	cfg, _, err := load(t, forReading, "", map[string]string{
		"IDP_ROUTING": string(kind), "IDP_ROUTING_NAMESPACE": "ingress", "IDP_PREVIEW_ACCESS": key, "IDP_GITOPS_URL": "https://github.com/acme/gitops.git",
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &declarations{base: cfg.Class(), now: time.Now, repo: says.files}
	class, err := d.rendering(previews.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	return class
}

// routesOf renders a preview, and returns what leads into it, and how much else there is.
func routesOf(t *testing.T, class platform.Class, from spec.SourceKind, tree map[string][]byte, children *source.Renderer) (routes []string, others int) {
	t.Helper()
	row := previews.Environment{
		Ref: gitops.EnvironmentRef{RepositoryID: 1, Owner: "acme", Repo: "web", ID: "pr-1"}, Owner: "acme", Repo: "web", PR: 1, Generation: 1,
		SHA: strings.Repeat("1", 40), Wanted: previews.Present, Spec: []byte("service: {name: web, image: ghcr.io/acme/web}\n"), Trust: platform.TrustMember,
	}
	if from != "" {
		row.Source = &previews.Source{Base: strings.Repeat("2", 40), Branch: "main", From: spec.Sources{{Source: spec.Source{Kind: from, Path: "deploy"}}}}
	}
	s := sourced{
		classOf: oneClass(class),
		tree: func(context.Context, previews.Environment, string, []spec.Source) (map[string][]byte, error) {
			return tree, nil
		},
		children: func(context.Context) (*source.Renderer, error) { return children, nil },
	}
	rendered, err := s.render(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range rendered.Files {
		switch text := string(f.Content); {
		case path.Dir(f.Path) != row.Ref.ManifestsDir():
		case strings.Contains(text, "\nkind: HTTPRoute\n"), strings.Contains(text, "\nkind: Ingress\n"), strings.Contains(text, "\nkind: Gateway\n"),
			strings.Contains(text, "type: LoadBalancer"), strings.Contains(text, "type: NodePort"), strings.Contains(text, "hostPort:"):
			routes = append(routes, text)
		default:
			others++
		}
	}
	if rendered.Unrouted != (len(routes) == 0) {
		t.Errorf("unrouted is %v, with %d routes", rendered.Unrouted, len(routes))
	}
	if dropped := fmt.Sprint(rendered.Notes); from != "" && rendered.Unrouted &&
		(!strings.Contains(dropped, "HTTPRoute own: dropped: "+platform.WhyClosed) || !strings.Contains(dropped, "Ingress own: dropped: "+platform.WhyClosed)) {
		t.Errorf("of routes that are dropped it is told: %s", dropped)
	}
	return routes, others
}
