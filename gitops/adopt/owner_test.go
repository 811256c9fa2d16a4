package adopt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/idp-bot/idp/gitops/platform"
)

// TestOwner: objects and pods of a source that a service has of its own say so, whatever the
// source says of them, and of what another service built nothing is known.
func TestOwner(t *testing.T) {
	t.Parallel()
	in := input()
	in.Owner = "web"
	documents := [][]byte{
		[]byte(service("web", "{port: 80}")),
		[]byte("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {idp.dev/service: api}}}"),
		[]byte("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x, idp.dev/service: api}}, spec: {containers: [{name: web, image: ghcr.io/acme/web}]}}}}"),
	}
	for range 2 { // what came out comes out again
		got, err := Objects(documents, in)
		if err != nil {
			t.Fatal(err)
		}
		documents = nil
		for _, o := range got.Objects {
			want := 1
			if o.Kind == "Deployment" {
				want = 2
			}
			if n := strings.Count(string(o.Content), "idp.dev/service: web\n"); n != want || strings.Contains(string(o.Content), "idp.dev/service: api") {
				t.Errorf("%s %s says %d times that it is web's:\n%s", o.Kind, o.Name, n, o.Content)
			}
			documents = append(documents, o.Content)
		}
		if len(got.Objects) != 4 {
			t.Errorf("let through %d objects", len(got.Objects))
		}
	}
	in.Owner = ""
	got, err := Objects(documents, in)
	if err != nil || strings.Contains(together(Result{Objects: got.Objects}), "idp.dev/service") || !strings.Contains(together(got), "# Deployment web: metadata.labels[idp.dev/service] left out") {
		t.Errorf("of nobody: %v\n%s", err, together(got))
	}
}

// TestLongLived: what keeps previews apart from the world is not for other environments, and
// what rolls out again there has other pods.
func TestLongLived(t *testing.T) {
	t.Parallel()
	in := input()
	in.Class.Gate = nil // closed to previews
	in.LongLived, in.Attempt = true, 2
	got, err := Objects([][]byte{
		[]byte(service("web", "{port: 80}")),
		[]byte("{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: own}, spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}}"),
		[]byte("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: web, image: ghcr.io/acme/web}]}}}}"),
		[]byte("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}]}}}}"),
		[]byte("{apiVersion: batch/v1, kind: Job, metadata: {name: once}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: ghcr.io/acme/web}]}}}}"),
	}, in)
	if err != nil {
		t.Fatal(err)
	}
	text := together(got)
	if !strings.Contains(text, "kind: HTTPRoute") || strings.Contains(text, "X-Robots-Tag") || len(got.Unrouted) > 0 {
		t.Errorf("its route is as a preview's:\n%s", text)
	}
	if n := strings.Count(text, `idp.dev/attempt: "2"`); n != 2 {
		t.Errorf("%d of the Deployment and the StatefulSet have other pods:\n%s", n, text)
	}
	guarded := input()
	guarded.Class.Gate = &platform.Gate{Annotations: map[string]string{"auth": "url"}}
	guarded.Class.Routing = platform.Routing{Kind: platform.Ingress}
	guarded.LongLived = true
	if got, err = Objects([][]byte{[]byte(service("web", "{port: 80}"))}, guarded); err != nil || strings.Contains(together(got), "auth: url") || !strings.Contains(together(got), "kind: Ingress") {
		t.Errorf("its Ingress is as a preview's (%v):\n%s", err, together(got))
	}
}

// TestAdditionsAreBounded: however much a source leaves to be set, little is said of it, and
// what no registry can have is not looked up.
func TestAdditionsAreBounded(t *testing.T) {
	t.Parallel()
	ports := make([]string, 3000)
	for i := range ports {
		ports[i] = fmt.Sprintf("{name: p%d, port: %d}", i, i+1)
	}
	long := "ghcr.io/acme/" + strings.Repeat("x", maxReference)
	got, err := Objects([][]byte{
		[]byte(service("many", strings.Join(ports, ", "))),
		[]byte("{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: x}}, template: {metadata: {labels: {app: x}}, spec: {containers: [{name: long, image: " + long + "}, {name: web, image: ghcr.io/acme/web}]}}}}"),
	}, input())
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, n := range got.Notes {
		if strings.HasPrefix(n.Text, "set where nothing was said: ") {
			said++
		}
	}
	if said != maxAdditions+1 {
		t.Errorf("%d notes of what was set", said)
	}
	if len(got.Unpinned) > 0 {
		t.Errorf("to be looked up: %d", len(got.Unpinned))
	}
}
