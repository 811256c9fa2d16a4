//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// doctored is what an installation of its own stands on, in the parts that are taken away one
// by one. Nobody but the test says how the Gateway is: no controller of one runs here.
const doctored = `
apiVersion: v1
kind: Namespace
metadata: {name: e2e-doctor}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: e2e-doctor}
spec: {controllerName: example.com/doctored}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: doctored, namespace: e2e-doctor}
spec:
  gatewayClassName: e2e-doctor
  listeners:
  - {name: web, port: 80, protocol: HTTP, hostname: "*.preview.example.com", allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {app.kubernetes.io/managed-by: idp}}}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: idp-doctored, labels: {app.kubernetes.io/managed-by: idp}}
---
apiVersion: v1
kind: Secret
metadata: {name: e2e-registry, namespace: idp-doctored}
type: Opaque
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: cilium, namespace: e2e-doctor}
spec:
  selector: {matchLabels: {app: cilium}}
  template:
    metadata: {labels: {app: cilium}}
    spec: {nodeSelector: {nowhere: "true"}, containers: [{name: agent, image: "example.com/cilium:1"}]}
`

// doctoredPlatform declares an environment whose class has a project of its own.
var doctoredPlatform = map[string]string{
	platform.EnvironmentsPath:             "environments:\n  production: {class: durable}\n",
	platform.ClassesDir + "/durable.yaml": "argocd_project: e2e-durable\n",
}

// doctoredScene is an installation that "idp doctor --kubeconfig" examines on the real API server.
type doctoredScene struct {
	*scene
	env      map[string]string
	checkout string
}

// doctorReads: what a cluster has is found to be well, and each thing that it lacks is told with
// how to mend it, by what a real API server answers.
func doctorReads(s *scene) {
	p := &doctoredScene{scene: s, env: maps.Clone(s.env), checkout: secrettest.Dir(s.T)}
	p.declares()
	p.settles()
	p.well()
	for _, c := range []struct{ what, kind, namespace, name, check, seen, fix string }{
		{"gateway class", "GatewayClass", "", "e2e-doctor", checkGateway, "Gateway doctored of namespace e2e-doctor is of class e2e-doctor, which is not there", "install the gateway's controller, or name the class of one that is"},
		{"gateway", "Gateway", "e2e-doctor", "doctored", checkGateway, "Gateway doctored of namespace e2e-doctor is not there", "make it, or name another in gateway_name and gateway_namespace; without the Gateway API set routing to Ingress"},
		{"project of previews", "AppProject", clustertest.ArgoCDNamespace, "e2e-previews", checkProject, "e2e-previews, for previews, is not there in namespace argocd", "apply what idp bootstrap prints, or name another in argocd_project"},
		{"project of a class", "AppProject", clustertest.ArgoCDNamespace, "e2e-durable", checkProject, "e2e-durable, for class durable, is not there in namespace argocd", "apply what idp bootstrap --platform DIR prints, or name another in argocd_project"},
		{"pull secret", "Secret", "idp-doctored", "e2e-registry", checkPulling, "Secret e2e-registry is not in", "have it copied into every namespace"},
		{"network", "DaemonSet", "e2e-doctor", "cilium", checkNetworks, "no network that enforces NetworkPolicy is known", "see whether yours does"},
	} {
		object := p.object(c.kind, c.name)
		s.must(s.objects(object.GroupVersionKind(), c.namespace).Delete(s.ctx, c.name, metav1.DeleteOptions{}))
		s.await("there is no "+c.what, func() error { return s.absent(object.GroupVersionKind(), c.namespace, c.name) })
		found := p.examine()
		told := slices.IndexFunc(found[c.check], func(d diagnosis) bool {
			return (d.State == verdictFailure || d.State == verdictWarning) && strings.HasPrefix(d.Seen, c.seen) && strings.HasPrefix(d.Fix, c.fix)
		})
		if told < 0 {
			s.Fatalf("without the %s: %+v", c.what, found[c.check])
		}
		s.Logf("without the %s: %s, fix: %s", c.what, found[c.check][told].Seen, found[c.check][told].Fix)
		for check, of := range found {
			for _, d := range of {
				if check != c.check && d.State != verdictOK {
					s.Errorf("without the %s, beside it: %+v", c.what, d)
				}
			}
		}
		p.settles()
	}
	p.well()
}

// declares gives the installation a GitOps repository of its own, with its platform folder.
func (p *doctoredScene) declares() {
	const name = "acme/doctored"
	served, err := p.git.Create(p.ctx, name)
	p.must(err)
	p.github.AddRepository(name, githubtest.RepositoryOptions{Private: true}).Mirror(served)
	edit := gittest.Edit{Message: "Declare"}
	for path, content := range doctoredPlatform {
		edit.Put = append(edit.Put, gitops.File{Path: path, Content: []byte(content)})
		file := filepath.Join(p.checkout, filepath.FromSlash(path))
		p.must(os.MkdirAll(filepath.Dir(file), 0o755))
		p.must(os.WriteFile(file, []byte(content), 0o644))
	}
	_, err = served.Commit(p.ctx, branch, edit)
	p.must(err)
	maps.Copy(p.env, map[string]string{
		"IDP_GITOPS_URL": served.URL, "IDP_ARGOCD_PROJECT": "e2e-previews", "IDP_ARGOCD_ROOT": "e2e-doctored", "IDP_ARGOCD_NAMESPACE": clustertest.ArgoCDNamespace,
		"IDP_GATEWAY_NAME": "doctored", "IDP_GATEWAY_NAMESPACE": "e2e-doctor", "IDP_IMAGE_PULL_SECRET": "e2e-registry",
	})
}

// stands are all objects that the installation stands on: the projects as "idp bootstrap" prints them.
func (p *doctoredScene) stands() []*unstructured.Unstructured {
	p.Helper()
	all, err := clustertest.Decode([]byte(doctored))
	p.must(err)
	printed, err := clustertest.Decode([]byte(p.idp("bootstrap", "--platform", p.checkout)))
	p.must(err)
	for _, object := range printed {
		if object.GetKind() == "AppProject" {
			all = append(all, object)
		}
	}
	return all
}

func (p *doctoredScene) object(kind, name string) *unstructured.Unstructured {
	p.Helper()
	for _, object := range p.stands() {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	p.Fatalf("there is no %s %s to take away", kind, name)
	return nil
}

// settles puts everything there and has the Gateway and its class say that they are well, as
// their controller would. It goes again with the test.
func (p *doctoredScene) settles() {
	p.Helper()
	for _, object := range p.stands() {
		content, err := object.MarshalJSON()
		p.must(err)
		p.must(p.cluster.Apply(p.ctx, content))
		of := p.objects(object.GroupVersionKind(), object.GetNamespace())
		p.Cleanup(func() {
			_ = of.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}) // it is gone already where it was put there twice
		})
		condition := map[string]string{"GatewayClass": "Accepted", "Gateway": "Programmed"}[object.GetKind()]
		if condition == "" {
			continue
		}
		status := fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"status":"True","reason":"Doctored","message":"","lastTransitionTime":"2026-11-30T12:00:00Z"}]}}`, condition)
		_, err = of.Patch(p.ctx, object.GetName(), "application/merge-patch+json", status, metav1.PatchOptions{}, "status")
		p.must(err)
	}
}

// well wants every check of the cluster to be so.
func (p *doctoredScene) well() {
	p.Helper()
	found := p.examine()
	for _, check := range []string{checkGateway, checkProject, checkPulling, checkNetworks, checkKinds} {
		if len(found[check]) == 0 {
			p.Errorf("there is no word about %s", check)
		}
		for _, d := range found[check] {
			if d.State != verdictOK {
				p.Errorf("%+v", d)
			}
			p.Logf("%s: %s", check, d.Seen)
		}
	}
	if n := len(found[checkProject]); n != 2 {
		p.Errorf("%d projects were looked at", n)
	}
}

// examine runs "idp doctor --kubeconfig" and returns what it says of the cluster.
func (p *doctoredScene) examine() map[string][]diagnosis {
	p.Helper()
	var report doctorReport
	p.must(json.Unmarshal([]byte(p.idp("doctor", "--kubeconfig", p.cluster.Kubeconfig, "-o", "json")), &report))
	out := map[string][]diagnosis{}
	for _, d := range report.Checks {
		if slices.Contains([]string{checkGateway, checkProject, checkPulling, checkNetworks, checkKinds}, d.Check) {
			out[d.Check] = append(out[d.Check], d)
		}
	}
	return out
}

// idp runs a command by the installation's configuration. What the doctor says of the rest, of
// names that nobody resolves here, is of no account: it may end with 1.
func (p *doctoredScene) idp(args ...string) string {
	p.Helper()
	env := make([]string, 0, len(p.env))
	for key, value := range p.env {
		env = append(env, key+"="+value)
	}
	var stdout, stderr bytes.Buffer
	if status := searchedRun(p.ctx, p, args, nil, &stdout, &stderr, env); status != exitOK && (args[0] != "doctor" || status != exitFailure) {
		p.Fatalf("idp %s ended with %d: %s", strings.Join(args, " "), status, stderr.String())
	}
	return stdout.String()
}
