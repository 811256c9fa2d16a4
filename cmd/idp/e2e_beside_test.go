//go:build e2e

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/idp-bot/idp/bot/github/githubtest"
	"github.com/idp-bot/idp/gitops"
	"github.com/idp-bot/idp/gitops/argocd"
	"github.com/idp-bot/idp/gitops/clustertest"
	"github.com/idp-bot/idp/gitops/platform"
	"github.com/idp-bot/idp/gitops/policy"
	"github.com/idp-bot/idp/gitops/repo/gittest"
	"github.com/idp-bot/idp/gitops/secret/secrettest"
)

// plain is a service that is replaced at once, without a preview.
const plain = `preview:
  enabled: false
service:
  name: web
  team: shop
  image: %s/%s:{sha}
  replicas: 2
`

// TestEndToEndTwo has staging on one cluster and production on another, each with an Argo
// CD and a GitOps repository of its own, at once.
func TestEndToEndTwo(t *testing.T) {
	stage := newStage(t, clustertest.ArgoCD35)
	s := stage.scene(t)
	far := s.startFar()
	r := s.github.AddRepository("acme/two", githubtest.RepositoryOptions{Private: true, Files: map[string]string{
		".idp/deploy.yaml": fmt.Sprintf(plain, s.registryAddr, "acme/two"),
	}})
	r.Grant("alice", "write")
	staging := staged{s.open(r, "acme/two"), "staging", "web"}
	production := staging.of("production", "web")
	staging.say("/idp deploy staging")
	production.say("/idp deploy production")
	staging.isDeployed()
	production.isDeployed()
	for env, on := range map[staged]*clustertest.Cluster{staging: s.cluster, production: far} {
		for _, cluster := range []*clustertest.Cluster{s.cluster, far} {
			if there := env.replicasOn(cluster); there != 2 && cluster == on || there != 0 && cluster != on {
				t.Errorf("%s has %d replicas on the cluster with Argo CD at %s", env.env, there, cluster.ArgoCD)
			}
		}
	}

	// While one does not answer, the other is deployed to, and the first once it is back.
	s.must(far.StopPart(clustertest.ArgoCDServer))
	staging.push(staging.pr.Push, nil)
	production.say("/idp deploy production")
	staging.say("/idp deploy staging")
	staging.isDeployed()
	if check := production.check(production.pr.HeadSHA()); check.Conclusion != "" {
		t.Errorf("production, whose Argo CD is away, is said to be %s: %s", check.Conclusion, check.Title)
	}
	s.must(far.StartPart(s.ctx, clustertest.ArgoCDServer))
	production.isDeployed()
}

// startFar starts a second cluster with an Argo CD that follows a GitOps repository of its
// own, and has production there: what an operator and the platform team do, in order.
func (s *scene) startFar() *clustertest.Cluster {
	s.Helper()
	far, err := clustertest.Start(s.ctx, clustertest.Options{ArgoCD: clustertest.ArgoCD214, Progress: func(step string, took time.Duration, ended bool) {
		if ended {
			s.Logf("the second cluster: %s: %s", step, took.Round(10*time.Millisecond))
		}
	}})
	s.must(err)
	s.Cleanup(func() { s.must(far.Close()) })
	const name = "acme/production"
	served, err := s.git.Create(s.ctx, name)
	s.must(err)
	s.github.AddRepository(name, githubtest.RepositoryOptions{Private: true}).Mirror(served)
	_, err = served.Commit(s.ctx, branch, gittest.Edit{Message: "Begin"})
	s.must(err)

	files := []gitops.File{
		{Path: platform.EnvironmentsPath, Content: []byte("environments:\n  staging: {}\n  production: {class: far}\n")},
		{Path: platform.ClassesDir + "/far.yaml", Content: fmt.Appendf(nil, "gitops_url: %s\nargocd_url: %s\n", served.URL, far.ArgoCD)},
		{Path: policy.SettingsPath, Content: fmt.Appendf(nil, "registries: [%q]\n", s.registryAddr)},
	}
	_, err = s.gitops.Commit(s.ctx, branch, gittest.Edit{Message: "Have production elsewhere", Put: files})
	s.must(err)
	checkout := secrettest.Dir(s)
	for _, f := range files {
		path := filepath.Join(checkout, f.Path)
		s.must(os.MkdirAll(filepath.Dir(path), 0o755))
		s.must(os.WriteFile(path, f.Content, 0o644))
	}
	s.must(far.ApplyAs(s.ctx, "idp-bootstrap", []byte(s.idp("bootstrap", "--impersonate", "--platform", checkout, "--argocd", far.ArgoCD))))
	token, err := far.AccountToken(s.ctx, argocd.Account)
	s.must(err)
	file := filepath.Join(checkout, "argocd-token")
	s.must(os.WriteFile(file, []byte(token+"\n"), 0o600))
	s.must(s.stopBot())
	s.must(s.reconfigure(map[string]string{"IDP_ARGOCD_TOKEN_FILES": far.ArgoCD + "=" + file}))
	s.must(s.start(s.ctx))
	return far
}

// idp runs the program with the bot's configuration and returns what it prints.
func (s *scene) idp(args ...string) string {
	s.Helper()
	env := make([]string, 0, len(s.env))
	for key, value := range s.env {
		env = append(env, key+"="+value)
	}
	var stdout, stderr strings.Builder
	if status := searchedRun(s.ctx, s, args, nil, &stdout, &stderr, env); status != exitOK {
		s.Fatalf("idp %v ended with %d: %s", args, status, stderr.String())
	}
	return stdout.String()
}

// isDeployed waits until the head is said to run.
func (d staged) isDeployed() {
	d.Helper()
	d.await(d.env+" is said to be deployed", func() error {
		return d.says(d.pr.HeadSHA(), "success", "", "eployed to "+d.env, "success")
	})
}

// replicasOn counts the pods of the environment that are available on a cluster.
func (d staged) replicasOn(cluster *clustertest.Cluster) int64 {
	d.Helper()
	row, err := d.row()
	d.must(err)
	found, err := cluster.Resource(deployments, row.NamespaceName())
	d.must(err)
	list, err := found.List(context.Background(), metav1.ListOptions{})
	d.must(err)
	var ready int64
	for _, item := range list.Items {
		status, _ := item.Object["status"].(map[string]any)
		n, _ := status["availableReplicas"].(int64)
		ready += n
	}
	return ready
}
