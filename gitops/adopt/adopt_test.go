package adopt

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/fault"
	"github.com/idp-bot/idp/gitops/figure"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/render"
)

var update = flag.Bool("update", false, "rewrite what the tests compare with")

const digest = "@sha256:0123456789012345678901234567890123456789012345678901234567890123"

func input() Input {
	class := platform.Default()
	class.Gate = &platform.Gate{Public: true}
	return Input{
		Environment: "idp-shop-pr-7-0123456789", Namespace: "idp-shop-pr-7-0123456789", Class: class,
		Services: []Service{{Name: "web", Image: "ghcr.io/acme/web" + digest, Host: "web-pr-7.preview.localhost", Replicas: 2}},
	}
}

func split(text []byte) [][]byte { return bytes.Split(text, []byte("\n---\n")) }

// together is what came out as one text, for goldens.
func together(r Result) string {
	var b strings.Builder
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	fmt.Fprintf(&b, "# unplaced: %v, unrouted: %v\n", r.Unplaced, r.Unrouted)
	for _, o := range r.Objects {
		fmt.Fprintf(&b, "---\n%s", o.Content)
	}
	return b.String()
}

func TestHostile(t *testing.T) {
	t.Parallel()
	hostile, err := os.ReadFile("testdata/hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	byIngress := input()
	byIngress.Class.Routing = platform.Routing{Kind: platform.Ingress, IngressClass: "nginx", TLSSecret: "wildcard"}
	for name, in := range map[string]Input{"httproute": input(), "ingress": byIngress} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Objects(split(hostile), in)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "hostile-"+name+".golden"), together(got))
		})
	}
}

// TestGate: a chart's routes, and those that its Services get, are behind what the class
// says, whatever the chart says of itself.
func TestGate(t *testing.T) {
	t.Parallel()
	hostile, err := os.ReadFile("testdata/hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	own := [][]byte{
		[]byte(service("web", "{port: 80}")),
		[]byte("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web}, spec: {rules: [" +
			"{backendRefs: [{name: web, port: 80}], filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: none}}]}, " +
			"{backendRefs: [{name: web, port: 80}], matches: [{path: {type: PathPrefix, value: /open}}]}]}}"),
		[]byte(`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web, annotations: {nginx.ingress.kubernetes.io/auth-url: "https://evil.example.com"}}, ` +
			"spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}"),
	}
	routes := 0
	for _, documents := range [][][]byte{split(hostile), {[]byte(service("web", "{port: 80}"))}, own} {
		for kind, mark := range map[platform.RoutingKind]string{
			platform.HTTPRoute: "filters:\n    - extensionRef:\n        group: traefik.io\n        kind: Middleware\n        name: auth\n      type: ExtensionRef\n",
			platform.Ingress:   "  annotations:\n    nginx.ingress.kubernetes.io/auth-url: https://auth.example.com\n  labels:",
		} {
			in := input()
			in.Class.Routing.Kind = kind
			in.Class.Gate = &platform.Gate{
				Filters:     []platform.Filter{{Group: "traefik.io", Kind: "Middleware", Name: "auth"}},
				Annotations: map[string]string{"nginx.ingress.kubernetes.io/auth-url": "https://auth.example.com"},
			}
			got, err := Objects(documents, in)
			if err != nil {
				t.Fatal(err)
			}
			before := routes
			for _, o := range got.Objects {
				if o.Kind != string(kind) {
					continue
				}
				routes++
				rules := 1
				if kind == platform.HTTPRoute {
					rules = strings.Count(string(o.Content), "\n  - backendRefs:")
				}
				if n := strings.Count(string(o.Content), mark); n != rules || strings.Count(string(o.Content), "extensionRef:") > n {
					t.Errorf("%d of %d rules are guarded:\n%s", n, rules, o.Content)
				}
			}
			if before == routes {
				t.Errorf("no %s came out", kind)
			}
		}
	}
	figure.Tell(t, "%d routes of charts, hostile ones among them: each behind what the class says", routes)
}

// TestClosed: where nobody said how previews are guarded, no route of a chart comes through
// and none is made; each that it brings is told of, and nothing else changes.
func TestClosed(t *testing.T) {
	t.Parallel()
	hostile, err := os.ReadFile("testdata/hostile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, documents := range [][][]byte{split(hostile), {[]byte(service("web", "{port: 80}"))}} {
		for _, kind := range []platform.RoutingKind{platform.HTTPRoute, platform.Ingress} {
			in := input()
			in.Class.Routing.Kind = kind
			open, err := Objects(documents, in)
			if err != nil {
				t.Fatal(err)
			}
			in.Class.Gate = nil
			closed, err := Objects(documents, in)
			if err != nil {
				t.Fatal(err)
			}
			route := func(o Object) bool { return o.Kind == "HTTPRoute" || o.Kind == "Ingress" }
			want := slices.DeleteFunc(slices.Clone(open.Objects), route)
			if diff := cmp.Diff(want, closed.Objects); diff != "" || len(want) == len(open.Objects) {
				t.Errorf("by %s (-open without its %d routes +closed):\n%s", kind, len(open.Objects)-len(want), diff)
			}
			if len(closed.Unrouted) > 0 {
				t.Errorf("by %s, unrouted: %v", kind, closed.Unrouted)
			}
			dropped := 0
			for _, n := range closed.Notes {
				if n.Text == "dropped: "+platform.WhyClosed {
					dropped++
				} else if strings.HasPrefix(n.Object, "HTTPRoute") || strings.HasPrefix(n.Object, "Ingress") || strings.Contains(n.Text, "leads to port") {
					t.Errorf("by %s, of a route: %s", kind, n)
				}
			}
			if brings := len(documents) > 1; brings != (dropped > 0) {
				t.Errorf("by %s, %d routes are told of", kind, dropped)
			}
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func service(name string, ports string) string {
	return "{apiVersion: v1, kind: Service, metadata: {name: " + name + "}, spec: {selector: {app: x}, ports: [" + ports + "]}}"
}

// TestRoutes holds what each host comes to lead to where nothing rendered says so.
func TestRoutes(t *testing.T) {
	t.Parallel()
	two := []Service{{Name: "web", Host: "w.localhost", Image: "a/web"}, {Name: "api", Host: "a.localhost", Image: "a/api"}, {Name: "worker", Image: "a/worker"}}
	for name, c := range map[string]struct {
		services  []Service
		documents []string
		want      []string // host -> backend:port
		unrouted  []string
	}{
		"the only one":           {two[:1], []string{service("anything", "{port: 9000}")}, []string{"w.localhost anything:9000"}, nil},
		"by the port's name":     {two[:1], []string{service("x", "{port: 9}, {name: http, port: 80}")}, []string{"w.localhost x:80"}, nil},
		"by the end of its name": {two, []string{service("shop-web", "{port: 1}"), service("shop-api", "{port: 2}")}, []string{"a.localhost shop-api:2", "w.localhost shop-web:1"}, nil},
		"one of two":             {two, []string{service("web", "{port: 1}")}, []string{"w.localhost web:1"}, []string{"api"}},
		"none fits":              {two, []string{service("x", "{port: 1}")}, nil, []string{"web", "api"}},
		"no service":             {two[:1], nil, nil, []string{"web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := input()
			in.Services = c.services
			var documents [][]byte
			for _, d := range c.documents {
				documents = append(documents, []byte(d))
			}
			got, err := Objects(documents, in)
			if err != nil {
				t.Fatal(err)
			}
			var routes []string
			for _, o := range got.Objects {
				if o.Kind == "HTTPRoute" {
					routes = append(routes, routeOf(t, o))
				}
			}
			if diff := cmp.Diff(c.want, routes); diff != "" {
				t.Errorf("routes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.unrouted, got.Unrouted); diff != "" {
				t.Errorf("unrouted (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTooMuch holds the bounds, which are faults of the chart's author.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	many := make([][]byte, MaxObjects+1)
	for i := range many {
		many[i] = fmt.Appendf(nil, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}}", i)
	}
	large := make([][]byte, MaxTaken/(400<<10)+1)
	for i := range large {
		large[i] = fmt.Appendf(nil, "{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}, data: {a: %s}}", i, strings.Repeat("x", 400<<10))
	}
	bomb := []byte("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
		"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n")
	for name, documents := range map[string][][]byte{
		"many": many, "large": {bytes.Repeat([]byte("#"), MaxBytes+1)}, "large together": large, "no YAML": {[]byte("{")}, "a word": {[]byte("word")}, "a bomb": {bomb},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Objects(documents, input()); fault.CodeOf(err) != fault.Invalid {
				t.Errorf("got %v, want a fault of the chart", err)
			}
		})
	}
	if got, err := Objects(many[:MaxObjects], input()); err != nil || len(got.Objects) != MaxObjects {
		t.Errorf("%d objects came through, %v", len(got.Objects), err)
	}
}

// TestConfinesMore leaves a container and its pod what confines them more than the class asks,
// and takes what would free them.
func TestConfinesMore(t *testing.T) {
	t.Parallel()
	in := input()
	in.Class.PodSecurity = platform.Baseline
	const before = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostUsers: false
      securityContext: {runAsNonRoot: true, runAsUser: 1000, appArmorProfile: {type: RuntimeDefault}}
      containers:
      - name: web
        image: ghcr.io/acme/web
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          runAsNonRoot: true
          capabilities: {drop: [ALL], add: [SYS_ADMIN]}
          seccompProfile: {type: RuntimeDefault}
          appArmorProfile: {type: RuntimeDefault}
      - name: free
        image: ghcr.io/acme/web
        securityContext:
          allowPrivilegeEscalation: true
          privileged: true
          procMount: Unmasked
          capabilities: {add: [NET_ADMIN]}
          seccompProfile: {type: Unconfined}
          appArmorProfile: {type: Unconfined}
`
	const kept = `        securityContext:
          allowPrivilegeEscalation: false
          appArmorProfile:
            type: RuntimeDefault
          capabilities:
            drop:
            - ALL
          privileged: false
          readOnlyRootFilesystem: true
          runAsNonRoot: true
          seccompProfile:
            type: RuntimeDefault
`
	const taken = `        name: free
        securityContext:
          allowPrivilegeEscalation: false
          privileged: false
`
	const pod = `      hostUsers: false
      securityContext:
        appArmorProfile:
          type: RuntimeDefault
        runAsNonRoot: true
        runAsUser: 1000
        seccompProfile:
          type: RuntimeDefault
`
	got, err := Objects([][]byte{[]byte(before)}, in)
	if err != nil {
		t.Fatal(err)
	}
	text := together(got)
	for _, want := range []string{kept, taken, pod} {
		if !strings.Contains(text, want) {
			t.Errorf("it is not so:\n%s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// TestPins gives images of others their digests, and says which have none.
func TestPins(t *testing.T) {
	t.Parallel()
	const before = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: wait, image: busybox}]
      containers: [{name: web, image: "ghcr.io/acme/web:1"}, {name: cache, image: "redis:7.4"}, {name: own, image: "a/b:1@sha256:1111111111111111111111111111111111111111111111111111111111111111"}]
`
	in := input()
	in.Pins = map[string]string{"redis:7.4": strings.TrimPrefix(digest, "@"), "ghcr.io/acme/web:1": "sha256:no"}
	got, err := Objects([][]byte{[]byte(before)}, in)
	if err != nil {
		t.Fatal(err)
	}
	text := together(got)
	for _, want := range []string{
		"image: redis:7.4" + digest + "\n", "image: ghcr.io/acme/web" + digest + "\n", "image: busybox\n", "image: a/b:1@sha256:1111",
		"# Deployment web: containers[cache].image redis:7.4 is pinned to " + digest[1:] + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if diff := cmp.Diff([]string{"busybox"}, got.Unpinned); diff != "" {
		t.Error(diff)
	}
	again, err := Objects([][]byte{got.Objects[0].Content}, in)
	if err != nil || cmp.Diff(got.Objects, again.Objects) != "" {
		t.Errorf("the second time changes it, %v", err)
	}
}

// FuzzObjects holds what has to be true of whatever a chart renders to.
func FuzzObjects(f *testing.F) {
	hostile, err := os.ReadFile("testdata/hostile.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hostile, false)
	for _, document := range split(hostile) {
		f.Add(document, true)
	}
	f.Fuzz(func(t *testing.T, rendered []byte, byIngress bool) {
		in := input()
		in.Services = append(in.Services, Service{Name: "api", Image: "ghcr.io/acme/api" + digest, Host: "api-pr-7.preview.localhost", Replicas: 1})
		if byIngress {
			in.Class.Routing = platform.Routing{Kind: platform.Ingress, IngressClass: "nginx"}
		}
		once, err := Objects(split(rendered), in)
		if err != nil {
			return
		}
		var again [][]byte
		for _, o := range once.Objects {
			checkObject(t, o, in)
			again = append(again, o.Content)
		}
		twice, err := Objects(again, in)
		if err != nil {
			t.Fatalf("what came out does not go in again: %v\n%s", err, together(once))
		}
		if diff := cmp.Diff(once.Objects, twice.Objects); diff != "" {
			t.Fatalf("the second time changes it (-first +second):\n%s", diff)
		}
	})
}

func checkObject(t *testing.T, o Object, in Input) {
	t.Helper()
	one, err := read([][]byte{o.Content})
	if err != nil || len(one) != 1 {
		t.Fatalf("%s %s does not read back: %v", o.Kind, o.Name, err)
	}
	r := one[0]
	if !slices.Contains(Kinds(), r.APIVersion+"/"+r.Kind) || r.Kind != o.Kind || r.Metadata.Name != o.Name {
		t.Fatalf("%s/%s came out as %s", r.APIVersion, r.Kind, o.Kind)
	}
	if r.Metadata.Namespace != in.Namespace || r.Metadata.Labels[gitops.LabelManagedBy] != gitops.ManagedBy || r.Metadata.Labels[gitops.LabelEnvironment] != in.Environment {
		t.Fatalf("%s %s is not the environment's: %+v", o.Kind, o.Name, r.Metadata)
	}
	checkPod(t, podOf(t, o))
	again, err := render.Marshal(decoded(t, o))
	if err != nil || !bytes.Equal(again, o.Content) {
		t.Fatalf("%s %s reads back as another, %v", o.Kind, o.Name, err)
	}
}

// TestNoKind drops what is no object beside those that are.
func TestNoKind(t *testing.T) {
	t.Parallel()
	got, err := Objects([][]byte{[]byte("service: {name: web}"), []byte(service("web", "{port: 80}"))}, input())
	if err != nil {
		t.Fatal(err)
	}
	if text := together(got); !strings.Contains(text, "# A document without a kind: dropped: it is no Kubernetes object\n") || !strings.Contains(text, "targetPort: 80") {
		t.Errorf("got %s", text)
	}
}
