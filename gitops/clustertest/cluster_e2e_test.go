//go:build e2e

package clustertest_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/repo/gittest"
)

// TestCluster starts everything, has an Application synced from a Git repository
// to health, takes it away again, and leaves nothing behind.
func TestCluster(t *testing.T) {
	for _, version := range []string{clustertest.ArgoCD35, clustertest.ArgoCD214} {
		t.Run(version, func(t *testing.T) {
			ctx := t.Context()
			c, err := clustertest.Start(ctx, clustertest.Options{ArgoCD: version, Progress: func(step string, took time.Duration, ended bool) {
				if ended {
					t.Logf("%s: %s", step, took.Round(10*time.Millisecond))
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			repo, err := c.Git.Create(ctx, "acme/app")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repo.Commit(ctx, "main", gittest.Edit{Message: "Add the app", Put: []gitops.File{{Path: "app/app.yaml", Content: []byte(app)}}}); err != nil {
				t.Fatal(err)
			}
			if err := c.Apply(ctx, fmt.Appendf(nil, application, repo.URL)); err != nil {
				t.Fatal(err)
			}
			await(t, "the Application is healthy", func() error { return healthy(ctx, c, "app") })

			apps := resource(t, c, "argoproj.io", "v1alpha1", "Application", "argocd")
			if err := apps.Delete(ctx, "app", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			namespaces := resource(t, c, "", "v1", "Namespace", "")
			await(t, "the namespace is gone", func() error {
				if _, err := namespaces.Get(ctx, "idp-app", metav1.GetOptions{}); !errors.IsNotFound(err) {
					return fmt.Errorf("it is there: %w", err)
				}
				return nil
			})
			nothingLeft(t, c)
		})
	}
}

const app = `apiVersion: v1
kind: Namespace
metadata: {name: idp-app}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: idp-app}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "registry.test/web:1"}]
`

const application = `apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: app
  namespace: argocd
  finalizers: [resources-finalizer.argocd.argoproj.io]
spec:
  project: default
  source: {repoURL: %q, targetRevision: main, path: app}
  destination: {server: https://kubernetes.default.svc, namespace: idp-app}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
`

// healthy asks Argo CD, with the token that idp has.
func healthy(ctx context.Context, c *clustertest.Cluster, name string) error {
	var seen struct {
		Status struct {
			Sync   struct{ Status string }
			Health struct{ Status string }
		}
	}
	if err := c.AskArgoCD(ctx, c.ReadToken, http.MethodGet, "/api/v1/applications/"+name, nil, &seen); err != nil {
		return err
	}
	if seen.Status.Sync.Status != "Synced" || seen.Status.Health.Status != "Healthy" {
		return fmt.Errorf("it is %s and %s", seen.Status.Sync.Status, seen.Status.Health.Status)
	}
	return nil
}

type resources interface {
	Get(ctx context.Context, name string, o metav1.GetOptions, sub ...string) (*unstructured.Unstructured, error)
	Delete(ctx context.Context, name string, o metav1.DeleteOptions, sub ...string) error
}

func resource(t *testing.T, c *clustertest.Cluster, group, version, kind, namespace string) resources {
	t.Helper()
	r, err := c.Resource(schema.GroupVersionKind{Group: group, Version: version, Kind: kind}, namespace)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// await wants what is asked to be no error within two minutes.
func await(t *testing.T, what string, ask func() error) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for err := ask(); err != nil; err = ask() {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("not so after two minutes: %s: %v", what, err)
		}
		<-tick.C
	}
	t.Logf("%s: %s", what, time.Since(began).Round(10*time.Millisecond))
}

// nothingLeft closes the cluster and looks for what should be gone with it.
func nothingLeft(t *testing.T, c *clustertest.Cluster) {
	t.Helper()
	dir, addresses := c.Dir(), []string{c.APIServer, c.ArgoCD, c.Prometheus, c.Git.URL}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is there: %v", dir, err)
	}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := net.DialTimeout("tcp", u.Host, time.Second); err == nil {
			_ = conn.Close()
			t.Errorf("%s still listens", address)
		}
	}
}
