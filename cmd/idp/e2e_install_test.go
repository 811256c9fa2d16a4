//go:build e2e

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
	"github.com/idp-bot/idp/gitops/source"
)

// installDryRun puts what "idp install --print" prints, for SQLite and for PostgreSQL, to the
// API server, which holds the namespace to the Pod Security Standard "restricted": nothing is
// refused, and nothing warned of.
func installDryRun(s *scene) {
	s.must(s.cluster.Apply(s.ctx, []byte(monitorDefinition)))
	s.Cleanup(func() { s.takeAway(monitorDefinition) })
	s.await("the API server knows a ServiceMonitor", func() error {
		_, err := s.cluster.Warnings(s.ctx, []byte("apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: a, namespace: default}\n"))
		return err
	})
	for name, changes := range shapes(s.T) {
		status, manifests, stderr := installed(s.T, changes, "--print", "--image", installedImage, "--namespace", "e2e-install-"+name, "--service-monitor")
		if status != exitOK {
			s.Fatalf("%s: it ended with %d: %s", name, status, stderr)
		}
		objects, err := clustertest.Decode([]byte(manifests))
		s.must(err)
		for _, object := range objects {
			content, err := object.MarshalJSON()
			s.must(err)
			if object.GetKind() == "Namespace" { // what is in it can only be tried where it is
				s.must(s.cluster.Apply(s.ctx, content))
				s.Cleanup(func() { s.takeAway(string(content)) })
			}
			warnings, err := s.cluster.Warnings(s.ctx, content)
			if err != nil || len(warnings) > 0 {
				s.Errorf("%s: %s: %v %q", name, object.GetKind(), err, warnings)
			}
		}
		s.Logf("%s: %d objects, none refused, none warned of", name, len(objects))
		s.bites(manifests)
	}
}

// bites: the namespace is held to the standard, for the same Deployment as root is warned of.
func (s *scene) bites(manifests string) {
	s.Helper()
	for _, document := range strings.Split(manifests, "\n---\n") {
		if strings.Contains(document, "\nkind: Deployment\n") {
			warnings, err := s.cluster.Warnings(s.ctx, []byte(strings.ReplaceAll(document, "runAsNonRoot: true", "runAsNonRoot: false")))
			if err != nil || len(warnings) == 0 {
				s.Errorf("a Deployment as root: %v %q", err, warnings)
			}
			return
		}
	}
	s.Error("there is no Deployment")
}

// takeAway removes objects from the cluster.
func (s *scene) takeAway(documents string) {
	s.Helper()
	objects, err := clustertest.Decode([]byte(documents))
	s.must(err)
	for _, object := range objects {
		if err := s.objects(object.GroupVersionKind(), object.GetNamespace()).Delete(context.Background(), object.GetName(), metav1.DeleteOptions{}); err != nil {
			s.Errorf("remove %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

// monitorDefinition is what of the Prometheus operator a ServiceMonitor takes.
const monitorDefinition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: servicemonitors.monitoring.coreos.com, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: monitoring.coreos.com
  names: {kind: ServiceMonitor, plural: servicemonitors, singular: servicemonitor}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`

// TestEndToEndChart: Helm itself, built from its module, finds nothing wrong with the chart,
// and renders it with the printed values to what "idp install --print" prints, byte for byte.
func TestEndToEndChart(t *testing.T) {
	t.Parallel()
	dir := secrettest.Dir(t)
	helm := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "helm"), args...)
		cmd.Env = []string{"HOME=" + dir}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	secrettest.Given(filepath.Join(dir, "helm")) // it holds what private keys begin with
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../../testdata/charts", "-o", dir, "helm.sh/helm/v3/cmd/helm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	chart := filepath.Join(dir, "chart")
	if status, _, stderr := installed(t, nil, "--chart", chart); status != exitOK {
		t.Fatal(stderr)
	}
	t.Log(helm("lint", "--strict", chart))
	for name, changes := range shapes(t) {
		_, values, _ := installed(t, changes, "--values", "--image", installedImage, "--service-monitor")
		_, want, _ := installed(t, changes, "--print", "--image", installedImage, "--service-monitor")
		file := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Log(helm("lint", "--strict", chart, "--values", file))
		got := helm("template", installRelease, chart, "--namespace", "idp", "--values", file, "--set", "namespace.create=true", "--kube-version", source.KubernetesVersion)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-idp +helm):\n%s", name, diff)
		}
	}
}
